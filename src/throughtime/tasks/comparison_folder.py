"""The folder of a comparison: a file for each run that has ended, so that nothing is made twice.

DIR/question.json       what is compared; another question is refused
DIR/epochs/CELL.json    how many epochs fit into a run of the cell
DIR/runs/CELL-seedN.json
DIR/unfinished/         checkpoints of the run under way
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime._atomic import replacing
from throughtime.errors import DataError
from throughtime.tasks.comparison_records import Run
from throughtime.training import RunFolder

_QUESTION = "question.json"
_CHECKPOINT_MINUTES = 1.0


class ComparisonFolder:
    """An open folder.

    Raises:
        DataError: it cannot be made or written, holds something else, or was begun for another question; the message
            lists what differs.
    """

    def __init__(self, path: str | os.PathLike[str], question: Mapping[str, Any]) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(exist_ok=True)
            begun = (self.path / _QUESTION).exists()
            others = [] if begun else sorted(entry.name for entry in self.path.iterdir())
            if others:
                raise DataError(
                    f"{self.path}: expected a new folder or one of a comparison, got one with {others[0]} in it; "
                    "give another path"
                )
            for name in ("epochs", "runs", "unfinished"):
                (self.path / name).mkdir(exist_ok=True)
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(
                f"{self.path}: expected a folder to keep a comparison in, got {reason}; give another path"
            ) from error
        if begun:
            self._check(json.loads(json.dumps(question)))
        else:
            self._write(self.path / _QUESTION, question)

    def _check(self, now: Mapping[str, Any]) -> None:
        kept = self._read(self.path / _QUESTION)
        names = [*kept, *(name for name in now if name not in kept)]
        differences = [
            f"{name} was {_shown(kept, name)}, is {_shown(now, name)}"
            for name in names
            if _shown(kept, name) != _shown(now, name)
        ]
        if differences:
            raise DataError(
                f"{self.path}: expected the comparison that was begun there, got another: {'; '.join(differences)}; "
                "ask the same, or give another folder"
            )

    def read_run(self, cell: str, seed: int) -> Run | None:
        """A run that has ended, or None."""
        path = self._run_path(cell, seed)
        if not path.exists():
            return None
        fields = self._read(path)
        try:
            fields["errors"] = _numbers(fields["errors"])
            fields["baselines"] = {name: _numbers(row) for name, row in fields["baselines"].items()}
            run = Run(**fields)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise _damaged(path, error) from error
        if (run.cell, run.seed) != (cell, seed):
            raise _damaged(path, f"{run.cell} and seed {run.seed} inside it")
        shutil.rmtree(self._unfinished(cell, seed), ignore_errors=True)  # left by a kill just after the run was kept
        return run

    def keep_run(self, run: Run) -> None:
        """Write it, whole or not at all, and drop its checkpoints."""
        self._write(self._run_path(run.cell, run.seed), asdict(run))
        shutil.rmtree(self._unfinished(run.cell, run.seed), ignore_errors=True)

    def read_epochs(self, cell: str) -> int | None:
        """The planned epochs of a cell, or None."""
        path = self.path / "epochs" / f"{cell}.json"
        if not path.exists():
            return None
        epochs = self._read(path).get("epochs")
        if type(epochs) is not int or epochs < 1:
            raise _damaged(path, f"epochs {epochs!r}")
        return epochs

    def keep_epochs(self, cell: str, epochs: int) -> None:
        """So that all seeds of a cell, and a run that is gone on with, train for the same epochs."""
        self._write(self.path / "epochs" / f"{cell}.json", {"epochs": epochs})

    def checkpoints(self, cell: str, seed: int) -> RunFolder:
        """Where the training of a run goes on from."""
        return RunFolder(path=self._unfinished(cell, seed), resume=True, every_minutes=_CHECKPOINT_MINUTES)

    def _run_path(self, cell: str, seed: int) -> Path:
        return self.path / "runs" / f"{cell}-seed{seed}.json"

    def _unfinished(self, cell: str, seed: int) -> Path:
        return self.path / "unfinished" / f"{cell}-seed{seed}"

    def _write(self, path: Path, fields: Mapping[str, Any]) -> None:
        try:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(_plain(fields), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"{path}: expected a file that can be written, got {error.strerror}; make room, then compare again: "
                "what has ended is kept"
            ) from error

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _damaged(path, error) from error
        if not isinstance(found, dict):
            raise _damaged(path, f"a {type(found).__name__}")
        return found


def _damaged(path: Path, got: object) -> DataError:
    return DataError(
        f"{path}: expected a file that a comparison has written, got {got}; delete it, and it is made again"
    )


def _shown(fields: Mapping[str, Any], name: str) -> str:
    return json.dumps(fields[name]) if name in fields else "not there"


def _plain(value: Any) -> Any:
    """Numbers that are not finite as null, which JSON can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(fields: Mapping[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in fields.items()}
