"""Windows that share a stretch of one recording: what makes a random hold-out leak.

Axes in names: N sequences, T time, C channels.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["chains", "stretches"]

_LONGEST = 8  # steps of a stretch that are compared
_LEAST = 4
_TOLERANCE = 1e-4  # of the spread of the steps from sample to sample: rounding in files is below


def chains(sequences: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """The recording of each sequence (N,), counted from 0, where sequences in a row are windows that overlap.

    A sequence goes on the one before where its beginning is that one's end, shifted by one to half of the steps. Steps
    from sample to sample are compared, not values, so that windows said relative to their first point are found, too.
    Sequences that are less than 5 samples long, or of different lengths, are each a recording of their own.

    >>> track = np.cumsum(np.arange(20.0) ** 2 % 7)
    >>> chains([track[0:10], track[1:11], track[2:12] - 3, np.sin(np.arange(10.0))]).tolist()
    [0, 0, 0, 1]
    """
    N = len(sequences)
    one = {sequence.shape for sequence in sequences}
    if N < 2 or len(one) != 1 or len(sequences[0]) < _LEAST + 1:
        return np.arange(N)
    steps_NTC = np.diff(np.stack([np.asarray(s, np.float64).reshape(len(s), -1) for s in sequences]), axis=1)
    T = steps_NTC.shape[1]
    close = _TOLERANCE * float(np.nanstd(steps_NTC)) + 1e-12
    joined = np.zeros(N - 1, dtype=bool)
    for shift in range(1, T // 2 + 1):
        apart = np.abs(steps_NTC[:-1, shift:] - steps_NTC[1:, : T - shift])
        joined |= np.nan_to_num(apart, nan=np.inf).max((1, 2)) <= close
    return np.concatenate(([0], np.cumsum(~joined)))


def stretches(sequence: NDArray[Any], grain: float, *, every: bool) -> set[str]:
    """Short names of stretches of a sequence: two sequences that share one hold the same samples.

    Args:
        grain: to which steps from sample to sample are rounded.
        every: of all its stretches; else of the middle one alone.
    """
    steps_TC = np.diff(np.asarray(sequence, np.float64).reshape(len(sequence), -1), axis=0)
    T = len(steps_TC)
    size = min(_LONGEST, T // 2)
    found: set[str] = set()
    if size < _LEAST:
        return found
    for first in range(T - size + 1) if every else ((T - size) // 2,):
        part = np.round(steps_TC[first : first + size] / max(grain, 1e-30))
        if np.isfinite(part).all() and len(np.unique(part, axis=0)) > size // 2:  # standing still is no stretch
            found.add(blake2b(part.astype("<i8").tobytes(), digest_size=8).hexdigest())
    return found
