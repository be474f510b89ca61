"""Layers upon each other, both directions of each, by one call into Python: forward, and backward.

What a small layer costs beyond its arithmetic are its node in autograd's graph, a dozen small tensors and their checks.
Here a stack has them once: the kernels write outputs, states and what they save where the whole has its place, by
address. The kernels, their order and so every bit are those of `torch_ops.run`, layer by layer.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.cells import Cell, Params
from throughtime.errors import ArgumentError
from throughtime.kernels import _native
from throughtime.kernels.torch_arguments import (
    CELL_CODES,
    address,
    addresses,
    as_rows,
    as_whole,
    expect,
    expect_sequences,
    expect_weights,
    problem,
    reset_address,
    saved_dtype,
)

WEIGHTS = len(Params._fields)


class Stack(NamedTuple):
    """What a call runs, beside its tensors."""

    cell: Cell
    D: int
    lengths: Tensor | None
    reset: Tensor | None


class Shape(NamedTuple):
    """Sizes of a stack, and the bytes of one layer and direction in what all have together."""

    T: int
    B: int
    H: int
    L: int
    width: int  # of `saved`, in elements
    row_bytes: int
    state_bytes: int
    saved_bytes: int
    c_bytes: int


def saved_width(cell: Cell, H: int) -> int:
    """What is saved of one step of one row, in elements."""
    return _native.saved_width(CELL_CODES[cell.name], H, False)


def shape(stack: Stack, x: Tensor, weights: Sequence[Tensor | None]) -> Shape:
    """Check everything that the kernels get by address.

    Raises:
        ArgumentError: a tensor does not fit the others.
    """
    cell, D = stack.cell, stack.D
    T, B, I = expect_sequences(cell.name, x, stack.lengths, stack.reset)
    H, count = 0, len(weights) // WEIGHTS
    for index in range(count):
        layer = tuple(weights[index * WEIGHTS : (index + 1) * WEIGHTS])
        rows = expect_weights(cell, I if index < D else D * H, layer, x.dtype)
        if index:
            expect("weight_hh", layer[1], (len(cell.gates) * H, H), x.dtype)
        H = rows
    width = saved_width(cell, H)
    size = x.element_size()
    saved_size = 4 if saved_dtype(x.dtype) is torch.float32 else size
    return Shape(T, B, H, count // D, width, H * size, B * H * size, T * B * width * saved_size, T * B * H * size)


def expect_states(s: Shape, D: int, dtype: torch.dtype, **states: Tensor | None) -> None:
    """Check tensors of the state's shape, as `shape` does."""
    for name, state in states.items():
        if state is not None:
            expect(name, state, (s.L * D, s.B, s.H), dtype)


def forward(
    stack: Stack,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor | None],
    save: bool,
) -> tuple[Shape, tuple[Any, ...]]:
    """y (T, B, D*H), h_n and c_n (L*D, B, H); what the backward pass needs: the outputs of the lower layers
    (L-1, T, B, D*H), `saved` (L*D, T, B, width) and c along time (L*D, T, B, H), each None where there is none.
    What the kernels do not write of `saved`, past a length and beside a last, partly used vector, holds anything."""
    s, D, (cell, _, lengths, reset) = shape(stack, x, weights), stack.D, stack
    expect_states(s, D, x.dtype, h0=h0, c0=c0)
    x = as_rows(x)
    # Bound to names, so that what a conversion made lives as long as the call.
    h0, c0, lengths, *whole = [as_whole(t) for t in (h0, c0, lengths, *weights)]
    has_c = "c" in cell.state_fields
    T, B, H, rows = s.T, s.B, s.H, s.L * D
    y = x.new_empty((T, B, D * H))
    h_n = x.new_empty((rows, B, H))
    c_n = torch.empty_like(h_n) if has_c else None
    hidden = x.new_empty((s.L - 1, T, B, D * H)) if s.L > 1 else None
    saved = x.new_empty((rows, T, B, s.width), dtype=saved_dtype(x.dtype)) if save else None
    c_seq = x.new_empty((rows, T, B, H)) if save and has_c else None
    at_h0, at_c0, at_h_n, at_c_n, at_saved, at_c_seq = addresses((h0, c0, h_n, c_n, saved, c_seq))
    outputs, at_weights = _outputs(s, D, hidden, y), addresses(whole)
    given, (y_t, y_b, _) = problem(cell.name, x, H), y.stride()
    borders = (address(lengths), *reset_address(reset))
    threads, call = torch.get_num_threads(), _native.sequence_forward_raw
    try:
        for index in range(rows):
            layer, way = divmod(index, D)
            if layer and way == 0:
                given = (*given[:4], D * H, H, outputs[layer - 1], y_t, y_b)
            call(  # type: ignore[call-arg]
                *given,  # type: ignore[arg-type]
                at_h0 and at_h0 + index * s.state_bytes,
                at_c0 and at_c0 + index * s.state_bytes,
                *at_weights[index * WEIGHTS : (index + 1) * WEIGHTS],
                *borders,
                way == 1,
                threads,
                outputs[layer] + way * s.row_bytes,
                y_t,
                y_b,
                at_h_n + index * s.state_bytes,
                at_c_n and at_c_n + index * s.state_bytes,
                at_saved and at_saved + index * s.saved_bytes,
                at_c_seq and at_c_seq + index * s.c_bytes,
            )
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return s, (y, h_n, c_n, hidden, saved, c_seq)


def _outputs(s: Shape, D: int, hidden: Tensor | None, y: Tensor) -> list[int]:
    """Where the output of every layer begins."""
    begin = address(hidden)
    return [*(begin + layer * D * s.c_bytes for layer in range(s.L - 1)), y.data_ptr()]


def backward(
    stack: Stack,
    s: Shape,
    d_outputs: tuple[Tensor | None, ...],
    inputs: tuple[Tensor | None, ...],
    kept: tuple[Tensor | None, ...],
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of x, h0, c0 and the weights; None where `needs` says False."""
    x, h0, c0, *weights = inputs
    y, hidden, saved, c_seq = kept
    assert x is not None
    assert y is not None
    cell, D, lengths, reset = stack
    dy, dh_n, dc_n = (*d_outputs, None)[:3]
    dy = None if dy is None else as_rows(dy)
    x = as_rows(x)
    dh_n, dc_n, h0, c0, lengths, *whole = [as_whole(t) for t in (dh_n, dc_n, h0, c0, lengths, *weights)]
    found = (x, h0, c0, *whole)
    # Gradients of what has gaps are whole.
    grads = [
        None if t is None or not need else torch.empty_like(t) if t.is_contiguous() else t.new_empty(t.shape)
        for t, need in zip(found, needs, strict=True)
    ]
    at_h0, at_c0, at_dh_n, at_dc_n, at_saved, at_c_seq = addresses((h0, c0, dh_n, dc_n, saved, c_seq))
    at_weights, at_grads = addresses(whole), addresses(grads)
    outputs, (y_t, y_b, _) = _outputs(s, D, hidden, y), y.stride()
    borders = (address(lengths), *reset_address(reset))
    threads, call = torch.get_num_threads(), _native.sequence_backward_raw
    begins = problem(cell.name, x, s.H)
    states, first_weight = any(needs[1:3]), 3
    for layer in reversed(range(s.L)):
        at = 0 if dy is None else dy.data_ptr()
        dy_t, dy_b = (0, 0) if dy is None else dy.stride()[:2]
        below = states or needs[0] or any(needs[first_weight : first_weight + layer * D * WEIGHTS])
        features = x.shape[2] if layer == 0 else D * s.H
        given = begins if layer == 0 else (*begins[:4], features, s.H, outputs[layer - 1], y_t, y_b)
        dx: Tensor | None = None
        for way in range(D):
            index = layer * D + way
            if layer == 0:
                own = grads[0] if way == 0 or grads[0] is None else torch.empty_like(grads[0])
            else:
                own = x.new_empty((s.T, s.B, features)) if below else None
            first = index * WEIGHTS
            call(  # type: ignore[call-arg]
                *given,  # type: ignore[arg-type]
                at_h0 and at_h0 + index * s.state_bytes,
                at_c0 and at_c0 + index * s.state_bytes,
                at_weights[first],
                at_weights[first + 1],
                at_weights[first + 4],
                *borders,
                way == 1,
                threads,
                outputs[layer] + way * s.row_bytes,
                y_t,
                y_b,
                at_saved + index * s.saved_bytes,
                at_c_seq and at_c_seq + index * s.c_bytes,
                at and at + way * s.row_bytes,
                dy_t,
                dy_b,
                at_dh_n and at_dh_n + index * s.state_bytes,
                at_dc_n and at_dc_n + index * s.state_bytes,
                0,
                address(own),
                *((0, 0) if own is None else own.stride()[:2]),
                at_grads[1] and at_grads[1] + index * s.state_bytes,
                at_grads[2] and at_grads[2] + index * s.state_bytes,
                *at_grads[first_weight + first : first_weight + first + WEIGHTS],
            )
            dx = own if dx is None or own is None else dx.add_(own)
        if not below:
            break
        dy = dx
    return grads
