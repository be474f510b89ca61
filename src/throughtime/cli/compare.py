"""`throughtime compare TASK DATA`: which cell is better on these data, in the same time."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.forecaster_options import COLUMNS, makes_forecaster
from throughtime.cli.options import CELLS, AsJson, Data, Plot, Quiet, Threads, help_of, read_data, use_threads
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.tasks import Comparison, ForecastContest

__all__ = ["compare"]

_TEST = "The test"
_PLOT = "comparison.png"
_INTERRUPTED = 130
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_COLUMNS = ("MASE", "sMAPE")  # what fits into 80 columns; --json has all

compare = typer.Typer(
    help="Train several cells on a table, each for the same time, and set them side by side.", rich_markup_mode="rich"
)


@compare.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@makes_forecaster(but=("cell", "epochs", "seed"))
def forecast(
    data: Data,
    horizon: Annotated[int, typer.Option(help="How many steps ahead to forecast.", show_default=False)],
    options: dict[str, Any],
    cells: Annotated[
        str,
        typer.Option(
            help=f"Two or more of {CELLS}.",
        ),
    ] = "rnn,gru,lstm,peephole-lstm",
    budget: Annotated[
        str, typer.Option(help="Time to train in, over all runs together: 90s, 10m, 1h30m.", metavar="TIME")
    ] = "10m",
    seeds: Annotated[int, typer.Option(help="Runs of each cell, from seeds 0, 1, 2, ...")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to keep every run in, and a picture; the same command goes on where it was interrupted.",
            show_default="nothing is kept",
        ),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            help="How many times to forecast the end of each series, from different origins.",
            show_default="1 to 5, two thirds of the shortest series left to learn from",
            rich_help_panel=_TEST,
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Steps from one origin to the next.", show_default="the horizon", rich_help_panel=_TEST),
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Compare cells as forecasters: the same data, options, seeds and seconds for each.

    The end of every series is held out and forecast by every model, beside simple forecasts. The budget is the time of
    all training together; it is split equally over cells and seeds, and evaluation is not counted.

    Ctrl-C ends it (exit status 130). With --out DIR the same command then goes on, and nothing that had ended is
    trained again; another question is refused in that folder.

    [bold]throughtime compare forecast sales.csv --cells rnn,gru,lstm --budget 10m --seeds 3 --horizon 12 --out
    gru-or-lstm[/bold]
    """
    total = _seconds(budget)
    named = [name.strip() for name in cells.split(",") if name.strip()]
    if seeds < 1:
        raise ArgumentError(f"compare: expected --seeds of 1 or more, got {seeds}; give 3 to see how far they differ")
    if plot is not None:
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    if out is not None:
        from throughtime._extras import require

        require("matplotlib", extra="plots")
    use_threads(threads)
    from throughtime.cli.progress import progress
    from throughtime.tasks import ForecastContest
    from throughtime.tasks import compare as compare_cells

    series = read_data(data, **{name: options[name] for name in COLUMNS if name in options})
    contest = ForecastContest(series, horizon, n_windows=windows, step_size=step, **options)

    def listen(label: str) -> AbstractContextManager[Any]:
        return progress(label, quiet=quiet)

    try:
        found = compare_cells(contest, named, seeds=range(seeds), budget=total, folder=out, listen=listen)
    except KeyboardInterrupt:
        kept = "nothing was kept; --out DIR keeps what has ended"
        if out is not None:
            kept = (
                f"{len([*out.glob('runs/*.json')])} of {len(named) * seeds} runs are in {out}; the same command goes on"
            )
        typer.echo(f"throughtime: interrupted; {kept}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    pictures = [path for path in (plot, None if out is None else out / _PLOT) if path is not None]
    drawn = bool(found.ranking)
    if drawn:
        for path in pictures:
            _draw(path, found, contest)
    _tell(found, contest, as_json=as_json, quiet=quiet, pictures=pictures if drawn else [])


compare.command("forecast", help=help_of(forecast))(forecast)


def _seconds(text: str) -> float:
    """90s, 10m, 1h30m as seconds.

    Raises:
        ArgumentError: anything else, and no time at all.
    """
    number = r"[0-9]+(?:\.[0-9]+)?"
    if re.fullmatch(rf"({number}h)?({number}m)?({number}s)?", text):
        seconds = sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(rf"({number})([hms])", text))
        if seconds > 0:
            return seconds
    raise ArgumentError(f"compare: expected --budget as 90s, 10m or 1h30m, got {text!r}; give a time above 0")


def _tell(found: "Comparison", contest: "ForecastContest", *, as_json: bool, quiet: bool, pictures: list[Path]) -> None:
    from throughtime.cli.results import print_json, print_table

    if as_json:
        print_json(found.as_dict())
        return
    if quiet:
        return
    metrics = [found.decisive, *(name for name in _COLUMNS if name != found.decisive)] if found.decisive else []
    print_table(
        ["cell", *metrics[:1], "spread", *metrics[1:], "seconds", "params", "memory"],
        _rows(found, metrics),
        title=contest.origins,
        sections=[len(found.cells) - 1],
    )
    typer.echo(
        f"Every run had {_time(found.seconds)}: {_time(found.budget)} split over {len(found.cells)} cells and "
        f"{len(found.question['seeds'])} seeds, less a short trial of each cell.\n"
        "* the least error. Figures are means over seeds; spread: their standard deviation.\n"
        "memory: the steps that a gradient reaches back, of those that a forecast sees.\n"
    )
    for line in (found.sentence, *found.notes):
        typer.echo(line)
    for path in pictures:
        typer.echo(f"Wrote {path}.")


def _rows(found: "Comparison", metrics: list[str]) -> list[list[str]]:
    from throughtime.cli.results import metric_rows

    rows = found.rows
    errors = {cell: dict(row.errors) for cell, row in rows.items()} | found.baselines
    shown = {name: cells for name, *cells in metric_rows(errors, metrics)}
    listed = []
    for cell in found.cells:
        if cell not in rows:
            listed.append([cell, "no result", *[""] * (len(metrics) + 3)])
            continue
        row = rows[cell]
        first, *others = shown[cell]
        spread = "–" if row.seeds < 2 else f"{row.spread:.2g}"
        memory = "–" if row.memory is None else f"{row.memory:.0f}/{row.memory_limit}"
        listed.append([cell, first, spread, *others, f"{row.seconds:.3g}", str(row.parameters), memory])
    for name in found.baselines:
        first, *others = shown[name]
        listed.append([name, first, "", *others, "", "", ""])
    return listed


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _draw(path: Path, found: "Comparison", contest: "ForecastContest") -> None:
    from throughtime.report import comparison_plot

    metric, rows = found.decisive, found.rows
    errors = {cell: [run.errors[metric] for run in found.finished if run.cell == cell] for cell in found.cells}
    costs = {
        "seconds": {cell: row.seconds for cell, row in rows.items()},
        "parameters": {cell: float(row.parameters) for cell, row in rows.items()},
        "memory, steps": {cell: row.memory for cell, row in rows.items() if row.memory is not None},
    }
    comparison_plot(
        path,
        errors,
        costs,
        baselines={name: row[metric] for name, row in found.baselines.items()},
        error_label=metric,
        title=f"{contest.origins}, {_time(found.seconds)} of training each",
        note="A dot a seed, a stroke at their mean.",
    )
