"""What makes a forecaster, said once for the commands that train one."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from throughtime.cli.options import CELLS, Freq, IdColumn, SeasonLength, TargetColumn, TimeColumn
from throughtime.cli.training import TRAINING
from throughtime.errors import ArgumentError

__all__ = ["COLUMNS", "COVARIATES", "OPTIONS", "Cell", "makes_forecaster", "names_of"]

_BESIDE = "What is known beside the values"
_MODEL = "The model"

Past = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN,...",
        help="Columns of numbers known up to the present, such as a temperature measured.",
        show_default=False,
        rich_help_panel=_BESIDE,
    ),
]
Future = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN,...",
        help="Columns of numbers known for the steps to forecast, too, such as a price or a promotion (0 or 1).",
        show_default=False,
        rich_help_panel=_BESIDE,
    ),
]
Static = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN,...",
        help="Columns with one value a series, numbers or labels, such as a region.",
        show_default=False,
        rich_help_panel=_BESIDE,
    ),
]
Calendar = Annotated[
    bool | None,
    typer.Option(
        "--calendar/--no-calendar",
        help="Read the calendar in the dates: hour, weekday, month.",
        show_default="calendar, as far as the data show its cycles twice",
        rich_help_panel=_BESIDE,
    ),
]
Holidays = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Table of holidays, past and to come: a column ds of dates and, where there are several kinds, a column "
        "holiday of their names.",
        show_default=False,
        rich_help_panel=_BESIDE,
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        help="recursive: one segment, fed back. direct: all steps from the last state. sequence: all at every time.",
        show_default="direct",
        rich_help_panel=_MODEL,
    ),
]
Cell = Annotated[
    str | None,
    typer.Option(
        help=f"{CELLS}.",
        show_default="gru",
        rich_help_panel=_MODEL,
    ),
]
HiddenSize = Annotated[
    int | None, typer.Option(help="Units in a layer.", show_default="from the data", rich_help_panel=_MODEL)
]
Layers = Annotated[
    int | None,
    typer.Option(help="Layers on top of one another.", show_default="from the data", rich_help_panel=_MODEL),
]
Dropout = Annotated[
    float | None,
    typer.Option(help="Share of numbers dropped while training.", show_default="from the data", rich_help_panel=_MODEL),
]
InputSize = Annotated[
    int | None,
    typer.Option(help="Steps of history that a forecast sees.", show_default="from the data", rich_help_panel=_MODEL),
]
SegmentSize = Annotated[
    int | None,
    typer.Option(help="Steps that the net reads at a time.", show_default="from the data", rich_help_panel=_MODEL),
]
Linear = Annotated[
    bool | None,
    typer.Option(
        "--linear/--no-linear",
        help="Put a linear map of the history beside the net.",
        show_default="no-linear",
        rich_help_panel=_MODEL,
    ),
]
Scaling = Annotated[
    str | None,
    typer.Option(
        help="How values are brought to one size: global, series, window, mean, none or auto.",
        show_default="auto",
        rich_help_panel=_MODEL,
    ),
]
Logarithms = Annotated[
    bool | None,
    typer.Option(
        "--logarithms/--no-logarithms",
        help="Read the logarithms of the values, whose seasons grow with them.",
        show_default="from the data",
        rich_help_panel=_MODEL,
    ),
]
Anchor = Annotated[
    str | None,
    typer.Option(
        help="The simple forecast that the net corrects: level, last, seasonal, smoothed or auto.",
        show_default="auto",
        rich_help_panel=_MODEL,
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        help="A forecast of one value by mse, mae or huber; of a distribution by quantiles, gaussian, student-t or "
        "negative-binomial (for counts); auto: huber for clean series, else mae.",
        show_default="auto",
        rich_help_panel=_MODEL,
    ),
]
SeriesEmbedding = Annotated[
    bool | None,
    typer.Option(
        "--series-embedding/--no-series-embedding",
        help="Tell the training series apart by name.",
        show_default="no-series-embedding",
        rich_help_panel=_MODEL,
    ),
]
Ensemble = Annotated[
    int | None,
    typer.Option(
        help="Nets that differ by their seeds, averaged: better and as many times slower.",
        show_default="1",
        rich_help_panel=_MODEL,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(help="Times to go through the data.", show_default="from the data", rich_help_panel=TRAINING),
]
Refit = Annotated[
    bool | None,
    typer.Option(
        "--refit/--no-refit",
        help="Train again with what validation held out, for as long as was best.",
        show_default="refit",
        rich_help_panel=TRAINING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Windows in one step.", show_default="from the data", rich_help_panel=TRAINING),
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="How far one step goes, at its peak.", show_default="from the data", rich_help_panel=TRAINING),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Stop after so many epochs without a better validation loss.",
        show_default="never early",
        rich_help_panel=TRAINING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="The same seed gives the same model, bit by bit.", show_default="0", rich_help_panel=TRAINING),
]

COVARIATES = ("past", "future", "static")
COLUMNS = ("id_col", "time_col", "target_col", "freq", *COVARIATES)
"""What must be known to read a file."""
OPTIONS: dict[str, Any] = {
    "id_col": IdColumn,
    "time_col": TimeColumn,
    "target_col": TargetColumn,
    "freq": Freq,
    "season_length": SeasonLength,
    "past": Past,
    "future": Future,
    "static": Static,
    "calendar": Calendar,
    "holidays": Holidays,
    "strategy": Strategy,
    "cell": Cell,
    "hidden_size": HiddenSize,
    "num_layers": Layers,
    "dropout": Dropout,
    "input_size": InputSize,
    "segment_size": SegmentSize,
    "linear": Linear,
    "scaling": Scaling,
    "logarithms": Logarithms,
    "anchor": Anchor,
    "loss": Loss,
    "series_embedding": SeriesEmbedding,
    "ensemble": Ensemble,
    "epochs": Epochs,
    "refit": Refit,
    "batch_size": BatchSize,
    "learning_rate": LearningRate,
    "patience": Patience,
    "seed": Seed,
}
"""The forecaster's own name to the option; --layers is its num_layers."""
_SPOKEN = {"num_layers": "layers"}


def makes_forecaster(*, but: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all options that make a forecaster, but those named, in the place of its parameter `options`.

    They arrive there as one dictionary by the forecaster's own names, those alone that were given; lists of columns as
    tuples, files of holidays as their dates.
    """
    named = {_SPOKEN.get(name, name): name for name in OPTIONS if name not in but}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name != "options":
                parameters.append(parameter)
                continue
            parameters += [
                inspect.Parameter(spoken, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=OPTIONS[name])
                for spoken, name in named.items()
            ]

        def run(**given: Any) -> None:
            found = {name: given.pop(spoken) for spoken, name in named.items()}
            chosen = {name: value for name, value in found.items() if value is not None}
            for name in COVARIATES:
                if name in chosen:
                    chosen[name] = names_of(chosen[name], f"--{name}")
            if "holidays" in chosen:
                from throughtime.data import read_holidays

                chosen["holidays"] = read_holidays(chosen["holidays"])
            command(**given, options=chosen)

        keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in keyword}
        return run

    return decorate


def names_of(text: str, option: str) -> tuple[str, ...]:
    """Names between commas.

    Raises:
        ArgumentError: none, or one twice.

    >>> names_of("price, promotion", "--future")
    ('price', 'promotion')
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len({*names}) < len(names):
        raise ArgumentError(
            f"{option}: expected names, each once, with commas between, got {text!r}; write them as price,rain"
        )
    return tuple(names)
