"""`throughtime update MODEL DATA`: what was observed since, without training again."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.options import Data, Fill, Holidays, Model, Quiet, read_for

__all__ = ["update"]


def update(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Folder to save the model in.", show_default="MODEL itself"),
    ] = None,
    holidays: Holidays = None,
    fill: Fill = None,
    quiet: Quiet = False,
) -> None:
    """Take in what was observed since, without training again: forecasts then go on from there.

    DATA has newer rows of the series, or rows of new ones, with the columns of the training data. Where a time is known
    already, the newer value counts. Steps without a row are missing values; where the model knows columns of the
    future, these need a row, too, its value empty.

    [bold]throughtime update model july.csv[/bold]
    """
    from throughtime.data import check_model_target

    target = model if out is None else out
    if out is not None:
        check_model_target(out)
    from throughtime.data.times.clock import format_time
    from throughtime.tasks import Forecaster

    forecaster = Forecaster.load(model)
    newer = read_for(forecaster, data, fill=fill, missing="keep-all" if fill is None else "keep")
    before = {str(name) for name in forecaster.series_.ids}
    named = None
    if holidays is not None:
        from throughtime.data import read_holidays

        named = read_holidays(holidays)
    forecaster.update(newer, holidays=named)
    forecaster.save(target)
    if quiet:
        return
    series = forecaster.series_
    names = [str(name) for name in newer.ids]
    new = sum(name not in before for name in names)
    last = format_time(series.flat_times.max(), series.frequency.time_zone)
    typer.echo(
        f"{len(newer.flat_values)} values of {len(names)} series taken in ({new} of them new); the last is of {last}. "
        f"Saved {target}. Forecast with:\n\n  throughtime predict {shlex.quote(str(target))}"
    )
