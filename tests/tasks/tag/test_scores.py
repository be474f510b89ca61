"""Scores by hand, and the printed figures of conlleval's own example form."""

import pytest

from throughtime.errors import DataError
from throughtime.tasks.tag.scores import Score, compare

TRUE = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "B-LOC", "O"], ["O"]]
FOUND = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "I-LOC", "O"], ["B-ORG"]]


def test_by_hand() -> None:
    scores = compare(TRUE, FOUND)
    assert scores.overall == Score(true=4, found=4, right=1)
    assert scores.by_label == {"LOC": Score(3, 1, 0), "ORG": Score(0, 1, 0), "PER": Score(1, 2, 1)}
    assert (scores.overall.precision, scores.overall.recall, scores.overall.f1) == (25.0, 25.0, 25.0)
    assert scores.by_label["PER"].f1 == pytest.approx(200 / 3)
    assert (scores.tokens, scores.sentences, scores.accuracy) == (8, 3, 62.5)
    assert scores.confusion == {
        ("PER", "PER"): 1,
        ("LOC", "PER"): 1,
        ("LOC", "O"): 2,
        ("O", "LOC"): 1,
        ("O", "ORG"): 1,
    }


def test_the_table() -> None:
    assert compare(TRUE, FOUND).table().splitlines() == [
        "processed 8 tokens with 4 phrases; found: 4 phrases; correct: 1.",
        "accuracy:  62.50%; precision:  25.00%; recall:  25.00%; FB1:  25.00",
        "              LOC: precision:   0.00%; recall:   0.00%; FB1:   0.00  1",
        "              ORG: precision:   0.00%; recall:   0.00%; FB1:   0.00  1",
        "              PER: precision:  50.00%; recall: 100.00%; FB1:  66.67  2",
    ]


def test_the_scheme_does_not_matter() -> None:
    assert compare([["I-A", "I-A", "B-A", "O"]], [["B-A", "E-A", "S-A", "O"]]).overall == Score(2, 2, 2)


def test_nothing_there() -> None:
    scores = compare([["O"]], [["O"]])
    assert (scores.overall.precision, scores.overall.recall, scores.overall.f1) == (0.0, 0.0, 0.0)
    assert compare([], []).accuracy == 0.0


def test_unequal() -> None:
    with pytest.raises(DataError, match=r"as there are true ones, 3, got 2"):
        compare(TRUE, FOUND[:2])
    with pytest.raises(DataError, match=r"4 tags in sentence 0 .*, got 3"):
        compare(TRUE, [FOUND[1], *FOUND[1:]])
