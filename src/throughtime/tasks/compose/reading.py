"""What `fit` and `evaluate` take: pieces with their styles, from objects, rolls, a file or a folder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.data.music.folders import read_pieces
from throughtime.data.music.pieces import Piece
from throughtime.data.music.rolls import KEYS, piece_from_roll, roll_from_piece
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.compose.frames import Roll


@dataclass(frozen=True)
class Given:
    """Pieces, and what belongs to each.

    Attributes:
        pieces: the music.
        rolls: of each, in the frames view; else empty.
        styles: of each; None where it has none.
    """

    pieces: list[Piece]
    rolls: list[Roll]
    styles: list[str | None]

    @property
    def notes(self) -> int:
        """In all pieces."""
        return sum(map(len, self.pieces))


def read_given(given: Any, styles: Any, *, view: str, melody: bool, frame: int, who: str) -> Given:
    """Pieces of any of the kinds that `Composer.fit` takes.

    Raises:
        ArgumentTypeError: something that is no music.
        ArgumentError: another number of styles than pieces, or styles of some pieces alone.
        DataError: no piece, or files that cannot be used.
    """
    if isinstance(given, str | Path):
        found: list[Any] = list(read_pieces(given))
    elif isinstance(given, Piece) or given is None or not isinstance(given, Iterable):
        raise ArgumentTypeError(f"{who}: expected a folder or a list of pieces, got {given!r:.60}; pass one of these")
    else:
        found = list(given)
    if not found:
        raise DataError(f"{who}: expected at least one piece, got none; give more")
    pieces, rolls = [], []
    for number, one in enumerate(found):
        if isinstance(one, np.ndarray) and view == "frames" and not melody:
            roll = _checked(one, number, who)
            rolls.append(roll)
            pieces.append(piece_from_roll(roll, frame, name=f"roll {number}"))
            continue
        if not isinstance(one, Piece):
            raise ArgumentTypeError(
                f"{who}: expected pieces"
                + (", or rolls (T, 88) without melody=True" if view == "frames" else "")
                + f", got {type(one).__name__} as number {number}; read files with throughtime.data.music"
            )
        piece = one.melody() if melody else one
        if not len(piece):
            raise DataError(
                f"{who}: expected pieces with notes, got number {number} ({piece.name!r}) without; leave it out"
            )
        pieces.append(piece)
        if view == "frames":
            rolls.append(roll_from_piece(piece, frame, who=f"{who}: {piece.name or f'number {number}'}"))
    return Given(pieces, rolls, _styles(pieces, styles, who))


def _checked(roll: Any, number: int, who: str) -> Roll:
    if roll.ndim != 2 or roll.shape[1] != KEYS or not len(roll) or not np.isin(roll, (0, 1)).all():
        raise DataError(
            f"{who}: expected rolls of 0 and 1 of shape (T, {KEYS}), got {roll.dtype} of shape {roll.shape} as number "
            f"{number}; pass piano rolls"
        )
    return np.ascontiguousarray(roll, dtype=np.uint8)


def _styles(pieces: Sequence[Piece], given: Any, who: str) -> list[str | None]:
    if given is None:
        found = [piece.style for piece in pieces]
    else:
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ArgumentTypeError(f"{who}: expected a list of styles, got {given!r:.60}; pass one for each piece")
        found = [None if one is None else str(one) for one in given]
    if len(found) != len(pieces):
        raise ArgumentError(f"{who}: expected {len(pieces)} styles, one for each piece, got {len(found)}; pass as many")
    without = sum(style is None for style in found)
    if 0 < without < len(found):
        raise ArgumentError(
            f"{who}: expected a style for every piece or for none, got {without} of {len(found)} without; name them all"
        )
    return found


def style_names(given: Given) -> list[str] | None:
    """The different styles, in order; None without styles."""
    return None if given.styles[0] is None else sorted({str(style) for style in given.styles})


def check_styles(given: Given, labels: list[str] | None, who: str) -> None:
    """Refuse styles that the model has not, and none where it has some.

    Raises:
        ArgumentError: either.
    """
    if labels is None:
        return  # what the pieces are called does not matter
    for style in given.styles:
        if style not in labels:
            known = ", ".join(map(repr, labels))
            raise ArgumentError(
                f"{who}: expected styles among {known}, got {style!r}; pass styles that the model was trained with"
            )
