"""What a forecast has to beat: naive, seasonal naive, and a converged linear autoregression.

Where a value is missing, the last one observed before it stands for it: the last of all for `naive` and among lags, the
last of the same season for `seasonal_naive`.

Axes in names: N windows, K steps of the horizon, P lags.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_MOST_WINDOWS = 50_000  # for the least squares; more would not move the coefficients
_MOST_FILLINGS = 50  # of missing targets; with a tenth missing, ten reach the last digit


def naive(windows: Windows) -> Array:
    """The last value, K times: (N, K)."""
    last_N = last_observed(windows, windows.origins - 1)
    return np.repeat(windows.flat_values[last_N][:, None], windows.horizon, axis=1)


def seasonal_naive(windows: Windows, season_length: int) -> Array:
    """The values of the last season, repeated; the last value where the series is younger than a season: (N, K)."""
    k = np.arange(windows.horizon)
    position_NK = windows.origins[:, None] + k - season_length * (k // season_length + 1)
    while True:
        known_NK = position_NK >= windows.series_starts[:, None]
        found_NK = windows.flat_values[np.where(known_NK, position_NK, 0)]
        missing_NK = known_NK & np.isnan(found_NK)
        if not missing_NK.any():
            return np.where(known_NK, found_NK, naive(windows))
        position_NK = position_NK - season_length * missing_NK


def last_observed(windows: Windows, position: Index) -> Index:
    """The last positions with a value, at or before the given ones, (N,) or (N, P), and in the same series."""
    missing = np.isnan(windows.flat_values)
    if not missing.any():
        return position
    before = np.maximum.accumulate(np.where(missing, 0, np.arange(len(missing))))
    return np.maximum(before[position], windows.series_starts.reshape(-1, *[1] * (position.ndim - 1)))


@dataclass(frozen=True)
class LinearAutoregression:
    """Every step of the horizon as a linear function of the last P values and a constant, in scaled units.

    The least-squares solution itself (LAPACK's, by singular values), not a gradient descent towards it: for every step
    that of the windows whose value at that step is known.
    """

    weight: Array  # (P, K), oldest lag first
    bias: Array  # (K,)

    @classmethod
    def fit(cls, windows: Windows, level_N: Array, scale_N: Array) -> "LinearAutoregression":
        """Fit on the windows with a full history.

        P is the window, or a half, a quarter, ... of it: the one with the least squared error on the last fifth of the
        windows when fitted on the others.
        """
        keep = np.flatnonzero(windows.lengths >= windows.input_size)
        if not len(keep):
            keep = np.arange(len(windows))
        if len(keep) > _MOST_WINDOWS:
            keep = keep[np.linspace(0, len(keep) - 1, _MOST_WINDOWS).astype(np.int64)]
        windows, level_N1, scale_N1 = windows[keep], level_N[keep, None], scale_N[keep, None]
        lags_NL = (_lags(windows, windows.input_size) - level_N1) / scale_N1
        target_NK = (windows.targets() - level_N1) / scale_N1
        L = int(windows.input_size)
        choices = [L >> halvings for halvings in range(L.bit_length())]
        border = len(windows) - len(windows) // 5

        def error(P: int) -> float:
            found = cls._solve(lags_NL[:border, -P:], target_NK[:border])
            off_NK = lags_NL[border:, -P:] @ found.weight + found.bias - target_NK[border:]
            return float(np.mean(off_NK[np.isfinite(off_NK)] ** 2))

        P = min(choices, key=error) if np.isfinite(target_NK[border:]).any() else 1
        return cls._solve(lags_NL[:, -P:], target_NK)

    @classmethod
    def _solve(cls, lags_NP: Array, target_NK: Array) -> "LinearAutoregression":
        design = np.concatenate((lags_NP, np.ones((len(lags_NP), 1))), axis=1)
        missing_NK = np.isnan(target_NK)
        if not missing_NK.any():
            solution, *_ = np.linalg.lstsq(design, target_NK, rcond=None)
            return cls(weight=np.asarray(solution[:-1]), bias=np.asarray(solution[-1]))
        # A missing target that is its own forecast adds no error: the fixed point is the solution of the known ones.
        inverse = np.linalg.pinv(design, rcond=np.finfo(np.float64).eps * max(design.shape))
        filled_NK = np.where(missing_NK, 0.0, target_NK)
        for _ in range(_MOST_FILLINGS):
            solution = inverse @ filled_NK
            before = filled_NK[missing_NK]
            filled_NK[missing_NK] = (design @ solution)[missing_NK]
            if np.allclose(filled_NK[missing_NK], before, rtol=1e-9, atol=1e-12):
                break
        return cls(weight=np.asarray(solution[:-1]), bias=np.asarray(solution[-1]))

    def predict(self, windows: Windows, level_N: Array, scale_N: Array) -> Array:
        """The forecast (N, K)."""
        lags_NP = (_lags(windows, len(self.weight)) - level_N[:, None]) / scale_N[:, None]
        return (lags_NP @ self.weight + self.bias) * scale_N[:, None] + level_N[:, None]


def _lags(windows: Windows, P: int) -> Array:
    """The last P values: (N, P), oldest first; a young series repeats its first value."""
    position_NP = np.maximum(windows.origins[:, None] - np.arange(P, 0, -1), windows.series_starts[:, None])
    return np.asarray(windows.flat_values[last_observed(windows, position_NP)])
