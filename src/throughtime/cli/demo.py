"""`throughtime demo [TASK]`: what each task does, on small data that the project ships or makes."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.options import Quiet
from throughtime.errors import ArgumentError

__all__ = ["demo"]

_TASKS = ("forecast", "language", "tag", "classify", "compose", "recognize", "transcribe", "translate")


def demo(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="What to show: forecast, language, tag, classify, compose, recognize, transcribe or translate.",
        ),
    ] = "forecast",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the picture, the model and the data.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; more do not pay for nets this small.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train three forecasters on two real series and set them beside simple forecasts.

    Takes a minute or two. Leaves a picture, a model folder and the data that the model continues. demo language trains
    a model that writes weather reports; demo tag one that finds names in sentences;
    demo classify one that gives stars to reviews; demo recognize one that sees how things
    move; demo translate one that translates French sentences;
    demo transcribe one that writes down what made-up voices say; demo compose one that writes tunes, to see and to
    hear.
    """
    if task not in _TASKS:
        known = f"{', '.join(_TASKS[:-1])} or {_TASKS[-1]}"
        raise ArgumentError(f"demo: expected the task {known}, got {task!r}; name one of these")
    # Each in a file of its own, which loads what it needs.
    importlib.import_module(f"throughtime.cli.{task}_demo").show(out, seed, threads, quiet)
