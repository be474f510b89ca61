"""Commands whose options depend on the task of the model that they are given.

`predict MODEL` and `evaluate MODEL` take what the task of MODEL needs: the task is read from MODEL/model.json. A model
of another task, or no model at all, is left to the command for forecasts, which says what it expects.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from throughtime.cli.classify import evaluate_classify, predict_classify
from throughtime.cli.compose import evaluate_compose, predict_compose
from throughtime.cli.language import evaluate_language, predict_language
from throughtime.cli.options import help_of
from throughtime.cli.recognize import evaluate_recognize, predict_recognize
from throughtime.cli.tag import evaluate_tag, predict_tag
from throughtime.cli.transcribe import evaluate_transcribe, predict_transcribe
from throughtime.cli.translate import evaluate_translate, predict_translate

__all__ = ["command_for"]

_COMMANDS: dict[tuple[str, str], Callable[..., None]] = {
    ("predict", "classify"): predict_classify,
    ("evaluate", "classify"): evaluate_classify,
    ("predict", "compose"): predict_compose,
    ("evaluate", "compose"): evaluate_compose,
    ("predict", "language"): predict_language,
    ("evaluate", "language"): evaluate_language,
    ("predict", "recognize"): predict_recognize,
    ("evaluate", "recognize"): evaluate_recognize,
    ("predict", "tag"): predict_tag,
    ("evaluate", "tag"): evaluate_tag,
    ("predict", "transcribe"): predict_transcribe,
    ("evaluate", "transcribe"): evaluate_transcribe,
    ("predict", "translate"): predict_translate,
    ("evaluate", "translate"): evaluate_translate,
}
_MOST_BYTES = 256 * 2**20  # of a model.json, as throughtime.data.model_folder has it


def command_for(name: str | None, words: Sequence[str]) -> Any:
    """The command of this name for the model among the words, as click has it; None: the one that every task has."""
    if name not in {command for command, _ in _COMMANDS}:
        return None
    found = _COMMANDS.get((str(name), _task_of(words)))
    if found is None:
        return None
    # An app with one command and no callback is that command.
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    app.command(name, help=help_of(found))(found)
    return typer.main.get_command(app)


def _task_of(words: Sequence[str]) -> str:
    """The task of the first model folder among the words; "" where there is none."""
    for word in words:
        try:
            file = Path(word) / "model.json"
            if file.is_file() and file.stat().st_size <= _MOST_BYTES:
                return str(json.loads(file.read_bytes()).get("task", ""))
        except (OSError, ValueError, RecursionError, AttributeError):
            continue
    return ""
