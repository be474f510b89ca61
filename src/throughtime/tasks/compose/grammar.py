"""What may come next while a piece is written: bars that add up, the length asked for, no endless repetition."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from throughtime.data.music.pieces import Metre
from throughtime.tasks.compose.events import END, EventVocabulary

Barred = Callable[[list[int], list[int], int, int], list[int]]
"""From the onsets and pitches so far, the next onset and the ticks of a bar, which pitches must not come: see
`Copies.barred`."""


class Grammar:
    """Where one piece stands, and which ids may follow.

    (1) SHIFT METRE, then bars, each BAR with one fewer left; END follows the last one alone, in which something sounds
    (2) within a bar positions rise and stay below its end; at one position pitches fall
    (3) of a melody, no note begins before the last one has ended
    (4) of one pitch at most `most_repeats` notes follow each other

    Args:
        vocabulary: the ids.
        seen: (V,) bool, the ids of the training; no other is written.
        bars: how many; None: as the model begins.
        metre: (beats, unit); None: as the model begins.
        melody: see (3).
        most_repeats: see (4); None: any number.
        at_once: notes that may begin together.
        barred: what else must not come.
    """

    def __init__(
        self, vocabulary: EventVocabulary, seen: NDArray[np.bool_], *, bars: int | None, metre: tuple[int, int] | None,
        melody: bool, most_repeats: int | None, at_once: int, barred: Barred | None,
    ) -> None:  # fmt: skip
        self.v = vocabulary
        self.seen = seen
        self.bars = bars
        self.metre = metre
        self.melody = melody
        self.most_repeats = most_repeats
        self.at_once = at_once
        self.barred = barred
        self.last = ""
        self.left = 0
        self.begin = 0
        self.length = 0
        self.position = -1
        self.sounding = 0
        self.chord = 0
        self.onsets: list[int] = []
        self.pitches: list[int] = []
        self.ended = False

    def allowed(self, mask_V: NDArray[np.bool_]) -> None:
        """Mark what may come next."""
        mask_V[:] = False
        v, last = self.v, self.last
        if self.ended:
            mask_V[END] = True
        elif last == "":
            mask_V[v.id("shift", v.shifts)] = True
        elif last == "shift":
            span = v.span("metre")
            if self.metre is None:
                mask_V[span] = self.seen[span]
            else:
                mask_V[v.id("metre", v.metres.index(self.metre))] = True
        elif last == "metre":
            span = v.span("bar")
            if self.bars is None:
                mask_V[span] = self.seen[span]
            else:
                mask_V[v.left(self.bars)] = True
        elif last == "pos":
            self._pitches(mask_V, below=128)
        elif last == "pitch":
            # No longer than to the end of the last bar; one tick is always there.
            most = max(1, min(v.longest, self.left * self.length - self.position))
            span = slice(v.first["dur"], v.first["dur"] + most)
            mask_V[span] = self.seen[span]
            mask_V[span.start] |= not mask_V[span].any()
        elif last == "dur" and v.velocities:
            span = v.span("vel")
            mask_V[span] = self.seen[span]
        else:
            self._onwards(mask_V)

    def _onwards(self, mask_V: NDArray[np.bool_]) -> None:
        v = self.v
        if self.position >= 0 and not self.melody and self.chord < self.at_once:
            self._pitches(mask_V, below=self.pitches[-1])
        first = self.position + 1
        if self.melody:
            first = max(first, self.sounding - self.begin)
        if first < self.length:
            span = slice(v.first["pos"] + first, v.first["pos"] + self.length)
            mask_V[span] = self.seen[span]
        if self.left > 1:
            mask_V[v.left(self.left - 1)] = True
        elif self.position >= 0 or self.sounding > self.begin or not mask_V.any():
            mask_V[END] = True

    def _pitches(self, mask_V: NDArray[np.bool_], below: int) -> None:
        first = self.v.first["pitch"]
        open_P = self.seen[first : first + 128].copy()
        open_P[below:] = False
        kept_P = open_P.copy()
        if self.most_repeats is not None and len(self.pitches) >= self.most_repeats:
            recent = self.pitches[-self.most_repeats :]
            if len(set(recent)) == 1:
                kept_P[recent[0]] = False
        if self.barred is not None:
            for pitch in self.barred(self.onsets, self.pitches, self.begin + self.position, self.length):
                if 0 <= pitch < 128:
                    kept_P[pitch] = False
        # A note has to follow a position: where nothing is left, a rule gives way.
        must = self.last == "pos"
        mask_V[first : first + 128] = kept_P if kept_P.any() or not must else open_P

    def advance(self, id: int) -> None:
        """Take in the id that came."""
        kind, value = self.v.read(id)
        self.last = kind
        if kind == "end":
            self.ended = True
        elif kind == "metre":
            self.metre = self.v.metres[value]
        elif kind == "bar":
            if self.bars is None:
                self.bars = value + 1
            self.left = self.bars if self.left == 0 else self.left - 1
            self.begin += self.length
            assert self.metre is not None
            self.length = Metre(0, *self.metre).bar
            self.position, self.chord = -1, 0
        elif kind == "pos":
            self.position, self.chord = value, 0
        elif kind == "pitch":
            self.onsets.append(self.begin + self.position)
            self.pitches.append(value)
            self.chord += 1
        elif kind == "dur":
            self.sounding = max(self.sounding, self.onsets[-1] + value + 1)
