"""From a forecaster, its series and an evaluation to the report."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.cli.panels import bands_of, future_panels, past_panels
from throughtime.report import Backtest, ForecastReport, forecast_report

if TYPE_CHECKING:
    import polars as pl

    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster
    from throughtime.tasks.forecast.evaluation import Evaluation
    from throughtime.training import TrainingResult

__all__ = ["MEASURES", "levels_of", "origins_of", "split_forecast", "write_report"]

MEASURES = (
    "MASE: in units of the seasonal naive error of the past. sMAPE: percent. WQL: of all quantiles, as a part of the "
    "values. OWA: beside Naive2, which has 1."
)


def write_report(
    path: Path,
    forecaster: "Forecaster",
    series: "SeriesSet",
    *,
    about: str,
    found: "Evaluation | None" = None,
    forecast: "pl.DataFrame | None" = None,
) -> None:
    """Write the report of a forecaster on some series.

    Args:
        path: the .html file.
        series: what was evaluated, or what is forecast.
        about: what the series are, such as the name of their file.
        found: its evaluation on the end of the series; None: what comes next is shown instead.
        forecast: what comes next, as `predict` gives it; needed where there is no evaluation.
    """
    if found is not None:
        from throughtime.tasks.forecast.evaluation import MODEL

        beside = "seasonal naive" if "seasonal naive" in found.models else "naive"
        columns = {"forecast": "forecast", beside: beside.replace(" ", "_")}
        errors = found.by_series[MODEL][found.decisive_metric]
        panels, note = past_panels(series, found.forecasts, found.horizon, columns, errors=errors)
        panels_title = "Forecasts from the last origin, and what came"
    else:
        assert forecast is not None
        panels, note = future_panels(series, *split_forecast(forecast, len(series)))
        panels_title = "Forecasts of what comes next"
    training = forecaster.history_
    validation = [epoch.validation_loss for epoch in training.history if epoch.validation_loss is not None]
    health, reach, faded = _health(forecaster, series)
    told = _told(forecaster)
    forecast_report(
        path,
        ForecastReport(
            title=f"{about}: {forecaster.horizon} steps ahead",
            subtitle=f"{forecaster.strategy} {forecaster.cell}, {forecaster.n_parameters_:,} parameters",
            data=_data(series, forecaster),
            panels=panels,
            panels_title=panels_title,
            panels_note=note,
            season_length=forecaster.season_length_,
            value_label=series.target_col,
            train_loss=[epoch.train_loss for epoch in training.history],
            validation_loss=validation or None,
            best_epoch=training.best_epoch,
            training=_training(training),
            backtest=None if found is None else _backtest(found),
            reach=reach,
            faded=faded,
            health=health,
            choices=[(name, text) for name, text in told["summary"] if name != "data"],
            configuration=told["configuration"],
            versions=told["versions"],
            origin=told["origin"],
        ),
    )


def levels_of(forecaster: "Forecaster") -> tuple[float, ...]:
    """The intervals that a report shows: those whose coverage was measured in training."""
    return () if forecaster.calibration_ is None else tuple(forecaster.calibration_.coverage)


def split_forecast(frame: "pl.DataFrame", n: int) -> tuple[dict[str, Any], dict[float, tuple[Any, Any]]]:
    """The columns of a forecast as arrays, n series by K steps: by label, and the intervals by level in percent."""
    shaped = {name: frame[name].to_numpy().reshape(n, -1) for name in frame.columns if name.startswith("forecast")}
    return {"forecast": shaped["forecast"]}, {
        level: (shaped[a], shaped[b]) for level, (a, b) in bands_of(frame).items()
    }


def _data(series: "SeriesSet", forecaster: "Forecaster") -> list[tuple[str, str]]:
    from throughtime.data.times.clock import format_time

    lengths = series.lengths
    missing = int(np.isnan(series.flat_values).sum())
    zone = series.frequency.time_zone
    first, last = series.flat_times.min(), series.flat_times.max()
    rows = [("series", f"{len(series):,}"), ("points", f"{len(series.flat_values):,}"), ("step", series.frequency.name)]
    if len(series) > 1:
        low, middle, high = int(lengths.min()), float(np.median(lengths)), int(lengths.max())
        rows.append(
            ("points a series", f"{low:,} to {high:,}, {middle:,.0f} in the middle" if low < high else f"{low:,}")
        )
    rows += [
        ("from", format_time(first, zone)),
        ("to", format_time(last, zone)),
        ("season", f"{forecaster.season_length_} steps" if forecaster.season_length_ > 1 else "none"),
        ("missing values", f"{missing:,} ({missing / len(series.flat_values):.1%})" if missing else "none"),
    ]
    known = series.covariates
    for what, names in (
        ()
        if known is None
        else (
            ("known up to the present", known.past_names),
            ("known for the future, too", known.future_names),
            ("known of a series", (*known.static_numeric_names, *known.static_category_names)),
        )
    ):
        if names:
            rows.append((what, ", ".join(names)))
    return rows


def _backtest(found: "Evaluation") -> Backtest:
    from throughtime.tasks.forecast.evaluation import MODEL

    metric = found.decisive_metric
    known = [name for name, value in found.metrics[MODEL].items() if math.isfinite(value)]
    return Backtest(
        metrics={model: {name: row[name] for name in known} for model, row in found.metrics.items()},
        decisive=metric,
        by_horizon={model: row[metric] for model, row in found.by_horizon.items()},
        sentence=found.sentence,
        good=found.beats_baselines,
        origins=origins_of(found),
        coverage={score.level: (score.coverage, score.by_horizon) for score in found.intervals},
        measures=MEASURES,
    )


def origins_of(found: "Evaluation") -> str:
    """What was measured, in words."""
    origins = f"{found.n_windows} origin{'s' * (found.n_windows > 1)} in each of {found.n_series} series"
    return f"{found.horizon} steps ahead, {origins}{', refitted before each' * found.refitted}"


def _health(forecaster: "Forecaster", series: "SeriesSet") -> tuple[list[str], dict[str, Any], float]:
    """Sentences, reach by layer, and the line below which a gradient is gone; no layer where series are too short."""
    from throughtime.errors import DataError
    from throughtime.tasks.forecast.health import gradient_health
    from throughtime.training.gradient_health_report import FADED

    try:
        report = gradient_health(forecaster, series)
    except DataError as error:
        return [f"Not measured: {error}."], {}, FADED
    said = report.sentences() or ["Nothing to mend: no gradient explodes, and no gate is saturated."]
    return said, {layer.name: layer.reach for layer in report.layers if layer.steps}, FADED


def _told(forecaster: "Forecaster") -> dict[str, list[tuple[str, str]]]:
    import torch

    from throughtime import __version__

    rows = [line.split(maxsplit=1) for line in forecaster.summary().splitlines() if len(line.split()) > 1]
    own = {"throughtime": __version__, "torch": torch.__version__, "numpy": np.__version__}
    return {
        "summary": [(name, text) for name, text in rows],
        "configuration": [(name, f"{value}") for name, value in forecaster.get_params().items()],
        "versions": [(name, str(version)) for name, version in own.items()],
        "origin": [(name, str(value)) for name, value in forecaster.origin_.items()],
    }


def _training(result: "TrainingResult") -> list[str]:
    why = result.message.removeprefix("train: ")
    took = f"{result.seconds:.1f} s" if result.seconds < 120 else f"{result.seconds / 60:.1f} minutes"
    return [f"{why[:1].upper()}{why[1:]}.", f"It took {took}."]
