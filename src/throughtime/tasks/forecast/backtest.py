"""Rolling origins: the end of series forecast from what came before, beside baselines, with or without refitting."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.frames import SeriesSet, build_frame
from throughtime.errors import DataError
from throughtime.tasks.forecast import intervals
from throughtime.tasks.forecast.baselines import naive, seasonal_naive
from throughtime.tasks.forecast.batches import forecast
from throughtime.tasks.forecast.evaluation import MODEL, Evaluation, evaluate
from throughtime.tasks.forecast.parameters import check_count
from throughtime.tasks.forecast.peers import check_peers, peer_forecast
from throughtime.tasks.forecast.windows import Windows, rolling_windows

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

Array = NDArray[np.float64]


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


def evaluate_series(
    forecaster: "Forecaster",
    series: SeriesSet,
    n_windows: int,
    step_size: int | None,
    levels: Sequence[float] | None = None,
    peers: Sequence[str] = (),
) -> Evaluation:
    """What `Forecaster.evaluate` gives."""
    f, who = forecaster, "Forecaster.evaluate"
    asked = intervals.check_levels(levels, who)
    names_of_peers = check_peers(peers, who)
    windows = rolling(f, series, n_windows, step_size, who)
    prepared = f._prepare(series)
    held = intervals.intervals_of(f, windows, prepared, asked, who)
    forecasts = {MODEL: forecast(f.model_, windows, f.scaler_, prepared), "naive": naive(windows)}
    if f.season_length_ > 1:
        forecasts["seasonal naive"] = seasonal_naive(windows, f.season_length_)
    level_W, scale_W = f.scaler_.apply(windows)
    linear = f.linear_.predict(f.scaler_.inner(windows), level_W, scale_W)
    forecasts["linear"] = np.exp(linear) if f.scaler_.floor else linear
    forecasts |= {name: peer_forecast(name, windows, f.season_length_) for name in names_of_peers}
    names = {MODEL: "forecast", "seasonal naive": "seasonal_naive"}
    return evaluate(
        windows,
        forecasts,
        forecast_frame(
            series, windows, {names.get(n, n): made for n, made in forecasts.items()} | intervals.interval_columns(held)
        ),
        series=series,
        n_windows=n_windows,
        season_length=f.season_length_,
        seen_windows=seen(f.series_, series, windows),
        quantiles=intervals.deciles_of(f, windows, prepared),
        intervals=held,
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
    if not refit:
        return _fitted_before(forecaster, series, n_windows, step, asked)
    parts = []
    for back in range(n_windows - 1, -1, -1):
        until = series.cut(back * step) if back else series
        parts.append(_fitted_before(forecaster, until, 1, step, asked))
    return _stacked(parts, series, K)


def _fitted_before(
    forecaster: "Forecaster", series: SeriesSet, n_windows: int, step: int, levels: tuple[float, ...]
) -> Any:
    """A fresh copy fitted before the first of the origins, and its forecasts from all of them."""
    K = forecaster.horizon
    fresh = type(forecaster)(**forecaster.get_params())
    fresh.fit(series.cut(K + (n_windows - 1) * step).to_frame())
    windows = rolling_windows(series, n_windows, step, fresh.input_size_, K)
    prepared = fresh._prepare(series)
    made = {"forecast": forecast(fresh.model_, windows, fresh.scaler_, prepared)}
    held = intervals.intervals_of(fresh, windows, prepared, levels, "Forecaster.cross_validation")
    return forecast_frame(series, windows, made | intervals.interval_columns(held))


def _stacked(parts: list[Any], series: SeriesSet, horizon: int) -> Any:
    """The frames of single origins as one, series by series, each series' origins in order."""
    nw = require("narwhals", extra="frames")
    whole = nw.concat([nw.from_native(part, eager_only=True) for part in parts], how="vertical")
    S, n = len(series), len(parts)
    rows = np.arange(n * S * horizon).reshape(n, S, horizon).transpose(1, 0, 2).reshape(-1)
    return whole[rows.tolist(), :].to_native()


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
