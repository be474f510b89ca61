"""Trainings whose course is known beforehand."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.training import (
    Callback,
    EpochRecord,
    StepRecord,
    TensorSource,
    TrainingConfig,
    TrainingResult,
    TrainingStart,
    train,
)


class Walk(nn.Module):
    """One weight that starts at 0 and, trained by `walk_loss` and `WALK`, is −s after s steps."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    @property
    def steps(self) -> int:
        return round(-self.w.item())


def walk(
    validation: Sequence[float] | Callable[[int], float] | None = None,
    *,
    steps_per_epoch: int = 1,
    training: Callable[[Walk], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> tuple[Walk, TrainingResult]:
    """Walk down one step a batch; the validation loss of epoch e is validation[e − 1], or validation(e)."""
    epochs = 0

    def loss(model: nn.Module, batch: Any) -> Tensor:
        assert isinstance(model, Walk)
        if model.training:
            return model.w * 1.0 if training is None else training(model)
        assert validation is not None
        nonlocal epochs
        epochs += 1
        return torch.tensor(validation(epochs) if callable(validation) else validation[epochs - 1])

    model = Walk()
    options = {"epochs": 6, "batch_size": 1, "learning_rate": 1.0, "optimizer": "sgd", "clip_norm": None} | options
    result = train(
        model,
        loss,
        TensorSource(torch.zeros(steps_per_epoch)),
        None if validation is None else TensorSource(torch.zeros(1)),
        TrainingConfig(**options),
        callbacks,
    )
    return model, result


class Recorder(Callback):
    """Keeps all it hears."""

    def __init__(self) -> None:
        self.starts: list[TrainingStart] = []
        self.steps: list[StepRecord] = []
        self.epochs: list[EpochRecord] = []
        self.ends: list[TrainingResult] = []

    def on_start(self, start: TrainingStart) -> None:
        self.starts.append(start)

    def on_step(self, record: StepRecord) -> None:
        self.steps.append(record)

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def on_end(self, result: TrainingResult) -> None:
        self.ends.append(result)


class LastOutput(nn.Module):
    """An LSTM of torch's and a linear map of its last output; dropout between."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 8, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, 1)

    def forward(self, x_BTI: Tensor) -> Tensor:
        output, _ = self.lstm(x_BTI)
        return self.head(self.dropout(output[:, -1]))


def squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return nn.functional.mse_loss(model(x), y)


def waves(examples: int, length: int = 12) -> TensorSource:
    """Sines of random phase, and the value that comes next."""
    generator = torch.Generator().manual_seed(7)
    phase = torch.rand(examples, 1, generator=generator) * 6.28
    y = torch.sin(phase + 0.5 * torch.arange(length + 1))
    return TensorSource(y[:, :-1, None], y[:, -1:])


def fresh(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """A model initialised from `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
