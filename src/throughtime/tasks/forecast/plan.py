"""What follows from the data: how much history a window shows, what is held out for validation, which anchor fits.

Axes in names: N windows, K steps of the horizon.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughtime.data.frames import SeriesSet
from throughtime.errors import DataError
from throughtime.tasks.forecast.baselines import naive, seasonal_naive
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.windows import Windows, training_windows

MIN_HISTORY = 2  # points before an origin: one to forecast from, one to know a scale
_FEW_SERIES = 5  # below this many, holding out whole series would leave too little to learn from
_HELD_OUT = 0.1  # the share of points, or of series, that validation takes


@dataclass(frozen=True)
class Split:
    """Training and validation windows, and how they were parted, in words."""

    training: Windows
    validation: Windows
    how: str


def check_long_enough(series: SeriesSet, horizon: int, who: str) -> None:
    """Refuse series that leave nothing to learn from.

    Raises:
        DataError: a series has fewer than horizon + 2 points; the message names it and says how many are needed.
    """
    need = horizon + MIN_HISTORY
    if len(series) == 1:
        need = 2 * horizon + MIN_HISTORY  # one horizon to train on and another to validate on
    short = np.flatnonzero(series.lengths < need)
    if len(short):
        first = int(short[0])
        others = f" (and {len(short) - 1} more series)" if len(short) > 1 else ""
        raise DataError(
            f"{who}: expected at least {need} points in every series for horizon {horizon}, got "
            f"{int(series.lengths[first])} in series {series.ids[first]!r}{others}; "
            "give more history, drop the series or ask for a shorter horizon"
        )


def choose_input_size(series: SeriesSet, horizon: int, season_length: int) -> int:
    """How many steps of history a window shows: five horizons or two seasons and a step, as far as the data reach.

    A few series are cut to a third, so that training, validation and their histories each find room.
    """
    wanted = max(5 * horizon, 2 * season_length + 1, 10)
    typical = int(np.median(series.lengths))
    if len(series) < _FEW_SERIES:
        third = typical // 3 - horizon
        reach = third if third >= max(horizon, season_length + 1) else typical - 2 * horizon
    else:
        reach = typical - horizon
    return max(MIN_HISTORY, min(wanted, reach))


def split(series: SeriesSet, input_size: int, horizon: int, seed: int) -> Split:
    """Hold out the end of every series, or whole series where these are shorter than three windows."""
    lengths = series.lengths.astype(np.int64)
    if np.median(lengths) < 3 * (input_size + horizon) and len(series) >= _FEW_SERIES:
        held = np.zeros(len(series), dtype=bool)
        count = max(1, round(_HELD_OUT * len(series)))
        held[np.random.Generator(np.random.PCG64(seed)).permutation(len(series))[:count]] = True
        every = training_windows(series, input_size, horizon)
        mine = held[every.series]
        how = f"whole series: {count} of {len(series)}, since most are shorter than three windows"
        return Split(every[np.flatnonzero(~mine)], every[np.flatnonzero(mine)], how)
    tail = np.maximum(horizon, np.rint(_HELD_OUT * lengths).astype(np.int64))
    # A series too short to give up its end keeps it, and validates nothing.
    border = np.where(lengths - tail >= horizon + MIN_HISTORY, lengths - tail, lengths)
    training = training_windows(series, input_size, horizon, last=border)
    validation = training_windows(series, input_size, horizon, first=border)
    return Split(training, validation, f"by time: the last {int(np.median(lengths - border))} points of a series")


def given_validation(series: SeriesSet, validation: SeriesSet, input_size: int, horizon: int, who: str) -> Split:
    """Validation on every window inside a frame of its own.

    Raises:
        DataError: none of the frame's series is long enough for a window.
    """
    longest = int(validation.lengths.max())
    if longest < horizon + MIN_HISTORY:
        raise DataError(
            f"{who}: expected series of at least {horizon + MIN_HISTORY} points for horizon {horizon}, got at most "
            f"{longest}; give longer ones"
        )
    usable = validation.subset(validation.lengths >= horizon + MIN_HISTORY)
    return Split(
        training_windows(series, input_size, horizon),
        training_windows(usable, input_size, horizon),
        f"the given frame: {len(usable)} series",
    )


def choose_anchor(windows: Windows, scaler: Scaler, season_length: int) -> str:
    """The simple rule with the least mean absolute error, in scaled units, over the training windows."""
    level_N, scale_N = scaler.apply(windows)
    target_NK = windows.targets()

    def error(forecast_NK: NDArray[np.float64]) -> float:
        return float(np.mean(np.abs(target_NK - forecast_NK) / scale_N[:, None]))

    rules = {"last": error(naive(windows)), "level": error(np.broadcast_to(level_N[:, None], target_NK.shape))}
    if 1 < season_length <= int(np.median(windows.lengths)):
        rules["seasonal"] = error(seasonal_naive(windows, season_length))
    return min(rules, key=lambda rule: rules[rule])
