"""The picture of an attention: squares as dark as its weights, and what cannot be drawn."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import attention_plot
from throughtime.report.attention import attention_figure

SOURCE, TARGET = ["\N{LOWER ONE EIGHTH BLOCK}un", "\N{LOWER ONE EIGHTH BLOCK}chat", "</s>"], ["a", "$cat"]
WEIGHTS = np.array([[0.9, 0.1, 0.0], [0.0, 0.75, 0.25]])


def test_every_weight_is_drawn_at_its_pieces(tmp_path: Path) -> None:
    (axes,) = attention_figure(WEIGHTS, SOURCE, TARGET).axes
    (image,) = axes.get_images()
    np.testing.assert_allclose(image.get_array(), WEIGHTS)
    assert image.get_clim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["_un", "_chat", "</s>"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", r"\$cat"]
    assert attention_plot(tmp_path / "a.png", WEIGHTS, SOURCE, TARGET).read_bytes().startswith(b"\x89PNG")


def test_of_long_sides_the_beginning_is_drawn() -> None:
    (axes,) = attention_figure(np.full((2, 200), 1 / 200), ["x"] * 200, ["a", "b"]).axes
    assert axes.get_images()[0].get_array().shape == (2, 80)


@pytest.mark.parametrize(
    ("weights", "source", "match"),
    [
        (WEIGHTS, SOURCE[:2], r"expected weights of shape \(2, 2\), at least one piece a side, got \(2, 3\); "),
        (np.zeros((2, 0)), [], r"shape \(2, 0\), at least one piece a side, got \(2, 0\); "),
        (WEIGHTS - 0.5, SOURCE, r"expected weights in \[0, 1\], got from -0\.5 to 0\.4; "),
    ],
)
def test_refused(weights: np.ndarray, source: list[str], match: str) -> None:
    with pytest.raises(ArgumentError, match=f"attention_plot: .*{match}"):
        attention_figure(weights, source, TARGET)
