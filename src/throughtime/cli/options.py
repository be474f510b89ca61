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
    "AsJson",
    "BatchSize",
    "Data",
    "Dropout",
    "Freq",
    "HiddenSize",
    "IdColumn",
    "InputSize",
    "Layers",
    "LearningRate",
    "Model",
    "Plot",
    "Quiet",
    "Scaling",
    "SeasonLength",
    "Strategy",
    "TargetColumn",
    "Threads",
    "TimeColumn",
    "help_of",
    "read_for",
    "use_threads",
]

_COLUMNS = "What the columns of the file are"
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

# What makes a forecaster, for the commands that train one.
_MODEL = "The model"
_TRAINING = "The training"
Strategy = Annotated[
    str | None,
    typer.Option(
        help="recursive: one step, fed back. direct: all steps from the last state. sequence: all at every time.",
        show_default="sequence",
        rich_help_panel=_MODEL,
    ),
]
HiddenSize = Annotated[int | None, typer.Option(help="Units in a layer.", show_default="64", rich_help_panel=_MODEL)]
Layers = Annotated[
    int | None, typer.Option(help="Layers on top of one another.", show_default="2", rich_help_panel=_MODEL)
]
Dropout = Annotated[
    float | None,
    typer.Option(
        help="Share of numbers dropped between layers while training.", show_default="0.0", rich_help_panel=_MODEL
    ),
]
InputSize = Annotated[
    int | None,
    typer.Option(
        help="Steps of history that a forecast sees.",
        show_default="5 horizons or 2 seasons, as far as the data reach",
        rich_help_panel=_MODEL,
    ),
]
Scaling = Annotated[
    str | None,
    typer.Option(
        help="How values are brought to one size: global, series, window, none or auto.",
        show_default="auto",
        rich_help_panel=_MODEL,
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Windows in one step.", show_default="32", rich_help_panel=_TRAINING)
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="How far one step goes, at its peak.", show_default="0.005", rich_help_panel=_TRAINING),
]


def help_of(command: Callable[..., None]) -> str:
    """A command's docstring with its paragraphs unwrapped, so that they fill any terminal."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def use_threads(threads: int | None) -> None:
    """Set torch's thread count, for this process.

    Raises:
        ArgumentError: fewer than one thread.
    """
    if threads is None:
        return
    if threads < 1:
        raise ArgumentError(f"--threads: expected 1 or more, got {threads}")
    import torch

    torch.set_num_threads(threads)


def read_for(forecaster: Any, path: Path) -> "SeriesSet":
    """Read a file as a fitted forecaster expects it: its column names and its frequency.

    Raises:
        DataError: as `throughtime.data.read_series_file`.
    """
    from throughtime.data import read_series_file

    return read_series_file(
        path,
        id_col=forecaster.id_col,
        time_col=forecaster.time_col,
        target_col=forecaster.target_col,
        freq=forecaster.frequency_,
    )
