"""`throughtime predict MODEL [DATA]`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from throughtime.cli.options import AsJson, Model, Plot, Threads, read_for, use_threads

if TYPE_CHECKING:
    import polars as pl

    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster

__all__ = ["predict"]

_ROWS_SHOWN = 40


def predict(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="The history to forecast from, with the columns of the training data: .csv, .csv.gz or .parquet.",
            show_default="the end of the training data",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the forecast to a .csv, .json or .parquet file.", show_default=False),
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Forecast with a trained model.

    Prints the forecast as a table, or as JSON with --json; with --out it goes to a file.

    [bold]throughtime predict model sales.csv --out forecast.csv --plot forecast.png[/bold]
    """
    if out is not None:
        from throughtime.data import check_table_target

        check_table_target(out)
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    use_threads(threads)
    from throughtime.tasks import Forecaster

    forecaster = Forecaster.load(model)
    series = forecaster.series_ if data is None else read_for(forecaster, data)
    frame = _typed(forecaster.predict(None if data is None else series.to_frame()), series)
    if plot is not None:
        _draw(forecaster, series, frame, plot)
    if out is not None:
        from throughtime.data import write_table

        write_table(frame, out)
    from throughtime.cli.results import print_json, print_table

    if as_json:
        print_json(frame.to_dicts())
        return
    for written in (out, plot):
        if written is not None:
            typer.echo(f"Wrote {written}.")
    if out is None:
        print_table(list(frame.columns), _rows(frame), numbers_from=2)
        if frame.height > _ROWS_SHOWN:
            typer.echo(f"{_ROWS_SHOWN} of {frame.height} rows; --out FILE.csv or --json gives all of them.")


def _typed(frame: "pl.DataFrame", series: "SeriesSet") -> "pl.DataFrame":
    """Whole numbers of time as numbers: a CSV file is read as text, and text comes back."""
    import polars as pl

    return frame.cast({series.time_col: pl.Int64}) if series.frequency.is_integer else frame


def _rows(frame: "pl.DataFrame") -> list[list[str]]:
    shown = frame.head(_ROWS_SHOWN)
    return [[str(name), str(time), f"{value:.6g}"] for name, time, value in shown.iter_rows()]


def _draw(forecaster: "Forecaster", series: "SeriesSet", frame: "pl.DataFrame", path: Path) -> None:
    from throughtime.cli.panels import draw_forecasts, future_panels

    values = frame["forecast"].to_numpy().reshape(len(series), forecaster.horizon)
    panels, note = future_panels(series, {"forecast": values})
    draw_forecasts(path, forecaster, series, panels, about=f"the next {forecaster.horizon} steps", note=note)
