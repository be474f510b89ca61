"""`throughtime evaluate MODEL DATA`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from throughtime.cli.options import AsJson, Data, Model, Plot, Threads, read_for, use_threads

if TYPE_CHECKING:
    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster
    from throughtime.tasks.forecast.evaluation import Evaluation

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    data: Data,
    windows: Annotated[int, typer.Option(help="How many times to forecast each series, from different origins.")] = 1,
    step: Annotated[
        int | None, typer.Option(help="Steps from one origin to the next.", show_default="the model's horizon")
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Measure a trained model on the end of each series, beside simple forecasts.

    The model forecasts from what lies before each origin and is not trained again; give it data whose end it has not
    seen. Beside it stand three simple forecasts: naive (the last value again), seasonal naive (the last season again)
    and linear (a linear regression on the same history). MASE is in units of the seasonal naive error of the past.

    [bold]throughtime evaluate model sales.csv --windows 4[/bold]
    """
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    use_threads(threads)
    from throughtime.tasks import Forecaster

    forecaster = Forecaster.load(model)
    series = read_for(forecaster, data)
    found = forecaster.evaluate(series.to_frame(), n_windows=windows, step_size=step)
    if plot is not None:
        _draw(forecaster, series, found, plot)
    from throughtime.cli.results import metric_rows, print_json, print_table

    if as_json:
        print_json(found.as_dict())
        return
    metrics = list(found.metrics[found.models[0]])
    origins = f"{found.n_windows} origin{'s' * (found.n_windows > 1)} in each of {found.n_series} series"
    title = f"{found.horizon} steps ahead, {origins}"
    print_table(["model", *metrics], metric_rows(found.metrics, metrics), title=title)
    typer.echo(found.sentence)
    if plot is not None:
        typer.echo(f"Wrote {plot}.")


def _draw(forecaster: "Forecaster", series: "SeriesSet", found: "Evaluation", path: Path) -> None:
    from throughtime.cli.panels import draw_forecasts, past_panels

    beside = "seasonal naive" if "seasonal naive" in found.models else "naive"
    labels = {"forecast": "forecast", beside: beside.replace(" ", "_")}
    panels, note = past_panels(series, found.forecasts, found.horizon, labels)
    about = f"{found.horizon} steps ahead, forecast and actual"
    draw_forecasts(path, forecaster, series, panels, about=about, note=note)
