"""Lengths of the rows of a batch, checked where they enter.

Axes in names: T time, B batch.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import dispatch


def read_lengths(who: str, given: Any, T: int, B: int, device: torch.device) -> Tensor | None:
    """Lengths as an int64 tensor (B,) on `device`, or None where none are given.

    Raises:
        ArgumentTypeError: the lengths are not whole numbers.
        ArgumentError: there is not one for each row, or one is outside [0, T].
    """
    if given is None:
        return None
    lengths: Tensor = torch.as_tensor(given)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ArgumentTypeError(
            f"{who}: expected lengths of an integer dtype, got {lengths.dtype}; pass whole numbers of time steps"
        )
    if tuple(lengths.shape) != (B,):
        raise ArgumentError(
            f"{who}: expected lengths of shape ({B},), got {tuple(lengths.shape)}; pass one length for each row"
        )
    lengths = lengths.to(device=device, dtype=torch.int64)
    dispatch.check_lengths(who, lengths, T)
    return lengths


def valid_steps(lengths_B: Tensor, T: int) -> Tensor:
    """Which of T steps lie within each row's length, bool (T, B)."""
    return torch.arange(T, device=lengths_B.device).unsqueeze(1) < lengths_B
