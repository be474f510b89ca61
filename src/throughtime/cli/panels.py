"""From series and frames of forecasts to the panels of a plot."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from throughtime.report import Panel, choose_series, forecast_plot
from throughtime.report.forecast import MAX_PANELS

if TYPE_CHECKING:
    import polars as pl

    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster

__all__ = ["bands_of", "draw_forecasts", "future_panels", "past_panels"]

Array = NDArray[np.float64]


_LOW, _HIGH = re.compile(r"forecast-lo-(\d+(?:\.\d+)?)"), "forecast-hi-{}"


def bands_of(frame: "pl.DataFrame") -> dict[float, tuple[str, str]]:
    """The intervals in a frame of forecasts: level in percent to the columns of their lower and upper ends."""
    found = (_LOW.fullmatch(name) for name in frame.columns)
    return {float(each[1]): (each[0], _HIGH.format(each[1])) for each in found if each is not None}


def future_panels(
    series: "SeriesSet", forecasts: Mapping[str, Array], bands: Mapping[float, tuple[Array, Array]] | None = None
) -> tuple[list[Panel], str]:
    """Panels of what is not known yet.

    Args:
        series: S series, whose ends are the origins.
        forecasts: label to (S, K), in units of the series.
        bands: level of intervals in percent to their lower and upper ends, both (S, K).

    Returns:
        Six panels at most, spread over the series in their order, and a sentence that says which.
    """
    total = len(series)
    horizon = next(iter(forecasts.values())).shape[1]
    shown = np.unique(np.linspace(0, total - 1, min(total, MAX_PANELS)).round().astype(int))
    times = series.future_times(horizon)
    panels = [
        Panel(
            str(series.ids[i]),
            series.times(i),
            series.values(i),
            times[i],
            {label: values[i] for label, values in forecasts.items()},
            bands={level: (low[i], high[i]) for level, (low, high) in (bands or {}).items()},
        )
        for i in shown
    ]
    note = "" if total <= MAX_PANELS else f"Shown: {len(panels)} of {total} series, spread over the file."
    return panels, note


def past_panels(
    series: "SeriesSet",
    frame: "pl.DataFrame",
    horizon: int,
    columns: Mapping[str, str],
    errors: Array | None = None,
) -> tuple[list[Panel], str]:
    """Panels of forecasts from the last origin of an evaluation, beside what came, with the intervals of the frame.

    Args:
        series: what was evaluated.
        frame: `Evaluation.forecasts`: series by series, origin by origin, step by step.
        columns: label to the frame's column; the first is the model, whose errors choose the series.
        errors: one comparable error a series; None: its mean absolute error, for the size of the series' steps.

    Returns:
        Six panels at most, and a sentence that says which series they show.
    """
    total = len(series)
    # (S, origins, K) by the frame's order; the last origin is `horizon` steps before the end of each series.
    forecasts = {label: frame[column].to_numpy().reshape(total, -1, horizon) for label, column in columns.items()}
    actual = frame[series.target_col].to_numpy().reshape(total, -1, horizon)
    if errors is None:
        errors = _errors(series, next(iter(forecasts.values())), actual)
    bands = {
        level: tuple(frame[name].to_numpy().reshape(total, -1, horizon) for name in names)
        for level, names in bands_of(frame).items()
    }
    chosen = choose_series(errors, MAX_PANELS)
    panels = [
        Panel(
            str(series.ids[i]),
            series.times(i)[:-horizon],
            series.values(i)[:-horizon],
            series.times(i)[-horizon:],
            {label: values[i, -1] for label, values in forecasts.items()},
            series.values(i)[-horizon:],
            why,
            {level: (low[i, -1], high[i, -1]) for level, (low, high) in bands.items()},
        )
        for i, why in chosen
    ]
    if total <= MAX_PANELS:
        return panels, ""
    hardest = sum(why == "hardest" for _, why in chosen)
    return panels, (
        f"Shown: {len(panels)} of {total} series, the {hardest} with the largest error for the size of their steps and "
        f"{len(panels) - hardest} near the median."
    )


def _errors(series: "SeriesSet", forecast: Array, actual: Array) -> Array:
    """The mean absolute error of each series, for the mean size of its steps; NaN where it stands still."""
    horizon = actual.shape[-1]
    errors = np.full(len(series), np.nan)
    for i in range(len(series)):
        step = np.abs(np.diff(series.values(i)[:-horizon]))
        step, off = step[np.isfinite(step)], np.abs(forecast[i] - actual[i])
        if step.size and step.mean() > 0 and np.isfinite(off).any():
            errors[i] = np.nanmean(off) / step.mean()
    return errors


def draw_forecasts(
    path: Path, forecaster: "Forecaster", series: "SeriesSet", panels: Sequence[Panel], *, about: str, note: str
) -> None:
    """Draw panels of a forecaster's series.

    Args:
        path: the .png file.
        forecaster: whose forecasts they are.
        series: what was forecast.
        panels: what to draw.
        about: what the forecasts are, for the title.
        note: a sentence below the panels, or "".
    """
    what = panels[0].name if len(series) == 1 else f"{len(series)} series"
    forecast_plot(
        path,
        panels,
        title=f"{what}: {about} ({forecaster.strategy}, {forecaster.cell})",
        value_label=series.target_col,
        time_label=series.time_col if series.frequency.is_integer else "",
        season_length=forecaster.season_length_,
        note=note,
    )
