"""`gate_plot`: what gates keep, word by word."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import gate_plot
from throughtime.report.gates import gate_figure

WORDS = ["the", "cat", "which", "ate", "was"]


def test_units_stand_by_what_they_keep_and_the_lines_are_products() -> None:
    keep = np.array([[0.5, 0.9, 0.1]] * 5)
    figure = gate_figure(WORDS, keep, since=1)
    above, below = figure.axes[:2]
    np.testing.assert_allclose(above.images[0].get_array()[:, 0], [0.9, 0.5, 0.1])
    best, middle = (line.get_ydata() for line in below.lines[:2])
    np.testing.assert_allclose(best, [1, 0.9, 0.81, 0.729])
    np.testing.assert_allclose(middle, [1, 0.5, 0.25, 0.125])


def test_the_picture_is_written(tmp_path: Path) -> None:
    path = gate_plot(tmp_path / "g.png", WORDS, np.full((5, 2), 0.5, dtype=np.float32), since=1)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("keep", "since", "message"),
    [
        (np.zeros((4, 2)), 0, r"shape \(5, H\) for 5 words, got \(4, 2\)"),
        (np.full((5, 2), 1.5), 0, "from 0 to 1, got 1.5"),
        (np.zeros((5, 2)), 5, "index below 5, got 5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(keep: np.ndarray, since: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        gate_figure(WORDS, keep, since=since)
