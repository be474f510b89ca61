"""What a forecast has to beat: naive, seasonal naive, and a converged linear autoregression.

Axes in names: N windows, K steps of the horizon, P lags.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

_MOST_WINDOWS = 50_000  # for the least squares; more would not move the coefficients


def naive(windows: Windows) -> Array:
    """The last value, K times: (N, K)."""
    return np.repeat(windows.flat_values[windows.origins - 1][:, None], windows.horizon, axis=1)


def seasonal_naive(windows: Windows, season_length: int) -> Array:
    """The values of the last season, repeated; the last value where the series is younger than a season: (N, K)."""
    k = np.arange(windows.horizon)
    position_NK = windows.origins[:, None] + k - season_length * (k // season_length + 1)
    known_NK = position_NK >= windows.series_starts[:, None]
    return np.where(known_NK, windows.flat_values[np.where(known_NK, position_NK, 0)], naive(windows))


@dataclass(frozen=True)
class LinearAutoregression:
    """Every step of the horizon as a linear function of the last P values and a constant, in scaled units.

    The least-squares solution itself (LAPACK's, by singular values), not a gradient descent towards it.
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
            return float(np.mean((lags_NL[border:, -P:] @ found.weight + found.bias - target_NK[border:]) ** 2))

        P = min(choices, key=error) if border < len(windows) else 1
        return cls._solve(lags_NL[:, -P:], target_NK)

    @classmethod
    def _solve(cls, lags_NP: Array, target_NK: Array) -> "LinearAutoregression":
        design = np.concatenate((lags_NP, np.ones((len(lags_NP), 1))), axis=1)
        solution, *_ = np.linalg.lstsq(design, target_NK, rcond=None)
        return cls(weight=np.asarray(solution[:-1]), bias=np.asarray(solution[-1]))

    def predict(self, windows: Windows, level_N: Array, scale_N: Array) -> Array:
        """The forecast (N, K)."""
        lags_NP = (_lags(windows, len(self.weight)) - level_N[:, None]) / scale_N[:, None]
        return (lags_NP @ self.weight + self.bias) * scale_N[:, None] + level_N[:, None]


def _lags(windows: Windows, P: int) -> Array:
    """The last P values: (N, P), oldest first; a young series repeats its first value."""
    position_NP = np.maximum(windows.origins[:, None] - np.arange(P, 0, -1), windows.series_starts[:, None])
    return np.asarray(windows.flat_values[position_NP])
