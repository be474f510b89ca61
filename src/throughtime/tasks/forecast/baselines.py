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
        """Fit on the windows with a full history; P is cut so that four windows stand against each coefficient."""
        keep = np.flatnonzero(windows.lengths >= windows.input_size)
        if not len(keep):
            keep = np.arange(len(windows))
        if len(keep) > _MOST_WINDOWS:
            keep = keep[np.linspace(0, len(keep) - 1, _MOST_WINDOWS).astype(np.int64)]
        windows, level_N1, scale_N1 = windows[keep], level_N[keep, None], scale_N[keep, None]
        P = max(1, min(windows.input_size, len(windows) // 4 - 1))
        lags_NP = (_lags(windows, P) - level_N1) / scale_N1
        target_NK = (windows.targets() - level_N1) / scale_N1
        design = np.concatenate((lags_NP, np.ones((len(windows), 1))), axis=1)
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
