"""Ids and conditions, checked where they enter.

Axes in names: T time, B batch.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError


def read_ids(
    who: str, name: str, given: Any, axes: str, size: int, device: torch.device, valid: Tensor | None = None
) -> Tensor:
    """Whole numbers in [0, size) as an int64 tensor on `device`; zeros where `valid` is False, whatever stood there.

    Args:
        who: who speaks in error messages.
        name: the argument's name.
        given: a tensor, or what makes one.
        axes: of the tensor expected, such as "TB".
        size: how many ids there are.
        device: where they are needed.
        valid: which of them count, or None for all.

    Raises:
        ArgumentTypeError: not whole numbers.
        ArgumentError: other axes, or a valid id outside [0, size).
    """
    ids: Tensor = torch.as_tensor(given)
    # An empty list has no integers in it to tell its dtype by.
    if ids.numel() and (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool):
        raise ArgumentTypeError(f"{who}: expected {name} of an integer dtype, got {ids.dtype}; pass ids")
    if ids.dim() != len(axes):
        raise ArgumentError(
            f"{who}: expected {name} of shape ({', '.join(axes)}{',' if len(axes) == 1 else ''}), got "
            f"{tuple(ids.shape)}; pass whole numbers, one for each"
        )
    ids = ids.to(device=device, dtype=torch.int64)
    if valid is not None:
        ids = ids.where(valid, 0)
    if ids.numel():
        low, high = (int(bound) for bound in torch.aminmax(ids))
        if low < 0 or high >= size:
            raise ArgumentError(
                f"{who}: expected {name} in [0, {size}), got {low if low < 0 else high}; pass one that the model knows"
            )
    return ids


def check_tensor(who: str, name: str, given: Any) -> None:
    """A tensor.

    Raises:
        ArgumentTypeError: something else.
    """
    if not isinstance(given, Tensor):
        raise ArgumentTypeError(
            f"{who}: expected {name} to be a tensor, got {type(given).__name__}; pass torch.as_tensor(...), time first"
        )


def check_sequences(who: str, given: Any) -> None:
    """A batch of sequences in one padded tensor, of three axes.

    Raises:
        ArgumentTypeError: no tensor, such as a PackedSequence.
        ArgumentError: other axes.
    """
    if not isinstance(given, Tensor):
        raise ArgumentTypeError(
            f"{who}: expected a padded tensor, got {type(given).__name__}; pass the tensor, and lengths beside it"
        )
    if given.dim() != 3:
        raise ArgumentError(
            f"{who}: expected a batch of sequences with three axes, got {tuple(given.shape)}; "
            "add the batch axis, of one row where there is one"
        )


def vocabulary_of(embedding: torch.nn.Module | None) -> int | None:
    """How many ids a module takes: the rows of the first `torch.nn.Embedding` in it, None where it has none."""
    modules = () if embedding is None else embedding.modules()
    return next((m.num_embeddings for m in modules if isinstance(m, torch.nn.Embedding)), None)
