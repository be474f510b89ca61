"""Contiguous text in rows, a chunk of time after another: what truncated backpropagation through time trains on.

Axes in names: T time, B rows, N ids of the texts in the order of an epoch, K texts.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from throughtime.tasks.language.corpus import Corpus
from throughtime.training import StreamSource, fingerprint

IGNORED = -1
"""The target where a row has ended."""


class Chunk(NamedTuple):
    """Inputs and the ids that follow them.

    **Shapes** inputs, targets (T, B) int64, the input before a text's first id is 0 and not read; begins (T, B) bool,
    where a text begins, None for nowhere; classes (T, B) int64 of the texts, None without labels.
    """

    inputs: Tensor
    targets: Tensor
    begins: Tensor | None
    classes: Tensor | None
    first: bool
    """Whether the rows begin with it: the state is not carried into it."""


class ChunkSource(StreamSource):
    """The texts of a corpus, one after another, cut into `rows` rows of equal length; a chunk is `steps` steps of all.

    (1) row r holds the ids from ⌊r N / B⌋ to ⌊(r + 1) N / B⌋: every id is a target once in an epoch, the last one too
    (2) the input of a target is the id before it; a text's first target has none, nor has the first of a row where all
        is one text: so a model of one text, too, learns what to begin with

    With a generator the texts come in random order, and with `vary` the cuts between chunks are moved by up to a
    quarter of `steps`; without one the order is that of the corpus. Few rows of at least `steps` ids are made of a
    short corpus.
    """

    def __init__(self, corpus: Corpus, rows: int, steps: int, *, vary: bool = False) -> None:
        self.corpus = corpus
        self.rows = max(1, min(rows, len(corpus) // steps))
        self.steps = steps
        self.vary = vary
        N, B = len(corpus), self.rows
        self.begins_B = np.arange(B, dtype=np.int64) * N // B
        self.ends_B = np.arange(1, B + 1, dtype=np.int64) * N // B
        self.length = int((self.ends_B - self.begins_B).max())
        super().__init__(self._in_order, _only, examples=-(-self.length // steps), buffer=1)

    def _in_order(self) -> Iterator[Chunk]:
        return self._chunks(None)

    def read(self, generator: torch.Generator | None = None) -> Iterator[Chunk]:
        """Every chunk once."""
        return self._chunks(generator)

    def fingerprint(self) -> str:
        """Of the size of the corpus, its borders, and 65,536 ids spread over it."""
        N = len(self.corpus)
        _, sources, _ = self.corpus.locate(np.linspace(0, N - 1, min(N, 2**16)).astype(np.int64))
        ids = self.corpus.ids[sources].astype(np.int64)
        return fingerprint(N, self.rows, self.steps, self.corpus.lengths[: 2**20], ids)

    def _chunks(self, generator: torch.Generator | None) -> Iterator[Chunk]:
        corpus = self.corpus
        cuts = np.minimum(np.arange(self.examples + 1) * self.steps, self.length)
        if generator is not None:
            if corpus.texts > 1:
                corpus = corpus.select(torch.randperm(corpus.texts, generator=generator).numpy())
            if self.vary:
                # Even chunks first, so that the last one is not so short that a cut could pass its end.
                moves = torch.rand(self.examples - 1, generator=generator, dtype=torch.float64).numpy() - 0.5
                even = np.linspace(0.0, self.length, self.examples + 1)
                even[1:-1] += moves * even[1] / 2
                cuts = np.rint(even).astype(np.int64)
        for begin, end in pairwise(cuts.tolist()):
            yield self._chunk(corpus, begin, end)

    def _chunk(self, corpus: Corpus, begin: int, end: int) -> Chunk:
        place_TB = self.begins_B + np.arange(begin, end)[:, None]
        ended_TB = place_TB >= self.ends_B
        text_TB, source_TB, first_TB = corpus.locate(np.where(ended_TB, self.ends_B - 1, place_TB))
        begins_TB = first_TB & ~ended_TB
        if begin == 0 and corpus.texts == 1:
            begins_TB[0] = True
        targets_TB = np.where(ended_TB, IGNORED, corpus.ids[source_TB].astype(np.int64))
        inputs_TB = np.where(begins_TB, 0, corpus.ids[np.maximum(source_TB - 1, 0)].astype(np.int64))
        return Chunk(
            torch.from_numpy(inputs_TB),
            torch.from_numpy(targets_TB),
            torch.from_numpy(begins_TB) if begins_TB.any() else None,
            None if corpus.classes is None else torch.from_numpy(corpus.classes[text_TB]),
            begin == 0,
        )


def _only(examples: list[Any]) -> Any:
    """The chunk of a batch of one."""
    (chunk,) = examples
    return chunk
