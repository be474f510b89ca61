"""A stack of layers (`throughtime.kernels.stack`) as torch sees it: one node in autograd's graph, one operator.

As in `torch_ops`, eager calls go through an autograd function, and traced ones through the operator
`throughtime::layers`. A compiler that differentiates it gets `layers_forward` and `layers_backward`, which have no more
than a schema and a kernel: what `torch.library.custom_op` and `register_autograd` add to a call costs a small layer
more than its arithmetic.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import CELLS, Cell, Params, State
from throughtime.errors import ArgumentError
from throughtime.kernels import stack, torch_ops
from throughtime.kernels.stack import WEIGHTS, Stack
from throughtime.kernels.torch_arguments import as_whole, expect, expect_cell, saved_dtype

_STATES = 3  # x, h0, c0: what comes before the weights


def _second_order(
    what: Stack, d_outputs: tuple[Tensor | None, ...], inputs: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """The same gradients as differentiable functions of everything, layer by layer."""
    # Views, so that an input computed from another one is not counted twice.
    own = [None if t is None else t.view_as(t) for t in inputs]
    outputs = _by_layers(what, own)
    pairs = [(o, d) for o, d in zip(outputs, d_outputs, strict=True) if d is not None]
    wanted = [t for t in own if t is not None and t.requires_grad]
    values, d_values = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(values, wanted, d_values, create_graph=True, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in own]


def _by_layers(what: Stack, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """y, h_n and c_n with a node of their own for every layer and direction."""
    x, h0, c0, *weights = inputs
    assert x is not None
    cell, D, lengths, reset = what
    finals: list[State] = []
    for layer in range(len(weights) // WEIGHTS // D):
        outputs = []
        for index in range(layer * D, layer * D + D):
            params = Params(*weights[index * WEIGHTS : (index + 1) * WEIGHTS])  # type: ignore[arg-type]
            zeros = x.new_zeros((x.shape[1], params.weight_hh.shape[1]))
            fields = zip((h0, c0), cell.state_fields, strict=False)
            state = tuple(zeros if given is None else given[index] for given, _ in fields)
            output, final = torch_ops.run(cell, x, state, params, lengths=lengths, reset=reset, reverse=index % D == 1)
            outputs.append(output)
            finals.append(final)
        x = outputs[0] if D == 1 else torch.cat(outputs, dim=-1)
    return x, *(torch.stack(field) for field in zip(*finals, strict=True))


class _Layers(torch.autograd.Function):
    """y, h_n and of cells that have it c_n, as `stack.forward` gives them."""

    @staticmethod
    def forward(ctx: Any, what: Stack, *inputs: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        x, h0, c0, *weights = inputs
        assert x is not None
        ctx.shape, (y, h_n, c_n, *kept) = stack.forward(what, x, h0, c0, weights, True)
        ctx.cell, ctx.D, ctx.count = what.cell, what.D, len(inputs)
        ctx.save_for_backward(*inputs, y, *kept, what.lengths, what.reset)
        return (y, h_n) if c_n is None else (y, h_n, c_n)

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        inputs, kept = saved[: ctx.count], saved[ctx.count : -2]
        what = Stack(ctx.cell, ctx.D, *saved[-2:])
        if all(d is None for d in d_outputs):
            return (None,) * (1 + ctx.count)
        if torch.is_grad_enabled():
            return None, *_second_order(what, d_outputs, inputs)
        return None, *stack.backward(what, ctx.shape, d_outputs, inputs, kept, ctx.needs_input_grad[1:])


_LIBRARY: Any = torch.library.Library("throughtime", "FRAGMENT")  # type: ignore[no-untyped-call]
_ARGUMENTS = (
    "Tensor x, Tensor? h0, Tensor? c0, Tensor[] weights, Tensor? lengths, Tensor? reset, str cell, int D, "
    "bool[] present"
)
_LIBRARY.define(f"layers({_ARGUMENTS}) -> (Tensor y, Tensor h_n, Tensor c_n)")
_LIBRARY.define(
    f"layers_forward({_ARGUMENTS}, bool save) -> (Tensor y, Tensor h_n, Tensor c_n, Tensor hidden, Tensor saved, "
    "Tensor c_seq)"
)
_LIBRARY.define(
    "layers_backward(Tensor? dy, Tensor? dh_n, Tensor? dc_n, Tensor x, Tensor? h0, Tensor? c0, Tensor[] weights, "
    "Tensor? lengths, Tensor? reset, Tensor y, Tensor hidden, Tensor saved, Tensor c_seq, str cell, int D, "
    "bool[] present, bool[] needs) -> Tensor[]"
)


def _all_weights(cell: str, weights: Sequence[Tensor], D: int, present: Sequence[bool]) -> list[Tensor | None]:
    """The weights of every layer and direction in the order of `Params`, None where `present` says False."""
    expect_cell(cell)
    if D not in (1, 2) or not present or len(present) % (D * WEIGHTS) != 0 or sum(present) != len(weights):
        raise ArgumentError(
            f"throughtime::layers: expected D = 1 or 2 and {WEIGHTS} weights or their absence for each layer and "
            f"direction, got D = {D}, {len(weights)} weights and {len(present)} flags; pass what the layer has"
        )
    given = iter(weights)
    return [next(given) if here else None for here in present]


def _layers_forward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    D: int,
    present: Sequence[bool],
    save: bool,
) -> tuple[Tensor, ...]:
    """`stack.forward`; empty what is not there."""
    every = _all_weights(cell, weights, D, present)
    _, found = stack.forward(Stack(CELLS[cell], D, lengths, reset), x, h0, c0, every, save)
    return tuple(x.new_empty(0) if t is None else t for t in found)


def _fake_layers_forward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    D: int,
    present: Sequence[bool],
    save: bool,
) -> tuple[Tensor, ...]:
    T, B, _ = x.shape
    H, rows, has_c = weights[1].shape[1], len(present) // WEIGHTS, "c" in CELLS[cell].state_fields
    width = stack.saved_width(CELLS[cell], H)
    return (
        x.new_empty((T, B, D * H)),
        x.new_empty((rows, B, H)),
        x.new_empty((rows, B, H) if has_c else (0,)),
        x.new_empty((rows // D - 1, T, B, D * H) if rows > D else (0,)),
        x.new_empty((rows, T, B, width) if save else (0,), dtype=saved_dtype(x.dtype) if save else x.dtype),
        x.new_empty((rows, T, B, H) if save and has_c else (0,)),
    )


def _layers_backward(
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    y: Tensor,
    hidden: Tensor,
    saved: Tensor,
    c_seq: Tensor,
    cell: str,
    D: int,
    present: Sequence[bool],
    needs: Sequence[bool],
) -> list[Tensor]:
    """The gradients of x, h0, c0 and the weights; empty where there is no such input, and where `needs` says False."""
    every = _all_weights(cell, weights, D, present)
    what = Stack(CELLS[cell], D, lengths, reset)
    s, has_c = stack.shape(what, x, every), "c" in what.cell.state_fields
    stack.expect_states(s, D, x.dtype, h0=h0, c0=c0, dh_n=dh_n, dc_n=dc_n if has_c else None)
    for name, tensor, size in (
        ("dy", dy, (s.T, s.B, D * s.H)),
        ("y", y, (s.T, s.B, D * s.H)),
        ("hidden", hidden, (s.L - 1, s.T, s.B, D * s.H) if s.L > 1 else (0,)),
        ("c_seq", c_seq, (s.L * D, s.T, s.B, s.H) if has_c else (0,)),
    ):
        if tensor is not None:
            expect(name, tensor, size, x.dtype)
    expect("saved", saved, (s.L * D, s.T, s.B, s.width), saved_dtype(x.dtype))
    if len(needs) != _STATES + len(weights):
        raise ArgumentError(
            f"throughtime::layers_backward: expected {_STATES + len(weights)} flags in needs, one for x, h0, c0 and "
            f"each weight, got {len(needs)}; pass one for each"
        )
    given = (y, hidden if s.L > 1 else None, saved, c_seq if has_c else None)
    kept = tuple(as_whole(t) for t in given)
    flags = iter(needs[_STATES:])
    every_needs = [*needs[:_STATES], *(here and next(flags) for here in present)]
    d_outputs = (dy, dh_n, dc_n if has_c else None)
    grads = stack.backward(what, s, d_outputs, (x, h0, c0, *every), kept, every_needs)
    wanted = [*grads[:_STATES], *(g for g, here in zip(grads[_STATES:], present, strict=True) if here)]
    return [x.new_empty(0) if g is None else g for g in wanted]


def _fake_layers_backward(
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    *rest: Any,
) -> list[Tensor]:
    given = zip((x, h0, c0, *weights), rest[-1], strict=True)
    return [t.new_empty(t.shape) if t is not None and need else x.new_empty(0) for t, need in given]


class _TracedLayers(torch.autograd.Function):
    """`layers` where a gradient is wanted."""

    @staticmethod
    def forward(ctx: Any, borders: tuple[Tensor | None, ...], rest: tuple[Any, ...], *inputs: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        x, h0, c0, *weights = inputs
        ctx.rest = rest
        y, h_n, c_n, *kept = torch.ops.throughtime.layers_forward(x, h0, c0, weights, *borders, *rest, True)
        ctx.save_for_backward(*inputs, *borders, y, *kept)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> tuple[Any, ...]:
        *inputs, lengths, reset, y, hidden, saved, c_seq = ctx.saved_tensors
        needs = ctx.needs_input_grad[2:]
        states, weights = inputs[:_STATES], inputs[_STATES:]
        found = torch.ops.throughtime.layers_backward(
            *d_outputs, *states, weights, lengths, reset, y, hidden, saved, c_seq, *ctx.rest, needs
        )
        grads = zip(found, inputs, needs, strict=True)
        return None, None, *(g if t is not None and need else None for g, t, need in grads)


def _without_gradient(*arguments: Any) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = torch.ops.throughtime.layers_forward(*arguments, False)[:3]
    return found


def _with_gradient(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    *rest: Any,
) -> tuple[Tensor, ...]:
    inputs = (x, h0, c0, *weights)
    if not torch.is_grad_enabled() or not any(t is not None and t.requires_grad for t in inputs):
        return _without_gradient(x, h0, c0, weights, lengths, reset, *rest)
    found: tuple[Tensor, ...] = _TracedLayers.apply((lengths, reset), rest, *inputs)  # type: ignore[no-untyped-call]
    return found


for _name, _kernel, _fake in (
    ("layers", _without_gradient, _without_gradient),
    ("layers_forward", _layers_forward, _fake_layers_forward),
    ("layers_backward", _layers_backward, _fake_layers_backward),
):
    _LIBRARY.impl(_name, _kernel, "CPU")
    torch.library.register_fake(f"throughtime::{_name}", _fake, lib=_LIBRARY)
_LIBRARY.impl("layers", _with_gradient, "Autograd")


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State | None,
    params: Sequence[Params],
    D: int,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    traced: bool,
) -> tuple[Tensor, State]:
    """Output (T, B, D*H) and final state, each (L*D, B, H), of layers whose parameters stand by layer and direction.

    `state` is as the final one, zeros where None; `traced` as `recording.traced` says.

    Raises:
        ArgumentError: a length is outside [0, T].
    """
    h0, c0 = (None, None) if state is None else (*state, None)[:2]
    weights = [w for layer in params for w in layer]
    if traced:
        present = [w is not None for w in weights]
        given = [w for w in weights if w is not None]
        arguments = (x_TBI, h0, c0, given, lengths, reset, cell.name, D, present)
        y_TBF, h_n, c_n = torch.ops.throughtime.layers(*arguments)
        return y_TBF, (h_n, c_n) if "c" in cell.state_fields else (h_n,)
    what = Stack(cell, D, lengths, reset)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x_TBI, h0, c0, *weights)):
        y_TBF, *final = _Layers.apply(what, x_TBI, h0, c0, *weights)  # type: ignore[no-untyped-call]
        return y_TBF, tuple(final)
    _, (y_TBF, h_n, c_n, *_) = stack.forward(what, x_TBI, h0, c0, weights, False)
    return y_TBF, (h_n,) if c_n is None else (h_n, c_n)
