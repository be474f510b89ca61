"""The folder of a training: its checkpoints and its log. Everything that a training writes, it writes here.

RUN/log.jsonl      one JSON object a line: start, steps, epochs, checkpoints, warnings, end
RUN/step-.../      checkpoints
"""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.training.checkpoints import (
    Checkpoint,
    checkpoint_name,
    checkpoint_paths,
    clear_leftovers,
    read_last_checkpoint,
    write_checkpoint,
)

_LOG = "log.jsonl"
_logger = logging.getLogger("throughtime.training")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Where a training keeps its checkpoints and its log, and whether it goes on with one.

    Args:
        path: made if it is not there; its parent must be.
        resume: go on from the last checkpoint in it, or start where there is none: the same call works for the first
            run and for every restart. False refuses a folder that has checkpoints or a log.
        every_steps: a checkpoint after so many steps; None: not by steps.
        every_minutes: a checkpoint where so many minutes have passed since the last; None: not by time.
        log_every: steps from one step in the log to the next.
        about: what the caller wants compared on resuming, such as the options of a task: JSON values by name.

    Raises:
        ArgumentError: a number that is not positive.
        ArgumentTypeError: a value of a wrong type.
    """

    path: str | os.PathLike[str]
    resume: bool = False
    every_steps: int | None = None
    every_minutes: float | None = 10.0
    log_every: int = 10
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise ArgumentTypeError(f"RunFolder: expected path to be a path, got {self.path!r}; give the folder's")
        for name, kind, optional in (
            ("every_steps", Integral, True),
            ("every_minutes", Real, True),
            ("log_every", Integral, False),
        ):
            value = getattr(self, name)
            if value is None and optional:
                continue
            if isinstance(value, bool) or not isinstance(value, kind):
                raise ArgumentTypeError(f"RunFolder: expected {name} to be a number, got {value!r}; give a number")
            if not 0 < float(value) < math.inf:
                raise ArgumentError(f"RunFolder: expected {name} above 0 and finite, got {value}; give such a number")


class RunWriter:
    """An open `RunFolder`. Once it is open, a write that fails is said and survived: the training goes on."""

    def __init__(self, options: RunFolder) -> None:
        self.options = options
        self.folder = Path(options.path)
        self._open_folder()
        clear_leftovers(self.folder)
        self.last_step = 0
        self.last_time = time.perf_counter()
        self.stream: IO[bytes] | None = None

    def _open_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(
                f"{self.folder}: expected a folder to write checkpoints in, got {reason}; give another path"
            ) from error

    def last_checkpoint(self) -> Checkpoint | None:
        """What to go on from; None to begin.

        Raises:
            DataError: checkpoints or a log are there and `resume` is False, or no checkpoint can be used.
        """
        paths = checkpoint_paths(self.folder)
        log = self.folder / _LOG
        there = [path.name for path in paths[-1:]] or [_LOG] * (log.is_file() and log.stat().st_size > 0)
        if there and not self.options.resume:
            raise DataError(
                f"{self.folder}: expected a folder without a training, got {there[0]} in it; "
                "give resume=True (--resume) to go on from it, or another folder"
            )
        return read_last_checkpoint(self.folder)

    def begin(self, step: int, log_bytes: int) -> None:
        """Open the log after so many bytes: what a killed process wrote after its last checkpoint happens again."""
        self.last_step = step
        try:
            self.stream = (self.folder / _LOG).open("ab")
            if self.stream.tell() > log_bytes:
                self.stream.truncate(log_bytes)
        except OSError as error:
            self._say_log_failed(error)

    def due(self, step: int) -> bool:
        """Whether a checkpoint is to be written after this step."""
        every, minutes = self.options.every_steps, self.options.every_minutes
        if every is not None and step - self.last_step >= every:
            return True
        return minutes is not None and time.perf_counter() - self.last_time >= 60.0 * minutes

    def save(self, step: int, tensors: Mapping[str, Tensor], fields: Mapping[str, Any], *, ended: bool = False) -> None:
        """Write a checkpoint; where that fails the one before stays, and a warning says why."""
        name = checkpoint_name(step, ended=ended)
        self.last_step, self.last_time = step, time.perf_counter()
        self.log("checkpoint", name=name, step=step)
        try:
            write_checkpoint(self.folder, name, tensors, {**fields, "log_bytes": self._log_bytes()})
        except OSError as error:
            left = checkpoint_paths(self.folder)
            kept = f"{left[-1].name} stays the last one" if left else "there is none yet"
            message = f"no checkpoint at step {step}: {error.strerror} in {self.folder}; {kept}"
            _logger.warning("train: %s", message)
            self.log("warning", message=message)

    def log(self, event: str, **values: Any) -> None:
        """Write a line; numbers that are not finite become text, which JSON can hold."""
        if self.stream is None:
            return
        plain = {name: _plain(value) for name, value in values.items()}
        try:
            self.stream.write(json.dumps({"event": event, **plain}).encode() + b"\n")
        except OSError as error:
            self._say_log_failed(error)

    def _log_bytes(self) -> int:
        if self.stream is None:
            return 0
        try:
            self.stream.flush()
            return self.stream.tell()
        except OSError as error:
            self._say_log_failed(error)
            return 0

    def _say_log_failed(self, error: OSError) -> None:
        _logger.warning("train: the log %s ends here: %s", self.folder / _LOG, error.strerror)
        stream, self.stream = self.stream, None
        if stream is not None:
            _close_quietly(stream)

    def close(self) -> None:
        """Write out the log."""
        stream, self.stream = self.stream, None
        if stream is not None:
            _close_quietly(stream)


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError as error:
        _logger.warning("train: the end of the log was not written: %s", error.strerror)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
