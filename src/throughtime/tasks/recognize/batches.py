"""Clips on their way into a net.

Axes in names: S steps of a recording, T steps of a clip, B clips.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from throughtime.tasks.recognize.augment import Augmentation
from throughtime.tasks.recognize.labels import UNSEEN
from throughtime.training import fingerprint


class ClipBatch(NamedTuple):
    """Clips of a batch."""

    x: Tensor
    """(T, B, C) float32, or (T, B, K, H, W) uint8."""
    lengths: Tensor
    """(B,)"""
    targets: Tensor
    """(B,), or (T, B) of every step; `UNSEEN` where nothing counts."""


class ClipSource:
    """Recordings as clips, as a `BatchSource`: at random places while training, else one after another.

    A recording with a label of its own is one example; one with labels of its steps is as many as clips fit in.

    Args:
        x: of each recording, (S, ...).
        targets: of each recording a number, or (S,) of its steps.
        window: steps of a clip, at most.
        augmentation: None: clips come as they are, from fixed places.
        scale: mean and deviation of the channels.
    """

    def __init__(
        self, x: Sequence[Tensor], targets: Sequence[Tensor], window: int, augmentation: Augmentation | None,
        scale: tuple[Tensor, Tensor] | None,
    ) -> None:  # fmt: skip
        self.x, self.targets, self.window = x, targets, window
        self.augmentation, self.scale = augmentation, scale
        self.aligned = targets[0].dim() == 1
        self.examples = [
            (row, number)
            for row, one in enumerate(x)
            for number in range(-(-len(one) // window) if self.aligned else 1)
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, indices: Tensor) -> ClipBatch:
        """The chosen clips, padded to the longest of them."""
        clips = [self._clip(*self.examples[i]) for i in indices.tolist()]
        lengths_B = torch.tensor([len(x) for x, _ in clips])
        x = pad_sequence([x for x, _ in clips])
        if self.aligned:
            return ClipBatch(x, lengths_B, pad_sequence([t for _, t in clips], padding_value=UNSEEN))
        return ClipBatch(x, lengths_B, torch.stack([t for _, t in clips]))

    def fingerprint(self) -> str:
        """Of every value."""
        return fingerprint(list(self.x), list(self.targets), self.window)

    def _clip(self, row: int, number: int) -> tuple[Tensor, Tensor]:
        x, targets = self.x[row], self.targets[row]
        spare = len(x) - self.window
        change = self.augmentation
        if spare > 0:
            if change is not None:
                first = int(torch.randint(spare + 1, ()))
            else:
                first = min(number * self.window, spare) if self.aligned else spare // 2
            x = x[first : first + self.window]
            targets = targets[first : first + self.window] if self.aligned else targets
        if change is None:
            return x, targets
        read_T = change.warped(len(x))
        x, targets = x[read_T], targets[read_T] if self.aligned else targets
        if x.dim() == 4:
            return change.images(x), targets
        assert self.scale is not None
        return change.samples(x, *self.scale), targets
