"""Which kernel runs a layer: the one place that chooses.

reference   the cell's own step in a loop: any device, any dtype, any order of derivative
auto        the fastest backend that can run this
"""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from throughtime.cells import Cell, Params, State
from throughtime.errors import ArgumentError
from throughtime.kernels import reference

BACKENDS = ("auto", "reference")


def check_backend(backend: str) -> None:
    """Refuse a backend that does not exist.

    Raises:
        ArgumentError: `backend` is not one of `BACKENDS`.
    """
    if backend not in BACKENDS:
        raise ArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}; pass one of these")


def _transformed() -> bool:
    """Whether a functorch transform or forward-mode differentiation is at work here.

    A custom op with a registered backward would return zero tangents there without an error.
    """
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """One layer in one direction over a whole sequence.

    **Shapes** x (T, B, I), state each (B, H), lengths (B,), reset (T, B); output (T, B, H), final state each (B, H).
    """
    check_backend(backend)
    if _transformed():
        output_TBH, final_state, _ = reference.scan(
            cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse
        )
        return output_TBH, final_state
    return reference.run(cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse)


def check_lengths(who: str, lengths: Tensor, T: int) -> None:
    """Refuse a length outside [0, T].

    Raises:
        ArgumentError: a length is negative or greater than T.
    """
    if _transformed() or lengths.numel() == 0:
        return
    low, high = int(lengths.min()), int(lengths.max())
    if low < 0 or high > T:
        raise ArgumentError(
            f"{who}: expected lengths between 0 and T = {T}, got {low if low < 0 else high}; "
            "a length counts the valid time steps of a row"
        )
