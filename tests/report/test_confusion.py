"""The confusion figure: what it shows, what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError
from throughtime.report import confusion_plot
from throughtime.report.confusion import confusion_figure


def test_it_shows_counts_and_shares_of_the_true_label(tmp_path: Path) -> None:
    (axes,) = confusion_figure([[3, 1], [0, 6]], ["good", "a label of more than eighteen letters"]).axes
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3", "6"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "a label of more t…"]
    path = confusion_plot(tmp_path / "c.png", np.eye(3, dtype=int), ["a", "b", "c"])
    assert path.read_bytes().startswith(b"\x89PNG")


def test_of_many_labels_the_commonest_are_drawn() -> None:
    counts = np.diag(np.arange(1, 51))
    (axes,) = confusion_figure(counts, [str(k) for k in range(50)]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(k) for k in range(10, 50)]


@pytest.mark.parametrize(
    ("counts", "names", "words"),
    [
        ([[1, 2]], ["a"], r"shape \(1, 1\), got \(1, 2\)"),
        ([[1]], ["a", "b"], r"shape \(2, 2\), got \(1, 1\)"),
        ([[-1]], ["a"], "expected counts"),
    ],
)
def test_what_is_no_square_of_counts_is_refused(counts: list, names: list, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        confusion_figure(counts, names)
