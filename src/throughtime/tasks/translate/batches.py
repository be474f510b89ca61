"""Pairs of sentences on their way into a net.

Axes in names: S source steps, T target steps, B pairs.
"""

from collections.abc import Iterable
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from throughtime.data.text.parallel_units import END, PAD
from throughtime.training import fingerprint

Ids = NDArray[np.int32]
_BLOCK = 1 << 16  # ids that are held before they are written


class PairBatch(NamedTuple):
    """Pairs of a batch."""

    sources: Tensor
    """Ids (S, B), END last."""
    source_lengths: Tensor
    """(B,)"""
    targets: Tensor
    """Ids (T, B), END last."""
    target_lengths: Tensor
    """(B,)"""


class PairSource:
    """Encoded pairs in a file without a name, mapped into memory: as a `BatchSource`.

    Twenty-four bytes a pair stay in memory, where it stands; a batch reads its own ids alone.

    Args:
        pairs: ids of source and target, without END.
    """

    def __init__(self, pairs: Iterable[tuple[Ids, Ids]]) -> None:
        sizes: list[NDArray[np.int32]] = []
        waiting: list[Ids] = []
        held, some = 0, []
        with TemporaryFile() as file:
            for source, target in pairs:
                waiting += [source, target]
                some.append((len(source), len(target)))
                held += len(source) + len(target)
                if held >= _BLOCK:
                    file.write(np.concatenate(waiting).astype(np.int32).tobytes())
                    sizes.append(np.array(some, dtype=np.int32))
                    waiting, held, some = [], 0, []
            if some:
                file.write(np.concatenate(waiting).astype(np.int32).tobytes())
                sizes.append(np.array(some, dtype=np.int32))
            file.flush()
            # The mapping outlives the file that it was made of.
            self.ids: Ids = np.memmap(file, dtype=np.int32, mode="r") if sizes else np.zeros(0, dtype=np.int32)
        self.sizes = np.concatenate(sizes) if sizes else np.zeros((0, 2), dtype=np.int32)
        """(N, 2) ids of source and target."""
        self.starts = np.concatenate([[0], self.sizes.sum(1, dtype=np.int64).cumsum()])
        self.lengths = torch.from_numpy(self.sizes.sum(1, dtype=np.int64) + 2)
        """Of source and target together, with END: pairs that are alike in both are read together."""

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def mean_length(self) -> float:
        """Ids of source and target together."""
        return float(self.lengths.double().mean())

    def pair(self, index: int) -> tuple[Ids, Ids]:
        """The ids of one pair."""
        start, middle = int(self.starts[index]), int(self.starts[index]) + int(self.sizes[index, 0])
        return self.ids[start:middle], self.ids[middle : int(self.starts[index + 1])]

    def batch(self, indices: Tensor) -> PairBatch:
        """The chosen pairs, padded to the longest of them."""
        found = [self.pair(index) for index in indices.tolist()]
        return PairBatch(*padded([source for source, _ in found]), *padded([target for _, target in found]))

    def fingerprint(self) -> str:
        """Of every id."""
        return fingerprint(self.sizes, self.ids)


class _Part:
    """Some pairs of a source, as a `BatchSource`."""

    def __init__(self, whole: PairSource, rows: NDArray[np.int64]) -> None:
        self.whole = whole
        self.rows = torch.from_numpy(rows)
        self.lengths = whole.lengths[self.rows]
        self.sizes = whole.sizes[rows]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def mean_length(self) -> float:
        """Ids of source and target together."""
        return float(self.lengths.double().mean())

    def batch(self, indices: Tensor) -> PairBatch:
        return self.whole.batch(self.rows[indices])

    def fingerprint(self) -> str:
        return fingerprint(self.whole.fingerprint(), self.rows)


def some_of(source: PairSource, rows: NDArray[np.int64]) -> _Part:
    """These pairs, in this order."""
    return _Part(source, rows)


def padded(rows: list[Ids]) -> tuple[Tensor, Tensor]:
    """Ids (T, B) with END after each, and the lengths with it."""
    ended = [torch.from_numpy(np.append(row, END).astype(np.int64)) for row in rows]
    return pad_sequence(ended, padding_value=PAD), torch.tensor([len(row) for row in ended])
