"""Our figures are seqeval's, whose default counts as conlleval does, on any tags, impossible ones too."""

import numpy as np
import pytest

from throughtime.tasks.tag.schemes import spans
from throughtime.tasks.tag.scores import compare

metrics = pytest.importorskip("seqeval.metrics")
labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")


def drawn(letters: str, n: int, seed: int) -> list[list[str]]:
    """Tags at random, of labels with and without a hyphen; the first two hold a piece of each, as seqeval needs."""
    g = np.random.Generator(np.random.PCG64(seed))
    names = ["O", *(f"{letter}-{label}" for letter in letters for label in ("PER", "GPE-LOC"))]
    rows = [[str(tag) for tag in g.choice(names, 1 + row % 11)] for row in range(n)]
    return [[f"{letters[0]}-PER", "O"], [f"{letters[0]}-GPE-LOC", "O"], *rows]


@pytest.mark.parametrize("letters", ["BI", "I", "BIES", "ES"])
def test_pieces_and_scores(letters: str) -> None:
    true, found = drawn(letters, 400, 1), drawn(letters, 400, 2)
    for row in (*true, *found):
        want = [(start, end + 1, label) for label, start, end in labelling.get_entities(row)]
        assert [tuple(piece) for piece in spans(row)] == want
    ours = compare(true, found)
    theirs = metrics.classification_report(true, found, output_dict=True)
    for name, score in {**ours.by_label, "micro avg": ours.overall}.items():
        row = theirs[name]
        want = [*(100 * row[key] for key in ("precision", "recall", "f1-score")), row["support"]]
        assert [score.precision, score.recall, score.f1, score.true] == pytest.approx(want)
    assert ours.accuracy == pytest.approx(100 * metrics.accuracy_score(true, found))
