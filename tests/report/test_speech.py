"""The picture of what a transcriber hears."""

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import speech_plot
from throughtime.report.speech import speech_figure

X_TM = np.random.default_rng(0).normal(0, 1, (30, 8))
P_SV = np.array([[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], [0.5, 0.0, 0.5]])
WORDS = [("yes", 0.1, 0.2, 0.9)]


def test_features_likely_symbols_and_words_are_drawn():
    figure = speech_figure(X_TM, P_SV, ["<blank>", "yes", "no"], WORDS, 0.3)
    top, middle, bottom = figure.axes
    assert len(middle.lines) == 3
    np.testing.assert_allclose(middle.lines[1].get_xdata(), [0.05, 0.15, 0.25])
    assert [text.get_text() for text in middle.texts] == ["yes", "no"]
    assert [text.get_text() for text in bottom.texts] == ["yes", "0.90"]
    assert bottom.get_xlim() == (0.0, 0.3)
    assert len(top.images) == 1


def test_it_is_written_and_wrong_shapes_are_refused(tmp_path):
    path = speech_plot(
        tmp_path / "a.png", features=X_TM, probabilities=P_SV, symbols=["", "a", " "], words=[], seconds=2.3, start=2.0,
        step=0.1,
    )  # fmt: skip
    assert path.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ArgumentError, match=r"probabilities \(S, 2\) of some time, got \(30, 8\) and \(3, 3\)"):
        speech_figure(X_TM, P_SV, ["", "a"], [], 0.3)
