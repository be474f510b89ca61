"""What training changes in the equations of one layer and direction: a mask on the state, and zoneout.

(1) recurrent dropout: the products with W_hh see m ∗ h, with m (B, H) drawn once a sequence, 0 or 1/(1 − p);
    the h that a cell blends in (a GRU's z ∗ h) is not masked
(2) zoneout: s' = k ∗ s + (1 − k) ∗ ŝ for s = h, c, with ŝ the cell's own new state, which its output gate sees too;
    in training k (B, H) is drawn at every step, 1 with probability p; in evaluation k = p

**Source** (1) [Gal2016], with the mask of the state alone, one for all gates; (2) [Krueger2017].

Axes in names: B batch, H hidden units.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from throughtime.cells import State
from throughtime.kernels import masks


@dataclass(frozen=True)
class Variation:
    """How one call differs from the plain equations.

    Attributes:
        h_mask: (B, H), or None for ones; float32 where the state is bfloat16.
        zoneout: the probabilities of the state's fields, or None.
        seed: 63 bits for zoneout's masks; None: the expectation.
        stream: layer * D + direction.
        step0: the time of the first step, where a sequence comes in chunks.
    """

    h_mask: Tensor | None = None
    zoneout: tuple[float, ...] | None = None
    seed: Tensor | None = None
    stream: int = 0
    step0: int = 0

    def later(self, steps: int) -> "Variation":
        """The same for the part of the sequence that begins `steps` steps later."""
        return replace(self, step0=self.step0 + steps)


_KINDS = (masks.Kind.ZONEOUT_H, masks.Kind.ZONEOUT_C)


class Zones:
    """Zoneout over a sequence of B rows, in torch: differentiable, and the bits of the native kernels' masks."""

    def __init__(self, variation: Variation, B: int) -> None:
        self._variation = variation
        self._words = []
        if variation.seed is not None:
            for kind in _KINDS[: len(variation.zoneout or ())]:
                words = masks.stream_words(variation.seed, variation.stream, kind)
                self._words.append((words, masks.row_words(words, B)))

    def _kept(self, t: int, state: State) -> list[Tensor]:
        """Where each field keeps its old value at t: (B, H) bool."""
        found = []
        for p, (words, rows), field in zip(self._variation.zoneout or (), self._words, state, strict=True):
            time = masks.time_words(words, self._variation.step0 + t)
            found.append(masks.dropped(rows, time, field.shape[-1], p))
        return found

    def blend(self, t: int, old: State, new: State) -> State:
        """s' = k ∗ s + (1 − k) ∗ ŝ."""
        p = self._variation.zoneout
        if p is None:
            return new
        if self._variation.seed is None:
            return tuple(k * o + (1 - k) * n for k, o, n in zip(p, old, new, strict=True))
        kept = self._kept(t, new)
        return tuple(torch.where(k, o, n) for k, o, n in zip(kept, old, new, strict=True))

    def split(self, t: int, d_state: State) -> tuple[State, State]:
        """The gradients of the old state (what it gets past the cell) and of the cell's new one."""
        p = self._variation.zoneout
        if p is None:
            return tuple(torch.zeros_like(d) for d in d_state), d_state
        if self._variation.seed is None:
            kept = zip(p, d_state, strict=True)
            pairs = [(k * d, (1 - k) * d) for k, d in kept]
        else:
            zero = d_state[0].new_zeros(())
            where = zip(self._kept(t, d_state), d_state, strict=True)
            pairs = [(torch.where(k, d, zero), torch.where(k, zero, d)) for k, d in where]
        return tuple(old for old, _ in pairs), tuple(new for _, new in pairs)
