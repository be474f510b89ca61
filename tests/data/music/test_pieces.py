"""Pieces on the grid: bars, transposition, melody, note names, and what cannot be music."""

import numpy as np
import pytest

from throughtime.data.music import Piece, piece_from_names
from throughtime.data.music.pieces import make_piece
from throughtime.errors import DataError


def test_bars_follow_the_metres_and_a_change_waits_for_the_next_bar() -> None:
    piece = make_piece([(0, 12, 60, 80), (130, 12, 62, 80)], who="t", metres=[(0, 3, 4), (40, 6, 8)])
    assert [(bar.begin, str(bar.metre)) for bar in piece.bars] == [
        (0, "3/4"), (36, "3/4"), (72, "6/8"), (108, "6/8"),
    ]  # fmt: skip
    assert (piece.length, piece.end) == (144, 142)
    assert piece.seconds == pytest.approx(6.0)


def test_notes_are_sorted_the_highest_first_and_doubles_are_one() -> None:
    piece = make_piece([(12, 6, 60, 70), (0, 3, 64, 80), (0, 9, 64, 60), (0, 6, 67, 80)], who="t")
    assert piece.notes.tolist() == [[0, 6, 67, 80], [0, 9, 64, 60], [12, 6, 60, 70]]


def test_a_melody_is_the_highest_line_and_does_not_overlap() -> None:
    piece = make_piece([(0, 24, 72, 80), (0, 48, 48, 80), (12, 12, 74, 80)], who="t")
    assert piece.melody().notes[:, :3].tolist() == [[0, 12, 72], [12, 12, 74]]
    # What moves below a held note is no melody; a note that another overlaps for a moment is.
    held = make_piece([(0, 36, 72, 80), (12, 24, 50, 80), (34, 12, 71, 80)], who="t")
    assert held.melody().notes[:, :3].tolist() == [[0, 34, 72], [34, 12, 71]]


def test_transposing_moves_notes_and_the_key_and_stays_in_range() -> None:
    piece = piece_from_names("C4 F#4:0.5 Bb3:1/4 R:2 c-1")
    assert piece.notes[:, :3].tolist() == [[0, 12, 60], [12, 6, 66], [18, 3, 58], [45, 12, 0]]
    assert piece.transposed(2).sharps == 2
    assert piece.transposed(1).sharps == -5
    assert (piece.transposed(24).notes - piece.notes).tolist() == [[0, 0, 24, 0]] * 4
    with pytest.raises(DataError, match=r"got -1 after -1 semitones"):
        piece.transposed(-1)


@pytest.mark.parametrize(
    ("words", "told"),
    [("C4 H5", "'H5'"), ("C", "'C'"), ("C4:0", "'C4:0'"), ("", "got ''"), ("C4 C12", "got 156"), ("R:1", "got 'R:1'")],
)
def test_names_that_are_no_notes_are_refused(words: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        piece_from_names(words)


@pytest.mark.parametrize(
    ("notes", "options", "told"),
    [
        ([(0, 1, 128, 80)], {}, "got 128"),
        ([(0, 1, 60, 0)], {}, "got 0"),
        ([(-5, 1, 60, 80)], {}, "got -0.41"),
        ([(0, 1, 60, 80)], {"tempo": 0.0}, "tempo .* got 0"),
        ([(0, 1, 60, 80)], {"metres": [(0, 5, 7)]}, "got 5/7"),
        ([(0, 1, pitch % 128, 80) for pitch in range(10_000)], {}, "got 10000"),
    ],
)
def test_what_cannot_be_music_is_refused(notes: list[tuple[int, ...]], options: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        make_piece(notes, who="t", **options)  # type: ignore[arg-type]


def test_a_piece_without_notes_has_one_bar() -> None:
    piece = Piece(np.zeros((0, 4), dtype=np.int32))
    assert (len(piece), len(piece.bars), piece.melody()) == (0, 1, piece)
