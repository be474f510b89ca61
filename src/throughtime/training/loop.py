"""The one training loop. It knows a model, a loss and batches, and nothing of any task."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models.modes import modes_kept
from throughtime.nn import Recurrent
from throughtime.training.batches import Batches, Fetched
from throughtime.training.best import BestWeights
from throughtime.training.callbacks import Callback
from throughtime.training.config import TrainingConfig
from throughtime.training.distributed import team
from throughtime.training.gradient_health import nonfinite_locator
from throughtime.training.interruption import held_back
from throughtime.training.losses import Loss, check_source, mean_loss
from throughtime.training.nonfinite import Locator, locate_nonfinite
from throughtime.training.patience import Patience
from throughtime.training.records import EpochRecord, StepRecord, StopReason, TrainingResult, TrainingStart
from throughtime.training.run_folder import RunFolder, RunWriter
from throughtime.training.schedules import make_schedule
from throughtime.training.seeding import random_state, seeded
from throughtime.training.sources import BatchSource
from throughtime.training.state import capture, check_identity, identity, restore, restore_random
from throughtime.training.streaming import StreamSource
from throughtime.training.team_state import check_team, others_random, own_random, share_checkpoint
from throughtime.training.update import NonFiniteUpdate, Updater

_logger = logging.getLogger("throughtime.training")


def train(
    model: nn.Module,
    loss: Loss,
    train_data: BatchSource | StreamSource,
    validation_data: BatchSource | StreamSource | None = None,
    config: TrainingConfig | None = None,
    callbacks: Sequence[Callback] = (),
    *,
    run: RunFolder | None = None,
    locate: Locator | None = None,
) -> TrainingResult:
    """Train a model and leave it with the best weights that it had at the end of an epoch.

    Best is the lowest validation loss, or the lowest training loss where there is no validation data. The same model,
    data, config and seed give the same bits; the caller's random state and the model's modes are afterwards as they
    were. Ctrl-C ends the training and keeps the best weights so far. A loss or a gradient that is not finite never
    reaches a weight: what happens then is `config.on_nonfinite`, and it is logged as a warning with its place.

    With a `run` folder, a training that was killed at any moment goes on from its last checkpoint when it is called
    again with `resume=True`, and ends with the weights that it would have had, bit for bit. Ctrl-C ends it
    after the step in progress, with a checkpoint; a second one does not wait.

    In several processes (torch's default group, see `throughtime.training.distributed`) each calls it with the same
    arguments, and the result is that of one process with the same batches, but for rounding and dropout.

    Args:
        loss: `loss(model, batch)`, the mean over the batch as a scalar, or a `WeightedLoss`. It is called with the
            model in train mode, and for validation in eval mode without gradient.
        config: None is `TrainingConfig()`.
        callbacks: of several processes, those of the first are called.
        run: a folder for checkpoints and a log; None writes nothing. What callbacks remember is not in a checkpoint.
        locate: finds where something is not finite, for the message; None looks at the batch, then runs it again to
            find layer, gate, step and row in layers of throughtime.nn, then looks at weights and gradients.

    Raises:
        ArgumentTypeError: a model, config or run of another type, data that is no `BatchSource` or `StreamSource`, a
            loss that returns no tensor.
        DataError: a run folder that cannot be written or read, or of a training with another model, data or option.
        ArgumentError: empty data, a model with nothing to train, a warm-up as long as the training, a loss that is
            not a scalar or does not depend on what is trained, an example longer than `max_tokens`.

    >>> from throughtime.training import TensorSource
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> mse = lambda model, batch: nn.functional.mse_loss(model(batch[0]), batch[1])
    >>> result = train(model, mse, TensorSource(x, 2 * x), config=TrainingConfig(learning_rate=0.1, epochs=60))
    >>> result.best_loss < 1e-4
    True
    """
    for name, value, kind, optional in (
        ("model", model, nn.Module, False),
        ("config", config, TrainingConfig, True),
        ("run", run, RunFolder, True),
    ):
        if not isinstance(value, kind) and not (optional and value is None):
            raise ArgumentTypeError(
                f"train: expected {name} to be a {kind.__name__}{' or None' * optional}, got {value!r}; "
                f"give a {kind.__name__}"
            )
    config = TrainingConfig() if config is None else config
    check_source("train", "train_data", train_data)
    if validation_data is not None:
        check_source("train", "validation_data", validation_data)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ArgumentError(
            "train: expected a model with at least 1 parameter that requires a gradient, got 0; "
            "call requires_grad_(True) on what is to be trained"
        )
    with seeded(team().seed(config.seed), model), modes_kept(model), torch.enable_grad():
        return Training(
            model, loss, train_data, validation_data, config, callbacks, run, locate or _locator(loss)
        ).run()


def _locator(loss: Loss) -> Locator:
    in_layers = nonfinite_locator(loss)

    def find(model: nn.Module, batch: Any) -> str | None:
        found = locate_nonfinite(model, batch)
        if found is None or not found.startswith("the batch"):
            watched = any(isinstance(module, Recurrent) for module in model.modules())
            found = (in_layers(model, batch) if watched else None) or found
        return found

    return find


@dataclass
class Position:
    """Where a training is: after step `step` of epoch `epoch`, and what was counted in that epoch."""

    epoch: int = 1
    step: int = 0
    steps: int = 0
    """Over all epochs, skipped ones too."""
    updates: int = 0
    loss_total: float = 0.0
    """Σ weight · loss of the epoch's steps."""
    loss_weight: float = 0.0
    clipped: int = 0
    skipped: int = 0
    tokens: int = 0
    slots: int = 0
    seconds: float = 0.0
    """Of the epoch."""
    stopped: StopReason | None = None
    message: str = ""


class Training:
    """The state of one call of `train`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        train_data: BatchSource | StreamSource,
        validation_data: BatchSource | StreamSource | None,
        config: TrainingConfig,
        callbacks: Sequence[Callback],
        run: RunFolder | None,
        locate: Locator,
    ) -> None:
        self.team = team()
        self.team.share_model(model)
        self.model = model
        self.loss = loss
        self.train_data = train_data
        self.validation_data = validation_data
        self.config = config
        self.callbacks = callbacks if self.team.first else ()
        self.batches = Batches(train_data, config, self.team)
        self.steps_per_epoch = -(-self.batches.count // config.accumulate)
        self.schedule = make_schedule(config, self.steps_per_epoch)
        self.updater = Updater(model, loss, config, locate, self.steps_per_epoch, self.team)
        self.optimizer = self.updater.optimizer
        self.average, self.rollback = self.updater.average, self.updater.rollback
        self.patience = Patience(config.patience, config.min_delta) if config.patience is not None else None
        self.order = torch.Generator().manual_seed(config.seed)
        self.epoch_order = self.order.get_state()
        self.best = BestWeights(model)
        self.history: list[EpochRecord] = []
        self.position = Position()
        self.whole = True
        """Whether the state is that after a step, and a checkpoint may be made of it."""
        self.drawn: tuple[dict[str, Any], dict[str, Any]] | None = None
        """The generators as they were before a validation that is running."""
        self.resumed_at: int | None = None
        self.began = time.perf_counter()
        self.run_options = run
        self.writer: RunWriter | None = None
        self.identity: dict[str, Any] = {}

    def elapsed(self) -> float:
        """Seconds of training, those before a restart included."""
        return time.perf_counter() - self.began

    def set_elapsed(self, seconds: float) -> None:
        self.began = time.perf_counter() - seconds

    def run(self) -> TrainingResult:
        with ExitStack() as closed:
            for callback in self.callbacks:
                closed.callback(callback.close)
            try:
                return self._run()
            finally:
                if self.writer is not None:
                    self.writer.close()

    def _run(self) -> TrainingResult:
        try:
            self._open()
            stopped, message = self._epochs()
        except KeyboardInterrupt:
            stopped, message = "interrupted", "interrupted by Ctrl-C"
            self._keep_interrupted()
        except NonFiniteUpdate as error:
            stopped, message = "non-finite", str(error)
        try:
            self.best.restore()
        except KeyboardInterrupt:  # a second Ctrl-C may not leave half of the best weights in the model
            self.best.restore()
        self.optimizer.zero_grad()
        result = self._result(stopped, message)
        self._log("end", stopped=stopped, message=result.message, steps=result.steps, seconds=result.seconds)
        if stopped == "non-finite":
            _logger.warning("%s", result.message)
        try:
            for callback in self.callbacks:
                callback.on_end(result)
        except KeyboardInterrupt:
            return replace(result, stopped="interrupted")
        return result

    def _open(self) -> None:
        """Open the folder of the run, go on from its last checkpoint, and tell that it begins."""
        checkpoint = None
        if self.run_options is not None or self.team.size > 1:
            self.identity = identity(self, {} if self.run_options is None else self.run_options.about)
            check_team(self.team, self.identity)
        if self.run_options is not None:
            with self.team.first_decides():
                if self.team.first:
                    self.writer = RunWriter(self.run_options)
                    checkpoint = self.writer.last_checkpoint()
                    if checkpoint is not None:
                        check_identity(str(checkpoint.path), checkpoint.fields["identity"], self.identity)
            checkpoint = share_checkpoint(self.team, checkpoint)
            if checkpoint is not None:
                restore(self, checkpoint.tensors, checkpoint.fields)
                self.resumed_at = self.position.steps
                _logger.info("train: going on from %s, %d steps done", checkpoint.path, self.resumed_at)
            if self.writer is not None:
                self.writer.begin(self.position.steps, 0 if checkpoint is None else checkpoint.fields["log_bytes"])
        start = TrainingStart(
            model=self.model,
            config=self.config,
            train_examples=len(self.train_data),
            validation_examples=0 if self.validation_data is None else len(self.validation_data),
            steps_per_epoch=self.steps_per_epoch,
            total_steps=self.config.epochs * self.steps_per_epoch,
            parameters=sum(parameter.numel() for parameter in self.updater.parameters),
            resumed_at=self.resumed_at,
        )
        if self.resumed_at is None:
            self._log(
                "start", **{name: value for name, value in vars(start).items() if name not in ("model", "config")}
            )
            self._log("identity", **self.identity)
        else:
            self._log("resume", step=self.resumed_at)
        for callback in self.callbacks:
            callback.on_start(start)
        if checkpoint is not None:  # anew, in case a callback drew a number
            restore_random(self, *own_random(self.team, checkpoint))

    def _epochs(self) -> tuple[StopReason, str]:
        if self.position.stopped is not None:
            return self.position.stopped, self.position.message
        for epoch in range(self.position.epoch, self.config.epochs + 1):
            record = self._epoch(epoch)
            self.history.append(record)
            self._log("epoch", **vars(record))
            for callback in self.callbacks:
                callback.on_epoch(record)
            judged = record.train_loss if record.validation_loss is None else record.validation_loss
            self.schedule.end_epoch(judged)
            done = epoch == self.config.epochs and record.steps == self.steps_per_epoch
            if self._over_budget() and not done:
                return "budget", f"the budget of {self.config.max_seconds:g} seconds was spent"
            if self.patience is not None and self.patience.runs_out(judged):
                return self._ended("patience", f"no better loss in {self.patience.epochs} epochs")
            self.position = Position(epoch + 1, steps=self.position.steps, updates=self.position.updates)
            self.epoch_order = self.order.get_state()
            self.whole, self.drawn = True, None
        return self._ended("epochs", f"all {self.config.epochs} epochs were done")

    def _ended(self, stopped: StopReason, message: str) -> tuple[StopReason, str]:
        """Keep the end itself: to go on from it is to be told the same."""
        self.position.stopped, self.position.message = stopped, message
        if self.run_options is not None:
            self._save(ended=True)
        return stopped, message

    def _epoch(self, epoch: int) -> EpochRecord:
        at = self.position
        began = time.perf_counter() - at.seconds
        self.model.train()
        self.order.set_state(self.epoch_order)
        cut = at.step > 0 and self._over_budget()
        fetched = self.batches.epoch(self.order, at.step * self.config.accumulate)
        with closing(fetched):
            while not cut and (group := list(islice(fetched, self.config.accumulate))):
                with held_back() if self.writer is not None else nullcontext():
                    self.whole = False
                    record = self._step(group)
                    at.seconds = time.perf_counter() - began
                    self.whole = True
                for callback in self.callbacks:
                    callback.on_step(record)
                cut = self._over_budget()
                if self.run_options is not None and (cut or self._due()):
                    with held_back():
                        self._save()
        trained = time.perf_counter()
        if at.skipped == at.step:
            raise NonFiniteUpdate(
                f"no step of epoch {epoch} had a finite loss and gradient; all {at.step} were left out"
            )
        train_loss = at.loss_total / at.loss_weight
        with nullcontext() if self.average is None else self.average.held_by_model():
            self.drawn = random_state(self.model) if self.writer is not None else None
            validation = self._validate(epoch)
            self.whole = False  # until the next epoch begins: what follows is not a checkpoint's to do again
            # Without validation data the mean of part of an epoch is not comparable with that of a whole one.
            comparable = validation is not None or at.step == self.steps_per_epoch or self.best.kept is None
            best = comparable and self.best.offer(epoch, train_loss if validation is None else validation)
        return EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=validation,
            best=best,
            learning_rate=self._rate(at.steps - 1),
            steps=at.step,
            clipped_share=at.clipped / at.step,
            steps_per_second=at.step / max(trained - began, 1e-9),
            seconds=time.perf_counter() - began,
            skipped_steps=at.skipped,
            padding=1.0 - at.tokens / at.slots if at.slots else None,
        )

    def _step(self, group: list[Fetched]) -> StepRecord:
        at = self.position
        where = f"epoch {at.epoch}, step {at.step + 1}"
        update = self.updater.step(group, at.steps + 1, self.schedule.rate(at.steps), where)
        at.step += 1
        at.steps += 1
        at.clipped += update.clipped
        for fetched in group:
            at.tokens += fetched.tokens
            at.slots += fetched.slots
        if update.skipped:
            at.skipped += 1
        else:
            at.updates += 1
            at.loss_total += update.loss * update.weight
            at.loss_weight += update.weight
        record = StepRecord(
            epoch=at.epoch,
            epochs=self.config.epochs,
            step=at.step,
            steps_per_epoch=self.steps_per_epoch,
            global_step=at.steps,
            loss=update.loss,
            learning_rate=update.learning_rate,
            grad_norm=update.grad_norm,
            clipped=update.clipped,
            seconds=self.elapsed(),
            skipped=update.skipped,
            bptt_clipped=update.bptt_clipped,
        )
        if self.writer is not None and (at.steps % self.writer.options.log_every == 0 or update.skipped):
            self.writer.log("step", **record._asdict())
        return record

    def _validate(self, epoch: int) -> float | None:
        if self.validation_data is None:
            return None
        value = self._validation_loss(self.validation_data)
        if not math.isfinite(value):
            where = f"epoch {epoch}, step {self.position.step}"
            raise self.updater.non_finite("validation loss", value, where, None)
        return value

    def _validation_loss(self, data: BatchSource | StreamSource) -> float:
        self.team.share_buffers(self.model)
        with self.updater.precision():
            return mean_loss(self.model, self.loss, data, self.config.batch_size, self.team)

    def _rate(self, step: int) -> float:
        return self.schedule.rate(step) * (1.0 if self.rollback is None else self.rollback.rate_scale)

    def _over_budget(self) -> bool:
        limit = self.config.max_seconds
        return limit is not None and self.team.agree(self.elapsed() > limit)

    def _due(self) -> bool:
        return self.team.agree(self.writer is not None and self.writer.due(self.position.steps))

    def _save(self, *, ended: bool = False) -> None:
        tensors, fields = capture(self)
        tensors |= others_random(self.team, tensors, fields)
        if self.writer is not None:
            self.writer.save(self.position.steps, tensors, {**fields, "identity": self.identity}, ended=ended)

    def _keep_interrupted(self) -> None:
        """A checkpoint of the last step, where there is none yet. Alone: others may be anywhere in theirs."""
        if self.writer is None or self.team.size > 1 or not self.whole:
            return
        if self.position.steps > self.writer.last_step:
            try:
                self._save()
            except KeyboardInterrupt:
                _logger.warning("train: a second Ctrl-C, no checkpoint of step %d", self.position.steps)

    def _log(self, event: str, **values: Any) -> None:
        if self.writer is not None:
            self.writer.log(event, **values)

    def _result(self, stopped: StopReason, message: str) -> TrainingResult:
        kept = self.best.kept
        held = "the model holds the weights of its last step" if kept is None else f"the model holds epoch {kept.epoch}"
        return TrainingResult(
            history=tuple(self.history),
            best_epoch=None if kept is None else kept.epoch,
            best_loss=None if kept is None else kept.loss,
            stopped=stopped,
            message=f"train: {message}; {held}",
            steps=self.position.updates,
            seconds=self.elapsed(),
            resumed_at=self.resumed_at,
        )
