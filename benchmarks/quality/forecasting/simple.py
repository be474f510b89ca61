"""Forecasts that need no training. Their published figures prove a protocol before a net is believed under it.

A method takes the past of a window and the horizon and gives K values.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def naive(past: Array, K: int) -> Array:
    """The last value, K times."""
    return np.full(K, past[-1])


def seasonal_naive(past: Array, K: int, m: int) -> Array:
    """The last m values, over and over; the last value where the past is shorter than a season."""
    return np.resize(past[-m:], K) if len(past) >= m else naive(past, K)


def naive2(past: Array, K: int, m: int) -> Array:
    """M4's Naive2: where a test at 90 % finds a season, the last deseasonalised value times the seasonal indices.

    Indices by classical multiplicative decomposition, as R's `decompose`.
    """
    if not is_seasonal(past, m):
        return naive(past, K)
    weights = (np.ones(m) if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5]) / m
    trend = np.full(len(past), np.nan)
    half = m // 2
    trend[half : len(past) - half] = np.convolve(past, weights, "valid")
    index = np.array([np.nanmean((past / trend)[phase::m]) for phase in range(m)])
    index /= index.mean()
    phases = np.arange(len(past) + K) % m
    found: Array = past[-1] / index[phases[len(past) - 1]] * index[phases[len(past) :]]
    return found


def is_seasonal(past: Array, m: int) -> bool:
    """Whether the autocorrelation at lag m leaves its 90 % band; never with fewer than three seasons."""
    n = len(past)
    if m <= 1 or n < 3 * m:
        return False
    centred = past - past.mean()
    power = float(centred @ centred)
    if power == 0:
        return False
    r = np.array([centred[lag:] @ centred[: n - lag] / power for lag in range(1, m + 1)])
    return bool(abs(r[-1]) > 1.645 * np.sqrt((1 + 2 * np.sum(r[:-1] ** 2)) / n))
