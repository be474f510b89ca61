"""The native kernels as torch sees them.

Eager calls go through an autograd function straight to the kernels. Calls that are traced (compile, export, fake
tensors) go through the operator `throughtime::sequence`, whose registered backward is `throughtime::sequence_backward`.
Both end in `_forward` and `_backward`.

Axes in names: T time, B batch, I input features, H hidden units, G gates.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import CELLS, Cell, LayerNormParams, Params, State
from throughtime.errors import ArgumentError
from throughtime.kernels import _native, openmp, reference, saved_gates
from throughtime.kernels.health import Listener, empty_health
from throughtime.kernels.masks import Kind
from throughtime.kernels.recording import traced
from throughtime.kernels.torch_arguments import (
    CELL_CODES,
    DTYPE_CODES,
    address,
    as_rows,
    as_whole,
    expect,
    expect_inputs,
    expect_layer,
    has_zoneout,
    layer_addresses,
    problem,
    reset_address,
    saved_dtype,
    varied,
)
from throughtime.kernels.variation import Variation

DTYPES = frozenset(DTYPE_CODES)

# x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch: what a gradient may be asked for
_DIFFERENTIABLE = 8


# Two sets of threads would fight over the cores; torch's are there anyway.
openmp.borrow_threads()


def drop_mask(seed: Tensor, stream: int, kind: Kind, p: float, rows: int, units: int, dtype: torch.dtype) -> Tensor:
    """`masks.drop_mask`, bit for bit, in one pass."""
    mask = torch.empty((rows, units), dtype=dtype)
    _native.drop_mask(int(seed), stream, int(kind), p, rows, units, DTYPE_CODES[dtype], mask.data_ptr())
    return mask


def _empties(save: bool, cell: Cell, T: int, B: int, H: int, like: Tensor, zoneout: bool = False) -> tuple[Tensor, ...]:
    """y, h_n, c_n, saved, c_seq, not yet written; what a cell or a call does not have is empty."""
    has_c = "c" in cell.state_fields
    width = _native.saved_width(CELL_CODES[cell.name], H, zoneout) if save else 0
    return (
        like.new_empty((T, B, H)),
        like.new_empty((B, H)),
        like.new_empty((B, H) if has_c else (0,)),
        like.new_empty((T, B, width) if save else (0,), dtype=saved_dtype(like.dtype)),
        like.new_empty((T, B, H) if has_c and save else (0,)),
    )


def zero_unwritten(saved: Tensor, H: int, lengths: Tensor | None) -> None:
    """Zero what the kernels may leave of `saved` (..., T, B, width), so that equal calls give equal values: rows past a
    length, and without lengths the end of each (T, B, width), since they write T*B times what H units take at least."""
    T, B, width = saved.shape[-3:]
    if lengths is not None:
        saved.zero_()
    elif H % _native.saved_unit_multiple != 0 and saved.numel() > 0:
        a_unit = width // (-(-H // _native.saved_unit_multiple) * _native.saved_unit_multiple)
        saved.view(-1, T * B * width)[:, T * B * H * a_unit :].zero_()


def _forward(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_ch: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    reverse: bool,
    save: bool,
    clean: bool = False,
    variation: Variation | None = None,
) -> tuple[Tensor, ...]:
    given = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset)
    T, B, H = expect_inputs(cell, given)
    x = as_rows(x)
    # Bound to names, so that what a conversion made lives as long as the call.
    inputs = [as_whole(t) for t in (h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths)]
    outputs = y, h_n, c_n, saved, c_seq = _empties(save, CELLS[cell], T, B, H, x, has_zoneout(variation))
    if clean:
        zero_unwritten(saved, H, lengths)
    try:
        _native.sequence_forward_raw(  # type: ignore[call-arg,misc]
            *problem(cell, x, H),  # type: ignore[arg-type]
            *map(address, inputs),
            *reset_address(reset),
            reverse,
            torch.get_num_threads(),
            y.data_ptr(),
            y.stride(0),
            y.stride(1),
            h_n.data_ptr(),
            c_n.data_ptr() if c0 is not None else 0,
            saved.data_ptr() if save else 0,
            c_seq.data_ptr() if save and c0 is not None else 0,
            variation=varied(variation, x, H),
        )
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return outputs


def _backward(
    d_outputs: tuple[Tensor | None, ...],
    inputs: tuple[Tensor | None, ...],
    outputs: tuple[Tensor, ...],
    cell: str,
    reverse: bool,
    needs: tuple[bool, ...],
    listener: Listener | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of the differentiable inputs; None where `needs` says False."""
    x, h0, c0, weight_ih, weight_hh, _, _, weight_ch, lengths, reset = inputs
    assert x is not None
    assert weight_hh is not None
    x = as_rows(x)
    states = [as_whole(t) for t in (h0, c0, weight_ih, weight_hh, weight_ch, lengths)]
    y, _, _, saved, c_seq = outputs
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    dy = None if dy is None else as_rows(dy)
    finals = [as_whole(t) for t in (dh_n, dc_n, dc_seq)]
    differentiable = (x, *inputs[1:_DIFFERENTIABLE])
    grads = tuple(
        t.new_empty(t.shape) if t is not None and need else None for t, need in zip(differentiable, needs, strict=True)
    )
    dx = grads[0]
    health = None if listener is None else empty_health(CELLS[cell], x.shape[0], x.shape[1])
    _native.sequence_backward_raw(  # type: ignore[call-arg,misc]
        *problem(cell, x, weight_hh.shape[1]),  # type: ignore[arg-type]
        *map(address, states),
        *reset_address(reset),
        reverse,
        torch.get_num_threads(),
        y.data_ptr(),
        y.stride(0),
        y.stride(1),
        saved.data_ptr(),
        c_seq.data_ptr() if c0 is not None else 0,
        address(dy),
        *((0, 0) if dy is None else dy.stride()[:2]),
        *map(address, finals),
        address(dx),
        *((0, 0) if dx is None else dx.stride()[:2]),
        *map(address, grads[1:]),
        *(
            ()
            if health is None or listener is None
            else (*map(address, health[:3]), listener.margin, address(health[3]))
        ),
        variation=varied(variation, x, weight_hh.shape[1]),
    )
    if health is not None and listener is not None:
        listener.tell(health, d_outputs[:3])
    return grads


def _second_order(
    d_outputs: tuple[Tensor | None, ...],
    inputs: tuple[Tensor | None, ...],
    cell: str,
    reverse: bool,
    variation: Variation | None,
) -> tuple[Tensor | None, ...]:
    """The same gradients as differentiable functions of everything, by the reference scan."""
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    has_c = "c" in CELLS[cell].state_fields
    present = tuple(t for t, here in zip(inputs[:_DIFFERENTIABLE], _present(cell), strict=True) if here)
    found = iter(
        reference.scan_gradients(
            CELLS[cell],
            present,
            (dy, dh_n, dc_n) if has_c else (dy, dh_n),
            d_values={"c": dc_seq} if has_c else {},
            lengths=inputs[8],
            reset=inputs[9],
            reverse=reverse,
            variation=variation,
        )
    )
    return tuple(next(found) if here else None for here in _present(cell))


def _present(cell: str) -> tuple[bool, ...]:
    """Which of the differentiable inputs the reference takes: all but c0 of a cell without c."""
    return (True, True, "c" in CELLS[cell].state_fields, True, True, True, True, True)


class _Sequence(torch.autograd.Function):
    """Eager path; the operator's 100 µs of dispatch would be most of a small problem's time."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        reverse: bool,
        listener: Listener | None,
        variation: Variation | None,
        *inputs: Tensor | None,
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.reverse, ctx.listener, ctx.variation = cell, reverse, listener, variation
        outputs = _forward(*inputs, cell, reverse, True, variation=variation)  # type: ignore[arg-type,call-arg,misc]
        ctx.mark_non_differentiable(outputs[3])
        ctx.save_for_backward(*inputs, *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        inputs, outputs = saved[:10], saved[10:]
        if torch.is_grad_enabled():
            grads = _second_order(d_outputs, inputs, ctx.cell, ctx.reverse, ctx.variation)
            if ctx.listener is not None:
                nothing = (False,) * _DIFFERENTIABLE
                _backward(d_outputs, inputs, outputs, ctx.cell, ctx.reverse, nothing, ctx.listener, ctx.variation)
        else:
            needs = ctx.needs_input_grad[4 : 4 + _DIFFERENTIABLE]
            grads = _backward(d_outputs, inputs, outputs, ctx.cell, ctx.reverse, needs, ctx.listener, ctx.variation)
        return None, None, None, None, *grads, None, None


@torch.library.custom_op("throughtime::sequence", mutates_args=())
def _sequence(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_ch: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    reverse: bool,
    save: bool,
    h_mask: Tensor | None = None,
    seed: Tensor | None = None,
    zoneout: Sequence[float] | None = None,
    stream: int = 0,
    step0: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One layer in one direction: y, h_n, c_n, saved, c_seq. The last five arguments are `Variation`'s."""
    inputs = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset)
    variation = _variation(h_mask, zoneout, seed, stream, step0)
    return _forward(*inputs, cell, reverse, save, clean=save, variation=variation)  # type: ignore[return-value]


def _variation(
    h_mask: Tensor | None, zoneout: Sequence[float] | None, seed: Tensor | None, stream: int, step0: int
) -> Variation | None:
    """The operators' last arguments as one."""
    if h_mask is None and zoneout is None:
        return None
    return Variation(h_mask, None if zoneout is None else tuple(zoneout), seed, stream, step0)


@_sequence.register_fake
def _(x: Tensor, h0: Tensor, c0: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, *rest: Any) -> Any:
    cell, _, save = rest[5:8]
    zoneout = rest[10] if len(rest) > 10 else None
    T, B, _ = x.shape
    return _empties(save, CELLS[cell], T, B, weight_hh.shape[1], x, zoneout is not None)


@torch.library.custom_op("throughtime::sequence_backward", mutates_args=())
def _sequence_backward(
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
    dc_seq: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_ch: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    y: Tensor,
    saved: Tensor,
    c_seq: Tensor,
    cell: str,
    reverse: bool,
    needs: int,
    h_mask: Tensor | None = None,
    seed: Tensor | None = None,
    zoneout: Sequence[float] | None = None,
    stream: int = 0,
    step0: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of `sequence`'s differentiable inputs; empty where there is no such input, and where bit i of
    `needs` is not set for the i-th."""
    inputs = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset)
    T, B, H = expect_inputs(cell, inputs)
    has_c = "c" in CELLS[cell].state_fields
    for name, gradient, shape in (
        ("dy", dy, (T, B, H)),
        ("dh_n", dh_n, (B, H)),
        ("dc_n", dc_n, (B, H) if has_c else (0,)),
        ("dc_seq", dc_seq, (T, B, H) if has_c else (0,)),
    ):
        if gradient is not None:
            expect(name, gradient, shape, x.dtype)
    expect("y", y, (T, B, H), x.dtype)
    width = _native.saved_width(CELL_CODES[cell], H, zoneout is not None)
    expect("saved", saved, (T, B, width), saved_dtype(x.dtype))
    expect("c_seq", c_seq, (T, B, H) if has_c else (0,), x.dtype)
    outputs = (as_rows(y), h0, h0, saved.contiguous(), c_seq.contiguous())
    d_outputs = (dy, dh_n, dc_n, None, dc_seq)
    variation = _variation(h_mask, zoneout, seed, stream, step0)
    grads = _backward(d_outputs, inputs, outputs, cell, reverse, _needed(needs), variation=variation)
    return tuple(x.new_empty(0) if g is None else g for g in grads)  # type: ignore[return-value]


def _needed(needs: int) -> tuple[bool, ...]:
    return tuple(bool(needs >> i & 1) for i in range(_DIFFERENTIABLE))


@_sequence_backward.register_fake
def _(
    dy: Tensor | None, dh_n: Tensor | None, dc_n: Tensor | None, dc_seq: Tensor | None, x: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    inputs, needs = (x, *rest[: _DIFFERENTIABLE - 1]), _needed(rest[14])
    return tuple(
        x.new_empty(0) if t is None or not need else t.new_empty(t.shape) for t, need in zip(inputs, needs, strict=True)
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.cell, ctx.reverse, _, h_mask, seed, *ctx.varied = inputs[10:]
    ctx.save_for_backward(*inputs[:10], *output, h_mask, seed)


def _traced_backward(ctx: Any, *d_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    inputs, outputs, (h_mask, seed) = saved[:10], saved[10:15], saved[15:]
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    y, _, _, kept, c_seq = outputs
    needs = sum(int(need) << i for i, need in enumerate(ctx.needs_input_grad[:_DIFFERENTIABLE]))
    grads = _sequence_backward(
        dy, dh_n, dc_n, dc_seq, *inputs, y, kept, c_seq, ctx.cell, ctx.reverse, needs, h_mask, seed, *ctx.varied
    )
    found = zip(inputs[:_DIFFERENTIABLE], grads, _needed(needs), strict=True)
    return *(g if t is not None and need else None for t, g, need in found), *(None,) * 10


_sequence.register_autograd(_traced_backward, setup_context=_keep)


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    listener: Listener | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, State]:
    """Output (T, B, H) and final state of one layer in one direction.

    Raises:
        ArgumentError: a length is outside [0, T].
    """
    has_c = len(state) == 2
    inputs = (x_TBI, state[0], state[1] if has_c else None, *params, lengths, reset)
    save = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs[:_DIFFERENTIABLE])
    if traced():
        v = variation or Variation()
        varied = v.h_mask, v.seed, v.zoneout, v.stream, v.step0
        outputs = _sequence(*inputs, cell.name, reverse, save, *varied)
    elif save:
        outputs = _Sequence.apply(cell.name, reverse, listener, variation, *inputs)  # type: ignore[no-untyped-call]
    else:
        outputs = _forward(*inputs, cell.name, reverse, False, variation=variation)
    y_TBH, h_n, c_n, *_ = outputs
    return y_TBH, (h_n, c_n) if has_c else (h_n,)


def states(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
) -> tuple[tuple[Tensor, ...], State, dict[str, Tensor] | None]:
    """As `run`, with every field of the state along time, each (T, B, H), in the place of the output.

    The last are the gates' values, without a history; None where they cannot be had, as inside a graph.
    """
    has_c = len(state) == 2
    inputs = (x_TBI, state[0], state[1] if has_c else None, *params, lengths, reset)
    graph = traced()
    if graph:
        outputs = _sequence(*inputs, cell.name, reverse, True)
    else:
        outputs = _Sequence.apply(cell.name, reverse, None, None, *inputs)  # type: ignore[no-untyped-call]
    y_TBH, h_n, c_n, saved, c_seq_TBH = outputs
    sequences, final = ((y_TBH, c_seq_TBH), (h_n, c_n)) if has_c else ((y_TBH,), (h_n,))
    gates = None if graph else saved_gates.read(cell, saved, y_TBH, lengths, reverse=reverse)
    return sequences, final, gates


def step_function(
    cell: Cell, params: Sequence[Params | LayerNormParams], zoneout: tuple[float, ...] | None = None
) -> Callable[[Tensor, State, Tensor | None], State]:
    """One time step through layers packed now; see `dispatch.step_function`."""
    # Lives until the weights are packed.
    whole = [type(layer)(*map(as_whole, layer)) for layer in params]  # type: ignore[arg-type]
    weights = [layer.weight_ih for layer in params]
    H = params[0].weight_hh.shape[1]
    for index, (layer, weight) in enumerate(zip(params, weights, strict=True)):
        expect_layer(cell, H if index else weight.shape[-1], layer, weights[0].dtype)
        expect("weight_hh", layer.weight_hh, params[0].weight_hh.shape, weights[0].dtype)
    layers = [(w.shape[1], H, *layer_addresses(layer)) for w, layer in zip(weights, whole, strict=True)]
    keep = (*(zoneout or ()), 0.0, 0.0)[:2]
    step = _native.Stepper(CELL_CODES[cell.name], DTYPE_CODES[weights[0].dtype], layers, *keep).step
    empty_like, has_c = torch.empty_like, "c" in cell.state_fields

    def run_step(x_BI: Tensor, state: State, reset: Tensor | None) -> State:
        # Asked before they are converted: a conversion that does nothing costs as much as a small layer's step.
        if x_BI.is_neg() or not x_BI.is_contiguous():
            x_BI = as_whole(x_BI)
        h = state[0]
        if h.is_neg() or not h.is_contiguous():
            h = as_whole(h)
        h_new = empty_like(h)
        reset_at = 0 if reset is None else (reset := reset.contiguous()).data_ptr()
        if not has_c:
            step(x_BI.data_ptr(), h.data_ptr(), 0, h_new.data_ptr(), 0, x_BI.shape[0], reset_at)
            return (h_new,)
        c = state[1]
        if c.is_neg() or not c.is_contiguous():
            c = as_whole(c)
        c_new = empty_like(h)
        step(x_BI.data_ptr(), h.data_ptr(), c.data_ptr(), h_new.data_ptr(), c_new.data_ptr(), x_BI.shape[0], reset_at)
        return h_new, c_new

    return run_step
