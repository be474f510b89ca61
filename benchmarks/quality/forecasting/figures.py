"""Errors as each protocol defines them. F forecast, Y actual value; NaN in Y is a value that nobody measured.

Written apart from `throughtime.tasks.forecast.metrics` on purpose: the environment of the peers has no throughtime,
and a judge that shares the formulas of the judged sees no error in them. A test holds the two together.

Axes in names: N windows, K steps of the horizon.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mse(F_NK: Array, Y_NK: Array) -> float:
    """Mean squared error over every window and step."""
    return float(np.nanmean((F_NK - Y_NK) ** 2))


def mae(F_NK: Array, Y_NK: Array) -> float:
    """Mean absolute error over every window and step."""
    return float(np.nanmean(np.abs(F_NK - Y_NK)))


def smape(F_NK: Array, Y_NK: Array) -> float:
    """200 |F − Y| / (|F| + |Y|), in percent, 0 where both are 0 (M3, M4)."""
    size = np.abs(F_NK) + np.abs(Y_NK)
    return float(np.nanmean(200 * np.abs(F_NK - Y_NK) / np.where(size == 0, 1.0, size)))


def guarded_smape(F_NK: Array, Y_NK: Array) -> float:
    """200 |F − Y| / max(|F| + |Y| + 0.1, 0.6), in percent (NN5 and Tourism in Hewamalage et al. 2021)."""
    size = np.maximum(np.abs(F_NK) + np.abs(Y_NK) + 0.1, 0.6)
    return float(np.nanmean(200 * np.abs(F_NK - Y_NK) / size))


def scales(pasts: Sequence[Array], m: int) -> Array:
    """The seasonal naive's mean absolute error one season ahead in each past, (N,); NaN where it is 0 or not there."""
    found = np.full(len(pasts), np.nan)
    for i, past in enumerate(pasts):
        change = np.abs(past[m:] - past[:-m])
        change = change[np.isfinite(change)]
        if len(change) and change.mean() > 0:
            found[i] = change.mean()
    return found


def mase(F_NK: Array, Y_NK: Array, scale_N: Array) -> float:
    """|F − Y| in units of the scale, the mean over every window and step that has both a scale and a value."""
    return float(np.nanmean(np.abs(F_NK - Y_NK) / scale_N[:, None]))


def coverage(low_NK: Array, high_NK: Array, Y_NK: Array) -> float:
    """The share of values inside their interval, in percent."""
    known = np.isfinite(Y_NK)
    return float(100 * np.mean(((low_NK <= Y_NK) & (high_NK >= Y_NK))[known]))
