"""Other rates, by soxr."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require

__all__ = ["Resampler", "respeed"]

_logger = logging.getLogger("throughtime.data")
_BLOCK = 0.02  # s of sound that soxr is handed at a time, always: the same samples whole and in pieces


class Resampler:
    """Sound of one rate, in pieces of any size, to sound of another: the same samples however it was cut."""

    def __init__(self, rate: int, wanted: int) -> None:
        self.rate, self.wanted = rate, wanted
        self._soxr: Any = None
        if rate != wanted:
            self._soxr = require("soxr", extra="speech").ResampleStream(rate, wanted, 1, dtype="float32")
        self._block = max(int(rate * _BLOCK), 1)
        self._waiting = np.zeros(0, dtype=np.float32)

    def feed(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """What these samples add to the other sound."""
        if self._soxr is None:
            return samples
        given = np.concatenate((self._waiting, samples))
        whole = len(given) // self._block * self._block
        done = [self._soxr.resample_chunk(given[i : i + self._block]) for i in range(0, whole, self._block)]
        self._waiting = given[whole:]
        if last:
            done.append(self._soxr.resample_chunk(self._waiting, last=True))
        return np.concatenate(done) if done else np.zeros(0, dtype=np.float32)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whole sound."""
        return self.feed(samples, last=True)


def respeed(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Sound played `factor` times as fast, its pitch as many times as high."""
    soxr = require("soxr", extra="speech")
    return np.asarray(soxr.resample(samples, 1000.0 * factor, 1000.0, quality="LQ"), dtype=np.float32)
