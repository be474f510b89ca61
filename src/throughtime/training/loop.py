"""The one training loop. It knows a model, a loss and batches, and nothing of any task."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.training.best import BestWeights
from throughtime.training.callbacks import Callback
from throughtime.training.clipping import clip_by_norm, gradients_of
from throughtime.training.config import TrainingConfig
from throughtime.training.losses import Loss, MeanLoss, check_source, mean_loss, weigh
from throughtime.training.optimizers import make_optimizer, set_rate
from throughtime.training.patience import Patience
from throughtime.training.records import EpochRecord, StepRecord, StopReason, TrainingResult, TrainingStart
from throughtime.training.schedules import make_schedule
from throughtime.training.seeding import modes_kept, seeded
from throughtime.training.sources import BatchSource, shuffled_batches

_logger = logging.getLogger("throughtime.training")


def train(
    model: nn.Module,
    loss: Loss,
    train_data: BatchSource,
    validation_data: BatchSource | None = None,
    config: TrainingConfig | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Train a model and leave it with the best weights that it had at the end of an epoch.

    Best is the lowest validation loss, or the lowest training loss where there is no validation data. The same model,
    data, config and seed give the same bits; the caller's random state and the model's modes are afterwards as they
    were. Ctrl-C ends the training and keeps the best weights so far. A loss or a gradient that is not finite ends it
    before the step that would have written it into the weights, and is logged as a warning.

    Args:
        loss: `loss(model, batch)`, the mean over the batch as a scalar, or a `WeightedLoss`. It is called with the
            model in train mode, and for validation in eval mode without gradient.
        config: None is `TrainingConfig()`.

    Raises:
        ArgumentTypeError: data that is no `BatchSource`, a loss that returns no tensor.
        ArgumentError: empty data, a model with nothing to train, a warm-up as long as the training, a loss that is
            not a scalar or does not depend on what is trained.

    >>> from throughtime.training import TensorSource
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> mse = lambda model, batch: nn.functional.mse_loss(model(batch[0]), batch[1])
    >>> result = train(model, mse, TensorSource(x, 2 * x), config=TrainingConfig(learning_rate=0.1, epochs=60))
    >>> result.best_loss < 1e-4
    True
    """
    config = TrainingConfig() if config is None else config
    check_source("train", "train_data", train_data)
    if validation_data is not None:
        check_source("train", "validation_data", validation_data)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ArgumentError(
            "train: expected a model with at least 1 parameter that requires a gradient, got 0; "
            "call requires_grad_(True) on what is to be trained"
        )
    with seeded(config.seed, model), modes_kept(model), torch.enable_grad():
        return _Training(model, loss, train_data, validation_data, config, callbacks).run()


class _NonFinite(Exception):
    """A loss or gradient norm that is not finite; the argument says which and where."""


class _Training:
    """The state of one call of `train`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        train_data: BatchSource,
        validation_data: BatchSource | None,
        config: TrainingConfig,
        callbacks: Sequence[Callback],
    ) -> None:
        self.model = model
        self.loss = loss
        self.train_data = train_data
        self.validation_data = validation_data
        self.config = config
        self.callbacks = callbacks
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.steps_per_epoch = math.ceil(len(train_data) / config.batch_size)
        self.optimizer = make_optimizer(self.parameters, config)
        self.schedule = make_schedule(config, self.steps_per_epoch)
        self.patience = Patience(config.patience, config.min_delta) if config.patience is not None else None
        self.order = torch.Generator().manual_seed(config.seed)
        self.best = BestWeights(model)
        self.history: list[EpochRecord] = []
        self.steps = 0
        self.last: StepRecord | None = None
        self.began = time.perf_counter()

    def run(self) -> TrainingResult:
        try:
            stopped, message = self._epochs()
        except KeyboardInterrupt:
            stopped, message = "interrupted", "interrupted by Ctrl-C"
        except _NonFinite as error:
            stopped, message = "non-finite", str(error)
        try:
            self.best.restore()
        except KeyboardInterrupt:  # a second Ctrl-C may not leave half of the best weights in the model
            self.best.restore()
        self.optimizer.zero_grad()
        result = self._result(stopped, message)
        if stopped == "non-finite":
            _logger.warning("%s", result.message)
        try:
            for callback in self.callbacks:
                callback.on_end(result)
        except KeyboardInterrupt:
            return replace(result, stopped="interrupted")
        return result

    def _epochs(self) -> tuple[StopReason, str]:
        start = TrainingStart(
            model=self.model,
            config=self.config,
            train_examples=len(self.train_data),
            validation_examples=0 if self.validation_data is None else len(self.validation_data),
            steps_per_epoch=self.steps_per_epoch,
            total_steps=self.config.epochs * self.steps_per_epoch,
            parameters=sum(parameter.numel() for parameter in self.parameters),
        )
        for callback in self.callbacks:
            callback.on_start(start)
        for epoch in range(1, self.config.epochs + 1):
            record = self._epoch(epoch)
            self.history.append(record)
            for callback in self.callbacks:
                callback.on_epoch(record)
            judged = record.train_loss if record.validation_loss is None else record.validation_loss
            self.schedule.end_epoch(judged)
            done = epoch == self.config.epochs and record.steps == self.steps_per_epoch
            if self._over_budget() and not done:
                return "budget", f"the budget of {self.config.max_seconds:g} seconds was spent"
            if self.patience is not None and self.patience.runs_out(judged):
                return "patience", f"no better loss in {self.patience.epochs} epochs"
        return "epochs", f"all {self.config.epochs} epochs were done"

    def _epoch(self, epoch: int) -> EpochRecord:
        began = time.perf_counter()
        self.model.train()
        mean = MeanLoss()
        clipped = 0
        step = 0
        for step, indices in enumerate(
            shuffled_batches(len(self.train_data), self.config.batch_size, self.order), start=1
        ):
            record, weight = self._step(epoch, step, indices)
            mean.add(record.loss, weight)
            clipped += record.clipped
            for callback in self.callbacks:
                callback.on_step(record)
            if self._over_budget():
                break
        trained = time.perf_counter()
        validation = self._validate(epoch)
        # Without validation data the mean of part of an epoch is not comparable with that of a whole one.
        comparable = validation is not None or step == self.steps_per_epoch or self.best.kept is None
        judged = mean.value if validation is None else validation
        return EpochRecord(
            epoch=epoch,
            train_loss=mean.value,
            validation_loss=validation,
            best=comparable and self.best.offer(epoch, judged),
            learning_rate=self.schedule.rate(self.steps - 1),
            steps=step,
            clipped_share=clipped / step,
            steps_per_second=step / max(trained - began, 1e-9),
            seconds=time.perf_counter() - began,
        )

    def _step(self, epoch: int, step: int, indices: torch.Tensor) -> tuple[StepRecord, float]:
        rate = self.schedule.rate(self.steps)
        self.optimizer.zero_grad()
        loss, weight = weigh(self.loss(self.model, self.train_data.batch(indices)), len(indices))
        value = loss.item()
        if not math.isfinite(value):
            raise self._non_finite("loss", value, epoch, step)
        if not loss.requires_grad:
            raise ArgumentError(
                "loss: expected a scalar that depends on the model's parameters, got one without a gradient; "
                "compute it from model(...) without detach() or no_grad()"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        norm, clipped = clip_by_norm(gradients_of(self.parameters), self.config.clip_norm)
        if not math.isfinite(norm):
            raise self._non_finite("gradient norm", norm, epoch, step)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.steps += 1
        self.last = StepRecord(
            epoch=epoch,
            epochs=self.config.epochs,
            step=step,
            steps_per_epoch=self.steps_per_epoch,
            global_step=self.steps,
            loss=value,
            learning_rate=rate,
            grad_norm=norm,
            clipped=clipped,
            seconds=time.perf_counter() - self.began,
        )
        return self.last, weight

    def _validate(self, epoch: int) -> float | None:
        if self.validation_data is None:
            return None
        value = mean_loss(self.model, self.loss, self.validation_data, self.config.batch_size)
        if not math.isfinite(value):
            raise self._non_finite("validation loss", value, epoch, self.steps_per_epoch)
        return value

    def _non_finite(self, what: str, value: float, epoch: int, step: int) -> _NonFinite:
        before = "it was the first step"
        if self.last is not None:
            before = f"before it the loss was {self.last.loss:.6g} and the gradient norm {self.last.grad_norm:.6g}"
        remedy = f"lower learning_rate={self.config.learning_rate:g}"
        if self.config.clip_norm is None:
            remedy += " or give clip_norm=1.0"
        return _NonFinite(f"the {what} became {value} at epoch {epoch}, step {step}; {before}; {remedy}")

    def _over_budget(self) -> bool:
        limit = self.config.max_seconds
        return limit is not None and time.perf_counter() - self.began > limit

    def _result(self, stopped: StopReason, message: str) -> TrainingResult:
        kept = self.best.kept
        held = "the model holds the weights of its last step" if kept is None else f"the model holds epoch {kept.epoch}"
        return TrainingResult(
            history=tuple(self.history),
            best_epoch=None if kept is None else kept.epoch,
            best_loss=None if kept is None else kept.loss,
            stopped=stopped,
            message=f"train: {message}; {held}",
            steps=self.steps,
            seconds=time.perf_counter() - self.began,
        )
