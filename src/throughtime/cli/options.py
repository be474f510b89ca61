"""Options that several commands share, and what they mean for the data that is read."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.data import SeriesSet

__all__ = [
    "CELLS",
    "AsJson",
    "Data",
    "Fill",
    "Freq",
    "Holidays",
    "IdColumn",
    "Levels",
    "Model",
    "Plot",
    "Quiet",
    "Report",
    "SeasonLength",
    "TargetColumn",
    "Threads",
    "TimeColumn",
    "help_of",
    "numbers_of",
    "read_data",
    "read_for",
    "use_threads",
]

# Written out, since `throughtime.nn` would load torch for a help text; a test compares.
CELLS = (
    "rnn, gru, gru-reset-before, lstm, peephole-lstm, previous-peephole-lstm, layer-norm-rnn, layer-norm-gru, "
    "layer-norm-lstm"
)

_COLUMNS = "What the columns of the file are"
_FORECAST = "The forecast"
_OUTPUT = "Output"
_MACHINE = "Machine"

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A table with a row for each series and time: .csv, .csv.gz or .parquet.",
        show_default=False,
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder that train has written.", show_default=False)
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that says which series a row belongs to; not needed where there is one series.",
        show_default="unique_id",
        rich_help_panel=_COLUMNS,
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the time: dates (2020-03-31) or whole numbers.", show_default="ds", rich_help_panel=_COLUMNS
    ),
]
TargetColumn = Annotated[
    str | None,
    typer.Option(help="Column of the value to forecast.", show_default="y", rich_help_panel=_COLUMNS),
]
Freq = Annotated[
    str | None,
    typer.Option(
        help="The step between two rows: 15min, h, D, B, W, MS, QS, YS or a whole number.",
        show_default="found from the data",
        rich_help_panel=_COLUMNS,
    ),
]
SeasonLength = Annotated[
    int | None,
    typer.Option(
        help="Steps after which the pattern repeats: 12 for months in a year.",
        show_default="that of the frequency",
        rich_help_panel=_COLUMNS,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(metavar="FILE.png", help="Draw a picture of it.", show_default=False, rich_help_panel=_OUTPUT),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON in place of a table.", rich_help_panel=_OUTPUT, show_default=False)
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Print nothing but errors.", rich_help_panel=_OUTPUT, show_default=False),
]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads to compute with.", show_default="as torch decides", rich_help_panel=_MACHINE),
]

Fill = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="Fill what is missing by linear, last, zero, mean or median, in place of leaving it out.",
        show_default="left out",
        rich_help_panel=_COLUMNS,
    ),
]
Holidays = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Table with a column ds of dates and, where there are several kinds, a column holiday of their names: "
        ".csv, .csv.gz or .parquet.",
        show_default="those of the training",
        rich_help_panel=_FORECAST,
    ),
]
Levels = Annotated[
    str | None,
    typer.Option(
        metavar="PERCENT,...",
        help="Intervals that are to hold so many of 100 values: 80,95.",
        show_default=False,
        rich_help_panel=_FORECAST,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html", help="Write all about it on one page.", show_default=False, rich_help_panel=_OUTPUT
    ),
]


def help_of(command: Callable[..., None]) -> str:
    """A command's docstring with its paragraphs unwrapped, so that they fill any terminal."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


MOST_THREADS = 1024  # OpenMP runtimes crash when they are asked for many more


def use_threads(threads: int | None) -> None:
    """Set torch's thread count, for this process.

    Raises:
        ArgumentError: fewer than one thread, or more than `MOST_THREADS`.
    """
    if threads is None:
        return
    if not 1 <= threads <= MOST_THREADS:
        raise ArgumentError(
            f"--threads: expected 1 to {MOST_THREADS}, got {threads}; leave it out for torch's own choice"
        )
    import torch

    torch.set_num_threads(threads)


def read_data(path: Path, *, fill: str | None = None, missing: str = "keep", **columns: Any) -> "SeriesSet":
    """Read a file with its gaps, or with these filled; messages name the file and the line.

    Args:
        missing, columns: of `throughtime.data.read_series_file`: which gaps, and what the columns are.

    Raises:
        DataError, ArgumentError: as `throughtime.data.read_series_file` and `fill_missing`.
    """
    from throughtime.data import fill_missing, read_series_file

    series = read_series_file(path, missing=missing, **columns)
    return series if fill is None else fill_missing(series, fill)


def read_for(forecaster: Any, path: Path, *, fill: str | None = None, missing: str = "keep") -> "SeriesSet":
    """Read a file as a fitted forecaster expects it: its column names, its frequency, its labels.

    Raises:
        DataError: as `read_data`.
    """
    known = forecaster.series_.covariates
    return read_data(
        path,
        fill=fill,
        missing=missing,
        id_col=forecaster.id_col,
        time_col=forecaster.time_col,
        target_col=forecaster.target_col,
        freq=forecaster.frequency_,
        **({} if known is None else {"fitted": known}),
    )


def numbers_of(text: str, option: str, *, low: float, high: float) -> tuple[float, ...]:
    """Numbers between commas, each between two bounds.

    Raises:
        ArgumentError: none, one that is no number, one twice, or one that is not above `low` and below `high`.

    >>> numbers_of("80, 95", "--levels", low=0, high=100)
    (80.0, 95.0)
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    for value in found:
        if not low < value < high:
            raise ArgumentError(
                f"{option}: expected numbers above {low:g} and below {high:g}, got {value:g}; give such"
            )
    if not found or len({*found}) < len(found):
        raise ArgumentError(
            f"{option}: expected numbers, each once, with commas between, got {text!r}; write them as "
            f"{(low + 0.8 * (high - low)):g},{(low + 0.9 * (high - low)):g}"
        )
    return found
