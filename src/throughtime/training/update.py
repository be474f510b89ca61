"""One step of the optimizer: losses of a few batches, their gradient, its bounds, the update; or none, where the
numbers are not finite."""

import logging
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.training.average import WeightAverage
from throughtime.training.batches import Fetched
from throughtime.training.bptt_clipping import ClippedBPTT
from throughtime.training.clipping import Clipper, gradients_of
from throughtime.training.config import TrainingConfig
from throughtime.training.distributed import ALONE, Team
from throughtime.training.losses import Loss, weigh
from throughtime.training.nonfinite import MOST_ROLLBACKS, Buffers, Locator, Rollback
from throughtime.training.optimizers import make_optimizer, set_rate

_logger = logging.getLogger("throughtime.training")
_MOST_WARNINGS = 5


class NonFiniteUpdate(Exception):
    """A loss or gradient norm that is not finite; the argument says which and where."""


class Update(NamedTuple):
    """What came of one step."""

    loss: float
    weight: float
    grad_norm: float
    clipped: bool
    learning_rate: float
    skipped: bool = False
    bptt_clipped: float | None = None
    """Part of the (step of time, row) pairs whose gradient `ClippedBPTT` clipped; None without one in the model."""


class Updater:
    """What one step needs, and what it changes: weights, optimizer, average, the state to roll back to."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        config: TrainingConfig,
        locate: Locator,
        steps_per_epoch: int,
        team: Team = ALONE,
    ) -> None:
        self.team = team
        self.model = model
        self.loss = loss
        self.config = config
        self.locate = locate
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.device_type = self.parameters[0].device.type
        self.clipper = Clipper(model, config)
        self.bptt = [module for module in model.modules() if isinstance(module, ClippedBPTT)]
        self.optimizer = make_optimizer(self.parameters, config)
        self.average = None if config.ema is None else WeightAverage(model, config.ema)
        self.buffers = Buffers(model) if config.on_nonfinite == "skip" else None
        rolls_back = config.on_nonfinite == "rollback"
        self.rollback = Rollback(model, self.optimizer, self.average, steps_per_epoch) if rolls_back else None
        self.before: Update | None = None
        self.warnings = 0

    def precision(self) -> AbstractContextManager[object]:
        """What a loss is computed under."""
        return torch.autocast(self.device_type, torch.bfloat16) if self.config.bfloat16 else nullcontext()

    def step(self, batches: Sequence[Fetched], number: int, rate: float, where: str) -> Update:
        """Make step `number`, counted from 1.

        Raises:
            NonFiniteUpdate: a loss or gradient is not finite, and the training is to end.
        """
        if self.rollback is not None:
            rate *= self.rollback.rate_scale
        if self.buffers is not None:
            self.buffers.keep()
        loss = norm = math.nan
        try:
            loss, weight = self._differentiate(batches, where)
            norm, clipped = self.clipper.clip()
            if not math.isfinite(norm):
                raise self.non_finite("gradient norm", norm, where, batches[-1])
        except NonFiniteUpdate as error:
            self._recover(str(error))
            return Update(loss, 0.0, norm, False, rate, skipped=True, bptt_clipped=self._bptt_share())
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        if self.rollback is not None and number % self.rollback.every == 0:
            self.rollback.keep(number)
        self.before = Update(loss, weight, norm, clipped, rate, bptt_clipped=self._bptt_share())
        return self.before

    def _differentiate(self, batches: Sequence[Fetched], where: str) -> tuple[float, float]:
        """The loss over the batches and its weight; the gradient lies with the parameters.

        (1) L = Σ_b w_b L_b / Σ_b w_b, as if the batches were one
        """
        self.optimizer.zero_grad()
        if self.team.size > 1:
            return self._differentiate_together(batches, where)
        total = weights = 0.0
        for fetched in batches:
            with self.precision():
                loss, weight = weigh(self.loss(self.model, fetched.batch), fetched.examples)
            value = loss.item()
            if not math.isfinite(value):
                raise self.non_finite("loss", value, where, fetched)
            _check_depends(loss)
            if len(batches) == 1:
                loss.backward()  # type: ignore[no-untyped-call]
                return value, weight
            (loss * weight).backward()  # type: ignore[no-untyped-call]
            total += value * weight
            weights += weight
        for gradient in gradients_of(self.parameters):
            gradient.div_(weights)
        return total / weights, weights

    def _differentiate_together(self, batches: Sequence[Fetched], where: str) -> tuple[float, float]:
        """The same over the parts of all processes: they meet once a step, whatever one of them finds in its part."""
        total = weights = 0.0
        mine = [fetched for fetched in batches if fetched.examples]
        for fetched in mine:
            with self.precision():
                loss, weight = weigh(self.loss(self.model, fetched.batch), fetched.examples)
            _check_depends(loss)
            total += loss.item() * weight
            weights += weight
            if math.isfinite(total):
                (loss * weight).backward()  # type: ignore[no-untyped-call]
        total, weights = self.team.reduce(self.parameters, total, weights)
        if not math.isfinite(total):
            raise self.non_finite("loss", total / weights, where, mine[-1] if mine else None)
        return total / weights, weights

    def _recover(self, message: str) -> None:
        """Leave the step out, or go back; or raise."""
        if self.config.on_nonfinite == "stop":
            raise NonFiniteUpdate(message)
        self.optimizer.zero_grad()
        if self.buffers is not None:
            self.buffers.restore()
            self._warn(f"{message}; the step was left out")
        if self.rollback is not None:
            if self.rollback.times == MOST_ROLLBACKS:
                raise NonFiniteUpdate(f"{message}; it was so {MOST_ROLLBACKS} times before, each time rolled back")
            self.rollback.back()
            self._warn(
                f"{message}; rolled back to the weights after step {self.rollback.step}, the learning rate is "
                f"{self.rollback.rate_scale:g} of the schedule's from here on"
            )

    def non_finite(self, what: str, value: float, where: str, fetched: Fetched | None) -> NonFiniteUpdate:
        """The error that says what was not finite, where, and what came before it."""
        cause = self.locate(self.model, fetched.batch) if fetched is not None and fetched.examples else None
        before = "it was the first step"
        if self.before is not None:
            before = f"before it the loss was {self.before.loss:.6g} and the gradient norm {self.before.grad_norm:.6g}"
        remedy = f"lower learning_rate={self.config.learning_rate:g}"
        if self.config.clip_norm is None:
            remedy += " or give clip_norm=1.0"
        located = "" if cause is None else f" ({cause})"
        return NonFiniteUpdate(f"the {what} became {value}{located} at {where}; {before}; {remedy}")

    def _warn(self, message: str) -> None:
        self.warnings += 1
        if self.warnings <= _MOST_WARNINGS:
            last = "; further ones are only counted" if self.warnings == _MOST_WARNINGS else ""
            _logger.warning("train: %s%s", message, last)

    def _bptt_share(self) -> float | None:
        if not self.bptt:
            return None
        counts = [module.take_counts() for module in self.bptt]
        return sum(clipped for clipped, _ in counts) / max(sum(seen for _, seen in counts), 1)


def _check_depends(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise ArgumentError(
            "loss: expected a scalar that depends on the model's parameters, got one without a gradient; "
            "compute it from model(...) without detach() or no_grad()"
        )
