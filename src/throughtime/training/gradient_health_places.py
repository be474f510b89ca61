"""Where the first value that is not finite stands, and what brought it there.

Axes in names: T time, B batch, I input features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.cells import State
from throughtime.kernels.health import StepHealth
from throughtime.nn import Recurrent
from throughtime.training.gradient_health_report import NonFinite


@dataclass(eq=False)
class Heard:
    """One call of one layer and direction, and what its backward pass told."""

    module: str
    index: int
    """layer * num_directions + direction."""
    fast: Any
    """Runs it again: ``fast(x, state, lengths=, reset=, reverse=, listener=)``."""
    x_TBI: Tensor
    state: State
    where: dict[str, Any]
    health: StepHealth | None = None
    order: int = 0
    """Which backward pass it was, counted from 1."""
    bad: bool = False
    d_outputs: tuple[Tensor | None, ...] = ()
    """Gradients of output and final state, where something in the call was not finite."""

    def ends(self) -> NDArray[np.int64]:
        """The valid steps of each row."""
        T, B, _ = self.x_TBI.shape
        lengths = self.where["lengths"]
        return np.full(B, T) if lengths is None else lengths.cpu().numpy()

    def first(self, which: int) -> tuple[int, int, int, int] | None:
        """(gate, step, unit, row) of the earliest in time: 0 of the forward pass, 1 of the backward pass."""
        assert self.health is not None
        found = self.health.first_bad[which]
        rows = [(b, *place) for b, place in enumerate(found.tolist()) if place[1] >= 0]
        if not rows:
            return None
        sign = (
            -1 if bool(which) != bool(self.where["reverse"]) else 1
        )  # backward through the forward direction: last first
        b, gate, t, unit = min(rows, key=lambda row: (sign * row[2], row[0]))
        return gate, t, unit, b


def locate(modules: Mapping[str, Recurrent], calls: Sequence[Heard]) -> NonFinite | None:
    """The first of the forward pass, in the order of the calls; else of the backward pass, in the order of theirs."""
    bad = [call for call in calls if call.bad]
    for call in bad:
        if (place := call.first(0)) is not None:
            return _made(modules, call, place, "forward")
    for call in sorted(bad, key=lambda call: call.order):
        if (place := call.first(1)) is not None:
            return _made(modules, call, place, "backward")
    return None


def _made(modules: Mapping[str, Recurrent], call: Heard, place: tuple[int, int, int, int], during: Any) -> NonFinite:
    gate, step, unit, row = place
    module = modules[call.module]
    layer, direction = divmod(call.index, module.num_directions)
    cause = _cause_forward(module, call, step, row) if during == "forward" else _cause_backward(module, call, step, row)
    return NonFinite(
        during=during,
        module=call.module,
        layer=layer,
        direction="reverse" if direction else "forward",
        gate=(*module.cell.gates, "c")[gate],
        step=step,
        row=row,
        unit=unit,
        cause=cause,
    )


def _cause_forward(module: Recurrent, call: Heard, step: int, row: int) -> str:
    if (at := _first(call.x_TBI[step, row])) is not None:
        return f"the input (feature {at[0]})"
    first_step = int(call.ends()[row]) - 1 if call.where["reverse"] else 0
    if step == first_step and any(_first(s[row]) is not None for s in call.state):
        return "the initial state"
    return _bad_parameter(module, call.index) or "this step, whose inputs were finite: an overflow"


def _cause_backward(module: Recurrent, call: Heard, step: int, row: int) -> str:
    dy_TBH, *d_final = call.d_outputs
    last_step = 0 if call.where["reverse"] else int(call.ends()[row]) - 1
    above = [] if dy_TBH is None else [dy_TBH[step, row]]
    above += [d[row] for d in d_final if d is not None and step == last_step]
    if any(_first(d) is not None for d in above):
        return "the gradient from above"
    return _bad_parameter(module, call.index) or "this step, whose gradients from above were finite: an overflow"


def _bad_parameter(module: Recurrent, index: int) -> str | None:
    for name in module._parameter_names[index]:
        if name is not None and (at := _first(getattr(module, name))) is not None:
            return f"the parameter {name}{at}"
    return None


def _first(tensor: Tensor) -> list[int] | None:
    """The index of the first value that is not finite."""
    wrong = torch.nonzero(~torch.isfinite(tensor.detach()))
    return wrong[0].tolist() if len(wrong) else None
