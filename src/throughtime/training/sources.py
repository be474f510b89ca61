"""Where batches come from, and in which order."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError


@runtime_checkable
class BatchSource(Protocol):
    """Data to train or validate on: so many examples, and the batch of any of them."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def batch(self, indices: Tensor) -> Any:
        """What the loss takes for these examples.

        **Shapes** indices (n,), int64, on the CPU, each in [0, len(self)), in the order wanted.
        """
        ...


class TensorSource:
    """Tensors that share their first axis: one entry an example. A batch is a tuple with a tensor for each.

    Raises:
        ArgumentTypeError: something is not a tensor.
        ArgumentError: no tensor, a tensor without an axis, or first axes of different lengths.

    >>> source = TensorSource(torch.arange(4.0), torch.arange(8).view(4, 2))
    >>> [part.tolist() for part in source.batch(torch.tensor([3, 0]))]
    [[3.0, 0.0], [[6, 7], [0, 1]]]
    """

    def __init__(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise ArgumentTypeError(
                    f"TensorSource: expected tensors, got {type(tensor).__name__}; convert it with torch.as_tensor"
                )
        if not tensors or any(tensor.dim() == 0 for tensor in tensors):
            got = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "none"
            raise ArgumentError(
                f"TensorSource: expected one or more tensors with a first axis of examples, got {got}; "
                "give each at least one axis"
            )
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise ArgumentError(
                f"TensorSource: expected tensors with one number of examples, got {', '.join(map(str, lengths))}; "
                "put examples on the first axis of each"
            )
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.index_select(0, indices.to(tensor.device)) for tensor in self.tensors)


def shuffled_batches(examples: int, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """Every example once, in an order drawn from `generator`; the last batch may be short."""
    return torch.split(torch.randperm(examples, generator=generator), batch_size)


def ordered_batches(examples: int, batch_size: int) -> Sequence[Tensor]:
    """Every example once, in the order of the source; the last batch may be short."""
    return torch.split(torch.arange(examples), batch_size)
