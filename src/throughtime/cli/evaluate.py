"""`throughtime evaluate MODEL DATA`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.forecaster_options import names_of
from throughtime.cli.options import (
    AsJson,
    Data,
    Holidays,
    Levels,
    Model,
    Plot,
    Quiet,
    Report,
    Threads,
    numbers_of,
    read_for,
    use_threads,
)

if TYPE_CHECKING:
    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster
    from throughtime.tasks.forecast.evaluation import Evaluation

__all__ = ["evaluate"]

_COLUMNS = ("MSE", "MAE", "sMAPE", "MASE", "WQL", "OWA")  # what fits into 80 columns; --json has all


def evaluate(
    model: Model,
    data: Data,
    windows: Annotated[int, typer.Option(help="How many times to forecast each series, from different origins.")] = 1,
    step: Annotated[
        int | None, typer.Option(help="Steps from one origin to the next.", show_default="the model's horizon")
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train a fresh copy before every origin on what precedes it; MODEL itself stays as it is.",
            show_default=False,
        ),
    ] = False,
    levels: Levels = None,
    peers: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Set theta, ets or both beside it, each fitted to every history anew by statsforecast.",
            show_default=False,
        ),
    ] = None,
    holidays: Holidays = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write every forecast beside what came to a .csv, .json or .parquet file.",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    report: Report = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Measure a trained model on the end of each series, beside simple forecasts.

    The model forecasts from what lies before each origin and is not trained again, unless --refit asks for it; give it
    data whose end it has not seen. Beside it stand three simple forecasts: naive (the last value again), seasonal naive
    (the last season again) and linear (a linear regression on the same history). MASE is in units of the seasonal naive
    error of the past.

    A language model reads text instead, with other options: throughtime evaluate MODEL --help shows those of MODEL.

    [bold]throughtime evaluate model sales.csv --windows 4[/bold]
    """
    if out is not None:
        from throughtime.data import check_table_target

        check_table_target(out, (data, holidays, model))
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if report is not None:
        from throughtime.report import check_report_target

        check_report_target(report)
    asked: dict[str, Any] = {}
    if levels is not None:
        asked["levels"] = numbers_of(levels, "--levels", low=0, high=100)
    if peers is not None:
        asked["peers"] = names_of(peers, "--peers")
    if holidays is not None:
        from throughtime.data import read_holidays

        asked["holidays"] = read_holidays(holidays)
    if refit:
        from throughtime.cli.progress import progress

        asked |= {"refit": True, "listen": partial(progress, quiet=quiet)}
    use_threads(threads)
    from throughtime.tasks import Forecaster

    forecaster = Forecaster.load(model)
    series = read_for(forecaster, data)
    if report is not None and levels is None:
        from throughtime.cli.reports import levels_of

        asked["levels"] = levels_of(forecaster)
    found = forecaster.evaluate(series, n_windows=windows, step_size=step, **asked)
    if plot is not None:
        _draw(forecaster, series, found, plot)
    if report is not None:
        from throughtime.cli.reports import write_report

        write_report(report, forecaster, series, about=data.name, found=found)
    if out is not None:
        from throughtime.data import write_table

        write_table(found.forecasts, out)
    from throughtime.cli.results import print_json

    if as_json:
        print_json(found.as_dict())
        return
    if quiet:
        return
    _tell(found)
    for written in (out, plot, report):
        if written is not None:
            typer.echo(f"Wrote {written}.")


def _tell(found: "Evaluation") -> None:
    from throughtime.cli.reports import origins_of
    from throughtime.cli.results import metric_rows, print_table

    known = found.metrics[found.models[0]]
    metrics = [name for name in _COLUMNS if name in known]
    print_table(["model", *metrics], metric_rows(found.metrics, metrics), title=origins_of(found))
    if found.intervals:
        rows = [[f"{score.level:g} %", f"{score.coverage:.1f} %", f"{score.width:.4g}"] for score in found.intervals]
        print_table(["interval", "held", "width"], rows)
    typer.echo(found.sentence)


def _draw(forecaster: "Forecaster", series: "SeriesSet", found: "Evaluation", path: Path) -> None:
    from throughtime.cli.panels import draw_forecasts, past_panels

    beside = "seasonal naive" if "seasonal naive" in found.models else "naive"
    labels = {"forecast": "forecast", beside: beside.replace(" ", "_")}
    panels, note = past_panels(series, found.forecasts, found.horizon, labels)
    about = f"{found.horizon} steps ahead, forecast and actual"
    draw_forecasts(path, forecaster, series, panels, about=about, note=note)
