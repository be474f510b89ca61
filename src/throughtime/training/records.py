"""What the loop tells, as plain data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import nn

from throughtime.training.config import TrainingConfig

StopReason = Literal["epochs", "patience", "interrupted", "budget", "non-finite"]


@dataclass(frozen=True)
class TrainingStart:
    """What is known before the first step."""

    model: nn.Module
    config: TrainingConfig
    train_examples: int
    validation_examples: int
    """0 where there is no validation data."""
    steps_per_epoch: int
    total_steps: int
    """Planned; patience or a budget may end earlier."""
    parameters: int
    """Numbers that are trained."""
    resumed_at: int | None = None
    """Steps done before, where a checkpoint is gone on from."""


class StepRecord(NamedTuple):
    """One step; epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    """In the epoch."""
    steps_per_epoch: int
    global_step: int
    """Over all epochs, skipped ones too."""
    loss: float
    learning_rate: float
    grad_norm: float
    """Before clipping."""
    clipped: bool
    seconds: float
    """Since the start of the training."""
    skipped: bool = False
    """No update was made: the loss or the gradient was not finite."""
    bptt_clipped: float | None = None
    """Part of the rows and steps of time whose gradient a `ClippedBPTT` clipped; None without one."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, counted from 1."""

    epoch: int
    train_loss: float
    """Mean over the epoch while the weights moved."""
    validation_loss: float | None
    best: bool
    """The lowest so far, by the validation loss where there is one."""
    learning_rate: float
    """Of the last step."""
    steps: int
    """Fewer than planned only where the budget ended the epoch."""
    clipped_share: float
    """Part of the steps whose gradient was clipped, 0 to 1."""
    steps_per_second: float
    """Of training, without validation."""
    seconds: float
    """With validation."""
    skipped_steps: int = 0
    """Steps without an update, since the loss or the gradient was not finite."""
    padding: float | None = None
    """Part of the training batches that is padding, 0 to 1; None where the data tell no lengths."""


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended. The model holds the weights of `best_epoch`."""

    history: tuple[EpochRecord, ...]
    best_epoch: int | None
    """None where no epoch ended: the model holds the weights of the last step."""
    best_loss: float | None
    """Validation loss, or training loss where there is no validation data."""
    stopped: StopReason
    message: str
    """Why it ended, in one sentence."""
    steps: int
    """Steps whose update was made."""
    seconds: float
    resumed_at: int | None = None
    """The step of the checkpoint that this call went on from; None where it began."""
