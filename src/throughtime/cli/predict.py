"""`throughtime predict MODEL [DATA]`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.options import (
    AsJson,
    Fill,
    Holidays,
    Levels,
    Model,
    Plot,
    Threads,
    numbers_of,
    read_for,
    use_threads,
)
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    import polars as pl

    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster

__all__ = ["predict"]

_FORECAST = "The forecast"
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
    horizon: Annotated[
        int | None,
        typer.Option(
            help="Steps ahead; beyond those trained, forecasts are forecast from.",
            show_default="as trained",
            rich_help_panel=_FORECAST,
        ),
    ] = None,
    levels: Levels = None,
    quantiles: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE,...",
            help="Values below which so large a share is to lie: 0.1,0.5,0.9.",
            show_default=False,
            rich_help_panel=_FORECAST,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Paths to draw from the distribution.", show_default=False, rich_help_panel=_FORECAST),
    ] = None,
    future_data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table with the columns that are known for the steps to forecast.",
            show_default="DATA itself",
            rich_help_panel=_FORECAST,
        ),
    ] = None,
    holidays: Holidays = None,
    fill: Fill = None,
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

    A language model writes instead, a tagger marks text, with other options: throughtime predict MODEL --help shows
    those of MODEL.

    [bold]throughtime predict model sales.csv --out forecast.csv --plot forecast.png[/bold]
    """
    if out is not None:
        from throughtime.data import check_table_target

        check_table_target(out, (data, future_data, holidays, model))
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    given: dict[str, Any] = {"horizon": horizon, "samples": samples}
    if levels is not None:
        given["levels"] = numbers_of(levels, "--levels", low=0, high=100)
    if quantiles is not None:
        given["quantiles"] = numbers_of(quantiles, "--quantiles", low=0, high=1)
    if fill is not None and data is None:
        raise ArgumentError(f"predict: expected DATA beside --fill, got --fill {fill} alone; name a table")
    use_threads(threads)
    from throughtime.tasks import Forecaster

    forecaster = Forecaster.load(model)
    series = forecaster.series_ if data is None else read_for(forecaster, data, fill=fill)
    given["future"] = _future(forecaster, data, future_data)
    chosen = {name: value for name, value in given.items() if value is not None}
    if holidays is not None:
        from throughtime.data import read_holidays

        chosen["holidays"] = read_holidays(holidays)
    frame = _typed(forecaster.predict(None if data is None else series, **chosen), series)
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


def _future(forecaster: "Forecaster", data: Path | None, future_data: Path | None) -> Any:
    """The table of what is known for the steps to forecast; None where nothing needs to be."""
    known = forecaster.series_.covariates
    if known is None or not known.future_names:
        if future_data is not None:
            raise ArgumentError(
                f"predict: expected no --future-data for a model that knows nothing of the future, got {future_data}; "
                "leave it out"
            )
        return None
    path = data if future_data is None else future_data
    if path is None:
        return None
    from throughtime.data import read_table

    return read_table(path).frame


def _typed(frame: "pl.DataFrame", series: "SeriesSet") -> "pl.DataFrame":
    """Whole numbers of time as numbers: a CSV file is read as text, and text comes back."""
    import polars as pl

    return frame.cast({series.time_col: pl.Int64}) if series.frequency.is_integer else frame


def _rows(frame: "pl.DataFrame") -> list[list[str]]:
    shown = frame.head(_ROWS_SHOWN)
    return [[str(name), str(time), *(f"{value:.6g}" for value in values)] for name, time, *values in shown.iter_rows()]


def _draw(forecaster: "Forecaster", series: "SeriesSet", frame: "pl.DataFrame", path: Path) -> None:
    from throughtime.cli.panels import draw_forecasts, future_panels
    from throughtime.cli.reports import split_forecast

    forecasts, bands = split_forecast(frame, len(series))
    steps = next(iter(forecasts.values())).shape[1]
    panels, note = future_panels(series, forecasts, bands)
    draw_forecasts(path, forecaster, series, panels, about=f"the next {steps} steps", note=note)
