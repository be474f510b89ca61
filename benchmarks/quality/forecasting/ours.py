"""`throughtime.Forecaster` under a protocol, through its public interface alone.

Axes in names: N windows, K steps of the horizon.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.quality.forecasting import figures
from benchmarks.quality.forecasting.records import Clock
from benchmarks.quality.forecasting.task import Task
from throughtime import Forecaster

Array = NDArray[np.float64]

POINTS = 3.0  # how far coverage may be from what an interval promises


def run(
    task: Task, seed: int, options: dict[str, Any], max_seconds: float | None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit the bare forecaster, forecast every window: its figures, and minutes and choices."""
    clock = Clock()
    model = Forecaster(horizon=task.horizon, seed=seed, **{**task.options, **options})
    frame, short = learnable(task)
    model.fit(frame, task.validation_frame(), max_seconds=max_seconds)
    fitted = clock.minutes()
    found = task.score(lambda first, count: forecast(model, task, first, count))
    return found, {
        **({"coverage": covered(model, task)} if task.levels else {}),
        **clock.minutes(),
        "minutes_of_training": fitted["minutes"],
        "options": options,
        "not_trained_on": short,
        "parameters": model.n_parameters_,
        "choices": model.summary().splitlines(),
    }


def learnable(task: Task) -> tuple[pl.DataFrame, list[str]]:
    """The training rows of the series, and the ids of those too short for one window: they are forecast only."""
    frame = task.train_frame()
    least = task.horizon + 2  # what `fit` asks of a series among others
    short = [
        i
        for i, values, end in zip(task.panel.ids, task.panel.values, task.train_ends, strict=True)
        if np.isfinite(values[:end]).sum() < least
    ]
    return frame.filter(~pl.col("unique_id").is_in(short)), short


def forecast(model: Forecaster, task: Task, first: int, count: int) -> Array:
    """The forecasts (N, K) of a block of windows: from the end of the training data, or by rolling origin."""
    if task.n_windows == 1 and (task.first_origins == task.train_ends).all():
        return at_end(model.predict(task.train_frame()), task, "forecast")
    last = task.first_origins + (first + count - 1) * task.step + task.horizon
    whole = task.panel.frame(0, last.tolist())
    made = model.evaluate(whole, n_windows=count, step_size=task.step).forecasts
    made = _in_order(made, task).sort("place", "cutoff", "ds")
    known = made["y"].to_numpy().reshape(-1, task.horizon)
    # The windows are the protocol's or the figure is none: what the model was judged on must be the actual values.
    if not np.array_equal(known, task.targets(first, count), equal_nan=True):
        raise RuntimeError(f"{task.name}: evaluate() forecast other windows than the protocol's")
    return made["forecast"].to_numpy().reshape(-1, task.horizon).astype(np.float64)


def covered(model: Forecaster, task: Task) -> dict[str, dict[str, float | bool]]:
    """By level: the share of actual values inside the interval and its mean width in units of the season's change."""
    made, Y_NK = model.predict(task.train_frame(), levels=list(task.levels)), task.targets(0, 1)
    scale_N1 = figures.scales(task.pasts(0, 1), task.season)[:, None]
    found = {}
    for level in task.levels:
        low_NK, high_NK = (at_end(made, task, f"forecast-{side}-{level}") for side in ("lo", "hi"))
        share = figures.coverage(low_NK, high_NK, Y_NK)
        width = float(np.nanmean((high_NK - low_NK) / scale_N1))
        found[str(level)] = {"coverage": share, "width": width, "met": abs(share - level) <= POINTS}
    return found


def at_end(made: pl.DataFrame, task: Task, column: str) -> Array:
    """A column of `predict()` at the stamps of the one window a series, (N, K).

    A series whose training rows end in missing values is forecast from its last value on: NaN where that reaches no
    stamp of the window, which only windows without a value to compare with may have.
    """
    K = task.horizon
    spans = list(enumerate(task.train_ends.tolist()))
    wanted = pl.DataFrame(
        {
            "unique_id": np.repeat(np.array(task.panel.ids), K),
            "ds": np.concatenate([task.panel.times(i, end, end + K) for i, end in spans]),
        }
    )
    found = wanted.join(made, on=["unique_id", "ds"], how="left", maintain_order="left")
    forecast_NK = found[column].cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(-1, K)
    lost = np.isnan(forecast_NK) & np.isfinite(task.targets(0, 1))
    if lost.any():
        raise RuntimeError(f"{task.name}: {lost.sum()} values to compare with have no forecast")
    return forecast_NK


def _in_order(made: pl.DataFrame, task: Task) -> pl.DataFrame:
    """With the place of each series in the set."""
    order = pl.DataFrame({"unique_id": list(task.panel.ids), "place": np.arange(len(task.panel))})
    return made.join(order, on="unique_id", how="left")
