"""The learning rate of each step.

n steps in all, s = 0 ... n−1, w warm-up steps, η the configured rate:

(1) warm-up    η_s = η (s+1)/w                                         for s < w, of every schedule but onecycle
(2) constant   η_s = η
(3) cosine     η_s = η (1 + cos(π (s−w)/(n−w))) / 2
(4) plateau    η_s = η · factor^k, k the number of times that `plateau_patience` epochs ran out
(5) onecycle   η/25 up to η at step u, down to η/250000 at step n−1, each along half a cosine;
               u = w−1, or 0.3 n − 1 where w = 0, but not before step 0

Each is a function of the step number, so it holds nothing that a restart could lose, but for plateau's k.

**Source** cosine [Loshchilov2017] without restarts; onecycle [Smith2019] as `torch.optim.lr_scheduler.OneCycleLR` has
it, momentum left alone.
"""

import math

from throughtime.errors import ArgumentError
from throughtime.training.config import TrainingConfig
from throughtime.training.patience import Patience

_ONECYCLE_START = 1 / 25
_ONECYCLE_END = _ONECYCLE_START / 1e4
_ONECYCLE_RISE = 0.3


class Schedule:
    """Constant after the warm-up, equations (1) and (2); the base of the others."""

    def __init__(self, config: TrainingConfig, total_steps: int) -> None:
        self.peak = config.learning_rate
        self.warmup = config.warmup_steps
        self.total = total_steps

    def rate(self, step: int) -> float:
        """The rate of step number `step`, counted from 0 over all epochs."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        return self.peak * self.share(step)

    def share(self, step: int) -> float:
        """The part of the full rate after the warm-up."""
        return 1.0

    def end_epoch(self, loss: float) -> None:
        """Hear the loss of an epoch: validation, or training where there is no other."""


class Cosine(Schedule):
    """Equation (3)."""

    def share(self, step: int) -> float:
        return (1 + math.cos(math.pi * (step - self.warmup) / (self.total - self.warmup))) / 2


class Plateau(Schedule):
    """Equation (4)."""

    def __init__(self, config: TrainingConfig, total_steps: int) -> None:
        super().__init__(config, total_steps)
        self.factor = config.plateau_factor
        self.patience = Patience(config.plateau_patience, config.min_delta)
        self.scale = 1.0

    def share(self, step: int) -> float:
        return self.scale

    def end_epoch(self, loss: float) -> None:
        if self.patience.runs_out(loss):
            self.scale *= self.factor


class OneCycle(Schedule):
    """Equation (5)."""

    def rate(self, step: int) -> float:
        last = self.total - 1
        top = max(self.warmup - 1.0 if self.warmup else _ONECYCLE_RISE * self.total - 1, 0.0)
        if step < top:
            return self.peak * _half_cosine(_ONECYCLE_START, 1.0, step / top)
        if last <= top:
            return self.peak
        return self.peak * _half_cosine(1.0, _ONECYCLE_END, (step - top) / (last - top))


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


_KINDS: dict[str, type[Schedule]] = {"constant": Schedule, "cosine": Cosine, "plateau": Plateau, "onecycle": OneCycle}


def make_schedule(config: TrainingConfig, steps_per_epoch: int) -> Schedule:
    """The schedule that `config` names.

    Raises:
        ArgumentError: the warm-up leaves no step of training after it.
    """
    total = config.epochs * steps_per_epoch
    if config.warmup_steps >= total:
        raise ArgumentError(
            f"train: expected warmup_steps below the {total} steps of the training "
            f"({config.epochs} epochs of {steps_per_epoch}), got {config.warmup_steps}; give fewer or more epochs"
        )
    return _KINDS[config.schedule](config, total)
