"""Naive2, what M4 measured its methods against: the last value, deseasonalised where a test finds a season.

(1) whether there is a season: `season.is_seasonal`
(2) index = the mean of y over its centred moving average of length m, phase by phase, over the mean of all phases
(3) forecast_{t+k} = y_t / index(t) · index(t + k)

What lies before the first origin of a series gives test and indices. A series with values of 0 or below has no
multiplicative season, and one with gaps is tested on the values it has.

Axes in names: S series, T time, N windows, K steps of the horizon.

**Source** [Makridakis2020], its benchmarks in R; differs from them where values are 0 or below, or missing.
"""

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.baselines import last_observed, naive
from throughtime.tasks.forecast.season import is_seasonal, season_pattern
from throughtime.tasks.forecast.windows import Windows, side_by_side

Array = NDArray[np.float64]


def naive2(windows: Windows, season_length: int) -> Array:
    """The forecast (N, K)."""
    m = season_length
    if m <= 1:
        return naive(windows)
    starts_S, series_N = np.unique(windows.series_starts, return_inverse=True)
    first_S = np.full(len(starts_S), np.iinfo(np.int64).max)
    np.minimum.at(first_S, series_N, windows.origins)
    index_Sm = np.ones((len(starts_S), m))
    for chosen, values_ST in side_by_side(windows.flat_values, starts_S, first_S - starts_S):
        index_Sm[chosen] = season_indices(values_ST, m)
    last_N = last_observed(windows, windows.origins - 1)
    phase_N = (last_N - windows.series_starts) % m
    phase_NK = (windows.origins[:, None] - windows.series_starts[:, None] + np.arange(windows.horizon)) % m
    level_N = windows.flat_values[last_N] / index_Sm[series_N, phase_N]
    return np.asarray(level_N[:, None] * index_Sm[series_N[:, None], phase_NK])


def season_indices(values_ST: Array, m: int) -> Array:
    """Multiplicative indices by phase, (S, m); ones for a series without a season. NaN pads and marks gaps."""
    index_Sm = np.ones((len(values_ST), m))
    seasonal = is_seasonal(values_ST, m) & ~(values_ST <= 0).any(axis=1)
    index_Sm[seasonal] = season_pattern(values_ST[seasonal], m, multiplicative=True)
    return index_Sm
