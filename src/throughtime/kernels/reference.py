"""A cell over a whole sequence, written to be right: the ground truth for every faster kernel.

Axes in names: T time, B batch, I input features, H hidden units.

`lengths` (B,): row b is valid for t < lengths[b]. Past it the output is zero and the state stands still; the reverse
direction starts at t = lengths[b] − 1. Nothing at a padded position, NaN included, reaches a value or a gradient.
`reset` (T, B): True at t marks a border between t − 1 and t. The forward direction enters t with a zero state, or with
`reset_state` where one is given, the reverse direction enters t − 1 with it, and no gradient crosses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.cells import Cell, Params, State
from throughtime.kernels.variation import Variation, Zones


class SequenceGradients(NamedTuple):
    """The gradients that a whole sequence sends back."""

    dx: Tensor  # (T, B, I)
    dstate: State  # each (B, H): the gradient of the initial state
    dparams: Any  # like the cell's params


def _of_next(mask_TB: Tensor) -> Tensor:
    """At t what stands at t + 1, False at the last; without slices, whose lengths a graph with dynamic T asks for."""
    T = mask_TB.shape[0]
    time = torch.arange(T, device=mask_TB.device)
    return mask_TB.index_select(0, (time + 1).clamp(max=T - 1)) & (time < T - 1).unsqueeze(1)


class Borders:
    """Which (t, row) are valid, and where the state is dropped on entering t, for one direction."""

    def __init__(
        self, T: int, lengths: Tensor | None, reset: Tensor | None, reverse: bool, reset_state: State | None = None
    ) -> None:
        self._T, self._reverse = T, reverse
        self.reset_state = reset_state
        self.valid: Tensor | None = None
        self.drop: Tensor | None = None
        if lengths is not None:
            self.valid = torch.arange(T, device=lengths.device).unsqueeze(1) < lengths
        if reset is not None and T > 0:
            # Walking right to left, the border between t and t + 1 is met on entering t.
            self.drop = _of_next(reset) if reverse else reset
            if self.valid is not None:
                # A border beyond the last valid step, or inside the padding, is no border.
                inside = self.valid & _of_next(self.valid)
                self.drop = self.drop & (inside if reverse else self.valid)
        if self.valid is not None:
            # A step that does not count runs from zeros: its product with a NaN in the state would reach the weights.
            self.drop = ~self.valid if self.drop is None else self.drop | ~self.valid

    @property
    def order(self) -> range:
        """The steps in walking order."""
        return range(self._T - 1, -1, -1) if self._reverse else range(self._T)

    def clean(self, x_TBF: Tensor) -> Tensor:
        """x with zeros at padded positions: a product with NaN would survive a mask put on later."""
        return x_TBF if self.valid is None else torch.where(self.valid.unsqueeze(-1), x_TBF, x_TBF.new_zeros(()))

    def enter(self, t: int, state: State) -> State:
        """The state that the cell sees at t."""
        if self.drop is None:
            return state
        drop = self.drop[t].unsqueeze(-1)
        if self.reset_state is None:
            return tuple(torch.where(drop, s.new_zeros(()), s) for s in state)
        return tuple(torch.where(drop, r, s) for r, s in zip(self.reset_state, state, strict=True))

    def keep(self, t: int, new: State, old: State) -> State:
        """The new state in valid rows, the old one in the others."""
        if self.valid is None:
            return new
        valid = self.valid[t].unsqueeze(-1)
        return tuple(torch.where(valid, n, o) for n, o in zip(new, old, strict=True))


def walk(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    borders: Borders,
    variation: Variation | None = None,
) -> Iterator[tuple[int, State, Any, State]]:
    """Yields (t, state entering the step, the cell's values, state leaving it), in walking order.

    Under zoneout the values hold the state that is carried on.
    """
    zones = Zones(variation, x_TBI.shape[1]) if variation is not None else None
    masks = () if variation is None or variation.h_mask is None else (variation.h_mask,)
    for t in borders.order:
        entering = borders.enter(t, state)
        values = cell.values(x_TBI[t], entering, params, *masks)
        new = tuple(getattr(values, field) for field in cell.state_fields)
        if zones is not None:
            new = zones.blend(t, entering, new)
            values = values._replace(**dict(zip(cell.state_fields, new, strict=True)))
        state = borders.keep(t, new, state)
        yield t, entering, values, state


def scan(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    reset_state: State | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, State, Any]:
    """Run the cell's own `values` over a sequence: plain differentiable torch, any order of derivative.

    `reset_state`, each (B, H), is what a border puts in the place of the state; zeros where None.

    Returns:
        The output (T, B, H), the final state, and the cell's values of every step, a NamedTuple like the cell's with
        (T, B, H) in each field; output and values are zero at padded positions.
    """
    T, B, _ = x_TBI.shape
    borders = Borders(T, lengths, reset, reverse, reset_state)
    steps: list[Any] = [None] * T
    for t, _, values, new_state in walk(cell, borders.clean(x_TBI), state, params, borders, variation):
        steps[t] = values
        state = new_state
    if T == 0:
        one = cell.values(x_TBI.new_zeros(B, x_TBI.shape[2]), state, params)
        stacked = type(one)(*(value.new_zeros(0, *value.shape) for value in one))
    else:
        stacked = type(steps[0])(*(borders.clean(torch.stack(field)) for field in zip(*steps, strict=True)))
    output_TBH: Tensor = getattr(stacked, cell.state_fields[0])
    return output_TBH, state, stacked


def bptt(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    d_output_TBH: Tensor,
    d_final_state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    variation: Variation | None = None,
) -> SequenceGradients:
    """Backpropagation through time by the cell's `step_backward`, against the walking order.

    (1) dh'_t = ∂L/∂y_t + (what step t + 1 sent back)
    (2) step_backward gives dx_t, the gradient of the state entering t, and step t's share of the parameters; under
        zoneout it gets the part of dh'_t that the cell's own new state gets, and the old state gets the rest
    (3) the parameters' gradients are summed over t
    """
    T = x_TBI.shape[0]
    borders = Borders(T, lengths, reset, reverse)
    clean_TBI, d_output_TBH = borders.clean(x_TBI), borders.clean(d_output_TBH)
    entered = {t: entering for t, entering, _, _ in walk(cell, clean_TBI, state, params, borders, variation)}
    zones = Zones(variation, x_TBI.shape[1]) if variation is not None else None
    masks = () if variation is None or variation.h_mask is None else (variation.h_mask,)
    d_x: list[Tensor] = [torch.empty(0)] * T
    d_params: list[Tensor | None] = [None if p is None else torch.zeros_like(p) for p in params]
    d_state = d_final_state
    zeros = tuple(torch.zeros_like(s) for s in state)
    for t in reversed(borders.order):
        # y_t = h'_t
        d_new = borders.keep(t, (d_state[0] + d_output_TBH[t], *d_state[1:]), zeros)
        d_kept = None
        if zones is not None:
            d_kept, d_new = zones.split(t, d_new)
        step = cell.step_backward(d_new, clean_TBI[t], entered[t], params, *masks)
        if d_kept is not None:
            step = step._replace(dstate=tuple(d + k for d, k in zip(step.dstate, d_kept, strict=True)))
        d_x[t] = step.dx
        d_params = [None if p is None or s is None else s + p for s, p in zip(d_params, step.dparams, strict=True)]
        # state entering t = where(border, 0, state leaving t − 1); an invalid step hands its gradient through
        d_state = borders.keep(t, borders.enter(t, step.dstate), d_state)
    dx_TBI = borders.clean(torch.stack(d_x)) if T else torch.zeros_like(x_TBI)
    return SequenceGradients(dx_TBI, d_state, cell.params(*d_params))


class _Sequence(torch.autograd.Function):
    """`scan` forward; `bptt` backward, or, where a second derivative is wanted, autograd through `scan`."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        fast: Cell,
        reverse: bool,
        variation: Variation | None,
        lengths: Tensor | None,
        reset: Tensor | None,
        x_TBI: Tensor,
        *rest: Any,
    ) -> Any:
        state, params = _split(cell, rest)
        where: dict[str, Any] = {"lengths": lengths, "reset": reset, "reverse": reverse, "variation": variation}
        output_TBH, final_state, _ = scan(fast, x_TBI, state, params, **where)
        ctx.cell, ctx.fast, ctx.reverse, ctx.variation = cell, fast, reverse, variation
        ctx.save_for_backward(lengths, reset, x_TBI, *rest)
        # With T = 0 the final state is the initial one, and an output may not be an input.
        return output_TBH, *(s.clone() for s in final_state)

    @staticmethod
    def backward(ctx: Any, d_output_TBH: Tensor, *d_final_state: Tensor) -> Any:
        lengths, reset, x_TBI, *rest = ctx.saved_tensors
        where = {"lengths": lengths, "reset": reset, "reverse": ctx.reverse, "variation": ctx.variation}
        if torch.is_grad_enabled():
            grads = scan_gradients(ctx.cell, (x_TBI, *rest), (d_output_TBH, *d_final_state), **where)
        else:
            state, params = _split(ctx.cell, rest)
            found = bptt(ctx.fast, x_TBI, state, params, d_output_TBH, d_final_state, **where)
            grads = (found.dx, *found.dstate, *found.dparams)
        return None, None, None, None, None, None, *grads


def _split(cell: Cell, rest: Any) -> tuple[State, Params]:
    n = len(cell.state_fields)
    return tuple(rest[:n]), cell.params(*rest[n:])


def scan_gradients(
    cell: Cell,
    inputs: tuple[Tensor | None, ...],
    d_outputs: tuple[Tensor | None, ...],
    *,
    d_values: Mapping[str, Tensor | None] | None = None,
    **where: Any,
) -> tuple[Tensor | None, ...]:
    """The gradients of (x, *state, *params) as a differentiable function: `scan` again, under autograd.

    The inputs enter as views of themselves, so that an input computed from another one is not counted twice.

    Args:
        cell: the equations.
        inputs: x, the initial state, the parameters.
        d_outputs: gradients of the output and the final state, None for zeros.
        d_values: gradients of the cell's values along time, by name.
        where: `lengths`, `reset`, `reverse`, `variation`.
    """
    with torch.enable_grad():
        views = tuple(None if p is None else p.view_as(p) for p in inputs)
        state, params = _split(cell, views[1:])
        assert views[0] is not None
        output_TBH, final_state, values = scan(cell, views[0], state, params, **where)
        pairs = [*zip((output_TBH, *final_state), d_outputs, strict=True)]
        pairs += [(getattr(values, name), d) for name, d in (d_values or {}).items()]
        outputs = [(y, d) for y, d in pairs if d is not None and y.requires_grad]
        wanted = [v for v in views if v is not None and v.requires_grad]
        grads = torch.autograd.grad(
            [y for y, _ in outputs],
            wanted,
            [d for _, d in outputs],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    found = iter(grads)
    return tuple(next(found) if v is not None and v.requires_grad else None for v in views)


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    fast: Cell | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, State]:
    """Output (T, B, H) and final state, with BPTT by `bptt` as the derivative.

    `fast` computes the same as `cell` and takes its place wherever no second derivative is wanted.
    """
    output_TBH, *final_state = _Sequence.apply(  # type: ignore[no-untyped-call]
        cell, fast or cell, reverse, variation, lengths, reset, x_TBI, *state, *params
    )
    return output_TBH, tuple(final_state)


def step_function(
    cell: Cell, params: Sequence[Params], zoneout: tuple[float, ...] | None = None
) -> Callable[[Tensor, State, Tensor | None], State]:
    """One time step through layers with copies of these weights, without gradients; see `dispatch.step_function`."""
    frozen = [cell.params(*(None if p is None else p.detach().clone() for p in layer)) for layer in params]
    zones = Zones(Variation(zoneout=zoneout), 0)

    @torch.no_grad()
    def step(x_BI: Tensor, state: State, reset: Tensor | None) -> State:
        if reset is not None:
            state = tuple(torch.where(reset.unsqueeze(-1), s.new_zeros(()), s) for s in state)
        layers = []
        for index, layer in enumerate(frozen):
            old = tuple(s[index] for s in state)
            layers.append(zones.blend(0, old, cell.step(x_BI, old, layer)))
            x_BI = layers[-1][0]
        return tuple(torch.stack(field) for field in zip(*layers, strict=True))

    return step
