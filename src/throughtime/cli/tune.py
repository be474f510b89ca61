"""`throughtime tune TASK DATA --out MODEL`: better options than the default ones, within a time."""

import shlex
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.forecaster_options import COLUMNS, makes_forecaster
from throughtime.cli.options import AsJson, Data, Quiet, Threads, help_of, read_data, use_threads
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.tasks import ForecastSearch, Trial, Tuning

__all__ = ["tune"]

_TEST = "What decides"
_INTERRUPTED = 130
_ROWS_SHOWN = 12
_FILLS = ("last", "zero")

tune = typer.Typer(
    help="Try options on a table, within a time, and save the model with the best.", rich_markup_mode="rich"
)


@tune.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@makes_forecaster()
def forecast(
    context: typer.Context,
    data: Data,
    horizon: Annotated[int, typer.Option(help="How many steps ahead to forecast.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Folder to save the best model in.", show_default=False)],
    options: dict[str, Any],
    trials: Annotated[int, typer.Option(help="Sets of options to try, the default among them.")] = 30,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Minutes for all of it, the last training among it.", show_default="as long as it takes"),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to keep every trial in; the same command goes on where it was interrupted.",
            show_default="nothing is kept",
        ),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            help="How many times to forecast the end of each series, from different origins.",
            show_default="1 to 6, two thirds of the shortest series left to learn from",
            rich_help_panel=_TEST,
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Steps from one origin to the next.", show_default="the horizon", rich_help_panel=_TEST),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Fill what is missing by last or zero, in place of leaving it out.",
            show_default="left out",
            rich_help_panel="What the columns of the file are",
        ),
    ] = None,
    as_json: AsJson = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Try sets of options for a forecaster, and save the one that forecasts best, trained on all the data.

    The end of each series is held out: forecasts of it decide between options, and its very end, which decides
    nothing, tells what the choice is worth. Trial 0 is the default, untouched. Options that are given stay as they
    are. A trial that lags behind after a quarter of its training is ended; none is begun that the time does not hold.

    Ctrl-C ends it (exit status 130). With --study DIR the same command then goes on, and nothing that had ended is
    trained again; more --trials or --max-minutes go on from there, too.

    [bold]throughtime tune forecast sales.csv --horizon 12 --out model --max-minutes 30 --study tuning[/bold]
    """
    from throughtime.data import check_model_target

    check_model_target(out)
    if max_minutes is not None and not 0.0 < max_minutes < float("inf"):
        raise ArgumentError(f"tune: expected --max-minutes above 0, got {max_minutes:g}; give more time")
    if trials < 1:
        raise ArgumentError(f"tune: expected --trials of 1 or more, got {trials}; give 20 or so")
    if fill is not None and fill not in _FILLS:
        raise ArgumentError(
            f"tune: expected --fill to be {' or '.join(_FILLS)}, which do not look past the origins that decide, got "
            f"{fill!r}; pass one of these, or leave gaps to the net"
        )
    from throughtime._extras import require

    require("optuna", extra="tune")
    use_threads(threads)
    from throughtime.cli.progress import progress
    from throughtime.tasks import ForecastSearch
    from throughtime.tasks import tune as tune_options

    series = read_data(data, fill=fill, **{name: options[name] for name in COLUMNS if name in options})
    search = ForecastSearch(series, horizon, n_windows=windows, step_size=step, **options)

    def listen(label: str) -> AbstractContextManager[Any]:
        return progress(label, quiet=quiet)

    try:
        found = tune_options(
            search,
            trials=trials,
            seconds=None if max_minutes is None else 60 * max_minutes,
            seed=options.get("seed", 0),
            folder=study,
            listen=listen,
        )
        best = search.forecaster(found.best.options)
        with listen(f"trial {found.best.number}, on all the data") as callbacks:
            best.fit(series, callbacks=callbacks, max_seconds=found.refit_seconds)
        if best.history_.stopped == "interrupted":
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        kept = "nothing was kept; --study DIR keeps what has ended"
        if study is not None:
            ended = len([*study.glob("trials/*.json")])
            kept = f"{ended} trial{'s' * (ended != 1)} of {trials} are in {study}; the same command goes on"
        typer.echo(f"throughtime: interrupted; {kept}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    best.origin_["command"] = shlex.join(["throughtime", *context.obj])
    best.origin_["tuning"] = found.sentence
    best.save(out)
    _tell(found, search, out, as_json=as_json, quiet=quiet)


tune.command("forecast", help=help_of(forecast))(forecast)


def _tell(found: "Tuning", search: "ForecastSearch", out: Path, *, as_json: bool, quiet: bool) -> None:
    from throughtime.cli.results import print_json, print_table

    if as_json:
        print_json(found.as_dict())
        return
    if quiet:
        return
    ranked = sorted((trial for trial in found.trials if trial.state == "done"), key=lambda trial: trial.error)
    shown = [trial for i, trial in enumerate(ranked) if i < _ROWS_SHOWN or trial is found.default]
    later = any(trial.later for trial in found.trials)
    columns = ["trial", found.metric, *(["behind"] if later else []), "seconds", "params"]
    print_table(columns, [_row(trial, found, later=later) for trial in shown], title=search.origins)
    if len(shown) < len(found.trials):
        typer.echo(f"{len(shown)} of {len(found.trials)} trials; --json has all of them.")
    best, default = found.best, found.default
    rows = [[name, _text(default.values[name]), _text(best.values[name])] for name in found.space]
    if best is not default:
        print_table(["option", "default", f"trial {best.number}"], rows)
    if later:
        typer.echo("behind: the same error on the last steps, by which no trial was chosen.")
    typer.echo(found.sentence)
    if found.ended == "time":
        typer.echo("The time ended it; with --study DIR and more --max-minutes the same command goes on.")
    typer.echo(f"\nSaved {out}. Forecast with:\n\n  throughtime predict {shlex.quote(str(out))}")


def _row(trial: "Trial", found: "Tuning", *, later: bool) -> list[str]:
    name = f"{trial.number} (the default)" if trial is found.default else str(trial.number)
    behind = [f"{trial.later['model']:#.4g}" if trial.later else "–"] if later else []
    star = "*" if trial is found.best else " "
    return [name, f"{trial.error:#.4g}{star}", *behind, f"{trial.seconds:.3g}", f"{trial.parameters:,}"]


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
