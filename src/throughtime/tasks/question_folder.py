"""A folder that answers one question piece by piece: what has ended is kept as JSON, and nothing is made twice."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from throughtime._atomic import replacing
from throughtime.errors import DataError

_QUESTION = "question.json"


class QuestionFolder:
    """An open folder: DIR/question.json says what is asked, and a subclass says what stands beside it.

    Raises:
        DataError: it cannot be made or written, holds something else, or was begun for another question; the message
            lists what differs.
    """

    what: ClassVar[str]
    """What is kept, in words."""
    again: ClassVar[str]
    """What to do once the disk has room again, in words."""
    parts: ClassVar[tuple[str, ...]]
    """Folders inside it."""

    def __init__(self, path: str | os.PathLike[str], question: Mapping[str, Any]) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(exist_ok=True)
            begun = (self.path / _QUESTION).exists()
            others = [] if begun else sorted(entry.name for entry in self.path.iterdir())
            if others:
                raise DataError(
                    f"{self.path}: expected a new folder or one of a {self.what}, got one with {others[0]} in it; "
                    "give another path"
                )
            for name in self.parts:
                (self.path / name).mkdir(exist_ok=True)
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(
                f"{self.path}: expected a folder to keep a {self.what} in, got {reason}; give another path"
            ) from error
        if begun:
            self._check(json.loads(json.dumps(question)))
        else:
            self.write(self.path / _QUESTION, question)

    def _check(self, now: Mapping[str, Any]) -> None:
        kept = self.read(self.path / _QUESTION)
        names = [*kept, *(name for name in now if name not in kept)]
        differences = [
            f"{name} was {_shown(kept, name)}, is {_shown(now, name)}"
            for name in names
            if _shown(kept, name) != _shown(now, name)
        ]
        if differences:
            raise DataError(
                f"{self.path}: expected the {self.what} that was begun there, got another: {'; '.join(differences)}; "
                "ask the same, or give another folder"
            )

    def write(self, path: Path, fields: Mapping[str, Any]) -> None:
        """Write one file, whole or not at all; a number that is not finite becomes null."""
        try:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(_plain(fields), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"{path}: expected a file that can be written, got {error.strerror}; make room, then {self.again} "
                "again: what has ended is kept"
            ) from error

    def read(self, path: Path) -> dict[str, Any]:
        """What one file holds."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self.damaged(path, error) from error
        if not isinstance(found, dict):
            raise self.damaged(path, f"a {type(found).__name__}")
        return found

    def damaged(self, path: Path, got: object) -> DataError:
        """The error for a file that was not written here."""
        return DataError(
            f"{path}: expected a file that a {self.what} has written, got {got}; delete it, and it is made again"
        )


def numbers(fields: Mapping[str, Any]) -> dict[str, float]:
    """Figures as they were before they were written: null is NaN again."""
    return {name: math.nan if value is None else float(value) for name, value in fields.items()}


def _shown(fields: Mapping[str, Any], name: str) -> str:
    return json.dumps(fields[name]) if name in fields else "not there"


def _plain(value: Any) -> Any:
    """Numbers that are not finite as null, which JSON can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
