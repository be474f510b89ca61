"""What a backward pass tells beside its gradients: their norms along time, saturated gates, the first NaN or infinity.

The native kernels write it while they run. Everywhere else `observe` computes it once more from the cell's equations,
for the same definitions.

Axes in names: T time, B batch, H hidden units, G gates.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.cells import Cell, State
from throughtime.kernels.reference import Borders, walk
from throughtime.kernels.variation import Variation


class StepHealth(NamedTuple):
    """Diagnostics of one layer in one direction, on the CPU.

    **Shapes** dh_square, dc_square (T, B), float64: squared norms of the whole gradients of h_t and c_t, zero in the
    padding; dc_square is None for a cell without c. saturated (G, T, B), int32: units whose gate lies within the margin
    of an end of its range (relu: at zero). first_bad (2, B, 3), int64: gate, time and unit of each row's first
    non-finite activation (gate = G means c) and of its first gate gradient that is not finite, running backward; −1
    where all is finite.
    """

    dh_square: Tensor
    dc_square: Tensor | None
    saturated: Tensor
    first_bad: Tensor


class Listener(NamedTuple):
    """Who is told of a layer's backward pass."""

    margin: float
    """Gates closer than this to an end of their range count as saturated."""
    tell: Callable[[StepHealth, tuple[Tensor | None, ...]], None]
    """Called once a backward pass, with the gradients of the output and of the final state, None for zeros."""


def empty_health(cell: Cell, T: int, B: int) -> StepHealth:
    """Diagnostics not yet written."""
    return StepHealth(
        torch.empty((T, B), dtype=torch.float64),
        torch.empty((T, B), dtype=torch.float64) if "c" in cell.state_fields else None,
        torch.empty((len(cell.gates), T, B), dtype=torch.int32),
        torch.empty((2, B, 3), dtype=torch.int64),
    )


class _Ear(torch.autograd.Function):
    """Output and final state as they are; their gradients go to a listener on the way back."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, where: dict[str, Any], listener: Listener, inputs: Any, *outputs: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.where, ctx.listener, ctx.kind = cell, where, listener, type(inputs[-1])
        x_TBI, state, params = inputs
        ctx.fields = len(state)
        ctx.save_for_backward(x_TBI, *state, *params)
        return tuple(y.view_as(y) for y in outputs)

    @staticmethod
    def backward(ctx: Any, *d_outputs: Tensor | None) -> Any:
        x_TBI, *rest = ctx.saved_tensors
        inputs = (x_TBI, tuple(rest[: ctx.fields]), ctx.kind(*rest[ctx.fields :]))
        found = observe(ctx.cell, *inputs, d_outputs, ctx.listener.margin, **ctx.where)
        ctx.listener.tell(found, d_outputs)
        return None, None, None, None, *d_outputs


def hear(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Any,
    where: dict[str, Any],
    listener: Listener,
    outputs: tuple[Tensor, State],
) -> tuple[Tensor, State]:
    """The outputs of a run whose kernels tell nothing, with the listener between them and what reads them."""
    inputs = (x_TBI, state, params)
    y_TBH, *final = _Ear.apply(cell, where, listener, inputs, outputs[0], *outputs[1])  # type: ignore[no-untyped-call]
    return y_TBH, tuple(final)


def observe(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Any,
    d_outputs: tuple[Tensor | None, ...],
    margin: float,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    variation: Variation | None = None,
) -> StepHealth:
    """The diagnostics of a backward pass by running the cell's equations once more, under autograd.

    Args:
        d_outputs: gradients of the output (T, B, H) and of each tensor of the final state (B, H), None for zeros.
    """
    T, B, _ = x_TBI.shape
    found = empty_health(cell, T, B)
    if T == 0 or B == 0:
        found.first_bad.fill_(-1)
        return found
    borders = Borders(T, lengths, reset, reverse)
    made: list[Any] = []  # the cell's own values; zoneout changes the states that `walk` carries on

    def values(*given: Any) -> Any:
        made.append(cell.values(*given))
        return made[-1]

    with torch.enable_grad():
        leaves = tuple(s.detach().requires_grad_() for s in state)
        own = type(params)(*(None if p is None else p.detach() for p in params))
        clean_TBI = borders.clean(x_TBI.detach())
        walked = list(walk(replace(cell, values=values), clean_TBI, leaves, own, borders, variation))
        final = walked[-1][3]
        steps = {t: (gates, carried) for gates, (t, _, carried, _) in zip(made, walked, strict=True)}
        loss = sum((s * d).sum() for s, d in zip(final, d_outputs[1:], strict=True) if d is not None)
        if d_outputs[0] is not None:
            d_TBH, h = borders.clean(d_outputs[0].detach()), cell.state_fields[0]
            loss = loss + sum((getattr(carried, h) * d_TBH[t]).sum() for t, (_, carried) in steps.items())
        in_order = [steps[t] for t in range(T)]
        kept = {name: [getattr(gates, name) for gates, _ in in_order] for name in cell.gates}
        carried_on = {name: [getattr(carried, name) for _, carried in in_order] for name in cell.state_fields}
        wanted = [v for per_step in (*kept.values(), *carried_on.values()) for v in per_step]
        grads: tuple[Tensor, ...] = tuple(torch.zeros_like(v) for v in wanted)
        if isinstance(loss, Tensor):
            grads = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    stacked = [borders.clean(torch.stack(grads[i : i + T])) for i in range(0, len(grads), T)]
    d_gate, d_state = stacked[: len(kept)], dict(zip(carried_on, stacked[len(kept) :], strict=True))
    value = {name: borders.clean(torch.stack(per_step).detach()) for name, per_step in kept.items()}

    found.dh_square.copy_(_square(d_state[cell.state_fields[0]]))
    if found.dc_square is not None:
        found.dc_square.copy_(_square(d_state["c"]))
    valid_TB = torch.ones((T, B), dtype=torch.bool, device=x_TBI.device) if borders.valid is None else borders.valid
    for g, name in enumerate(cell.gates):
        found.saturated[g].copy_((_saturated(cell, name, value[name], margin) & valid_TB.unsqueeze(-1)).sum(-1))
    seen = list(value.values())
    if "c" in carried_on:
        seen.append(borders.clean(torch.stack(carried_on["c"]).detach()))
    found.first_bad[0].copy_(_first_bad(seen, borders.order))
    if cell.name.endswith("rnn_relu"):  # relu stops a NaN where its output is zero
        d_gate = [torch.where(value["h"] > 0, d_gate[0], 0.0)]
    found.first_bad[1].copy_(_first_bad(d_gate, borders.order[::-1]))
    return found


def _square(d_TBH: Tensor) -> Tensor:
    return d_TBH.double().square().sum(-1)


def _saturated(cell: Cell, gate: str, value: Tensor, margin: float) -> Tensor:
    """Which values lie within the margin of an end: gates in (0, 1); candidates and the RNN's h in (−1, 1)."""
    if cell.name.endswith("rnn_relu"):
        return value <= 0
    low = -1.0 if gate in ("g", "n", "h") else 0.0
    return (value < low + margin) | (value > 1 - margin)


def _first_bad(tensors: list[Tensor], order: range) -> Tensor:
    """(B, 3): gate, time, unit of the first value that is not finite: the first step walked, then gate, then unit."""
    bad_TBGH = ~torch.isfinite(torch.stack(tensors, dim=2))
    _, B, _, H = bad_TBGH.shape
    flat = bad_TBGH.flatten(2)[list(order)].transpose(0, 1).flatten(1)  # (B, T*G*H) in the order walked
    where = torch.where(flat.any(1), flat.int().argmax(1), -1).cpu()
    per_step = len(tensors) * H
    times = torch.tensor(list(order))[where.clamp(min=0) // per_step]
    within = where % per_step
    place = torch.stack((within // H, times, within % H), dim=1)
    return torch.where((where < 0).unsqueeze(1), torch.full((B, 3), -1), place)
