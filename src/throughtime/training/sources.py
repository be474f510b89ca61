"""Where batches come from, and in which order."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.training.fingerprint import fingerprint


@runtime_checkable
class BatchSource(Protocol):
    """Data to train or validate on: so many examples, and the batch of any of them.

    Two things more are used where a source has them: `lengths`, an int64 tensor (n,) with the steps of time in each
    example, which `max_tokens` needs and from which padding is measured; and `fingerprint()`, text that differs where
    the data differ, for resuming (without it a sample of 64 examples is compared).
    """

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

    def fingerprint(self) -> str:
        """Of every value."""
        return fingerprint(self.tensors)


class SequenceSource:
    """Sequences of different lengths, and tensors with one entry a sequence beside them.

    A batch is a tuple: the sequences padded with zeros to the longest of them, their lengths, and an entry of each
    other tensor.

    **Shapes** sequence i (T_i, ...); batch: (T, B, ...), lengths (B,), others (B, ...).

    Raises:
        ArgumentTypeError: something is not a tensor.
        ArgumentError: no sequence, one without a time axis, or another tensor of another length.

    >>> source = SequenceSource([torch.ones(2), torch.ones(3)], torch.tensor([7, 8]))
    >>> [part.tolist() for part in source.batch(torch.tensor([0, 1]))]
    [[[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]], [2, 3], [7, 8]]
    """

    def __init__(self, sequences: Sequence[Tensor], *others: Tensor) -> None:
        for value in (*sequences, *others):
            if not isinstance(value, Tensor):
                raise ArgumentTypeError(
                    f"SequenceSource: expected tensors, got {type(value).__name__}; convert it with torch.as_tensor"
                )
        flat = next((i for i, sequence in enumerate(sequences) if sequence.dim() == 0), None)
        if not sequences or flat is not None:
            got = "none" if flat is None else f"a number as sequence {flat}"
            raise ArgumentError(f"SequenceSource: expected sequences with an axis of time, got {got}; give (T, ...)")
        for other in others:
            if other.dim() == 0 or len(other) != len(sequences):
                raise ArgumentError(
                    f"SequenceSource: expected other tensors with {len(sequences)} entries, one a sequence, got shape "
                    f"{tuple(other.shape)}; give as many as sequences"
                )
        self.sequences = list(sequences)
        self.others = others
        self.lengths = torch.tensor([len(sequence) for sequence in sequences])

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        chosen = [self.sequences[i] for i in indices.tolist()]
        others = (other.index_select(0, indices.to(other.device)) for other in self.others)
        return (torch.nn.utils.rnn.pad_sequence(chosen), self.lengths[indices], *others)

    def fingerprint(self) -> str:
        """Of every value."""
        return fingerprint(self.sequences, self.others)


def shuffled_batches(examples: int, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """Every example once, in an order drawn from `generator`; the last batch may be short."""
    return torch.split(torch.randperm(examples, generator=generator), batch_size)


def ordered_batches(examples: int, batch_size: int) -> Sequence[Tensor]:
    """Every example once, in the order of the source; the last batch may be short."""
    return torch.split(torch.arange(examples), batch_size)
