"""What a task supplies beside its data, and how the losses of batches make the loss of a data set."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models.losses import SequenceLoss
from throughtime.models.modes import modes_kept
from throughtime.training.batches import ordered_epoch
from throughtime.training.distributed import ALONE, Team
from throughtime.training.sources import BatchSource
from throughtime.training.streaming import StreamSource

WeightedLoss = SequenceLoss
"""A loss that is a mean over something else than the examples of a batch; what the losses of `models` return."""

Loss = Callable[[nn.Module, Any], Tensor | WeightedLoss]
"""`loss(model, batch)`: the mean over the examples of the batch, or a `WeightedLoss`."""


class MeanLoss:
    """Σ weight · mean / Σ weight over batches, in float64: a short last batch counts for what it holds."""

    def __init__(self) -> None:
        self.total = 0.0
        self.weight = 0.0

    def add(self, mean: float, weight: float) -> None:
        self.total += mean * weight
        self.weight += weight

    @property
    def value(self) -> float:
        return self.total / self.weight


def weigh(returned: object, examples: int) -> tuple[Tensor, float]:
    """The scalar that a loss returned, and the weight of its batch.

    Raises:
        ArgumentTypeError: not a tensor and not a `WeightedLoss`.
        ArgumentError: not a scalar, or a weight that is not positive and finite.
    """
    mean, weight = returned, float(examples)
    if isinstance(returned, SequenceLoss):
        mean, weight = returned.mean, float(returned.weight)
        if not 0.0 < weight < math.inf:
            raise ArgumentError(
                f"loss: expected a positive, finite weight, got {weight:g}; leave out batches in which nothing counts"
            )
    if not isinstance(mean, Tensor):
        raise ArgumentTypeError(
            f"loss: expected a scalar tensor or a WeightedLoss, got {type(mean).__name__}; "
            "return the tensor itself, not its .item()"
        )
    if mean.dim() != 0:
        raise ArgumentError(f"loss: expected a scalar, got shape {tuple(mean.shape)}; return the mean over the batch")
    return mean, weight


@torch.no_grad()
def mean_loss(
    model: nn.Module, loss: Loss, data: BatchSource | StreamSource, batch_size: int = 32, team: Team = ALONE
) -> float:
    """The loss of a data set: the model in eval mode (restored afterwards), no gradient, in the order of the source.

    Of a team, every process must call it with the same data; each computes its part, and all get the whole.

    Raises:
        ArgumentError: `data` is empty, or what `weigh` refuses.
    """
    check_source("mean_loss", "data", data)
    mean = MeanLoss()
    with modes_kept(model):
        model.eval()
        for batch, examples in ordered_epoch(data, batch_size, team):
            value, weight = weigh(loss(model, batch), examples)
            mean.add(value.item(), weight)
    mean.total, mean.weight = team.sum(mean.total, mean.weight)
    return mean.value


def check_source(who: str, name: str, data: object) -> None:
    """Refuse what is not a `BatchSource` or a stream, and an empty one."""
    if not isinstance(data, BatchSource | StreamSource):
        raise ArgumentTypeError(
            f"{who}: expected {name} with __len__() and batch(indices), got {type(data).__name__}; "
            "wrap tensors in a TensorSource"
        )
    if len(data) == 0:
        raise ArgumentError(f"{who}: expected at least 1 example in {name}, got 0; give more data or no {name} at all")
