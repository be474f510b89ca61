"""A state of the caller's in the place of the zeros from which the kernels start anew at a border.

A row with borders is its segments run apart. The segments become rows of their own, each with its length and with the
state that it starts from, and the kernels run these as they run any ragged batch. Segments of like length go together,
lengths up to a power of two in one call, so that no more than half of a batch is padding and no call is made for few
steps. A row in a batch has the bits of the row alone, and a sequence those of its chunks: so has this.

Axes in names: T time, B batch, I input features, H hidden units, N segments.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from throughtime.cells import State
from throughtime.nn.lengths import valid_steps

Run = Callable[..., tuple[Tensor, State]]


def run(
    run_rows: Run,
    reset_state: State,
    x_TBI: Tensor,
    state: State,
    *,
    lengths: Tensor | None,
    reset: Tensor,
    reverse: bool,
) -> tuple[Tensor, State]:
    """One layer in one direction, where a border puts `reset_state` in the place of the state.

    Args:
        run_rows: ``run_rows(x, state, lengths=, reset=None, reverse=)`` gives output and final state.
        reset_state: each (B, H).
        x_TBI: the sequences.
        state: each (B, H), the state before the first step in running order.
        lengths: (B,), or None for T everywhere.
        reset: (T, B).
        reverse: right to left.
    """
    T, B, _ = x_TBI.shape
    if T == 0 or B == 0:
        return run_rows(x_TBI, state, lengths=lengths, reset=None, reverse=reverse)
    if T == 1:
        if not reverse:
            starts = reset[0].unsqueeze(-1) if lengths is None else (reset[0] & (lengths > 0)).unsqueeze(-1)
            state = tuple(torch.where(starts, r, s) for r, s in zip(reset_state, state, strict=True))
        return run_rows(x_TBI, state, lengths=lengths, reset=None, reverse=reverse)

    ends_B = torch.full((B,), T, device=x_TBI.device) if lengths is None else lengths
    starts_TB = reset.clone()
    starts_TB[0] = True
    starts_TB &= valid_steps(ends_B, T)
    # Row by row, and in a row from left to right.
    row_N, begin_N = starts_TB.T.nonzero(as_tuple=True)
    followed_N = torch.cat((row_N[1:] == row_N[:-1], row_N.new_zeros(min(1, len(row_N)), dtype=torch.bool)))
    length_N = torch.where(followed_N, begin_N.roll(-1), ends_B[row_N]) - begin_N
    if reverse:
        first_N, last_N = ~followed_N, begin_N == 0
    else:
        first_N, last_N = (begin_N == 0) & ~reset[0, row_N], ~followed_N
    entering = tuple(
        torch.where(first_N.unsqueeze(-1), s.index_select(0, row_N), r.index_select(0, row_N))
        for s, r in zip(state, reset_state, strict=True)
    )

    x_flat = x_TBI.flatten(0, 1)
    # The exponent of n − 1 is the number of binary digits that it has.
    digits_N = torch.frexp((length_N - 1).double()).exponent
    outputs, places, finals, order = [], [], [], []
    for digits in sorted(set(digits_N.tolist())):
        mine = (digits_N == digits).nonzero().squeeze(1)
        length_n = length_N[mine]
        steps = torch.arange(int(length_n.max()), device=x_TBI.device).unsqueeze(1)
        place = (begin_N[mine] + steps).clamp(max=T - 1) * B + row_N[mine]
        x = x_flat.index_select(0, place.flatten()).view(*place.shape, -1)
        output, final = run_rows(
            x, tuple(s.index_select(0, mine) for s in entering), lengths=length_n, reset=None, reverse=reverse
        )
        valid = (steps < length_n).flatten().nonzero().squeeze(1)
        outputs.append(output.flatten(0, 1).index_select(0, valid))
        places.append(place.flatten()[valid])
        finals.append(final)
        order.append(mine)

    if not outputs:  # every row is empty
        return run_rows(x_TBI, state, lengths=lengths, reset=None, reverse=reverse)
    made = torch.cat(outputs)
    output_TBH = made.new_zeros(T * B, made.shape[-1]).index_copy(0, torch.cat(places), made).view(T, B, -1)
    at = torch.cat(order)
    ending = last_N[at].nonzero().squeeze(1)
    final_state = tuple(
        s.index_copy(0, row_N[at[ending]], torch.cat(field).index_select(0, ending))
        for s, field in zip(state, zip(*finals, strict=True), strict=True)
    )
    return output_TBH, final_state
