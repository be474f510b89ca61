"""One layer in one direction: plain, traced, with a state of the caller's at borders, checkpointed in time.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from throughtime.cells import State
from throughtime.kernels import dispatch
from throughtime.kernels.variation import Variation
from throughtime.nn import reset_state as segments

Run = Callable[..., tuple[Tensor, State]]
Scan = Callable[..., tuple[Tensor, State, Any]]


@dataclass(frozen=True)
class Way:
    """How a call runs its sequences, beyond what it gives.

    Attributes:
        method: the public method, for messages.
        traced: keep every value of every step.
        checkpoint: keep the states between pieces of time only, and compute the rest again in the backward pass.
        steps: the steps of a piece; about √T where None.
        mask_seed: what the masks of training follow from, as the caller gave it.
        step0: the time of the first step.
    """

    method: str = "forward"
    traced: bool = False
    checkpoint: bool = False
    steps: int | None = None
    mask_seed: Any = None
    step0: int = 0


FORWARD = Way()


@dataclass(frozen=True)
class Call:
    """A padded, time-first batch's borders, and the way to run it."""

    way: Way
    lengths_B: Tensor | None
    reset_TB: Tensor | None
    reset_state: State | None  # each (L*D, B, H); None for zeros
    seed: Tensor | None = None  # of the masks of training; None where nothing is drawn


def run(
    fast: Run,
    scan: Scan,
    x_TBI: Tensor,
    state: State,
    call: Call,
    index: int,
    *,
    reverse: bool,
    apart: bool,
    variation: Variation | None = None,
) -> tuple[Tensor, State, Any]:
    """Output (T, B, H), final state, and the values of every step if the call is traced, else None.

    Args:
        fast: ``fast(x, state, lengths=, reset=, reverse=)``, which starts anew from zeros.
        scan: the same with ``reset_state=``, and every value of every step with its result.
        x_TBI: the sequences.
        state: each (B, H).
        call: the rest.
        index: layer * D + direction.
        reverse: right to left.
        apart: where a border does not put zeros, run the segments apart by `fast`, not the whole by `scan`.
        variation: what training changes in the equations; `apart` is False then.
    """
    where: dict[str, Any] = {"lengths": call.lengths_B, "reset": call.reset_TB, "reverse": reverse}
    if variation is not None:
        where["variation"] = variation
    own = None
    if call.reset_state is not None and call.reset_TB is not None:
        own = tuple(s[index] for s in call.reset_state)
    if call.way.traced:
        return scan(x_TBI, state, **where, reset_state=own)
    rows = fast
    # Where segments begin and end is not known while tracing.
    if own is not None and (not apart or torch.compiler.is_compiling() or dispatch.transformed()):
        rows = partial(_without_values, scan, own)
    elif own is not None:
        rows = partial(segments.run, fast, own)
    # functorch has no hooks on saved tensors; forward mode saves nothing.
    if call.way.checkpoint and torch.is_grad_enabled() and not dispatch.transformed():
        steps = call.way.steps or math.ceil(math.sqrt(x_TBI.shape[0]))
        return *_in_pieces(rows, x_TBI, state, own, **where, steps=steps), None
    return *rows(x_TBI, state, **where), None


def _without_values(scan: Scan, own: State, x_TBI: Tensor, state: State, **where: Any) -> tuple[Tensor, State]:
    return scan(x_TBI, state, **where, reset_state=own)[:2]


def _in_pieces(
    rows: Run,
    x_TBI: Tensor,
    state: State,
    own: State | None,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    steps: int,
    variation: Variation | None = None,
) -> tuple[Tensor, State]:
    """The sequence piece by piece, each computed again when its gradient is wanted.

    What is kept beyond input and output are the states between pieces, T/steps − 1 of them, and in the backward pass
    what one piece of `steps` steps saves: with steps = ⌈√T⌉ no more than 2√T states.
    """
    T = x_TBI.shape[0]
    if steps >= T:  # one piece, and nothing between pieces to keep; T = 0 comes here too
        varied = {} if variation is None else {"variation": variation}
        return rows(x_TBI, state, lengths=lengths, reset=reset, reverse=reverse, **varied)

    def piece(begin: int, end: int, x_tBI: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        if reverse and reset is not None and end < T:
            # The border before `end` is met on the way into this piece, which cannot see it.
            border_B = reset[end] if lengths is None else reset[end] & (lengths > end)
            new = own or tuple(s.new_zeros(()) for s in state)
            state = tuple(torch.where(border_B.unsqueeze(-1), r, s) for r, s in zip(new, state, strict=True))
        output, final = rows(
            x_tBI,
            state,
            lengths=None if lengths is None else (lengths - begin).clamp(0, end - begin),
            reset=None if reset is None else reset[begin:end],
            reverse=reverse,
            **({} if variation is None else {"variation": variation.later(begin)}),
        )
        return output, *final

    outputs: list[Tensor] = []
    # Split once: the gradient of a slice is as long as the whole.
    pieces = list(zip(range(0, T, steps), x_TBI.split(steps), strict=True))  # type: ignore[no-untyped-call]
    for begin, x_tBI in reversed(pieces) if reverse else pieces:
        output, *state_list = checkpoint(piece, begin, begin + x_tBI.shape[0], x_tBI, *state, use_reentrant=False)
        state = tuple(state_list)
        outputs.append(output)
    return torch.cat(outputs[::-1] if reverse else outputs), state
