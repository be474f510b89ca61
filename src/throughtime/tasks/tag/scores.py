"""Precision, recall and F1 of labelled pieces, as conlleval counts them.

A piece that was found is right when a true one has the same first token, the same end and the same label.

**Source** [TjongKimSang2003]: the conlleval script of the CoNLL-2003 shared task,
whose figures these are to the last digit.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from throughtime.errors import DataError
from throughtime.tasks.tag.schemes import spans


@dataclass(frozen=True)
class Score:
    """Counts of pieces and what follows from them, each share in percent, 0 where nothing was there to count.

    Attributes:
        true: pieces in the data.
        found: pieces in the prediction.
        right: pieces in both.
    """

    true: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """right / found."""
        return 100 * self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """right / true."""
        return 100 * self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 200 * self.right / (self.true + self.found) if self.right else 0.0


@dataclass(frozen=True)
class TagScores:
    """What two taggings of the same sentences have in common.

    Attributes:
        overall: of all pieces (what conlleval prints first, the micro-average).
        by_label: of the pieces of each label, in alphabetical order.
        accuracy: percent of tokens with the very same tag.
        confusion: (true label, found label) → pieces with the same tokens; "O" on one side where it has no such piece.
    """

    overall: Score
    by_label: dict[str, Score]
    accuracy: float
    tokens: int
    sentences: int
    confusion: dict[tuple[str, str], int] = field(repr=False)

    def table(self) -> str:
        """The figures as conlleval prints them."""
        o = self.overall
        lines = [
            f"processed {self.tokens} tokens with {o.true} phrases; found: {o.found} phrases; correct: {o.right}.",
            f"accuracy: {self.accuracy:6.2f}%; {_line(o)}",
            *(f"{label:>17}: {_line(score)}  {score.found}" for label, score in self.by_label.items()),
        ]
        return "\n".join(lines)


def compare(true: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> TagScores:
    """Score tag sequences, in whatever scheme each is written, against the true ones.

    Raises:
        DataError: the sentences are not the same number, or one has not the same number of tokens.

    >>> compare([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]]).overall
    Score(true=1, found=1, right=0)
    """
    pairs = _pairs(true, found)
    counts = {name: Counter[str]() for name in ("true", "found", "right")}
    confusion: Counter[tuple[str, str]] = Counter()
    tokens = same = 0
    for t, f in pairs:
        tokens += len(t)
        same += sum(a == b for a, b in zip(t, f, strict=True))
        theirs, mine = spans(t), spans(f)
        counts["true"].update(piece.label for piece in theirs)
        counts["found"].update(piece.label for piece in mine)
        counts["right"].update(piece.label for piece in set(theirs) & set(mine))
        there = {(p.start, p.end): p.label for p in theirs}
        here = {(p.start, p.end): p.label for p in mine}
        confusion.update((there.get(at, "O"), here.get(at, "O")) for at in there.keys() | here.keys())
    labels = sorted(counts["true"].keys() | counts["found"].keys())
    by_label = {label: Score(counts["true"][label], counts["found"][label], counts["right"][label]) for label in labels}
    overall = Score(counts["true"].total(), counts["found"].total(), counts["right"].total())
    accuracy = 100 * same / tokens if tokens else 0.0
    return TagScores(overall, by_label, accuracy, tokens, len(pairs), dict(confusion))


def _pairs(true: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> list[tuple[Sequence[str], Sequence[str]]]:
    theirs, mine = list(true), list(found)
    if len(theirs) != len(mine):
        raise DataError(
            f"tags: expected as many sentences as there are true ones, {len(theirs)}, got {len(mine)}; pair them"
        )
    for number, (t, f) in enumerate(zip(theirs, mine, strict=True)):
        if len(t) != len(f):
            raise DataError(
                f"tags: expected {len(t)} tags in sentence {number} (counted from 0), got {len(f)}; give each token one"
            )
    return list(zip(theirs, mine, strict=True))


def _line(score: Score) -> str:
    return f"precision: {score.precision:6.2f}%; recall: {score.recall:6.2f}%; FB1: {score.f1:6.2f}"
