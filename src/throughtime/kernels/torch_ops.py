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

from throughtime.cells import CELLS, Cell, Params, State
from throughtime.errors import ArgumentError
from throughtime.kernels import _native, native, openmp, reference

_CELL_CODES = {name: code for name, (code, *_) in native.CELL_CODES.items()}
_DTYPE_CODES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}

DTYPES = frozenset(_DTYPE_CODES)

# x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch: what a gradient may be asked for
_DIFFERENTIABLE = 8


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


# An address does not tell that torch reads a view with its sign turned (the imaginary part of a conjugate), hence
# `resolve_neg` wherever an address is taken of what a caller gave.


def _rows(tensor: Tensor) -> Tensor:
    """The tensor with its last axis contiguous; its time and batch axes may have any strides."""
    tensor = tensor.resolve_neg()
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


def _whole(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.resolve_neg().contiguous()


# Two sets of threads would fight over the cores; torch's are there anyway.
openmp.borrow_threads()


def _problem(cell: str, x: Tensor, H: int) -> tuple[int, ...]:
    """What both raw calls begin with: cell, dtype, T, B, I, H, x and its strides."""
    return (_CELL_CODES[cell], _DTYPE_CODES[x.dtype], *x.shape, H, x.data_ptr(), x.stride(0), x.stride(1))


def _mask(reset: Tensor | None) -> tuple[int, ...]:
    """A reset mask's address and strides."""
    return (0, 0, 0) if reset is None else (reset.data_ptr(), *reset.stride())


def _expect(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Refuse a tensor that the kernels, which get its address, would read or write beyond.

    Raises:
        ArgumentError: it is missing, or has another shape, dtype or device.
    """
    if tensor is None or tensor.shape != shape or tensor.dtype is not dtype or not tensor.is_cpu:
        got = "none" if tensor is None else f"{tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}"
        raise ArgumentError(
            f"throughtime::sequence: expected {name} of {shape}, {dtype} on cpu, got {got}; "
            "give tensors and parameters that fit each other"
        )


def _expect_weights(cell: Cell, I: int, weights: tuple[Tensor | None, ...], dtype: torch.dtype) -> int:
    """Check the parameters, in the order of `Params`; gives H."""
    weight_ih, weight_hh, bias_ih, bias_hh, weight_ch = weights
    rows = 0 if weight_hh is None or weight_hh.dim() != 2 else weight_hh.shape[0]
    H = max(1, rows // len(cell.gates))
    rows = len(cell.gates) * H
    _expect("weight_hh", weight_hh, (rows, H), dtype)
    _expect("weight_ih", weight_ih, (rows, max(1, I)), dtype)
    if bias_ih is not None:
        _expect("bias_ih", bias_ih, (rows,), dtype)
    if bias_hh is not None:
        _expect("bias_hh", bias_hh, (rows,), dtype)
    if cell.peephole_gates:
        _expect("weight_ch", weight_ch, (3 * H,), dtype)
    return H


def _expect_inputs(cell: str, inputs: tuple[Tensor | None, ...]) -> tuple[int, int, int]:
    """Check all of `sequence`'s tensors against x and the cell; gives T, B, H."""
    x, h0, c0, *weights, lengths, reset = inputs
    if cell not in CELLS:
        raise ArgumentError(f"throughtime::sequence: expected a cell among {', '.join(CELLS)}, got {cell!r}")
    if x is None or x.dim() != 3 or x.dtype not in _DTYPE_CODES or not x.is_cpu:
        got = "none" if x is None else f"{tuple(x.shape)}, {x.dtype} on {x.device}"
        raise ArgumentError(
            f"throughtime::sequence: expected x of shape (T, B, I), float32, float64 or bfloat16 on cpu, got {got}; "
            "convert it"
        )
    T, B, I = x.shape
    H = _expect_weights(CELLS[cell], I, tuple(weights), x.dtype)
    _expect("h0", h0, (B, H), x.dtype)
    if "c" in CELLS[cell].state_fields:
        _expect("c0", c0, (B, H), x.dtype)
    if lengths is not None:
        _expect("lengths", lengths, (B,), torch.int64)
    if reset is not None:
        _expect("reset", reset, (T, B), torch.bool)
    return T, B, H


def _saved_dtype(dtype: torch.dtype) -> torch.dtype:
    """What the kernels save gates in: `Saved` in csrc/calls.h."""
    return torch.float32 if dtype is torch.bfloat16 else dtype


def _empties(save: bool, cell: Cell, T: int, B: int, H: int, like: Tensor) -> tuple[Tensor, ...]:
    """y, h_n, c_n, saved, c_seq, not yet written; what a cell or a call does not have is empty."""
    has_c = "c" in cell.state_fields
    width = _native.saved_width(_CELL_CODES[cell.name], H) if save else 0
    return (
        like.new_empty((T, B, H)),
        like.new_empty((B, H)),
        like.new_empty((B, H) if has_c else (0,)),
        like.new_empty((T, B, width) if save else (0,), dtype=_saved_dtype(like.dtype)),
        like.new_empty((T, B, H) if has_c and save else (0,)),
    )


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
) -> tuple[Tensor, ...]:
    given = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset)
    T, B, H = _expect_inputs(cell, given)
    x = _rows(x)
    # Bound to names, so that what a conversion made lives as long as the call.
    inputs = [_whole(t) for t in (h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths)]
    outputs = y, h_n, c_n, saved, c_seq = _empties(save, CELLS[cell], T, B, H, x)
    if clean:
        saved.zero_()
    try:
        _native.sequence_forward_raw(  # type: ignore[call-arg]
            *_problem(cell, x, H),  # type: ignore[arg-type]
            *map(_address, inputs),
            *_mask(reset),
            reverse,
            torch.get_num_threads(),
            y.data_ptr(),
            y.stride(0),
            y.stride(1),
            h_n.data_ptr(),
            c_n.data_ptr() if c0 is not None else 0,
            saved.data_ptr() if save else 0,
            c_seq.data_ptr() if save and c0 is not None else 0,
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
) -> tuple[Tensor | None, ...]:
    """The gradients of the differentiable inputs; None where `needs` says False."""
    x, h0, c0, weight_ih, weight_hh, _, _, weight_ch, lengths, reset = inputs
    assert x is not None
    assert weight_hh is not None
    x = _rows(x)
    states = [_whole(t) for t in (h0, c0, weight_ih, weight_hh, weight_ch, lengths)]
    y, _, _, saved, c_seq = outputs
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    dy = None if dy is None else _rows(dy)
    finals = [_whole(t) for t in (dh_n, dc_n, dc_seq)]
    differentiable = (x, *inputs[1:_DIFFERENTIABLE])
    grads = tuple(
        t.new_empty(t.shape) if t is not None and need else None for t, need in zip(differentiable, needs, strict=True)
    )
    dx = grads[0]
    _native.sequence_backward_raw(  # type: ignore[call-arg]
        *_problem(cell, x, weight_hh.shape[1]),  # type: ignore[arg-type]
        *map(_address, states),
        *_mask(reset),
        reverse,
        torch.get_num_threads(),
        y.data_ptr(),
        y.stride(0),
        y.stride(1),
        saved.data_ptr(),
        c_seq.data_ptr() if c0 is not None else 0,
        _address(dy),
        *((0, 0) if dy is None else dy.stride()[:2]),
        *map(_address, finals),
        _address(dx),
        *((0, 0) if dx is None else dx.stride()[:2]),
        *map(_address, grads[1:]),
    )
    return grads


def _second_order(
    d_outputs: tuple[Tensor | None, ...], inputs: tuple[Tensor | None, ...], cell: str, reverse: bool
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
        )
    )
    return tuple(next(found) if here else None for here in _present(cell))


def _present(cell: str) -> tuple[bool, ...]:
    """Which of the differentiable inputs the reference takes: all but c0 of a cell without c."""
    return (True, True, "c" in CELLS[cell].state_fields, True, True, True, True, True)


class _Sequence(torch.autograd.Function):
    """Eager path; the operator's 100 µs of dispatch would be most of a small problem's time."""

    @staticmethod
    def forward(ctx: Any, cell: str, reverse: bool, *inputs: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.reverse = cell, reverse
        outputs = _forward(*inputs, cell, reverse, True)  # type: ignore[arg-type,call-arg]
        ctx.mark_non_differentiable(outputs[3])
        ctx.save_for_backward(*inputs, *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        inputs, outputs = saved[:10], saved[10:]
        if torch.is_grad_enabled():
            grads = _second_order(d_outputs, inputs, ctx.cell, ctx.reverse)
        else:
            needs = ctx.needs_input_grad[2 : 2 + _DIFFERENTIABLE]
            grads = _backward(d_outputs, inputs, outputs, ctx.cell, ctx.reverse, needs)
        return None, None, *grads, None, None


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One layer in one direction: y, h_n, c_n, saved, c_seq."""
    # The kernels leave parts of `saved` unwritten; an operator gives the same values for the same inputs.
    return _forward(  # type: ignore[return-value]
        x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset, cell, reverse, save, clean=True
    )


@_sequence.register_fake
def _(x: Tensor, h0: Tensor, c0: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, *rest: Any) -> Any:
    cell, _, save = rest[-3:]
    T, B, _ = x.shape
    return _empties(save, CELLS[cell], T, B, weight_hh.shape[1], x)


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of `sequence`'s differentiable inputs, empty where there is no such input."""
    inputs = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset)
    T, B, H = _expect_inputs(cell, inputs)
    has_c = "c" in CELLS[cell].state_fields
    for name, gradient, shape in (
        ("dy", dy, (T, B, H)),
        ("dh_n", dh_n, (B, H)),
        ("dc_n", dc_n, (B, H) if has_c else (0,)),
        ("dc_seq", dc_seq, (T, B, H) if has_c else (0,)),
    ):
        if gradient is not None:
            _expect(name, gradient, shape, x.dtype)
    _expect("y", y, (T, B, H), x.dtype)
    _expect("saved", saved, (T, B, _native.saved_width(_CELL_CODES[cell], H)), _saved_dtype(x.dtype))
    _expect("c_seq", c_seq, (T, B, H) if has_c else (0,), x.dtype)
    outputs = (_rows(y), h0, h0, saved.contiguous(), c_seq.contiguous())
    grads = _backward((dy, dh_n, dc_n, None, dc_seq), inputs, outputs, cell, reverse, (True,) * _DIFFERENTIABLE)
    return tuple(x.new_empty(0) if g is None else g for g in grads)  # type: ignore[return-value]


@_sequence_backward.register_fake
def _(
    dy: Tensor | None, dh_n: Tensor | None, dc_n: Tensor | None, dc_seq: Tensor | None, x: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    inputs = (x, *rest[: _DIFFERENTIABLE - 1])
    return tuple(x.new_empty(0) if t is None else t.new_empty(t.shape) for t in inputs)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.cell, ctx.reverse = inputs[10:12]
    ctx.save_for_backward(*inputs[:10], *output)


def _traced_backward(ctx: Any, *d_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    inputs, outputs = saved[:10], saved[10:]
    dy, dh_n, dc_n, _, dc_seq = d_outputs
    grads = _sequence_backward(
        dy, dh_n, dc_n, dc_seq, *inputs, outputs[0], outputs[3], outputs[4], ctx.cell, ctx.reverse
    )
    kept = (None if t is None else g for t, g in zip(inputs[:_DIFFERENTIABLE], grads, strict=True))
    return *kept, None, None, None, None, None


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
) -> tuple[Tensor, State]:
    """Output (T, B, H) and final state of one layer in one direction.

    Raises:
        ArgumentError: a length is outside [0, T].
    """
    has_c = len(state) == 2
    inputs = (x_TBI, state[0], state[1] if has_c else None, *params, lengths, reset)
    save = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs[:_DIFFERENTIABLE])
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0:
        outputs = _sequence(*inputs, cell.name, reverse, save)
    elif save:
        outputs = _Sequence.apply(cell.name, reverse, *inputs)  # type: ignore[no-untyped-call]
    else:
        outputs = _forward(*inputs, cell.name, reverse, False)
    y_TBH, h_n, c_n, *_ = outputs
    return y_TBH, (h_n, c_n) if has_c else (h_n,)


def step_function(cell: Cell, params: Sequence[Params]) -> Callable[[Tensor, State, Tensor | None], State]:
    """One time step through layers packed now; see `dispatch.step_function`."""
    whole = [tuple(_whole(p) for p in layer) for layer in params]  # lives until the weights are packed
    weights = [layer.weight_ih for layer in params]
    H = params[0].weight_hh.shape[1]
    for index, (layer, weight) in enumerate(zip(params, weights, strict=True)):
        _expect_weights(cell, H if index else weight.shape[-1], layer, weights[0].dtype)
        _expect("weight_hh", layer.weight_hh, params[0].weight_hh.shape, weights[0].dtype)
    layers = [(w.shape[1], H, *map(_address, layer)) for w, layer in zip(weights, whole, strict=True)]
    step = _native.Stepper(_CELL_CODES[cell.name], _DTYPE_CODES[weights[0].dtype], layers).step
    empty_like, has_c = torch.empty_like, "c" in cell.state_fields

    def run_step(x_BI: Tensor, state: State, reset: Tensor | None) -> State:
        # Asked before they are converted: a conversion that does nothing costs as much as a small layer's step.
        if x_BI.is_neg() or not x_BI.is_contiguous():
            x_BI = _whole(x_BI)
        h = state[0]
        if h.is_neg() or not h.is_contiguous():
            h = _whole(h)
        h_new = empty_like(h)
        reset_at = 0 if reset is None else (reset := reset.contiguous()).data_ptr()
        if not has_c:
            step(x_BI.data_ptr(), h.data_ptr(), 0, h_new.data_ptr(), 0, x_BI.shape[0], reset_at)
            return (h_new,)
        c = state[1]
        if c.is_neg() or not c.is_contiguous():
            c = _whole(c)
        c_new = empty_like(h)
        step(x_BI.data_ptr(), h.data_ptr(), c.data_ptr(), h_new.data_ptr(), c_new.data_ptr(), x_BI.shape[0], reset_at)
        return h_new, c_new

    return run_step
