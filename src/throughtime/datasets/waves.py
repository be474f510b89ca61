"""Waves: two sines and a little noise, a forecasting task whose best possible error is known."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["NOISE_FLOOR", "WavesSplits", "waves", "waves_frame", "waves_splits"]

NOISE_FLOOR = 0.1**2 / 12
"""Variance of 0.1 (u − 0.5): no forecast can have a smaller mean squared error."""


class WavesSplits(NamedTuple):
    """Three independent sets of waves, each (series, n_steps)."""

    train: NDArray[np.float32]
    validation: NDArray[np.float32]
    test: NDArray[np.float32]


def waves(n_series: int, seed: int, n_steps: int = 60) -> NDArray[np.float32]:
    """Waves on one grid of `n_steps` points from 0 to 1.

    x(t) = 0.5 sin((t − o1)(10 + 10 f1)) + 0.2 sin((t − o2)(20 + 20 f2)) + 0.1 (u − 0.5)

    f1, f2, o1, o2 are drawn once a series, u once a point, all uniform on [0, 1) from PCG64(seed), in that order.
    Another `n_steps` is another grid with another step: train and test on the same one.

    The usual task is 50 points in, 10 out. Mean squared error over the ten steps: the noise alone is 0.1²/12 = 0.00083,
    the best possible forecast is at about 0.00094, almost flat over the ten steps; repeating the last value is at
    0.257.

    Shapes:
        (n_series, n_steps), float32.

    Numerics:
        Computed in float64 and rounded once, so that the last bit of a platform's sine does not show: the same seed
        gives the same bits.

    Raises:
        ArgumentError: `n_series` or `seed` is negative, or `n_steps` is below 2.

    Source:
        Géron, Hands-On Machine Learning, 2nd edition, chapter 15; differs from it by its own generator and seed.

    >>> waves(3, seed=0).shape
    (3, 60)
    """
    if n_series < 0 or n_steps < 2 or seed < 0:
        raise ArgumentError(
            f"waves: expected n_series >= 0, n_steps >= 2 and seed >= 0, got {n_series}, {n_steps} and {seed}; pass "
            "larger ones"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    f1, f2, o1, o2 = rng.random((4, n_series, 1))
    u = rng.random((n_series, n_steps))
    t = np.linspace(0, 1, n_steps)
    x = 0.5 * np.sin((t - o1) * (10 + 10 * f1)) + 0.2 * np.sin((t - o2) * (20 + 20 * f2)) + 0.1 * (u - 0.5)
    return np.asarray(x, dtype=np.float32)


def waves_splits(seed: int) -> WavesSplits:
    """The published sizes: 7000 series to train on, 2000 to validate and 1000 to test, of 60 points each."""
    x = waves(10_000, seed)
    return WavesSplits(x[:7000], x[7000:9000], x[9000:])


def waves_frame(n_series: int, seed: int, n_steps: int = 60) -> "DataFrame":
    """`waves` as a long Polars frame: `unique_id` from 0, `ds` from 0 to n_steps − 1, `y`."""
    pl = require("polars", extra="frames")
    x = waves(n_series, seed, n_steps)
    frame: DataFrame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n_series), n_steps),
            "ds": np.tile(np.arange(n_steps), n_series),
            "y": x.ravel().astype(np.float64),
        }
    )
    return frame
