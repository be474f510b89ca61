"""Stretches of one label in long recordings, found with or without the future.

Axes in names: T time, K labels.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Segment(NamedTuple):
    """A stretch of one label."""

    start: float
    """Seconds."""
    end: float
    """Seconds: the time of the first sample that is another's, or of the last one of all."""
    label: Any
    confidence: float
    """The mean probability of the label."""


class Smoother:
    """Probabilities that go on, and a label that changes only for a reason; it never looks ahead.

    (1) s_t = s_{t−1} + a (p_t − s_{t−1}), a = 1 − e^(−Δ/smoothing), Δ the time since the last sample
    (2) the label changes where another one's s has been the largest for `shortest` seconds

    Args:
        smoothing: seconds after which a change of p has come through to 63 %; 0: s = p.
        shortest: seconds; 0: at once.
    """

    def __init__(self, smoothing: float, shortest: float) -> None:
        self.smoothing, self.shortest = smoothing, shortest
        self.label: int | None = None
        self._s_K: NDArray[np.float64] | None = None
        self._time = 0.0
        self._rival: int | None = None
        self._since = 0.0

    def feed(self, p_K: NDArray[np.float64], time: float) -> tuple[int, float]:
        """The label after a sample, by number, and its smoothed probability."""
        if self._s_K is None:
            self._s_K = p_K.copy()
        elif self.smoothing:
            self._s_K += (1 - math.exp((self._time - time) / self.smoothing)) * (p_K - self._s_K)
        else:
            self._s_K = p_K
        self._time = time
        best = int(self._s_K.argmax())
        if self.label is None or best == self.label:
            self.label, self._rival = best, None
        else:
            if best != self._rival:
                self._rival, self._since = best, time
            if time - self._since >= self.shortest:
                self.label, self._rival = best, None
        return self.label, float(self._s_K[self.label])


def smoothed(p_TK: NDArray[np.float64], times: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    """The mean over `smoothing` seconds around each sample: with the future."""
    if not smoothing or len(times) < 2:
        return p_TK
    total_TK = np.concatenate((np.zeros((1, p_TK.shape[1])), np.cumsum(p_TK, axis=0)))
    low = np.searchsorted(times, times - smoothing / 2 - 1e-9)
    high = np.searchsorted(times, times + smoothing / 2 + 1e-9, side="right")
    return (total_TK[high] - total_TK[low]) / (high - low)[:, None]


def find_segments(
    p_TK: NDArray[np.float64], times: NDArray[np.float64], names: Sequence[Any], smoothing: float, shortest: float
) -> list[Segment]:
    """The segments of a recording, smoothed both ways; ones shorter than `shortest` go to the likelier neighbour."""
    s_TK = smoothed(p_TK, times, smoothing)
    runs = label_runs(s_TK.argmax(1))
    ends = np.append(times[[first for first, _, _ in runs[1:]]], times[-1])
    while len(runs) > 1:
        lengths = [end - times[first] for (first, _, _), end in zip(runs, ends, strict=True)]
        at = int(np.argmin(lengths))
        if lengths[at] >= shortest:
            break
        first, last, _ = runs[at]
        beside = [i for i in (at - 1, at + 1) if 0 <= i < len(runs)]
        best = max(beside, key=lambda i: float(s_TK[first:last, runs[i][2]].sum()))
        low, high = min(at, best), max(at, best)
        merged = (runs[low][0], runs[high][1], runs[best][2])
        runs[low : high + 1] = [merged]
        ends = np.delete(ends, low)
        same = [i for i in range(len(runs) - 1) if runs[i][2] == runs[i + 1][2]]
        for i in reversed(same):
            runs[i : i + 2] = [(runs[i][0], runs[i + 1][1], runs[i][2])]
            ends = np.delete(ends, i)
    return [
        Segment(float(times[first]), float(end), names[k], float(s_TK[first:last, k].mean()))
        for (first, last, k), end in zip(runs, ends, strict=True)
    ]


def label_runs(numbers: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """First sample, the one past the last, and the label of each stretch."""
    if not len(numbers):
        return []
    borders = np.flatnonzero(np.diff(numbers)) + 1
    firsts = [0, *borders.tolist()]
    lasts = [*borders.tolist(), len(numbers)]
    return [(a, b, int(numbers[a])) for a, b in zip(firsts, lasts, strict=True)]


def stretch_lengths(numbers: NDArray[np.int64], times: NDArray[np.float64]) -> list[float]:
    """Seconds of each stretch of one label; those at the ends are cut and do not count."""
    return [float(times[last] - times[first]) for first, last, _ in label_runs(numbers)[1:-1]]


def matched(true: NDArray[np.int64], found: NDArray[np.int64], overlap: float = 0.5) -> tuple[int, int, int]:
    """How many segments are right, how many were found, and how many there are.

    A found segment is right where it shares with a true one of its label at least `overlap` of what the two cover
    together; each true one counts once.

    **Source** [Lea2017], whose F1@50 this counts for.
    """
    here, there = label_runs(true), label_runs(found)
    used: set[int] = set()
    right = 0
    for first, last, label in there:
        best, where = 0.0, -1
        for i, (a, b, other) in enumerate(here):
            if other == label and i not in used:
                shared = min(last, b) - max(first, a)
                share = shared / (max(last, b) - min(first, a))
                if share > best:
                    best, where = share, i
        if best >= overlap:
            used.add(where)
            right += 1
    return right, len(there), len(here)
