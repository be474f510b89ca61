"""The native kernels of the cells with layer normalisation, as torch sees them: what `torch_ops` is for the others.

Eager calls go through an autograd function straight to the kernels, traced ones through the operators
`throughtime::normalized_sequence` and `throughtime::normalized_sequence_backward`.

Axes in names: T time, B batch, I input features, H hidden units, G gates.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import LAYER_NORM_CELLS, Cell, LayerNormParams, State
from throughtime.errors import ArgumentError
from throughtime.kernels import _native, reference, saved_gates, torch_ops
from throughtime.kernels.health import Listener, empty_health
from throughtime.kernels.recording import traced
from throughtime.kernels.torch_arguments import (
    CELL_CODES,
    address,
    addresses,
    as_rows,
    as_whole,
    expect,
    expect_layer,
    expect_sequences,
    expect_states,
    has_zoneout,
    problem,
    reset_address,
    saved_dtype,
    varied,
)
from throughtime.kernels.variation import Variation

# x, h0, c0 and the parameters: what a gradient may be asked for
_DIFFERENTIABLE = 3 + len(LayerNormParams._fields)

Given = tuple[Tensor | None, ...]  # the differentiable inputs, lengths, reset


def _expect(cell: str, given: Given) -> tuple[int, int, int]:
    """Check all tensors against x and the cell; gives T, B, H."""
    x, h0, c0, *weights, lengths, reset = given
    T, B, I = expect_sequences(cell, x, lengths, reset, LAYER_NORM_CELLS)
    assert x is not None
    H = expect_layer(LAYER_NORM_CELLS[cell], I, LayerNormParams(*weights), x.dtype)  # type: ignore[arg-type]
    expect_states(LAYER_NORM_CELLS[cell], h0, c0, (B, H), x.dtype)
    return T, B, H


def _forward(
    given: Given, cell: str, reverse: bool, save: bool, variation: Variation | None = None, clean: bool = False
) -> tuple[Tensor, ...]:
    """y, h_n, c_n, saved, c_seq; what a cell or a call does not have is empty."""
    T, B, H = _expect(cell, given)
    x = given[0]
    assert x is not None
    x = as_rows(x)
    # Bound to a name, so that what a conversion made lives as long as the call.
    whole = [as_whole(t) for t in given[1:-1]]
    h0, c0, w_ih, w_hh, b_ih, b_hh, *norm, lengths = addresses(whole)
    outputs = torch_ops._empties(save, LAYER_NORM_CELLS[cell], T, B, H, x, has_zoneout(variation))
    y, h_n, c_n, saved, c_seq = outputs
    if clean:
        torch_ops.zero_unwritten(saved, H, given[-2])
    try:
        _native.sequence_forward_raw(  # type: ignore[call-arg,misc]
            *problem(cell, x, H),  # type: ignore[arg-type]
            *(h0, c0, w_ih, w_hh, b_ih, b_hh, 0, lengths),
            *reset_address(given[-1]),
            reverse,
            torch.get_num_threads(),
            y.data_ptr(),
            *y.stride()[:2],
            h_n.data_ptr(),
            c_n.data_ptr() if c0 else 0,
            saved.data_ptr() if save else 0,
            c_seq.data_ptr() if save and c0 else 0,
            variation=varied(variation, x, H),
            norm=tuple(norm),
        )
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return outputs


def _backward(
    d_outputs: Given,
    given: Given,
    outputs: tuple[Tensor, ...],
    cell: str,
    reverse: bool,
    needs: Sequence[bool],
    listener: Listener | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of the differentiable inputs; None where `needs` says False."""
    x = given[0]
    assert x is not None
    x = as_rows(x)
    H = outputs[0].shape[2]
    whole = [as_whole(t) for t in given[1:-1]]
    h0, c0, w_ih, w_hh, b_ih, b_hh, *norm, lengths = addresses(whole)
    y, _, _, saved, c_seq = outputs
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    dy = None if dy is None else as_rows(dy)
    finals = [as_whole(t) for t in (dh_n, dc_n, dc_seq)]
    grads = tuple(
        t.new_empty(t.shape) if t is not None and need else None
        for t, need in zip((x, *given[1:_DIFFERENTIABLE]), needs, strict=True)
    )
    dx, (dh0, dc0, *d_weights) = grads[0], addresses(grads[1:])
    health = None if listener is None else empty_health(LAYER_NORM_CELLS[cell], x.shape[0], x.shape[1])
    _native.sequence_backward_raw(  # type: ignore[call-arg,misc]
        *problem(cell, x, H),  # type: ignore[arg-type]
        *(h0, c0, w_ih, w_hh, 0, lengths),
        *reset_address(given[-1]),
        reverse,
        torch.get_num_threads(),
        y.data_ptr(),
        *y.stride()[:2],
        saved.data_ptr(),
        c_seq.data_ptr() if c0 else 0,
        address(dy),
        *((0, 0) if dy is None else dy.stride()[:2]),
        *addresses(finals),
        address(dx),
        *((0, 0) if dx is None else dx.stride()[:2]),
        *(dh0, dc0, *d_weights[:4], 0),
        *(
            ()
            if health is None or listener is None
            else (*map(address, health[:3]), listener.margin, address(health[3]))
        ),
        variation=varied(variation, x, H),
        norm=(*norm, b_ih, b_hh, *d_weights[4:]),
    )
    if health is not None and listener is not None:
        listener.tell(health, d_outputs[:3])
    return grads


def _second_order(
    d_outputs: Given, given: Given, cell: str, reverse: bool, variation: Variation | None
) -> tuple[Tensor | None, ...]:
    """The same gradients as differentiable functions of everything, by the reference scan."""
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    has_c = "c" in LAYER_NORM_CELLS[cell].state_fields
    x, h0, c0, *weights = given[:_DIFFERENTIABLE]
    dx, dh0, *rest = reference.scan_gradients(
        LAYER_NORM_CELLS[cell],
        (x, h0, *((c0,) if has_c else ()), *weights),
        (dy, dh_n, dc_n) if has_c else (dy, dh_n),
        d_values={"c": dc_seq} if has_c else {},
        lengths=given[-2],
        reset=given[-1],
        reverse=reverse,
        variation=variation,
    )
    return dx, dh0, *(rest if has_c else (None, *rest))


class _Sequence(torch.autograd.Function):
    """Eager path."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        reverse: bool,
        listener: Listener | None,
        variation: Variation | None,
        *given: Tensor | None,
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.reverse, ctx.listener, ctx.variation = cell, reverse, listener, variation
        outputs = _forward(given, cell, reverse, True, variation)
        ctx.mark_non_differentiable(outputs[3])
        ctx.save_for_backward(*given, *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> Any:
        given, outputs = ctx.saved_tensors[:-5], ctx.saved_tensors[-5:]
        where = ctx.cell, ctx.reverse
        if torch.is_grad_enabled():
            grads = _second_order(d_outputs, given, *where, ctx.variation)
            if ctx.listener is not None:
                nothing = (False,) * _DIFFERENTIABLE
                _backward(d_outputs, given, outputs, *where, nothing, ctx.listener, ctx.variation)
        else:
            needs = ctx.needs_input_grad[4 : 4 + _DIFFERENTIABLE]
            grads = _backward(d_outputs, given, outputs, *where, needs, ctx.listener, ctx.variation)
        return None, None, None, None, *grads, None, None


@torch.library.custom_op("throughtime::normalized_sequence", mutates_args=())
def _sequence(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_ln_ih: Tensor,
    weight_ln_hh: Tensor,
    weight_ln_c: Tensor | None,
    bias_ln_c: Tensor | None,
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
    given = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ln_ih, weight_ln_hh, weight_ln_c, bias_ln_c)
    variation = torch_ops._variation(h_mask, zoneout, seed, stream, step0)
    return _forward((*given, lengths, reset), cell, reverse, save, variation, clean=save)  # type: ignore[return-value]


@_sequence.register_fake
def _(x: Tensor, h0: Tensor, c0: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, *rest: Any) -> Any:
    cell, _, save = rest[8:11]
    T, B, _ = x.shape
    return torch_ops._empties(save, LAYER_NORM_CELLS[cell], T, B, weight_hh.shape[1], x)


@torch.library.custom_op("throughtime::normalized_sequence_backward", mutates_args=())
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
    weight_ln_ih: Tensor,
    weight_ln_hh: Tensor,
    weight_ln_c: Tensor | None,
    bias_ln_c: Tensor | None,
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of `normalized_sequence`'s differentiable inputs; empty where there is no such input, and where bit
    i of `needs` is not set for the i-th."""
    weights = weight_ih, weight_hh, bias_ih, bias_hh, weight_ln_ih, weight_ln_hh, weight_ln_c, bias_ln_c
    given = x, h0, c0, *weights, lengths, reset
    T, B, H = _expect(cell, given)
    has_c = "c" in LAYER_NORM_CELLS[cell].state_fields
    whole, last, width = (T, B, H), (B, H), _native.saved_width(CELL_CODES[cell], H)
    for name, tensor, shape in (
        ("dy", dy, whole),
        ("dh_n", dh_n, last),
        ("dc_n", dc_n, last if has_c else (0,)),
        ("dc_seq", dc_seq, whole if has_c else (0,)),
        ("y", y, whole),
        ("saved", saved, (T, B, width)),
        ("c_seq", c_seq, whole if has_c else (0,)),
    ):
        if tensor is not None:
            expect(name, tensor, shape, saved_dtype(x.dtype) if name == "saved" else x.dtype)
    outputs = (as_rows(y), h0, h0, saved.contiguous(), c_seq.contiguous())
    variation = torch_ops._variation(h_mask, zoneout, seed, stream, step0)
    grads = _backward((dy, dh_n, dc_n, None, dc_seq), given, outputs, cell, reverse, _needed(needs), None, variation)
    return tuple(x.new_empty(0) if g is None else g for g in grads)  # type: ignore[return-value]


def _needed(needs: int) -> tuple[bool, ...]:
    return tuple(bool(needs >> i & 1) for i in range(_DIFFERENTIABLE))


@_sequence_backward.register_fake
def _(dy: Tensor | None, dh_n: Tensor | None, dc_n: Tensor | None, dc_seq: Tensor | None, *rest: Any) -> Any:
    x = rest[0]
    wanted = zip(rest[:_DIFFERENTIABLE], _needed(rest[_DIFFERENTIABLE + 7]), strict=True)
    return tuple(x.new_empty(0) if t is None or not need else t.new_empty(t.shape) for t, need in wanted)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    n = _DIFFERENTIABLE + 2
    ctx.cell, ctx.reverse, _, h_mask, seed, *ctx.varied = inputs[n:]
    ctx.save_for_backward(*inputs[:n], *output, h_mask, seed)


def _traced_backward(ctx: Any, *d_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
    n = _DIFFERENTIABLE + 2
    given, outputs, (h_mask, seed) = ctx.saved_tensors[:n], ctx.saved_tensors[n : n + 5], ctx.saved_tensors[n + 5 :]
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    y, _, _, kept, c_seq = outputs
    needs = sum(int(need) << i for i, need in enumerate(ctx.needs_input_grad[:_DIFFERENTIABLE]))
    grads = _sequence_backward(
        dy, dh_n, dc_n, dc_seq, *given, y, kept, c_seq, ctx.cell, ctx.reverse, needs, h_mask, seed, *ctx.varied
    )
    found = zip(given[:_DIFFERENTIABLE], grads, _needed(needs), strict=True)
    return *(g if t is not None and need else None for t, g, need in found), *(None,) * 10


_sequence.register_autograd(_traced_backward, setup_context=_keep)


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: LayerNormParams,
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
    y_TBH, h_n, c_n, *_ = _outputs(
        cell, x_TBI, state, params, lengths, reset, reverse, listener=listener, variation=variation
    )
    return y_TBH, (h_n,) if len(state) == 1 else (h_n, c_n)


def states(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: LayerNormParams,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
) -> tuple[tuple[Tensor, ...], State, dict[str, Tensor] | None]:
    """As `torch_ops.states`."""
    outputs = _outputs(cell, x_TBI, state, params, lengths, reset, reverse, save=True)
    y_TBH, h_n, c_n, saved, c_seq_TBH = outputs
    gates = None
    if not traced():
        norm = (*params[-4:], params.bias_ih, params.bias_hh)
        gates = saved_gates.read(cell, saved, y_TBH, lengths, reverse=reverse, norm=norm)
    return ((y_TBH,), (h_n,), gates) if len(state) == 1 else ((y_TBH, c_seq_TBH), (h_n, c_n), gates)


def _outputs(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: LayerNormParams,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    *,
    save: bool = False,
    listener: Listener | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, ...]:
    """y, h_n, c_n, saved, c_seq; the last two where they are asked for, or needed for a gradient."""
    h0, c0 = (*state, None)[:2]
    given = (x_TBI, h0, c0, *params, lengths, reset)
    differentiable = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given[:_DIFFERENTIABLE])
    if traced():
        v = variation or Variation()
        whole: tuple[Tensor, ...] = _sequence(
            *given, cell.name, reverse, save or differentiable, v.h_mask, v.seed, v.zoneout, v.stream, v.step0
        )
        return whole
    if differentiable:
        found: tuple[Tensor, ...] = _Sequence.apply(cell.name, reverse, listener, variation, *given)  # type: ignore[no-untyped-call]
        return found
    return _forward(given, cell.name, reverse, save, variation)
