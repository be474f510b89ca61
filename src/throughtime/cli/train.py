"""`throughtime train TASK DATA --out MODEL`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.forecaster_options import COLUMNS, COVARIATES, makes_forecaster
from throughtime.cli.options import Data, Fill, Quiet, Report, Threads, help_of, read_data, run_options, use_threads

if TYPE_CHECKING:
    from throughtime.data import SeriesSet
    from throughtime.tasks import Forecaster
    from throughtime.training import TrainingResult

__all__ = ["draw_curve", "train"]

_TRAINING = "The training"
_RESTARTS = "Restarts and logs"
_INTERRUPTED = 130

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
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Folder to save the model in.", show_default=False)],
    options: dict[str, Any],
    fill: Fill = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table to validate on; each of its series brings the history that its forecasts start from.",
            show_default="the end of the data",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for checkpoints and a log, log.jsonl.",
            show_default=False,
            rich_help_panel=_RESTARTS,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint, to the same model bit by bit; begin where there is none.",
            show_default=False,
            rich_help_panel=_RESTARTS,
        ),
    ] = False,
    checkpoint_steps: Annotated[
        int | None,
        typer.Option(help="Steps between checkpoints.", show_default="by time alone", rich_help_panel=_RESTARTS),
    ] = None,
    checkpoint_minutes: Annotated[
        float | None,
        typer.Option(help="Minutes between checkpoints.", show_default="10", rich_help_panel=_RESTARTS),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write curves for TensorBoard.", show_default=False, rich_help_panel=_RESTARTS
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the loss by epoch.", show_default=False, rich_help_panel=_RESTARTS),
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
    from throughtime.data import check_model_target

    check_model_target(out)
    run = run_options(checkpoint, resume, checkpoint_steps, checkpoint_minutes)
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if report is not None:
        from throughtime.report import check_report_target

        check_report_target(report)
    use_threads(threads)
    columns = {name: options[name] for name in COLUMNS if name in options}
    series = read_data(data, fill=fill, **columns)
    later = None
    if validation is not None:
        columns = {name: value for name, value in columns.items() if name not in COVARIATES}
        later = read_data(validation, fill=fill, **{**columns, "freq": series.frequency, "fitted": series.covariates})

    from throughtime.cli.progress import progress
    from throughtime.tasks import Forecaster

    forecaster = Forecaster(horizon, **options)
    folder: dict[str, Any] = {}
    if run is not None:
        from throughtime.training import RunFolder

        folder["run"] = RunFolder(**run)
    from throughtime.training import joined

    with joined() as team, progress("training", quiet=quiet or not team.first) as callbacks:
        if tensorboard is not None and team.first:
            from throughtime.training import TensorBoardLog

            callbacks = (*callbacks, TensorBoardLog(tensorboard))
        forecaster.fit(series, later, callbacks=callbacks, **folder)
    if not team.first:  # of the processes that torchrun started, one writes and speaks
        return
    forecaster.origin_["command"] = shlex.join(["throughtime", *context.obj])
    interrupted = forecaster.history_.stopped == "interrupted"
    if interrupted and forecaster.history_.best_epoch is None:
        typer.echo("throughtime: interrupted before the first epoch ended; nothing was written", err=True)
        raise typer.Exit(_INTERRUPTED)
    forecaster.save(out)
    if plot is not None:
        draw_curve(plot, forecaster.history_)
    if report is not None:
        _report(report, forecaster, series, data.name)
    if not quiet:
        if forecaster.history_.resumed_at is not None:
            typer.echo(f"resumed     {checkpoint}, after step {forecaster.history_.resumed_at}")
        typer.echo(forecaster.summary())
        if report is not None:
            typer.echo(f"report      {report}")
        typer.echo(f"\nSaved {out}. Forecast the next {horizon} steps with:\n")
        typer.echo(f"  throughtime predict {shlex.quote(str(out))}")
    if interrupted:
        kept = f"epoch {forecaster.history_.best_epoch} of {forecaster.history_.history[-1].epoch}"
        typer.echo(f"throughtime: interrupted; the best model so far ({kept}) was saved in {out}", err=True)
        raise typer.Exit(_INTERRUPTED)


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
