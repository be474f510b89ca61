"""Rolling origins: the end of series forecast from what came before, beside baselines, with or without refitting.

Axes in names: W windows, S series, N origins, K steps of the horizon.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet, build_frame
from throughtime.errors import DataError
from throughtime.tasks.forecast import intervals
from throughtime.tasks.forecast.baselines import naive, seasonal_naive
from throughtime.tasks.forecast.batches import forecast
from throughtime.tasks.forecast.evaluation import MODEL, Evaluation, evaluate
from throughtime.tasks.forecast.parameters import check_count
from throughtime.tasks.forecast.peers import check_peers, peer_forecast
from throughtime.tasks.forecast.windows import Windows, rolling_windows
from throughtime.training import Callback

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

Array = NDArray[np.float64]
Listen = Callable[[str], AbstractContextManager[Sequence[Callback]]]


def check_rolling(horizon: int, n_windows: int, step_size: int | None, who: str) -> int:
    """The step between origins; ArgumentError where a number is not positive."""
    check_count(who, "n_windows", n_windows)
    check_count(who, "step_size", step_size, optional=True)
    return horizon if step_size is None else step_size


def refuse_short(series: SeriesSet, need: int, horizon: int, n_windows: int, who: str) -> None:
    """DataError where a series has fewer points than that."""
    short = np.flatnonzero(series.lengths < need)
    if len(short):
        index = int(short[0])
        raise DataError(
            f"{who}: expected at least {need} points in every series for {n_windows} windows of {horizon}, got "
            f"{int(series.lengths[index])} in series {series.ids[index]!r}; ask for fewer windows or give more history"
        )


def rolling(forecaster: "Forecaster", series: SeriesSet, n_windows: int, step_size: int | None, who: str) -> Windows:
    """The windows of a fitted forecaster, checked."""
    K = forecaster.horizon
    step = check_rolling(K, n_windows, step_size, who)
    refuse_short(series, K + (n_windows - 1) * step + 1, K, n_windows, who)
    return rolling_windows(series, n_windows, step, forecaster.input_size_, K)


@dataclass(frozen=True)
class Made:
    """What a model says of W windows, K steps each.

    Attributes:
        model, linear: (W, K) the model's forecasts, and those of its linear regression.
        held: level in percent → lower and upper ends of intervals, both (W, K).
        deciles: share → (W, K); None where the model does not reach them.
    """

    model: Array
    linear: Array
    held: dict[float, tuple[Array, Array]]
    deciles: dict[float, Array] | None

    @classmethod
    def by(cls, f: "Forecaster", series: SeriesSet, windows: Windows, levels: tuple[float, ...], who: str) -> "Made":
        """By a fitted forecaster."""
        prepared = f._prepare(series)
        level_W, scale_W = f.scaler_.apply(windows)
        linear = f.linear_.predict(f.scaler_.inner(windows), level_W, scale_W)
        return cls(
            model=forecast(f.model_, windows, f.scaler_, prepared),
            linear=np.exp(linear) if f.scaler_.floor else linear,
            held=intervals.intervals_of(f, windows, prepared, levels, who),
            deciles=intervals.deciles_of(f, windows, prepared),
        )

    @classmethod
    def together(cls, parts: "Sequence[Made]") -> "Made":
        """From one origin of S series after another to series by series, each with its origins in order."""

        def one(each: Iterable[Array]) -> Array:
            found_SNK = np.stack(list(each), axis=1)
            return found_SNK.reshape(-1, found_SNK.shape[-1])

        def named(each: Sequence[Mapping[float, Array]]) -> dict[float, Array]:
            return {name: one(part[name] for part in each) for name in each[0]}

        low, high = (named([{q: ends[i] for q, ends in part.held.items()} for part in parts]) for i in (0, 1))
        deciles = [part.deciles for part in parts if part.deciles is not None]
        return cls(
            model=one(part.model for part in parts),
            linear=one(part.linear for part in parts),
            held={level: (low[level], high[level]) for level in low},
            deciles=named(deciles) if len(deciles) == len(parts) else None,
        )


def evaluate_series(
    forecaster: "Forecaster",
    series: SeriesSet,
    n_windows: int,
    step_size: int | None,
    levels: Sequence[float] | None = None,
    peers: Sequence[str] = (),
    refit: bool = False,
    listen: Listen | None = None,
) -> Evaluation:
    """What `Forecaster.evaluate` gives."""
    f, who = forecaster, "Forecaster.evaluate"
    asked = intervals.check_levels(levels, who)
    names_of_peers = check_peers(peers, who)
    windows = rolling(f, series, n_windows, step_size, who)
    if refit:
        made = _fitted_anew(f, series, n_windows, step_size or f.horizon, asked, who, listen)
    else:
        made = Made.by(f, series, windows, asked, who)
    forecasts = {MODEL: made.model, "naive": naive(windows)}
    if f.season_length_ > 1:
        forecasts["seasonal naive"] = seasonal_naive(windows, f.season_length_)
    forecasts["linear"] = made.linear
    forecasts |= {name: peer_forecast(name, windows, f.season_length_) for name in names_of_peers}
    names = {MODEL: "forecast", "seasonal naive": "seasonal_naive"}
    columns = {names.get(n, n): values for n, values in forecasts.items()} | intervals.interval_columns(made.held)
    return evaluate(
        windows,
        forecasts,
        forecast_frame(series, windows, columns),
        series=series,
        n_windows=n_windows,
        season_length=f.season_length_,
        seen_windows=0 if refit else seen(f.series_, series, windows),
        quantiles=made.deciles,
        intervals=made.held,
        refitted=refit,
    )


def cross_validate(
    forecaster: "Forecaster",
    series: SeriesSet,
    n_windows: int,
    step_size: int | None,
    refit: bool,
    levels: Sequence[float] | None = None,
) -> Any:
    """What `Forecaster.cross_validation` gives."""
    K, who = forecaster.horizon, "Forecaster.cross_validation"
    step = check_rolling(K, n_windows, step_size, who)
    asked = intervals.check_levels(levels, who)
    refuse_short(series, K + (n_windows - 1) * step + 1, K, n_windows, who)
    if refit:
        made = _fitted_anew(forecaster, series, n_windows, step, asked, who)
    else:
        made = _fitted_before(forecaster, series, n_windows, step, asked, who)
    windows = rolling_windows(series, n_windows, step, K, K)
    return forecast_frame(series, windows, {"forecast": made.model} | intervals.interval_columns(made.held))


def _fitted_anew(
    forecaster: "Forecaster",
    series: SeriesSet,
    n_windows: int,
    step: int,
    levels: tuple[float, ...],
    who: str,
    listen: Listen | None = None,
) -> Made:
    """A fresh copy for every origin."""
    parts = []
    for back in range(n_windows - 1, -1, -1):
        until = series.cut(back * step) if back else series
        label = f"origin {n_windows - back} of {n_windows}"
        with nullcontext(()) if listen is None else listen(label) as callbacks:
            parts.append(_fitted_before(forecaster, until, 1, step, levels, who, callbacks))
    return Made.together(parts)


def _fitted_before(
    forecaster: "Forecaster",
    series: SeriesSet,
    n_windows: int,
    step: int,
    levels: tuple[float, ...],
    who: str,
    callbacks: Sequence[Callback] = (),
) -> Made:
    """A fresh copy fitted before the first of the origins, and its forecasts from all of them."""
    K = forecaster.horizon
    fresh = type(forecaster)(**forecaster.get_params())
    fresh.fit(series.cut(K + (n_windows - 1) * step), callbacks=callbacks)
    if fresh.history_.stopped == "interrupted":
        raise KeyboardInterrupt
    windows = rolling_windows(series, n_windows, step, fresh.input_size_, K)
    return Made.by(fresh, series, windows, levels, who)


def seen(known: SeriesSet, series: SeriesSet, windows: Windows) -> int:
    """How many windows forecast something that training has seen; `known` are the ends of the training series."""
    trained = {str(name): i for i, name in enumerate(known.ids)}
    until = np.zeros(len(series), dtype=np.int64)  # how far into each series training reached
    for i, name in enumerate(map(str, series.ids)):
        if name in trained:
            own = trained[name]
            times, known_times = series.times(i), known.times(own)
            _, mine, theirs = np.intersect1d(times, known_times, assume_unique=True, return_indices=True)
            same = _equal(series.values(i)[mine], known.values(own)[theirs])
            # Series of another data set may have the same name; they do not have the same values. Where none of
            # the training values kept can be compared, the name and the time speak.
            if not len(same) or np.mean(same) > 0.5:
                until[i] = np.searchsorted(times, known_times[-1], side="right")
    return int(np.sum(windows.origins - windows.series_starts < until[windows.series]))


def _equal(left: Array, right: Array) -> NDArray[np.bool_]:
    return np.asarray((left == right) | (np.isnan(left) & np.isnan(right)))


def forecast_frame(series: SeriesSet, windows: Windows, forecasts: Mapping[str, Array]) -> Any:
    """A row for each window and step: id, time, cutoff (the last time seen), the actual value, the forecasts."""
    K = windows.horizon
    columns: dict[str, NDArray[Any]] = {
        series.id_col: series.ids_at(np.repeat(windows.series, K)),
        series.time_col: series.flat_times[windows.origins[:, None] + np.arange(K)].reshape(-1),
        "cutoff": np.repeat(series.flat_times[windows.origins - 1], K),
        series.target_col: windows.targets().reshape(-1),
    }
    return build_frame(columns | {name: made.reshape(-1) for name, made in forecasts.items()}, series)
