"""What a piece shares with the pieces of the training: the longest passage, transposed or not.

A passage is a row of notes, each by its distance from the one before, in time and in pitch; how long it sounds does not
count, nor where in a bar it begins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.music.pieces import DURATION, ONSET, PITCH, Piece

Symbols = NDArray[np.int64]
_LATEST = 2**14  # ticks between two notes; what is further apart is as far apart


class Passage(NamedTuple):
    """The longest passage that a piece shares with one of the training."""

    notes: int
    bars: float
    """From the first note's beginning to the last one's end, in bars."""
    piece: str
    """The name of the training piece; "" where nothing is shared."""


class Copies:
    """An index of the passages of the training pieces: a suffix array.

    Args:
        notes: (N, 2) onset and pitch of every note, piece after piece.
        sizes: (K,) notes of each piece.
        names: of the pieces.

    **Source** prefix doubling: [Manber1993].
    """

    def __init__(self, notes: NDArray[np.int32], sizes: Sequence[int], names: Sequence[str]) -> None:
        self.notes = notes
        self.sizes = list(sizes)
        self.names = list(names)
        self._symbols: Symbols | None = None
        self._order: Symbols | None = None

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> "Copies":
        """The index of some pieces."""
        columns = [piece.notes[:, [ONSET, PITCH]] for piece in pieces]
        notes = np.concatenate(columns) if columns else np.zeros((0, 2), dtype=np.int32)
        return cls(notes.astype(np.int32), [len(piece) for piece in pieces], [piece.name for piece in pieces])

    def _index(self) -> tuple[Symbols, Symbols]:
        """The symbols and the order of their suffixes; made at the first use."""
        if self._symbols is None or self._order is None:
            steps = symbols(self.notes[:, 0], self.notes[:, 1]) if len(self.notes) else np.zeros(0, dtype=np.int64)
            borders = np.cumsum(np.array(self.sizes, dtype=np.int64))[:-1]
            # A border is a symbol of its own: no passage goes across it.
            steps[borders - 1] = -1 - np.arange(len(borders))
            self._symbols = np.append(steps, -1 - len(self.sizes))
            self._order = _suffixes(self._symbols)
        return self._symbols, self._order

    def _narrowed(self, low: int, high: int, depth: int, symbol: int) -> tuple[int, int]:
        """Of the suffixes from low to high, which agree in `depth` symbols, those that go on with this one."""
        all, order = self._index()
        places = order[low:high] + depth
        column = all[np.minimum(places, len(all) - 1)]
        return low + int(np.searchsorted(column, symbol, "left")), low + int(np.searchsorted(column, symbol, "right"))

    def found(self, passage: Symbols) -> tuple[int, int]:
        """Where a passage is among the suffixes; an empty range where it is not."""
        _, order = self._index()
        low, high = 0, len(order)
        for depth, symbol in enumerate(passage.tolist()):
            low, high = self._narrowed(low, high, depth, symbol)
            if low == high:
                break
        return low, high

    def longest(self, piece: Piece, bar: int, first: int = 0) -> Passage:
        """The longest passage of a piece, from its note number `first` on, that a training piece has."""
        onsets, pitches = piece.notes[first:, ONSET], piece.notes[first:, PITCH]
        own = symbols(onsets, pitches)
        ends = onsets + piece.notes[first:, DURATION]
        _, order = self._index()
        best = Passage(0, 0.0, "")
        for begin in range(len(own)):
            low, high, depth, at = 0, len(order), 0, 0
            while begin + depth < len(own):
                nearer = self._narrowed(low, high, depth, int(own[begin + depth]))
                if nearer[0] == nearer[1]:
                    break
                (low, high), depth, at = nearer, depth + 1, int(order[nearer[0]])
            if depth and (bars := float(ends[begin + depth] - onsets[begin]) / bar) > best.bars:
                number = int(np.searchsorted(np.cumsum(self.sizes), at, side="right"))
                best = Passage(depth + 1, bars, self.names[number])
        return best

    def barred(self, onsets: list[int], pitches: list[int], next: int, least: int) -> list[int]:
        """Pitches with which the next note, at `next`, would end a shared passage of `least` ticks."""
        begin = len(onsets)
        while begin > 0 and next - onsets[begin - 1] < least:
            begin -= 1
        if begin == 0:
            return []
        begin -= 1
        own = symbols(np.array(onsets[begin:]), np.array(pitches[begin:]))
        low, high = self.found(own)
        if low == high:
            return []
        all, order = self._index()
        following = np.unique(all[np.minimum(order[low:high] + len(own), len(all) - 1)])
        wait = min(next - onsets[-1], _LATEST - 1)
        same = following[(following >= 0) & (following // 256 == wait)]
        return [pitches[-1] + int(symbol) % 256 - 128 for symbol in same]


def symbols(onsets: NDArray[np.integer], pitches: NDArray[np.integer]) -> Symbols:
    """The steps from each note to the next, (N − 1,)."""
    time, pitch = onsets.astype(np.int64), pitches.astype(np.int64)
    waits: Symbols = (time[1:] - time[:-1]).clip(0, _LATEST - 1)
    return waits * 256 + (pitch[1:] - pitch[:-1]) + 128


def _suffixes(row: Symbols) -> Symbols:
    """The places of a row's suffixes, in order."""
    rank = np.unique(row, return_inverse=True)[1].astype(np.int64)
    reach, n = 1, len(row)
    while True:
        second = np.full(n, -1, dtype=np.int64)
        second[: n - reach] = rank[reach:] if reach < n else second[:0]
        key = rank * (n + 1) + second + 1
        ranks, rank = np.unique(key, return_inverse=True)
        if len(ranks) == n or reach >= n:
            return np.argsort(rank, kind="stable")
        reach *= 2
