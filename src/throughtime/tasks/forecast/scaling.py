"""Level and scale: every window is brought to (y − level) / scale before a net sees it, and back afterwards.

Axes in names: N windows, L steps of history.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.forecast.baselines import last_observed
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

SCALINGS = ("auto", "global", "series", "window", "mean", "none")
_MOST_EXPONENT = 700.0  # exp of more is no float64
_PIECE = 4096  # windows whose histories are in memory at a time


class Scaler(NamedTuple):
    """How windows are scaled.

    `global`: one level and scale for all the data, where every series lives on the same footing.
    `series`: the mean and standard deviation of a series up to the origin.
    `window`: the mean and standard deviation of the window's own history.
    `mean`: level 0 and the mean size of the window's own history, so that counts stay counts of something.
    `none`: level 0, scale 1.

    With a positive `floor`, all of that is said of logarithms: level and scale are those of log max(y, floor).
    """

    kind: str
    level: float  # of the training data, used by `global`
    scale: float  # of the training data, used by `global`; the stand-in wherever a history is constant
    floor: float = 0.0  # 0: no logarithms

    def inner(self, windows: Windows) -> Windows:
        """The windows over what is scaled: the values, or their logarithms."""
        return replace(windows, flat_values=self.log(windows.flat_values)) if self.floor else windows

    def log(self, values: Array) -> Array:
        """The values, or their logarithms; NaN stays."""
        return np.asarray(np.log(np.maximum(values, self.floor))) if self.floor else values

    def into(self, values: Array, level: Array, scale: Array) -> Array:
        """Values in scaled units."""
        return np.asarray((self.log(values) - level) / scale)

    def back(self, scaled: Array, level: Array, scale: Array) -> Array:
        """Scaled units in the series' own."""
        found = scaled * scale + level
        return np.asarray(np.exp(np.minimum(found, _MOST_EXPONENT))) if self.floor else found

    def apply(self, windows: Windows) -> tuple[Array, Array]:
        """Level and scale of every window, both (N,), from what lies before its origin."""
        windows = self.inner(windows)
        N = len(windows)
        if self.kind == "none":
            return np.zeros(N), np.ones(N)
        if self.kind == "global":
            return np.full(N, self.level), np.full(N, self.scale)
        if self.kind == "mean":
            size = mean_size(windows)
            return np.zeros(N), np.where(size > 0.0, size, self.scale)
        level, deviation = moments(windows) if self.kind == "window" else _series_moments(windows)
        # A constant history has no scale of its own.
        return level, np.where(_constant(level, deviation), self.scale, deviation)


def _constant(level: Any, deviation: Any) -> Any:
    """Where a deviation is at rounding level."""
    return deviation <= 1e-12 * np.abs(level) + 1e-300


def moments(windows: Windows) -> tuple[Array, Array]:
    """Mean and standard deviation of each window's history, both (N,).

    Where all of it is missing, the last value observed before it (0: none), and 0.
    """
    pieces = [_moments(windows[first : first + _PIECE]) for first in range(0, max(len(windows), 1), _PIECE)]
    level, deviation = (np.concatenate(each) for each in zip(*pieces, strict=True))
    empty = np.flatnonzero(np.isnan(level))
    if len(empty):
        level[empty] = _last_value(windows[empty])
    return level, deviation


def _last_value(windows: Windows) -> Array:
    """The last value observed before each origin, 0 where there is none, (N,)."""
    return np.nan_to_num(windows.flat_values[last_observed(windows, windows.origins - 1)], nan=0.0)


def mean_size(windows: Windows) -> Array:
    """Mean magnitude of each window's history, or of the last value before it where all of it is missing, (N,)."""
    sizes = []
    for first in range(0, len(windows), _PIECE):
        history_NL, valid_NL = windows[first : first + _PIECE].history()
        count = valid_NL.sum(1)
        sizes.append(np.where(count, np.abs(history_NL).sum(1) / np.maximum(count, 1), np.nan))
    size = np.concatenate(sizes)
    empty = np.flatnonzero(np.isnan(size))
    if len(empty):
        size[empty] = np.abs(_last_value(windows[empty]))
    return size


def _moments(windows: Windows) -> tuple[Array, Array]:
    history_NL, valid_NL = windows.history()
    count = np.maximum(valid_NL.sum(1), 1)
    # Around a value of its own, so that a constant history has that value as its level, to the last bit.
    own_N1 = np.take_along_axis(history_NL, valid_NL.argmax(1)[:, None], axis=1)
    level = own_N1[:, 0] + np.where(valid_NL, history_NL - own_N1, 0.0).sum(1) / count
    centred = np.where(valid_NL, history_NL - level[:, None], 0.0)
    return np.where(valid_NL.any(1), level, np.nan), np.sqrt((centred**2).sum(1) / count)


def _series_moments(windows: Windows) -> tuple[Array, Array]:
    """Mean and standard deviation of each window's series, from its first point up to the origin."""
    level, deviation = np.empty(len(windows)), np.empty(len(windows))
    order = np.argsort(windows.series_starts, kind="stable")
    starts, first = np.unique(windows.series_starts[order], return_index=True)
    # One pass a series: running sums around its first value, so that a large level does not eat the digits.
    for start, mine in zip(starts, np.split(order, first[1:]), strict=True):
        origins = windows.origins[mine]
        values = windows.flat_values[start : origins.max()]
        known = np.isfinite(values)
        own = values[known.argmax()] if known.any() else 0.0
        centred = np.where(known, values - own, 0.0)
        count = np.maximum(np.cumsum(known)[origins - start - 1], 1)
        mean = np.cumsum(centred)[origins - start - 1] / count
        level[mine] = own + mean
        deviation[mine] = np.sqrt(np.maximum(np.cumsum(centred**2)[origins - start - 1] / count - mean**2, 0.0))
    return level, deviation


def fit_floor(flat_values: Array, offsets: NDArray[np.int64]) -> float:
    """The floor under which logarithms are not taken, where the data are of a kind to be seen in logarithms; else 0.

    That is where every value is positive and none below a thousandth of its series' mean: quantities whose noise grows
    with their size. The floor is half of the least.
    """
    known = np.isfinite(flat_values)
    least = float(np.min(flat_values, initial=np.inf, where=known))
    if not 0.0 < least < np.inf:
        return 0.0
    count = np.maximum(np.add.reduceat(known, offsets[:-1]), 1)
    mean = np.add.reduceat(np.where(known, flat_values, 0.0), offsets[:-1]) / count
    lowest = np.minimum.reduceat(np.where(known, flat_values, np.inf), offsets[:-1])
    # Constant series alone say nothing of their noise.
    moves = lowest < mean * (1.0 - 1e-12)
    return 0.5 * least if bool(moves.any() and (lowest >= 1e-3 * mean).all()) else 0.0


def fit_scaler(kind: str, windows: Windows, floor: float = 0.0) -> Scaler:
    """The scaler for training windows; "auto" chooses between `global` and `window`; `floor` above 0: of logarithms.

    The windows share one footing when their levels differ less than the values within a window do, and their scales
    stay within a factor of four (10th to 90th percentile): then the level of a window is news, and `global` keeps it.
    """
    windows = Scaler("none", 0.0, 1.0, floor).inner(windows)
    level_N, deviation_N = moments(windows)
    deviation_N = np.where(_constant(level_N, deviation_N), 0.0, deviation_N)
    level = float(level_N[0] + np.mean(level_N - level_N[0]))
    spread, within = float(np.std(level_N - level)), float(np.sqrt(np.mean(deviation_N**2)))
    if kind == "mean":
        typical = mean_size(windows)
        return Scaler(kind, 0.0, float(np.median(typical[typical > 0.0])) if (typical > 0.0).any() else 1.0, floor)
    # The largest magnitude keeps the stand-in positive where every history is constant.
    stand_in = float(np.median(deviation_N)) or float(np.abs(level_N).max()) or 1.0
    if kind == "auto":
        low, high = np.quantile(deviation_N, (0.1, 0.9))
        kind = "global" if spread < 0.75 * within and high <= 4 * low else "window"
    if kind == "global":
        scale = float(np.hypot(spread, within))
        return Scaler(kind, level, stand_in if _constant(level, scale) else scale, floor)
    return Scaler(kind, 0.0, 1.0 if kind == "none" else stand_in, floor)
