"""Where somebody speaks: sound cut at its pauses, the same whether it comes whole or in pieces.

Axes in names: T frames, M mel bins.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pauses", "Piece", "joined", "spoken"]

_FAINTEST = 42.0  # dB, Kaldi's scale: hardly more than the last bit of 16-bit sound
_BELOW_PEAK = 32.0  # dB: so far below an utterance's loudest frames, it has paused
_ABOVE_FLOOR, _CLEARLY = 6.0, 14.0  # dB: so near the quietest, where the loudest are so much louder
_LOUD = 9.0  # dB above the quietest, at which an utterance begins
_UNKNOWN = 10  # frames at the beginning of which nothing quieter has been heard: what can be heard is speech
_STEADY = 100  # frames of an utterance after which what is next to the quietest is quiet, however loud
_RISE, _FALL = 0.03, 0.03  # dB a frame: how fast the quietest and the loudest are forgotten
_SMOOTH = 5  # frames whose mean level is looked at
_BEFORE = 20  # frames kept before the first that is loud
_PAUSE, _SHORT_PAUSE = 50, 20  # frames of quiet that end an utterance: at first, and once it is long
_LONG, _LONGEST = 1000, 3000  # frames of a long utterance, and of the longest, which ends wherever it is


class Piece(NamedTuple):
    """Frames of one utterance."""

    frames: NDArray[np.float32]
    """(T, M)"""
    first: int
    """Number of the first of them in the whole sound."""
    begins: bool
    ends: bool


@dataclass
class Pauses:
    """Frames of log-mel energies in, utterances out.

    An utterance begins when the level rises above what is faint, `_BEFORE` frames early, and ends with a pause of half
    a second: a level far below the loudest, or next to the quietest. One of more than ten seconds ends
    with a fifth of a second of it, at thirty it ends wherever it is.

    Args:
        known: whether the features are log-mel energies, whose sum is a level; else all is one utterance.
    """

    known: bool = True
    _at: int = 0
    _levels: list[float] = field(default_factory=list)
    _before: list[NDArray[np.float32]] = field(default_factory=list)
    _speaking: bool = False
    _peak: float = -math.inf
    _floor: float = math.inf
    _quiet: int = 0
    _length: int = 0

    def feed(self, frames: NDArray[np.float32]) -> list[Piece]:
        """The parts of utterances in these frames."""
        found: list[Piece] = []
        held, first, begins = [], self._at, False
        level_T = self._level(frames)
        for row, level in zip(frames, level_T, strict=True):
            level = self._smoothed(level)
            if not self._speaking:
                self._before.append(row)
                if not self._begins(level):
                    del self._before[:-_BEFORE]
                else:
                    held, first, begins = self._before, self._at + 1 - len(self._before), True
                    self._before, self._speaking, self._quiet, self._length = [], True, 0, len(held)
                self._at += 1
                continue
            held.append(row)
            self._at += 1
            self._length += 1
            self._quiet = self._quiet + 1 if self._is_quiet(level) else 0
            long = self.known and self._length >= _LONGEST
            if long or self._quiet >= (_PAUSE if self._length < _LONG else _SHORT_PAUSE):
                found.append(Piece(np.stack(held), first, begins, True))
                held, first, begins = [], self._at, False
                self._speaking = False
        if held:
            found.append(Piece(np.stack(held), first, begins, False))
        return found

    def finish(self) -> list[Piece]:
        """The end of the sound: the end of the utterance that is open."""
        if not self._speaking:
            return []
        self._speaking = False
        return [Piece(np.zeros((0, 0), dtype=np.float32), self._at, False, True)]

    def _level(self, frames: NDArray[np.float32]) -> NDArray[np.float64]:
        if not self.known or not len(frames):
            return np.full(len(frames), math.inf)
        level_T: NDArray[np.float64] = np.log(np.exp(frames.astype(np.float64)).sum(1)) * (10 / math.log(10))
        return level_T

    def _smoothed(self, level: float) -> float:
        if not self.known:
            return level
        self._levels = [*self._levels[1 - _SMOOTH :], level]
        level = sum(self._levels) / len(self._levels)
        self._floor = min(level, self._floor + _RISE)
        self._peak = max(level, self._peak - _FALL)
        return level

    def _begins(self, level: float) -> bool:
        if not self.known:
            return True
        return level > _FAINTEST and (self._at < _UNKNOWN or level > self._floor + _LOUD)

    def _is_quiet(self, level: float) -> bool:
        if not self.known:
            return False
        if level < max(_FAINTEST, self._peak - _BELOW_PEAK):
            return True
        steady = self._length > _STEADY or self._peak - self._floor > _CLEARLY
        return steady and level < self._floor + _ABOVE_FLOOR


def joined(pieces: list[Piece]) -> list[Piece]:
    """Whole utterances from their parts, a piece each."""
    found: list[list[Piece]] = []
    for piece in pieces:
        if piece.begins or not found:
            found.append([])
        found[-1].append(piece)
    return [
        Piece(np.concatenate([p.frames for p in parts if len(p.frames)]), parts[0].first, True, True) for parts in found
    ]


def spoken(frames: NDArray[np.float32], known: bool) -> list[Piece]:
    """The utterances of whole sound."""
    pauses = Pauses(known)
    return joined(pauses.feed(frames) + pauses.finish())
