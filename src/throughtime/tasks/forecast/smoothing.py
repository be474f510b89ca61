"""Exponential smoothing of every window's past: a rule that is hard to beat on short seasonal series.

(1) y_t = level_t · season(t), or level_t + season(t) where a value is 0 or below; no season where a test finds none
(2) ℓ_t = ℓ_{t−1} + α (d_t − ℓ_{t−1}),  d the deseasonalised values, α the one with the least Σ (d_t − ℓ_{t−1})²
(3) forecast_{t+k} = [ℓ_t + b/2 · (k − 1 + (1 − (1 − α)^n) / α)] · season(t + k),  b the slope of a line through d

Seasons fade: in the pattern, the one before counts 0.87 times as much. α is one of twelve.

Axes in names: N windows, L steps of the past, K steps of the horizon, A values of α.

**Source** [Assimakopoulos2000], in the form of [Hyndman2003], and differs from it by fading seasons, by an additive one
where values are not positive, and by skipping gaps; that a net then learns what it misses is the idea of [Smyl2020].
"""

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.season import is_seasonal, season_pattern
from throughtime.tasks.forecast.windows import Windows, side_by_side

Array = NDArray[np.float64]

_FADE = 0.87  # a season
REACH = 1000  # points of the past that are looked at
_ALPHAS = np.array((0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
_DRIFT = 0.5


def smoothed(windows: Windows, season_length: int) -> Array:
    """The forecast (N, K), in the series' own units, from the last thousand points before each origin.

    A window whose past holds no value at all gets NaN.
    """
    m = max(season_length, 1)
    past_N = np.minimum(windows.origins - windows.series_starts, REACH)
    found_NK = np.empty((len(windows), windows.horizon))
    for chosen, past_NL in side_by_side(windows.flat_values, windows.origins - past_N, past_N):
        found_NK[chosen] = _forecast(past_NL, past_N[chosen], m, windows.horizon)
    return found_NK


def _forecast(past_NL: Array, length_N: NDArray[np.int64], m: int, K: int) -> Array:
    N, L = past_NL.shape
    times_NK = (length_N[:, None] + np.arange(K)) % m
    factor_Nm, offset_Nm = np.ones((N, m)), np.zeros((N, m))
    if m > 1:
        seasonal = is_seasonal(past_NL, m)
        positive = ~(past_NL <= 0).any(axis=1)
        for rows, pattern_Nm, multiplicative in (
            (seasonal & positive, factor_Nm, True),
            (seasonal & ~positive, offset_Nm, False),
        ):
            pattern_Nm[rows] = season_pattern(past_NL[rows], m, multiplicative=multiplicative, decay=_FADE)
    phase = np.arange(L) % m
    d_NL = (past_NL - offset_Nm[:, phase]) / factor_Nm[:, phase]
    alpha_N, level_N = _smooth(d_NL)
    n_N = np.isfinite(d_NL).sum(axis=1)
    lag_NK = np.arange(K) + ((1 - (1 - alpha_N) ** n_N) / alpha_N)[:, None]
    line_NK = level_N[:, None] + _DRIFT * _slope(d_NL)[:, None] * lag_NK
    return np.asarray(
        line_NK * np.take_along_axis(factor_Nm, times_NK, axis=1) + np.take_along_axis(offset_Nm, times_NK, axis=1)
    )


def _smooth(d_NL: Array) -> tuple[Array, Array]:
    """α and the last level of each row, both (N,)."""
    N, L = d_NL.shape
    known_NL = np.isfinite(d_NL)
    first_N = known_NL.argmax(axis=1)
    level_AN = np.repeat(
        np.where(known_NL.any(axis=1), d_NL[np.arange(N), first_N], np.nan)[None], len(_ALPHAS), axis=0
    )
    squares_AN = np.zeros((len(_ALPHAS), N))
    for t in range(1, L):
        # A gap, and what stands before the first value, surprises nobody.
        surprise_AN = np.where(known_NL[:, t] & (t > first_N), d_NL[:, t] - level_AN, 0.0)
        squares_AN += surprise_AN**2
        level_AN += _ALPHAS[:, None] * surprise_AN
    best_N = squares_AN.argmin(axis=0)
    return _ALPHAS[best_N], level_AN[best_N, np.arange(N)]


def _slope(d_NL: Array) -> Array:
    """The slope of the line through each row, (N,); 0 where there is one value."""
    known_NL = np.isfinite(d_NL)
    t = np.arange(d_NL.shape[1], dtype=np.float64)
    n_N = np.maximum(known_NL.sum(axis=1), 1)
    t_NL = np.where(known_NL, t - ((known_NL @ t) / n_N)[:, None], 0.0)
    spread_N = (t_NL**2).sum(axis=1)
    return np.asarray((t_NL * np.nan_to_num(d_NL)).sum(axis=1) / np.where(spread_N > 0, spread_N, 1.0))
