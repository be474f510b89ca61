"""Texts on their way into a net.

Axes in names: T ids of a text, B texts, K labels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from throughtime.training import fingerprint


class TextBatch(NamedTuple):
    """Texts of a batch."""

    ids: Tensor
    """(T, B), 0 past a length."""
    lengths: Tensor
    """(B,)"""
    targets: Tensor
    """(B, K), 1 where a text has a label."""
    scores: Tensor
    """(B, K) what n-grams say, added to the net's; zeros where the net stands alone."""


class TextSource:
    """Texts with their labels, as a `BatchSource`."""

    def __init__(self, texts: Sequence[NDArray[np.int32]], targets_NK: Tensor, scores_NK: Tensor | None = None) -> None:
        self.texts = texts
        self.targets_NK = targets_NK
        self.scores_NK = torch.zeros_like(targets_NK) if scores_NK is None else scores_NK
        self.lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, indices: Tensor) -> TextBatch:
        """The chosen texts, padded to the longest of them."""
        ids = pad_sequence([torch.from_numpy(self.texts[row]).long() for row in indices.tolist()])
        return TextBatch(ids, self.lengths[indices], self.targets_NK[indices], self.scores_NK[indices])

    def fingerprint(self) -> str:
        """Of every text and label."""
        return fingerprint(self.texts, self.targets_NK, self.scores_NK)


def by_length(lengths: Tensor, most: int) -> list[Tensor]:
    """Rows in order of length, as many at a time as stay below `most` ids with their padding."""
    order = lengths.argsort(stable=True)
    found, first = [], 0
    for at, length in enumerate(lengths[order].tolist()):
        if at > first and (at + 1 - first) * max(length, 1) > most:
            found.append(order[first:at])
            first = at
    return [*found, order[first:]] if len(order) else []
