"""`throughtime train TASK DATA --out MODEL`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.forecaster_options import COLUMNS, COVARIATES, makes_forecaster
from throughtime.cli.options import Data, Fill, Quiet, Report, Threads, help_of, read_data
from throughtime.cli.training import (
    RESTARTS,
    TRAINING,
    Checkpoint,
    CheckpointMinutes,
    CheckpointSteps,
    Out,
    Resume,
    TrainingJob,
)

if TYPE_CHECKING:
    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster
    from throughtime.training import TrainingResult

__all__ = ["draw_curve", "train"]


train = typer.Typer(help="Train a model on your data and save it as a folder.", rich_markup_mode="rich")


@train.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@makes_forecaster()
def forecast(
    context: typer.Context,
    data: Data,
    horizon: Annotated[int, typer.Option(help="How many steps ahead to forecast.", show_default=False)],
    out: Out,
    options: dict[str, Any],
    fill: Fill = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table to validate on; each of its series brings the history that its forecasts start from.",
            show_default="the end of the data",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    checkpoint_minutes: CheckpointMinutes = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write curves for TensorBoard.", show_default=False, rich_help_panel=RESTARTS),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the loss by epoch.", show_default=False, rich_help_panel=RESTARTS),
    ] = None,
    report: Report = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train a forecaster on one or many series.

    DATA has a row for each series and time: the name of the series, the time, and the value. Ctrl-C ends the training
    early and saves the best model so far (exit status 130). With --checkpoint DIR, Ctrl-C also writes a
    checkpoint; with --checkpoint DIR --resume, the same command goes on where a training that was stopped or killed
    had come to.

    [bold]throughtime train forecast sales.csv --horizon 12 --out model[/bold]
    """
    job = TrainingJob(
        context,
        out,
        checkpoint=checkpoint,
        resume=resume,
        checkpoint_steps=checkpoint_steps,
        checkpoint_minutes=checkpoint_minutes,
        threads=threads,
        quiet=quiet,
    )
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if report is not None:
        from throughtime.report import check_report_target

        check_report_target(report)
    columns = {name: options[name] for name in COLUMNS if name in options}
    series = read_data(data, fill=fill, **columns)
    later = None
    if validation is not None:
        columns = {name: value for name, value in columns.items() if name not in COVARIATES}
        later = read_data(validation, fill=fill, **{**columns, "freq": series.frequency, "fitted": series.covariates})

    from throughtime.cli.progress import progress
    from throughtime.tasks import Forecaster

    forecaster = Forecaster(horizon, **options)
    from throughtime.training import joined

    with joined() as team, progress("training", quiet=quiet or not team.first) as callbacks:
        if tensorboard is not None and team.first:
            from throughtime.training import TensorBoardLog

            callbacks = (*callbacks, TensorBoardLog(tensorboard))
        forecaster.fit(series, later, callbacks=callbacks, **job.limits)
    if not team.first:  # of the processes that torchrun started, one writes and speaks
        return

    def draw() -> list[str]:
        if plot is not None:
            draw_curve(plot, forecaster.history_)
        if report is None:
            return []
        _report(report, forecaster, series, data.name)
        return [f"report      {report}"]

    job.finish(forecaster, f"Forecast the next {horizon} steps with:", draw=draw)


train.command("forecast", help=help_of(forecast))(forecast)


def draw_curve(path: Path, result: "TrainingResult") -> None:
    """Draw the loss by epoch into a .png file."""
    from throughtime.report import learning_curve_plot

    epochs = result.history
    validation = [epoch.validation_loss for epoch in epochs if epoch.validation_loss is not None]
    learning_curve_plot(path, [epoch.train_loss for epoch in epochs], validation or None, best_epoch=result.best_epoch)


def _report(path: Path, forecaster: "Forecaster", series: "SeriesSet", name: str) -> None:
    """With forecasts of what comes next, where nothing has to be known of it; else of the end of the data."""
    from throughtime.cli.reports import levels_of, write_report

    levels = levels_of(forecaster)
    if series.covariates is not None and series.covariates.future_names:
        found = forecaster.evaluate(series, levels=levels)
        write_report(path, forecaster, series, about=name, found=found)
    else:
        write_report(path, forecaster, series, about=name, forecast=forecaster.predict(levels=levels))
