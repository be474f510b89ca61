"""How well a composer knows pieces: nats, by step and by note, beside simple counts.

Axes in names: T frames, B pieces, K keys, N frames of all pieces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.tasks.compose.frames import KEYS, FramesNet, FrameSource, Roll

MODEL = "model"
WINDOW = 200
"""Frames of a window in the second of two averagings."""
_ROWS = 16


@dataclass(frozen=True)
class ComposeEvaluation:
    """What `Composer.evaluate` found.

    Attributes:
        pieces: how many.
        steps: predicted: events, or frames but for each piece's first.
        notes: in the pieces.
        step: what a step is: "event" or "frame".
        nats: −Σ log p over all steps, in nats, by model; the model itself is called "model".
        windowed: of frames, the mean over windows of 200 steps, each from a state of zeros, silent frames left out, of
            the mean −log p of a step in it; None for events.
        overlaps: of histograms of written pieces and these, by kind; empty where none were written.
    """

    pieces: int
    steps: int
    notes: int
    step: str
    nats: dict[str, float]
    windowed: float | None = None
    overlaps: dict[str, float] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """For each model: nats a step and nats a note."""
        return {
            name: {"nats_per_step": nats / self.steps, "nats_per_note": nats / max(self.notes, 1)}
            for name, nats in self.nats.items()
        }

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        others = {name: n for name, n in self.nats.items() if name != MODEL}
        best = min(others, key=others.__getitem__)
        verb = "beats" if self.nats[MODEL] < others[best] else "does not beat"
        mine, theirs = (self.nats[name] / self.steps for name in (MODEL, best))
        return f"{mine:.3f} nats a {self.step}: the model {verb} the {best} ({theirs:.3f})."

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        counts = {name: getattr(self, name) for name in ("pieces", "steps", "notes", "step", "windowed", "overlaps")}
        return {**counts, "metrics": self.metrics}


@torch.no_grad()
def frame_nats(net: FramesNet, rolls: Sequence[Roll], styles: Sequence[int] | None = None) -> list[NDArray[np.float64]]:
    """−log p of every frame of each piece but the first, given all before it, in nats.

    The net is read in eval mode; like lengths beside one another, which changes nothing but the time it takes.
    """
    was, found = net.training, [np.zeros(0)] * len(rolls)
    net.eval()
    order = sorted(range(len(rolls)), key=lambda i: len(rolls[i]))
    for begin in range(0, len(order), _ROWS):
        near = order[begin : begin + _ROWS]
        source = FrameSource(
            [rolls[i] for i in near], None if styles is None else [styles[i] for i in near], window=None,
            batch_size=len(near),
        )  # fmt: skip
        log_p_TB, _ = net.log_probs(source.collate(list(source.open())))
        for b, i in enumerate(near):
            found[i] = -log_p_TB[1 : len(rolls[i]), b].double().numpy()
    net.train(was)
    return found


def per_step(nats: Sequence[NDArray[np.float64]]) -> float:
    """The first averaging: the sum over all steps of whole pieces, by their number.

    **Source** [Bai2018].
    """
    return float(sum(part.sum() for part in nats) / max(sum(map(len, nats)), 1))


def windows_of(rolls: Sequence[Roll], window: int = WINDOW) -> tuple[list[Roll], list[int]]:
    """What the second averaging predicts: pieces without silent frames, cut into windows of so many steps.

    A window has one frame more than steps; what is left at a piece's end is a window, too, if it has a step.

    Returns:
        The windows, and the number of the piece that each is of.

    **Source** [Draguns2021], their preparation of the data.
    """
    found, owners = [], []
    for i, roll in enumerate(rolls):
        sounding = roll[roll.any(1)]
        cuts = [*range(0, max(len(sounding) - window, 0), window)]
        rest = cuts[-1] + window if cuts else 0
        for begin in cuts:
            found.append(sounding[begin : begin + window + 1])
            owners.append(i)
        if len(sounding) - rest >= 2:
            found.append(sounding[rest:])
            owners.append(i)
    return found, owners


def per_window(net: FramesNet, rolls: Sequence[Roll], styles: Sequence[int] | None = None) -> float:
    """The second averaging: the mean over `windows_of` of the mean over their steps."""
    windows, owners = windows_of(rolls)
    if not windows:
        return math.nan
    nats = frame_nats(net, windows, None if styles is None else [styles[i] for i in owners])
    return float(np.mean([part.mean() for part in nats]))


class KeyCounts:
    """The baseline of frames: how often each key sounds, and how often after it sounded or was silent.

    **Shapes** counts (2, 2, K): before, now, key.
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts

    @classmethod
    def count(cls, rolls: Sequence[Roll]) -> "KeyCounts":
        """Read rolls once."""
        counts = np.zeros((2, 2, KEYS), dtype=np.int64)
        for roll in rolls:
            before, now = roll[:-1].astype(bool), roll[1:].astype(bool)
            for a in (0, 1):
                for b in (0, 1):
                    counts[a, b] += ((before == a) & (now == b)).sum(0)
        return cls(counts)

    def nats(self, rolls: Sequence[Roll]) -> tuple[float, float]:
        """−Σ log p over every frame but the first of each: by the last frame, and by frequency alone."""
        own = KeyCounts.count(rolls).counts
        smooth = self.counts + 0.5
        after = smooth / smooth.sum(1, keepdims=True)
        alone = smooth.sum(0) / smooth.sum((0, 1))
        return -float((own * np.log(after)).sum()), -float((own * np.log(alone)).sum())
