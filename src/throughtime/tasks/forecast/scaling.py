"""Level and scale: every window is brought to (y − level) / scale before a net sees it, and back afterwards.

Axes in names: N windows, L steps of history.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

SCALINGS = ("auto", "global", "series", "window", "none")


class Scaler(NamedTuple):
    """How windows are scaled.

    `global`: one level and scale for all the data, where every series lives on the same footing.
    `series`: the mean and standard deviation of a series up to the origin.
    `window`: the mean and standard deviation of the window's own history.
    `none`: level 0, scale 1.
    """

    kind: str
    level: float  # of the training data, used by `global`
    scale: float  # of the training data, used by `global`; the stand-in wherever a history is constant

    def apply(self, windows: Windows) -> tuple[Array, Array]:
        """Level and scale of every window, both (N,), from what lies before its origin."""
        N = len(windows)
        if self.kind == "none":
            return np.zeros(N), np.ones(N)
        if self.kind == "global":
            return np.full(N, self.level), np.full(N, self.scale)
        level, deviation = moments(windows) if self.kind == "window" else _series_moments(windows)
        # A constant history has no scale of its own.
        return level, np.where(_constant(level, deviation), self.scale, deviation)


def _constant(level: Any, deviation: Any) -> Any:
    """Where a deviation is at rounding level."""
    return deviation <= 1e-12 * np.abs(level) + 1e-300


def moments(windows: Windows) -> tuple[Array, Array]:
    """Mean and standard deviation of each window's history, both (N,)."""
    history_NL, valid_NL = windows.history()
    count = valid_NL.sum(1)
    # Around the first value, so that a constant history has that value as its level, to the last bit.
    level = history_NL[:, 0] + np.where(valid_NL, history_NL - history_NL[:, :1], 0.0).sum(1) / count
    centred = np.where(valid_NL, history_NL - level[:, None], 0.0)
    return level, np.sqrt((centred**2).sum(1) / count)


def _series_moments(windows: Windows) -> tuple[Array, Array]:
    """Mean and standard deviation of each window's series, from its first point up to the origin."""
    values, first = windows.flat_values, windows.series_starts
    level, deviation = np.empty(len(windows)), np.empty(len(windows))
    # One pass a series: running sums around its first value, so that a large level does not eat the digits.
    for start in np.unique(first):
        mine = first == start
        origins = windows.origins[mine]
        centred = values[start : origins.max()] - values[start]
        count = origins - start
        mean = np.cumsum(centred)[count - 1] / count
        level[mine] = values[start] + mean
        deviation[mine] = np.sqrt(np.maximum(np.cumsum(centred**2)[count - 1] / count - mean**2, 0.0))
    return level, deviation


def fit_scaler(kind: str, windows: Windows) -> Scaler:
    """The scaler for training windows; "auto" chooses between `global` and `window`.

    The windows share one footing when their levels differ less than the values within a window do, and their scales
    stay within a factor of four (10th to 90th percentile): then the level of a window is news, and `global` keeps it.
    """
    level_N, deviation_N = moments(windows)
    deviation_N = np.where(_constant(level_N, deviation_N), 0.0, deviation_N)
    level = float(level_N[0] + np.mean(level_N - level_N[0]))
    spread, within = float(np.std(level_N - level)), float(np.sqrt(np.mean(deviation_N**2)))
    # The largest magnitude keeps the stand-in positive where every history is constant.
    stand_in = float(np.median(deviation_N)) or float(np.abs(level_N).max()) or 1.0
    if kind == "auto":
        low, high = np.quantile(deviation_N, (0.1, 0.9))
        kind = "global" if spread < 0.75 * within and high <= 4 * low else "window"
    if kind == "global":
        scale = float(np.hypot(spread, within))
        return Scaler(kind, level, stand_in if _constant(level, scale) else scale)
    return Scaler(kind, 0.0, 1.0 if kind == "none" else stand_in)
