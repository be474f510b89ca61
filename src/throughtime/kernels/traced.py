"""Every value of every step of a cell, without a loop where the states along time are known.

A gate at t is a function of x_t and the state entering t. The native kernels give the states of all steps; every gate
of every step then is one call of the cell's own equations on a batch of T*B rows. Its value the kernels saved for
their backward pass, so that the call is made for the derivative only, which is exact: what the gates send back to the
states goes on through the kernels' backward pass.

Axes in names: T time, B batch, I input features, H hidden units.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import Cell, Params, State
from throughtime.cells.gru import GRUValues
from throughtime.cells.gru_reset_before import GRUResetBeforeValues
from throughtime.cells.lstm import LSTMValues
from throughtime.cells.rnn import RNNValues
from throughtime.kernels import dispatch, reference
from throughtime.kernels.reference import Borders
from throughtime.kernels.variation import Variation

# What each cell's `values` returns.
_NAMED: dict[str, Any] = {
    "rnn_tanh": RNNValues,
    "rnn_relu": RNNValues,
    "gru": GRUValues,
    "gru_reset_before": GRUResetBeforeValues,
    "lstm": LSTMValues,
    "peephole_lstm": LSTMValues,
    "previous_peephole_lstm": LSTMValues,
    "layer_norm_rnn_tanh": RNNValues,
    "layer_norm_rnn_relu": RNNValues,
    "layer_norm_gru": GRUValues,
    "layer_norm_lstm": LSTMValues,
}


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    reset_state: State | None = None,
    backend: str = "auto",
    variation: Variation | None = None,
) -> tuple[Tensor, State, Any]:
    """One layer in one direction, as `reference.scan` gives it: output, final state, values of every step.

    On the native backend output and states have the bits of `dispatch.run`. A `reset_state` and a variation are run by
    the scan.

    Raises:
        BackendError: the backend named cannot run these tensors.
    """
    where: dict[str, Any] = {"lengths": lengths, "reset": reset, "reverse": reverse}
    T, B, _ = x_TBI.shape
    known = None
    if reset_state is None and variation is None and T > 0:
        known = dispatch.states(cell, x_TBI, state, params, **where, backend=backend)
    if known is None:
        return reference.scan(cell, x_TBI, state, params, **where, reset_state=reset_state, variation=variation)
    sequences, final, gates = known

    def compute(x_TBI: Any, *rest: Any) -> Any:
        """All values by the cell's equations, from x, the states along time, the initial state and the parameters."""
        n = len(sequences)
        borders = Borders(T, lengths, reset, reverse)
        entering = tuple(map(partial(_entering, borders, lengths, reverse), rest[:n], rest[n : 2 * n]))
        flat = cell.values(
            borders.clean(x_TBI).flatten(0, 1), tuple(s.flatten(0, 1) for s in entering), type(params)(*rest[2 * n :])
        )
        return type(flat)(*(borders.clean(value.unflatten(0, (T, B))) for value in flat))

    inputs = (x_TBI, *sequences, *state, *params)
    own = dict(zip(cell.state_fields, sequences, strict=True))  # the kernels' own bits, and the short way back
    if gates is None:
        return sequences[0], final, compute(*inputs)._replace(**own)
    if gates and torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        known_gates = _Known.apply(compute, tuple(gates), *gates.values(), *inputs)  # type: ignore[no-untyped-call]
        gates = dict(zip(gates, known_gates, strict=True))
    return sequences[0], final, _NAMED[cell.name](**gates, **own)


class _Known(torch.autograd.Function):
    """Values that are known, with the derivative of what they are computed by: `compute` of the inputs, by name."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[..., Any], names: tuple[str, ...], *tensors: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        ctx.compute, ctx.names = compute, names
        ctx.save_for_backward(*tensors[len(names) :])
        return tuple(value.view_as(value) for value in tensors[: len(names)] if value is not None)

    @staticmethod
    def backward(ctx: Any, *d_values: Tensor | None) -> Any:
        twice = torch.is_grad_enabled()
        with torch.enable_grad():
            # Views, so that an input computed from another one is not counted twice.
            inputs = tuple(None if t is None else t.view_as(t) for t in ctx.saved_tensors)
            if not twice:
                inputs = tuple(None if t is None else t.detach().requires_grad_(t.requires_grad) for t in inputs)
            values = ctx.compute(*inputs)
            pairs = [(getattr(values, name), d) for name, d in zip(ctx.names, d_values, strict=True) if d is not None]
            wanted = [t for t in inputs if t is not None and t.requires_grad]
            found = iter(
                torch.autograd.grad(
                    [value for value, _ in pairs],
                    wanted,
                    [d for _, d in pairs],
                    create_graph=twice,
                    allow_unused=True,
                )
                if pairs
                else [None] * len(wanted)
            )
        grads = (next(found) if t is not None and t.requires_grad else None for t in inputs)
        return None, None, *(None for _ in ctx.names), *grads


def _entering(borders: Borders, lengths: Tensor | None, reverse: bool, after_TBH: Tensor, before_BH: Tensor) -> Tensor:
    """The state entering every step, from the state after every step and the one before the first."""
    # Not by slices: a graph with a dynamic T would ask whether T − 1 is 1.
    T = after_TBH.shape[0]
    time = torch.arange(T, device=after_TBH.device)
    if reverse:
        place, first_TB = (time + 1).clamp(max=T - 1), time.unsqueeze(1) == (T if lengths is None else lengths) - 1
    else:
        place, first_TB = (time - 1).clamp(min=0), time.unsqueeze(1) == 0
    entering = torch.where(first_TB.unsqueeze(-1), before_BH, after_TBH.index_select(0, place))
    if borders.drop is None:
        return entering
    return torch.where(borders.drop.unsqueeze(-1), entering.new_zeros(()), entering)
