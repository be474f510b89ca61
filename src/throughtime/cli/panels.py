"""From series and frames of forecasts to the panels of a plot."""

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

__all__ = ["draw_forecasts", "future_panels", "past_panels"]

Array = NDArray[np.float64]


def future_panels(series: "SeriesSet", forecasts: Mapping[str, Array]) -> tuple[list[Panel], str]:
    """Panels of what is not known yet.

    Args:
        series: S series, whose ends are the origins.
        forecasts: label to (S, K), in units of the series.

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
        )
        for i in shown
    ]
    note = "" if total <= MAX_PANELS else f"Shown: {len(panels)} of {total} series, spread over the file."
    return panels, note


def past_panels(
    series: "SeriesSet", frame: "pl.DataFrame", horizon: int, columns: Mapping[str, str]
) -> tuple[list[Panel], str]:
    """Panels of forecasts from the last origin of an evaluation, beside what came.

    Args:
        series: what was evaluated.
        frame: `Evaluation.forecasts`: series by series, origin by origin, step by step.
        columns: label to the frame's column; the first is the model, whose errors choose the series.

    Returns:
        Six panels at most, and a sentence that says which series they show.
    """
    total = len(series)
    # (S, origins, K) by the frame's order; the last origin is `horizon` steps before the end of each series.
    forecasts = {label: frame[column].to_numpy().reshape(total, -1, horizon) for label, column in columns.items()}
    actual = frame[series.target_col].to_numpy().reshape(total, -1, horizon)
    first = next(iter(forecasts.values()))
    errors = np.full(total, np.nan)
    for i in range(total):
        step = np.abs(np.diff(series.values(i)[:-horizon]))
        if step.size and step.mean() > 0:
            errors[i] = np.abs(first[i] - actual[i]).mean() / step.mean()
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
