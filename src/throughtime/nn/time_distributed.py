"""One module applied at every time step."""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.lengths import read_lengths


class TimeDistributed(nn.Module):
    """Applies a module to every time step of a batch of sequences.

    (1) y_t = module(x_t): the time and batch axes are folded into one, (T*B, ...), and unfolded afterwards

    For a module that works on the last axis, such as torch.nn.Linear, this equals applying it to the whole tensor.

    **Shapes** input (T, B, ...), or (B, T, ...) with `batch_first`; output the same two axes, then the module's own.
    With `lengths` the module sees the valid steps only, and the output is zero past each length.

    **Raises** ArgumentError: the input has no time and batch axes, or `lengths` does not fit; ArgumentTypeError:
    `lengths` are not whole numbers.

    >>> tuple(TimeDistributed(nn.Linear(3, 4))(torch.zeros(7, 2, 3)).shape)
    (7, 2, 4)
    """

    def __init__(self, module: nn.Module, batch_first: bool = False) -> None:
        super().__init__()
        self.module = module
        self.batch_first = batch_first

    def forward(self, input: Tensor, lengths: Any = None) -> Tensor:
        """The module's output at every step."""
        if input.dim() < 2:
            raise ArgumentError(
                f"TimeDistributed: expected input of shape (T, B, ...), got {tuple(input.shape)}; add the missing axes"
            )
        if lengths is None:
            folded: Tensor = self.module(input.flatten(0, 1))
            return folded.reshape(*input.shape[:2], *folded.shape[1:])
        time, batch = (1, 0) if self.batch_first else (0, 1)
        valid_lengths = read_lengths("TimeDistributed", lengths, input.shape[time], input.shape[batch], input.device)
        assert valid_lengths is not None
        steps = torch.arange(input.shape[time], device=input.device)
        valid = steps.unsqueeze(batch) < valid_lengths.unsqueeze(time)
        found: Tensor = self.module(input[valid])
        output = found.new_zeros((*input.shape[:2], *found.shape[1:]))
        return output.masked_scatter(valid.reshape(valid.shape + (1,) * (found.dim() - 1)), found)
