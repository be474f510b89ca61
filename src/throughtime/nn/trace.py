"""What a layer computed at every step, gate by gate.

Axes in names: T time, B batch, H hidden units, L layers, D directions.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.errors import ArgumentError


class Trace(NamedTuple):
    """What `layer.trace` returns: the layer's output and state, and every value of every step.

    ``trace.values[layer][direction]`` holds the values under the cell's own letters, each of the input's layout with H
    features: ``trace.values[0][0].f`` is the forget gate of the lowest layer, left to right, (T, B, H). `stack` puts
    one letter of all layers and directions into one tensor.

    >>> from throughtime.nn import LSTM
    >>> trace = LSTM(3, 5, num_layers=2).trace(torch.zeros(7, 2, 3))
    >>> tuple(trace.values[1][0].f.shape), tuple(trace.stack("c").shape)
    ((7, 2, 5), (2, 1, 7, 2, 5))
    """

    output: Any
    state: Any
    values: tuple[tuple[Any, ...], ...]

    def stack(self, name: str) -> Tensor:
        """The value of this name in every layer and direction, (L, D, T, B, H) for a time-first batch.

        Raises:
            ArgumentError: the cell has no such value.
        """
        fields = self.values[0][0]._fields
        if name not in fields:
            raise ArgumentError(f"Trace.stack: expected one of {', '.join(fields)}, got {name!r}; name a value it has")
        return torch.stack([torch.stack([getattr(values, name) for values in layer]) for layer in self.values])
