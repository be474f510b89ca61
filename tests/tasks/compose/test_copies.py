"""Shared passages, against a search that tries everything."""

from itertools import pairwise

import numpy as np

from throughtime.data.music import Piece, piece_from_names
from throughtime.data.music.pieces import make_piece
from throughtime.tasks.compose import histograms, overlaps
from throughtime.tasks.compose.copies import Copies


def drawn(seed: int, notes: int = 40) -> Piece:
    rng = np.random.Generator(np.random.PCG64(seed))
    onsets = np.cumsum(rng.choice([6, 12], notes))
    return make_piece(
        [(int(t), 6, int(p), 80) for t, p in zip(onsets, rng.integers(60, 64, notes), strict=True)], who="t"
    )


def steps(piece: Piece) -> list[tuple[int, int]]:
    rows = piece.notes[:, [0, 2]].tolist()
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(rows)]


def test_the_longest_shared_passage_is_found_transposed_or_not() -> None:
    training = [drawn(seed) for seed in range(8)]
    copies = Copies.of(training)
    for seed in range(20, 30):
        piece = drawn(seed).transposed(5)
        own, most = steps(piece), 0.0
        for other in map(steps, training):
            for i in range(len(own)):
                for j in range(len(other)):
                    n = 0
                    while i + n < len(own) and j + n < len(other) and own[i + n] == other[j + n]:
                        n += 1
                    if n:
                        span = piece.notes[i + n, 0] + piece.notes[i + n, 1] - piece.notes[i, 0]
                        most = max(most, float(span) / 48)
        assert copies.longest(piece, 48).bars == most
    whole = copies.longest(training[3].transposed(-7), 48)
    assert whole.notes == 40
    assert whole.bars == (training[3].end - training[3].notes[0, 0]) / 48
    assert copies.longest(training[3], 48, first=30).notes >= 10


def test_the_note_that_would_complete_a_copy_is_barred() -> None:
    copies = Copies.of([piece_from_names("C4 D4 E4 F4 G4"), piece_from_names("C4 D4 E4 D4 C4")])
    # Higher by two: D E F# are begun; 36 ticks back lies the first of them.
    assert sorted(copies.barred([0, 12, 24], [62, 64, 66], 36, 36)) == [64, 67]
    assert copies.barred([0, 12, 24], [62, 64, 66], 36, 48) == []
    assert copies.barred([0, 12, 24], [62, 64, 66], 42, 36) == []
    assert copies.barred([0, 12, 24], [62, 64, 68], 36, 36) == []


def test_nothing_is_shared_with_nothing() -> None:
    assert Copies.of([]).longest(drawn(0), 48) == (0, 0.0, "")


def test_histograms_overlap_as_far_as_they_are_alike() -> None:
    one, other = piece_from_names("C4 D4 C4 D4"), piece_from_names("C5 E5:2")
    own = histograms([one])
    assert all(abs(shares.sum() - 1) < 1e-12 for shares in own.values())
    assert own["interval"][14] == 2 / 3  # two of three steps go up a tone
    assert overlaps(own, own) == {"pitch class": 1.0, "interval": 1.0, "duration": 1.0}
    assert overlaps(own, histograms([other])) == {"pitch class": 0.5, "interval": 0.0, "duration": 0.5}
