"""The progress of a training: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from throughtime.training import Callback, EpochRecord, StepRecord, TrainingResult, TrainingStart

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LineProgress", "progress"]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(label: str, *, quiet: bool = False) -> Iterator["Sequence[Callback]"]:
    """Callbacks for one call of `fit`; the bar is put away at the end, however that comes.

    Progress goes to stderr, so that stdout holds results alone.

    Args:
        label: says what is trained, before the numbers.
        quiet: give no callback.
    """
    if quiet:
        yield ()
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield (LineProgress(label),)
        return
    bar = _BarProgress(label, console)
    try:
        yield (bar,)
    finally:
        bar.close()


class LineProgress(Callback):
    """Lines for logs: the first epoch, one every five seconds, and the end."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.epochs = 0
        self.began = time.monotonic()
        self.last_line = float("-inf")

    def on_start(self, start: TrainingStart) -> None:
        self.epochs = start.config.epochs
        self.began = time.monotonic()

    def on_step(self, record: StepRecord) -> None:
        return

    def on_epoch(self, record: EpochRecord) -> None:
        now = time.monotonic()
        if now - self.last_line < _SECONDS_BETWEEN_LINES:
            return
        self.last_line = now
        left = (now - self.began) / record.epoch * (self.epochs - record.epoch)
        validation = "" if record.validation_loss is None else f", validation {record.validation_loss:.4g}"
        print(
            f"{self.label.rstrip()}: epoch {record.epoch}/{self.epochs}, loss {record.train_loss:.4g}{validation}, "
            f"rate {record.learning_rate:.2g}, at most {_duration(left)} left",
            file=sys.stderr,
        )

    def on_end(self, result: TrainingResult) -> None:
        print(_ending(self.label, result), file=sys.stderr)


class _BarProgress(Callback):
    def __init__(self, label: str, console: Console) -> None:
        self.label = label
        self.console = console
        self.epochs = 0
        self.numbers = ""
        self.task: TaskID | None = None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[left]}", style="cyan"),
            console=console,
            transient=True,
            expand=True,
        )

    def on_start(self, start: TrainingStart) -> None:
        self.epochs = start.config.epochs
        self.bar.start()
        self.task = self.bar.add_task(self.label, total=start.total_steps, numbers="", left="")

    def on_step(self, record: StepRecord) -> None:
        assert self.task is not None
        total = record.epochs * record.steps_per_epoch
        left = record.seconds / record.global_step * (total - record.global_step)
        self.bar.update(
            self.task,
            completed=record.global_step,
            numbers=f"epoch {record.epoch}/{record.epochs}  {self.numbers or f'loss {record.loss:<7.3g}'}",
            left=f"≤ {_duration(left)} left",
        )

    def on_epoch(self, record: EpochRecord) -> None:
        # Fixed widths, so that the bar stands still; short enough for 80 columns.
        validation = "" if record.validation_loss is None else f"  val {record.validation_loss:<7.3g}"
        self.numbers = f"loss {record.train_loss:<7.3g}{validation}  rate {record.learning_rate:<7.1g}"

    def on_end(self, result: TrainingResult) -> None:
        self.close()
        self.console.print(_ending(self.label, result), highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen; safe to call twice."""
        self.bar.stop()


def _ending(label: str, result: TrainingResult) -> str:
    done = f"{label.rstrip()}: {len(result.history)} epochs in {_duration(result.seconds)}"
    if result.best_epoch is None or result.best_loss is None:
        return done
    return f"{done}, best loss {result.best_loss:.4g} at epoch {result.best_epoch}"


def _duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
