"""What happened when, as a picture."""

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import timeline_plot
from throughtime.report.timeline import timeline_figure

TIMES = np.arange(10) / 2


def test_it_draws_bands_and_curves(tmp_path):
    path = timeline_plot(tmp_path / "a.png", TIMES, [0] * 5 + [1] * 5, ["a", "b"], true=[0] * 6 + [-1] * 4)
    assert path.read_bytes()[:4] == b"\x89PNG"
    figure = timeline_figure(
        TIMES, [0] * 5 + [1] * 5, ["a", "b"], true=[0] * 6 + [1] * 4, probability=np.linspace(0, 1, 10), values=TIMES
    )
    bands, *curves = figure.axes
    assert len(bands.collections) == 4
    assert [text.get_text() for text in bands.get_yticklabels()] == ["true", "found"]
    assert [text.get_text() for text in bands.get_legend().get_texts()] == ["a", "b"]
    assert [axes.get_ylabel() for axes in curves] == ["probability", "what mattered"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"found": [0] * 9}, r"found of shape \(10,\) as the times, got \(9,\)"),
        ({"found": [2] * 10}, "expected found to be numbers below 2, got 2 to 2"),
        ({"times": TIMES[::-1]}, "expected times that do not go back"),
        ({"probability": [0.5]}, r"probability of shape \(10,\) as the times, got \(1,\)"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    with pytest.raises(ArgumentError, match=said):
        timeline_figure(**{"times": TIMES, "found": [0] * 10, "names": ["a", "b"]} | given)
