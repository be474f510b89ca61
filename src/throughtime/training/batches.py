"""Which batches an epoch is made of, and fetching them, on other threads where that is asked for."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, DataError
from throughtime.training.config import TrainingConfig
from throughtime.training.distributed import ALONE, Team
from throughtime.training.sources import BatchSource, ordered_batches, shuffled_batches
from throughtime.training.streaming import StreamSource, chunks


class Fetched(NamedTuple):
    """A batch, and what was counted before it was made."""

    batch: Any
    """This process's part, where there are several; None where that is empty."""
    examples: int
    """In it."""
    tokens: int
    """Steps of time that hold data, of all processes; 0 where the source tells no lengths."""
    slots: int
    """The same with padding."""


_Order = tuple[Callable[[], Any], int, int, int]
"""How to make a batch, and the counts of `Fetched`."""


class Batches:
    """The training batches of every epoch of one training.

    With `max_tokens`, examples are sorted by length, equal lengths in random order; the row is cut where count ×
    longest would pass the budget, and the batches are shuffled. Where the cuts lie depends on the lengths alone, so
    that every epoch has as many steps.

    Raises:
        ArgumentError: `max_tokens` where the data tell no lengths, or below the longest example.
        DataError: lengths that do not fit the data.
    """

    def __init__(self, source: BatchSource | StreamSource, config: TrainingConfig, team: Team = ALONE) -> None:
        self.source = source
        self.config = config
        self.part = slice(team.rank, None, team.size)
        self.lengths = self._read_lengths()
        self.sizes: list[int] | None = None
        if config.max_tokens is not None:
            if self.lengths is None:
                raise ArgumentError(
                    f"train: expected train_data that tells the lengths of its examples for max_tokens="
                    f"{config.max_tokens}, got {type(source).__name__} without; use a SequenceSource or give it lengths"
                )
            self.sizes = cut_by_tokens(self.lengths, config.max_tokens)
        self.count = len(self.sizes) if self.sizes is not None else -(-len(source) // config.batch_size)

    def _read_lengths(self) -> Tensor | None:
        lengths = getattr(self.source, "lengths", None)
        if lengths is None:
            return None
        lengths = torch.as_tensor(lengths).cpu()
        if lengths.shape != (len(self.source),) or lengths.is_floating_point() or bool((lengths < 0).any()):
            raise DataError(
                f"train: expected train_data.lengths to hold {len(self.source)} whole numbers from 0, got "
                f"{lengths.dtype} of shape {tuple(lengths.shape)}; give one length an example"
            )
        return lengths.long()

    def epoch(self, order: torch.Generator, skip: int) -> Generator[Fetched, None, None]:
        """The batches of an epoch from number `skip` on (counted from 0); those before it are drawn, not made."""
        orders = islice(self._orders(order), skip, None)
        if self.config.workers == 0:
            for make, *counts in orders:
                yield Fetched(make(), *counts)
            return
        # Two batches a thread: one at work, one waiting. They come back in the order in which they were asked for.
        with ThreadPoolExecutor(self.config.workers) as pool:
            waiting: deque[tuple[Future[Any], list[int]]] = deque()
            try:
                for make, *counts in orders:
                    waiting.append((pool.submit(make), counts))
                    if len(waiting) > 2 * self.config.workers:
                        future, first = waiting.popleft()
                        yield Fetched(future.result(), *first)
                for future, counts in waiting:
                    yield Fetched(future.result(), *counts)
            finally:
                pool.shutdown(cancel_futures=True)

    def _orders(self, order: torch.Generator) -> Iterator[_Order]:
        if isinstance(self.source, StreamSource):
            for examples in chunks(self.source.read(order), self.config.batch_size):
                yield *self._made(self.source.collate, examples), 0, 0
            return
        for indices in self._indices(order):
            made = self._made(self.source.batch, indices)
            if self.lengths is None:
                yield *made, 0, 0
            else:
                lengths = self.lengths[indices]
                yield *made, int(lengths.sum()), len(indices) * int(lengths.max())

    def _made(self, make: Callable[[Any], Any], examples: Any) -> tuple[Callable[[], Any], int]:
        """How to make this process's part of a batch, and how many examples are in it."""
        mine = examples[self.part]
        return (partial(make, mine) if len(mine) else _nothing), len(mine)

    def _indices(self, order: torch.Generator) -> Sequence[Tensor]:
        if self.sizes is None:
            return shuffled_batches(len(self.source), self.config.batch_size, order)
        assert self.lengths is not None
        shuffled = torch.randperm(len(self.source), generator=order)
        by_length = shuffled[self.lengths[shuffled].argsort(stable=True)]
        batches = torch.split(by_length, self.sizes)
        return [batches[i] for i in torch.randperm(len(batches), generator=order).tolist()]


def _nothing() -> None:
    """The part of a batch that has fewer examples than there are processes."""


def cut_by_tokens(lengths: Tensor, max_tokens: int) -> list[int]:
    """The number of examples in each batch of a row sorted by length, such that count × longest ≤ max_tokens.

    Raises:
        ArgumentError: an example is longer than the budget.

    >>> cut_by_tokens(torch.tensor([5, 1, 2, 2]), 6)
    [3, 1]
    """
    longest = int(lengths.max())
    if longest > max_tokens:
        raise ArgumentError(
            f"train: expected max_tokens of at least {longest}, the length of the longest example (number "
            f"{int(lengths.argmax())}), got {max_tokens}; raise max_tokens or cut the example"
        )
    sizes, size = [], 0
    for length in lengths.sort().values.tolist():
        # Examples come in order of length, so the newest is the longest. An empty one takes a place all the same.
        if (size + 1) * max(length, 1) > max_tokens:
            sizes.append(size)
            size = 0
        size += 1
    return [*sizes, size]


def ordered_epoch(source: BatchSource | StreamSource, batch_size: int, team: Team = ALONE) -> Iterator[tuple[Any, int]]:
    """Every example once, in the order of the source: batches and their sizes. Of a team, each takes whole batches."""
    if isinstance(source, StreamSource):
        for examples in islice(chunks(source.read(), batch_size), team.rank, None, team.size):
            yield source.collate(examples), len(examples)
        return
    for indices in ordered_batches(len(source), batch_size)[team.rank :: team.size]:
        yield source.batch(indices), len(indices)
