"""The picture of gradients along time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from throughtime.errors import ArgumentError
from throughtime.report import gradient_plot, gradients


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they were just before they were written."""
    figures: list[Figure] = []
    save = gradients.save

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(gradients, "save", keep)
    return figures


def test_a_row_a_label_and_a_line_a_label(tmp_path: Path, drawn: list[Figure]):
    norms = {"layer 0: h": 10.0 ** np.arange(-11, 1), "layer 0: c": np.zeros(12), "layer 1: h": np.full(5, 7.0)}
    path = gradient_plot(tmp_path / "g.png", norms, {"layer 0": 2 * 0.5 ** np.arange(12.0)})
    assert path.read_bytes().startswith(b"\x89PNG")
    above, below, _ = drawn[0].axes
    image = above.get_images()[0].get_array()
    np.testing.assert_allclose(image[0], np.maximum(np.arange(-11, 1), -8))
    np.testing.assert_allclose(image[1], -8)
    np.testing.assert_allclose(image[2, :5], 0)
    assert image.mask[2, 5:].all()
    assert [label.get_text() for label in above.get_yticklabels()] == list(norms)
    line = next(line for line in below.get_lines() if line.get_label() == "layer 0")
    np.testing.assert_allclose(line.get_ydata(), 0.5 ** np.arange(12.0))
    assert below.get_yscale() == "log"


def test_what_is_not_finite_is_orange_and_said(tmp_path: Path, drawn: list[Figure]):
    gradient_plot(tmp_path / "g.png", {"a": np.array([np.inf, np.nan, 2.0])}, {"a": np.array([1.0, np.inf])})
    above = drawn[0].axes[0]
    assert "not finite" in above.get_title(loc="left")
    marks = above.get_images()[1].get_array()
    assert marks.mask.tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("norms", "reach", "said"),
    [
        ({}, {"a": np.ones(2)}, "got 0 and 1"),
        ({"a": np.ones(2)}, {}, "got 1 and 0"),
        ({"a": np.ones((2, 2))}, {"a": np.ones(2)}, r"got \(2, 2\)"),
        ({"a": np.ones(2)}, {"a": np.ones(0)}, r"got \(0,\)"),
        ({"a": np.array([1.0, -3.0])}, {"a": np.ones(2)}, "got -3 in 'a'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, norms, reach, said):
    with pytest.raises(ArgumentError, match=said):
        gradient_plot(tmp_path / "g.png", norms, reach)
    assert list(tmp_path.iterdir()) == []


def test_only_png(tmp_path: Path):
    with pytest.raises(ArgumentError, match=r"'[^']*g\.pdf'"):
        gradient_plot(tmp_path / "g.pdf", {"a": np.ones(2)}, {"a": np.ones(2)})
