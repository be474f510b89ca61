"""Whether pieces are alike: histograms of what they are made of, and how far two of them overlap."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from throughtime.data.music.pieces import DURATION, GRID, PITCH, Piece
from throughtime.errors import ArgumentError

KINDS = ("pitch class", "interval", "duration")
_WIDEST = 12
_LONGEST = 4 * GRID
Histogram = NDArray[np.float64]


def histograms(pieces: Sequence[Piece]) -> dict[str, Histogram]:
    """Shares of all notes, by kind, each adding up to one.

    - pitch class: C to B;
    - interval: semitones from each highest note to the next, −12 to 12, wider ones at the ends;
    - duration: ticks, 1 to 48, twelve a quarter note; longer ones at the end.

    Raises:
        ArgumentError: no notes.
    """
    notes = [piece.notes for piece in pieces if len(piece)]
    if not notes:
        raise ArgumentError(f"histograms: expected notes, got none in {len(pieces)} pieces; pass pieces with notes")
    pitches = np.concatenate([rows[:, PITCH] for rows in notes]) % 12
    steps = [np.diff(piece.melody().notes[:, PITCH]) for piece in pieces if len(piece)]
    intervals = np.concatenate(steps).clip(-_WIDEST, _WIDEST) + _WIDEST
    lengths = np.concatenate([rows[:, DURATION] for rows in notes]).clip(1, _LONGEST) - 1
    return {
        "pitch class": _shares(pitches, 12),
        "interval": _shares(intervals, 2 * _WIDEST + 1),
        "duration": _shares(lengths, _LONGEST),
    }


def overlaps(written: Mapping[str, Histogram], real: Mapping[str, Histogram]) -> dict[str, float]:
    """Σ min(p, q) of each kind: 1 where two are the same, 0 where they have nothing in common."""
    return {kind: float(np.minimum(written[kind], real[kind]).sum()) for kind in KINDS}


def _shares(values: NDArray[np.integer], size: int) -> Histogram:
    counts = np.bincount(values, minlength=size).astype(np.float64)
    shares: Histogram = counts / max(float(counts.sum()), 1.0)
    return shares
