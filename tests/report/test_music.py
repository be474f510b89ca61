"""Pictures of music: they are drawn, and what cannot be drawn is refused."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import histogram_plot, piano_roll_plot


def test_a_piano_roll_is_drawn_bar_by_bar(tmp_path: Path) -> None:
    notes = np.array([[t, 12, 60 + t % 7] for t in range(0, 960, 12)])
    one = piano_roll_plot(tmp_path / "a.png", notes[:4], [0, 48], title="Four", given=2).read_bytes()
    all = piano_roll_plot(tmp_path / "b.png", notes, list(range(0, 961, 48))).read_bytes()
    assert one[:4] == all[:4] == b"\x89PNG"
    assert int.from_bytes(all[20:24], "big") > int.from_bytes(one[20:24], "big")  # three lines are higher than one
    for given, bars in ((notes[:0], [0, 48]), (notes[:, :2], [0, 48]), (notes, [0])):
        with pytest.raises(ArgumentError, match=rf"got \({given.shape[0]}, {given.shape[1]}\) and {len(bars)}"):
            piano_roll_plot(tmp_path / "c.png", given, bars)


def test_histograms_are_drawn_beside_each_other(tmp_path: Path) -> None:
    own = {"pitch class": np.full(12, 1 / 12), "interval": np.full(25, 1 / 25), "duration": np.full(48, 1 / 48)}
    assert histogram_plot(tmp_path / "a.png", own, own).stat().st_size > 5000
    with pytest.raises(ArgumentError, match=r"got \['duration', 'interval', 'pitch class'\] and \['interval'\]"):
        histogram_plot(tmp_path / "b.png", own, {"interval": own["interval"]})
