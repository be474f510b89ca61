"""What follows from the data: how much history a window shows and in which segments, how large the net is and how long
it learns, what is held out for validation, which anchor fits.

Axes in names: N windows, K steps of the horizon.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.forecast.baselines import LinearAutoregression, naive, seasonal_naive
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.smoothing import smoothed
from throughtime.tasks.forecast.windows import Windows, fill_gaps, training_windows

MIN_HISTORY = 2  # points before an origin: one to forecast from, one to know a scale
_FEW_SERIES = 5  # below this many, holding out whole series would leave too little to learn from
_HELD_OUT = 0.1  # the share of points, or of series, that validation takes
_SEASONS = 30  # of history in a window: a month of days, as far as the series are long enough
_MOST_HISTORY = 720
_SHORT = 60  # steps of history that a net reads one by one
_SEGMENTS = 15
_LAGS = (1, 2, 3, 4, 5, 6, 7, 14, 28, 52)  # in seasons
_MOST_SMOOTHED = 60_000_000  # points of the past of all windows: some ten seconds
_SHORT_SERIES = 400  # points
_CLEAN_WINDOWS = 2000
_MOST_LAGS = 200  # for the question whether series are clean
JUDGED = 10_000  # windows from which a choice is made; more would not change it
_FEW_WINDOWS = 5_000  # of which a linear autoregression says nearly all that can be said


@dataclass(frozen=True)
class Split:
    """Training and validation windows, and how they were parted, in words."""

    training: Windows
    validation: Windows
    how: str
    later: SeriesSet | None = None  # whose windows validation is, where it is a frame of its own
    whole: Windows | None = None  # what can be trained on once validation has told for how long


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


def is_clean(series: SeriesSet, horizon: int, season_length: int) -> bool:
    """Whether the future follows from the past so well that a net may learn it by heart.

    A linear autoregression, fitted on four fifths of the windows, halves the error of the best simple rule on the rest;
    and there are windows enough to tell. Elsewhere a long training learns noise.
    """
    L = min(choose_input_size(series, horizon, season_length, clean=True), _MOST_LAGS)
    every = training_windows(series, L, horizon)
    if len(every) < _CLEAN_WINDOWS:
        return False
    windows = without_gaps(thinned(every, _CLEAN_WINDOWS, 0), series, season_length)
    level_N, scale_N = Scaler("window", 0.0, 1.0).apply(windows)
    border = len(windows) * 4 // 5
    fitted = LinearAutoregression.fit(windows[:border], level_N[:border], scale_N[:border])
    rest, level_N, scale_N = windows[border:], level_N[border:], scale_N[border:]

    def error(forecast_NK: NDArray[np.float64]) -> float:
        return float(np.mean(np.abs(rest.targets() - forecast_NK) / scale_N[:, None]))

    rules = [naive(rest), np.broadcast_to(level_N[:, None], (len(rest), horizon))]
    if season_length > 1:
        rules.append(seasonal_naive(rest, season_length))
    return error(fitted.predict(rest, level_N, scale_N)) < 0.5 * min(error(rule) for rule in rules)


def choose_input_size(series: SeriesSet, horizon: int, season_length: int, clean: bool = False) -> int:
    """How many steps of history a window shows: five horizons or `_SEASONS` seasons, as far as the data reach, and no
    more than `_MOST_HISTORY` or the horizon.

    A few series are cut to a third, so that training, validation and their histories each find room; many to a half,
    but for clean ones, of which every step says something.
    """
    seasons = _SEASONS * season_length if season_length > 1 else 0
    wanted = max(min(max(5 * horizon, seasons), _MOST_HISTORY), horizon, 10)
    typical = int(np.median(series.lengths))
    if len(series) < _FEW_SERIES:
        third = typical // 3 - horizon
        reach = third if third >= max(horizon, season_length + 1) else typical - 2 * horizon
    else:
        reach = typical - horizon
        if typical >= 3 * horizon and not clean:  # room for windows at more than one origin
            reach = min(reach, max(typical // 2, 2 * season_length, 2 * horizon))
    size = max(MIN_HISTORY, min(wanted, reach))
    return size if size < season_length else size - size % max(season_length, 1)


def least_history(series: SeriesSet, input_size: int, horizon: int, clean: bool = False) -> int:
    """The shortest history that training shows: a whole one, or a fifth where series have room for few whole ones."""
    if not clean and len(series) >= _FEW_SERIES and np.median(series.lengths) < 4 * (input_size + horizon):
        return max(MIN_HISTORY, input_size // 5)
    return input_size


def choose_segment(input_size: int, horizon: int, season_length: int) -> int:
    """Steps a segment: single ones where the history is short, else as many as leave about fifteen segments of history,
    no more than half a horizon in each, in whole parts or multiples of a season.
    """
    if input_size <= _SHORT:
        return 1
    most = max(1, min(input_size // _SEGMENTS, max(horizon // 2, 1)))
    if season_length > 1:
        fitting = [s for s in range(1, most + 1) if s % season_length == 0 or season_length % s == 0]
        return fitting[-1]
    return int(most)


def choose_lags(input_size: int, season_length: int) -> tuple[int, ...]:
    """One to seven seasons, and some longer ones (two weeks of days, a year of weeks), as far as a window reaches."""
    if season_length <= 1:
        return ()
    return tuple(season_length * many for many in _LAGS if season_length * many <= input_size)


def whole_segments(input_size: int, segment: int) -> int:
    """The history in whole segments, one at least."""
    return max(segment, input_size - input_size % segment)


def check_room(series: SeriesSet, segment: int, horizon: int, who: str) -> None:
    """Refuse a segment that is longer than the history that a typical series leaves.

    Raises:
        ArgumentError: the segment is longer.
    """
    typical = int(np.median(series.lengths))
    most = typical - horizon * (2 if len(series) < _FEW_SERIES else 1)
    if segment > most:
        raise ArgumentError(
            f"{who}: expected segment_size to be at most {max(most, 1)}, the history that series of {typical} points "
            f"leave for horizon {horizon}, got {segment}; pass a shorter one, or leave it out"
        )


def split(series: SeriesSet, input_size: int, horizon: int, seed: int, clean: bool = False) -> Split:
    """Hold out the end of every series, or whole series where these have no end to give up.

    That is where they are shorter than four horizons, or clean and shorter than three windows. The end tells what whole
    series cannot: whether what was learnt holds for what comes later.
    """
    lengths = series.lengths.astype(np.int64)
    least = least_history(series, input_size, horizon, clean)
    short = 3 * (input_size + horizon) if clean else 4 * horizon
    if np.median(lengths) < short and len(series) >= _FEW_SERIES:
        held = np.zeros(len(series), dtype=bool)
        count = max(1, round(_HELD_OUT * len(series)))
        held[np.random.Generator(np.random.PCG64(seed)).permutation(len(series))[:count]] = True
        every = training_windows(series, input_size, horizon, least=least)
        mine = held[every.series]
        # Judged by windows like those to be forecast: with a whole history, where there are such.
        judged = training_windows(series, input_size, horizon)
        how = f"whole series: {count} of {len(series)}, since most are shorter than {short} points"
        return Split(every[np.flatnonzero(~mine)], judged[np.flatnonzero(held[judged.series])], how)
    tail = np.maximum(horizon, np.rint(_HELD_OUT * lengths).astype(np.int64))
    # A series too short to give up its end keeps it, and validates nothing.
    border = np.where(lengths - tail >= horizon + MIN_HISTORY, lengths - tail, lengths)
    training = training_windows(series, input_size, horizon, last=border, least=least)
    if len(training) == 0:  # a gap as long as the series leaves no whole history before the border
        least = MIN_HISTORY
        training = training_windows(series, input_size, horizon, last=border, least=least)
    validation = training_windows(series, input_size, horizon, first=border)
    how = f"by time: the last {int(np.median(lengths - border))} points of a series"
    return Split(training, validation, how, whole=training_windows(series, input_size, horizon, least=least))


def given_validation(
    series: SeriesSet, validation: SeriesSet, input_size: int, horizon: int, who: str, clean: bool = False
) -> Split:
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
        training_windows(series, input_size, horizon, least=least_history(series, input_size, horizon, clean)),
        training_windows(usable, input_size, horizon),
        f"the given frame: {len(usable)} series",
        later=usable,
    )


def is_one_moment(validation: Windows) -> bool:
    """Whether every series was held out at a single origin."""
    return len(np.unique(validation.series)) == len(validation)


def series_apart(whole: Windows, input_size: int, seed: int) -> Split | None:
    """A tenth of the series, 20 at least, with all their moments; None where the others would be fewer than 40.

    Those apart are looked at where they show a whole history, as at their ends, if any does.
    """
    names = np.unique(whole.series)
    count = max(len(names) // 10, 20)
    if len(names) < count + 40:
        return None
    held = np.random.Generator(np.random.PCG64(seed)).choice(names, count, replace=False)
    mine = np.isin(whole.series, held)
    full = mine & (whole.lengths >= input_size)
    chosen = np.flatnonzero(full if full.any() else mine)
    return Split(whole[np.flatnonzero(~mine)], whole[chosen], f"whole series: {count} of {len(names)}")


def thinned(windows: Windows, most: int, seed: int) -> Windows:
    """At most so many of the windows, drawn without replacement, in their order."""
    if len(windows) <= most:
        return windows
    return windows[np.sort(np.random.Generator(np.random.PCG64(seed)).choice(len(windows), most, replace=False))]


def without_gaps(windows: Windows, series: SeriesSet, season_length: int) -> Windows:
    """The windows over series whose missing values are filled, for rules that know nothing of missing values."""
    return replace(windows, flat_values=fill_gaps(series.flat_values, series.offsets, season_length))


def is_short(series: SeriesSet) -> bool:
    """Whether series are many and short, so that a rule with few parameters is worth a start."""
    return len(series) >= _FEW_SERIES and float(np.median(series.lengths)) <= _SHORT_SERIES


def choose_anchor(windows: Windows, scaler: Scaler, season_length: int) -> str:
    """The simple rule with the least mean absolute error, in scaled units, over the training windows without gaps."""
    return choose_anchors(windows, scaler, season_length)[0]


def choose_anchors(windows: Windows, scaler: Scaler, season_length: int, smoothing: bool = False) -> list[str]:
    """The best simple rule; where that is exponential smoothing, the next best after it.

    Args:
        smoothing: whether exponential smoothing is among the rules.
    """
    rules = _errors_of_rules(windows, scaler, season_length, smoothing)
    ranked = sorted(rules, key=lambda rule: rules[rule])
    return ranked[:2] if ranked[0] == "smoothed" else ranked[:1]


def _errors_of_rules(windows: Windows, scaler: Scaler, season_length: int, smoothing: bool) -> dict[str, float]:
    """The mean absolute error of every simple rule, in scaled units."""
    smoothing = smoothing and _cost(windows) <= _MOST_SMOOTHED
    windows = thinned(windows, JUDGED, 0)
    level_N, scale_N = scaler.apply(windows)
    target_NK = scaler.log(windows.targets())
    level_N = np.exp(level_N) if scaler.floor else level_N

    def error(forecast_NK: NDArray[np.float64]) -> float:
        return float(np.mean(np.abs(target_NK - scaler.log(forecast_NK)) / scale_N[:, None]))

    rules = {"last": error(naive(windows)), "level": error(np.broadcast_to(level_N[:, None], target_NK.shape))}
    if 1 < season_length <= int(np.median(windows.lengths)):
        rules["seasonal"] = error(seasonal_naive(windows, season_length))
    if smoothing:
        made = smoothed(windows, season_length)
        rules["smoothed"] = error(np.where(np.isfinite(made), made, level_N[:, None]))
    return rules


def least_squares(windows: Windows, scaler: Scaler) -> LinearAutoregression:
    """The linear autoregression of windows without gaps, in scaled units."""
    windows = thinned(windows, JUDGED, 0)
    return LinearAutoregression.fit(scaler.inner(windows), *scaler.apply(windows))


def is_linear(training: Windows, validation: Windows, scaler: Scaler, season_length: int, smoothing: bool) -> bool:
    """Whether windows are few, and a linear autoregression of them beats every simple rule on those of validation.

    Both without gaps.
    """
    if len(training) >= _FEW_WINDOWS or not len(validation):
        return False
    validation = thinned(validation, JUDGED, 0)
    level_N, scale_N = scaler.apply(validation)
    inner = scaler.inner(validation)
    made_NK = least_squares(training, scaler).predict(inner, level_N, scale_N)
    error = float(np.mean(np.abs(inner.targets() - made_NK) / scale_N[:, None]))
    return error < min(_errors_of_rules(validation, scaler, season_length, smoothing).values())


def _cost(windows: Windows) -> int:
    """Points of the past that exponential smoothing goes through."""
    return int(np.minimum(windows.origins - windows.series_starts, 1000).sum())
