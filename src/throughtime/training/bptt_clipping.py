"""Clipping inside backpropagation through time: a bound on what each step sends back to the one before it.

Axes in names: T time, B batch, L layers, H hidden units.
"""

from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import dropouts
from throughtime.nn.sequence_layer import SequenceLayer


class ClippedBPTT(nn.Module):
    """A one-way recurrent layer whose backward pass clips the gradient of the state between any two steps.

    (1) g_t = ∂L/∂s_t as the steps after t give it, s_t the state (h, and c where there is one) of all layers of a row
    (2) g_t ← g_t · min(1, limit / ‖g_t‖), row by row, before step t takes it

    The outputs are those of the layer, bit for bit; the gradient is no longer that of the loss, but cannot explode on
    its way back. The layer is run step by step, which takes several times as long as its own kernels: clipping the
    gradient of the parameters (`clip_norm`) is free beside it, and enough where the gradient itself is finite.

    Args:
        layer: a layer of `throughtime.nn`, not bidirectional.
        limit: the largest norm of a row's g_t.

    **Shapes** as the layer's, batched: input (T, B, I), or (B, T, I) where the layer is `batch_first`.

    Raises:
        ArgumentTypeError: not a recurrent layer of `throughtime.nn`, or a limit that is no number.
        ArgumentError: a bidirectional layer, or a limit that is not positive.

    **Source** differs from [Pascanu2013], which clips the sum over time once: here each term is clipped on its way.
    """

    def __init__(self, layer: SequenceLayer, limit: float) -> None:
        super().__init__()
        if not isinstance(layer, SequenceLayer):
            raise ArgumentTypeError(
                f"ClippedBPTT: expected a layer of throughtime.nn, got {type(layer).__name__}; wrap the layer itself"
            )
        if layer.bidirectional:
            raise ArgumentError(
                "ClippedBPTT: expected a one-way layer, got bidirectional=True; wrap a layer for each direction"
            )
        given: Any = limit
        if isinstance(given, bool) or not isinstance(given, Real):
            raise ArgumentTypeError(f"ClippedBPTT: expected a number as limit, got {limit!r}; give a positive one")
        if not limit > 0:
            raise ArgumentError(f"ClippedBPTT: expected a limit above 0, got {limit}; give a positive one")
        self.layer = layer
        self.limit = float(limit)
        self._clipped = 0
        self._seen = 0

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """The output of every step and the final state.

        Raises:
            ArgumentError: the input has no axes of time and batch.
        """
        if not isinstance(input, Tensor) or input.dim() != 3:
            got = tuple(input.shape) if isinstance(input, Tensor) else type(input).__name__
            raise ArgumentError(f"ClippedBPTT: expected input of three axes, got {got}; give a batch of sequences")
        time = 1 if self.layer.batch_first else 0
        outputs, state = [], hx
        masks_at = dropouts.over_pieces(self.layer, input.device)
        for t, x in enumerate(input.unbind(time)):
            output, state = self.layer.step(x, None if state is None else self._bound(state), **masks_at(t))
            outputs.append(output)
        if not outputs:
            return self.layer(input, hx)  # type: ignore[no-any-return]
        return torch.stack(outputs, time), state

    def _bound(self, state: Any) -> Any:
        """The state, with (2) on the way back. What is a tuple comes back as one, which every layer takes."""
        parts = tuple(state) if isinstance(state, tuple) else (state,)
        if not any(part.requires_grad for part in parts):
            return state
        bound = _Bound.apply(self, *parts)  # type: ignore[no-untyped-call]
        return bound if isinstance(state, tuple) else bound[0]

    def take_counts(self) -> tuple[int, int]:
        """Rows clipped and rows seen, over steps, since it was asked last."""
        counts = self._clipped, self._seen
        self._clipped = self._seen = 0
        return counts


class _Bound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, owner: ClippedBPTT, *parts_LBH: Tensor) -> tuple[Tensor, ...]:
        ctx.owner = owner
        return tuple(part.view_as(part) for part in parts_LBH)

    @staticmethod
    def backward(ctx: Any, *gradients_LBH: Tensor) -> tuple[Tensor | None, ...]:
        owner: ClippedBPTT = ctx.owner
        norms_B = torch.stack([torch.linalg.vector_norm(g, dim=(0, 2)) for g in gradients_LBH]).norm(dim=0)
        beyond_B = norms_B > owner.limit
        owner._seen += len(norms_B)
        owner._clipped += int(beyond_B.sum())
        scale_B1 = torch.where(beyond_B, owner.limit / norms_B, torch.ones_like(norms_B)).unsqueeze(-1)
        return None, *(gradient * scale_B1 for gradient in gradients_LBH)
