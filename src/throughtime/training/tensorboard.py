"""Curves for TensorBoard."""

import os
from pathlib import Path
from typing import Any

from throughtime._extras import require
from throughtime.training.callbacks import Callback
from throughtime.training.records import EpochRecord, StepRecord, TrainingStart


class TensorBoardLog(Callback):
    """Writes losses, learning rate and gradient norm where TensorBoard reads them.

    A training that goes on from a checkpoint takes the curves up there: what a killed process drew after it is hidden.

    Args:
        path: the folder of this training, below the one that `tensorboard --logdir` is given.
        every: steps from one point to the next.

    Raises:
        MissingExtraError: at the start, where the package tensorboard is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], *, every: int = 10) -> None:
        require("tensorboard", extra="logging")
        self.path = Path(path)
        self.every = every
        self._writer: Any = None
        self._step = 0

    def on_start(self, start: TrainingStart) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._step = start.resumed_at or 0
        purge: Any = {} if start.resumed_at is None else {"purge_step": start.resumed_at + 1}
        self._writer = SummaryWriter(str(self.path), **purge)

    def on_step(self, record: StepRecord) -> None:
        self._step = record.global_step
        if record.global_step % self.every == 0:
            self._add("step/loss", record.loss)
            self._add("step/gradient norm", record.grad_norm)
            self._add("step/learning rate", record.learning_rate)

    def on_epoch(self, record: EpochRecord) -> None:
        self._add("epoch/training loss", record.train_loss)
        if record.validation_loss is not None:
            self._add("epoch/validation loss", record.validation_loss)
        self._add("epoch/clipped share", record.clipped_share)
        if record.padding is not None:
            self._add("epoch/padding", record.padding)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, name: str, value: float) -> None:
        self._writer.add_scalar(name, value, self._step)
