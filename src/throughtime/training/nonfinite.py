"""A loss or gradient that is not finite: where it comes from, and going back to weights that were good."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from throughtime.training.average import WeightAverage

Locator = Callable[[nn.Module, Any], str | None]
"""`locate(model, batch)`: where in a batch, the weights or the gradients something is not finite, in words; or None."""

MOST_ROLLBACKS = 10
_RATE_FACTOR = 0.5
_MOST_STEPS_BETWEEN = 100


def locate_nonfinite(model: nn.Module, batch: Any) -> str | None:
    """The first value that is not finite: in the batch, else in a weight or buffer, else in a gradient.

    >>> locate_nonfinite(nn.Linear(1, 1), (torch.zeros(2), torch.tensor([[0.0, 1.0], [float("nan"), 0.0]])))
    'the batch holds nan in tensor 1 at [1, 0]'
    """
    for place, tensor in enumerate(_tensors(batch)):
        if (found := _first(tensor)) is not None:
            return f"the batch holds {found[0]} in tensor {place} at {found[1]}"
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and (found := _first(tensor)) is not None:
            return f"the weight {name} holds {found[0]} at {found[1]}"
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and (found := _first(parameter.grad)) is not None:
            return f"the gradient of {name} holds {found[0]} at {found[1]}"
    return None


def _first(tensor: Tensor) -> tuple[float, list[int]] | None:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return None
    wrong = torch.nonzero(~torch.isfinite(tensor.detach()))
    if not len(wrong):
        return None
    place = wrong[0].tolist()
    return tensor[tuple(place)].item(), place


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors([getattr(value, name) for name in value.__dataclass_fields__])


class Buffers:
    """The buffers of a model before a step: a NaN in a batch would otherwise stay in the means of a BatchNorm."""

    def __init__(self, model: nn.Module) -> None:
        self.live = [buffer for buffer in model.buffers() if buffer is not None]
        self.kept: list[Tensor] = []

    def keep(self) -> None:
        self.kept = [buffer.clone() for buffer in self.live]

    @torch.no_grad()
    def restore(self) -> None:
        for buffer, kept in zip(self.live, self.kept, strict=True):
            buffer.copy_(kept)


class Rollback:
    """The last good weights, with the optimizer's state and the average that belong to them.

    They are taken before the first step and after every 100th, or as often as an epoch ends where it has fewer. Going
    back multiplies the learning rate of all later steps by ½, since the same rate would lead to the same place; the
    batches go on, they do not come again.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, average: WeightAverage | None, every: int) -> None:
        self.model = model
        self.optimizer = optimizer
        self.average = average
        self.every = min(every, _MOST_STEPS_BETWEEN)
        self.rate_scale = 1.0
        self.times = 0
        self.keep(0)

    def keep(self, step: int) -> None:
        """Take what is good after this step."""
        self.step = step
        self.weights = copy.deepcopy(self.model.state_dict())
        self.optimizer_state = copy.deepcopy(self.optimizer.state_dict()["state"])
        self.averaged = {} if self.average is None else {k: v.clone() for k, v in self.average.values.items()}
        self.averaged_steps = 0 if self.average is None else self.average.steps

    def back(self) -> None:
        """Write the good weights into the model, and halve the rate."""
        self.times += 1
        self.rate_scale *= _RATE_FACTOR
        self.model.load_state_dict(self.weights)
        load_optimizer_state(self.optimizer, copy.deepcopy(self.optimizer_state))
        if self.average is not None:
            self.average.restore(self.averaged, self.averaged_steps)


def load_optimizer_state(optimizer: Optimizer, state: dict[int, dict[str, Any]]) -> None:
    """Give an optimizer the state of its parameters; its options stay as they are."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
