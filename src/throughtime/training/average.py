"""An exponential moving average of the weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """(1) ē_s = d_s ē_{s−1} + (1 − d_s) w_s,   d_s = min(decay, (1 + s) / (10 + s)), s counted from 1, ē_0 = w_0

    The first steps weigh less than the decay alone would have it, so that the average leaves the initial weights soon.
    Only parameters are averaged: buffers, such as the means of a BatchNorm, are averages or constants already.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.values = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._averages: list[Tensor] = list(self.values.values())
        self._weights: list[Tensor] = list(self.parameters.values())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - decay)

    @torch.no_grad()
    def restore(self, values: Mapping[str, Tensor], steps: int) -> None:
        """Take the average that these values were."""
        self.steps = steps
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def held_by_model(self) -> Iterator[None]:
        """Inside, the model has the averaged weights; afterwards its own again, the very same bits."""
        own = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        try:
            self._write(self.values)
            yield
        finally:
            self._write(own)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
