"""Data larger than memory: arrays mapped from disk, and streams of examples."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.training.fingerprint import fingerprint, spread


class NpySource:
    """Arrays in .npy files that share their first axis, mapped into memory: a batch reads its own examples alone.

    A batch is a tuple with a tensor for each file. The fingerprint is of shapes, types and 64 examples spread over
    the files: reading all of them would take as long as an epoch.

    Raises:
        ArgumentError: no file is given.
        DataError: a file is missing, no .npy file, holds objects or no examples, or as many as another does not.
    """

    def __init__(self, *paths: str | os.PathLike[str]) -> None:
        if not paths:
            raise ArgumentError("NpySource: expected one or more .npy files, got none; give a path")
        self.arrays = [self._open(Path(path)) for path in paths]
        sizes = [len(array) for array in self.arrays]
        if len(set(sizes)) > 1:
            raise DataError(
                f"NpySource: expected files with one number of examples, got {', '.join(map(str, sizes))}; "
                "put examples on the first axis of each"
            )

    @staticmethod
    def _open(path: Path) -> np.ndarray[Any, Any]:
        try:
            array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path}: expected an array in a .npy file, got {error}; write it with numpy.save"
            ) from error
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise DataError(f"{path}: expected an array with an axis of examples, got none; write it with numpy.save")
        return array

    def __len__(self) -> int:
        return len(self.arrays[0])

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        index = indices.numpy()
        return tuple(torch.from_numpy(array[index]) for array in self.arrays)

    def fingerprint(self) -> str:
        """Of shapes, types and a sample of the examples."""
        return fingerprint([(array.shape, array.dtype.str) for array in self.arrays], self.batch(spread(len(self))))


class StreamSource:
    """Examples that can only be read one after another, shuffled through a buffer.

    A buffer is filled; then each new example takes the place of one drawn from it at random. An example thus moves
    ahead by at most `buffer` places: data that are sorted on disk should be shuffled there once.

    Args:
        open: gives the examples anew from the first one, the same each time.
        collate: makes a batch of a list of examples.
        examples: how many there are; None: counted by reading them once.
        buffer: examples held in memory to shuffle them; 1 keeps the order of the stream.

    Raises:
        ArgumentError: a count below 0, a buffer below 1.
        DataError: while reading, where there are fewer or more examples than stated.

    >>> source = StreamSource(lambda: iter(range(5)), torch.tensor, buffer=2)
    >>> len(source), sorted(source.read(torch.Generator().manual_seed(0)))
    (5, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        open: Callable[[], Iterable[Any]],
        collate: Callable[[list[Any]], Any],
        *,
        examples: int | None = None,
        buffer: int = 1024,
    ) -> None:
        given: tuple[Any, ...] = (open, collate)
        if not all(map(callable, given)):
            wrong = next(value for value in given if not callable(value))
            raise ArgumentTypeError(f"StreamSource: expected functions open and collate, got {wrong!r}; give functions")
        if buffer < 1 or (examples is not None and examples < 0):
            name, value, least = ("buffer", buffer, 1) if buffer < 1 else ("examples", examples, 0)
            raise ArgumentError(f"StreamSource: expected {name} of at least {least}, got {value}; give more")
        self.open = open
        self.collate = collate
        self.buffer = buffer
        self.examples = sum(1 for _ in open()) if examples is None else examples

    def __len__(self) -> int:
        return self.examples

    def read(self, generator: torch.Generator | None = None) -> Iterator[Any]:
        """Every example once: shuffled by the generator, or in the order of the stream without one."""
        if generator is None or self.buffer == 1:
            yield from self._counted()
            return
        stream = self._counted()
        held = list(islice(stream, self.buffer))
        for example in stream:
            place = int(torch.randint(len(held), (), generator=generator))
            yield held[place]
            held[place] = example
        for place in torch.randperm(len(held), generator=generator).tolist():
            yield held[place]

    def fingerprint(self) -> str:
        """Of the number of examples and the first 64."""
        return fingerprint(self.examples, list(islice(self.open(), 64)))

    def _counted(self) -> Iterator[Any]:
        count = 0
        for example in self.open():
            count += 1
            if count > self.examples:
                break
            yield example
        if count != self.examples:
            got = f"only {count}" if count < self.examples else "more"
            raise DataError(
                f"StreamSource: expected {self.examples} examples from open(), got {got}; "
                "give as many each time, or leave examples out to have them counted"
            )


def chunks(stream: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` examples, the last one as long as what is left."""
    while chunk := list(islice(stream, size)):
        yield chunk
