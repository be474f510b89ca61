"""What a cell is: data plus two pure functions over one time step.

Axes in names: B batch, I input features, H hidden units, G gates.
A prime marks the new value: h is the state before the step, h' the state after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import linear

State = tuple[Tensor, ...]


class Params(NamedTuple):
    """The parameters of one layer in one direction, with torch.nn's names, shapes and block order."""

    weight_ih: Tensor  # (G*H, I)
    weight_hh: Tensor  # (G*H, H)
    bias_ih: Tensor | None = None  # (G*H,)
    bias_hh: Tensor | None = None  # (G*H,)
    weight_ch: Tensor | None = None  # (3*H,): the diagonals p_i, p_f, p_o of the peepholes


class StepGradients(NamedTuple):
    """The gradients that one step sends back."""

    dx: Tensor  # (B, I)
    dstate: State  # each (B, H): the gradient of the state before the step
    dparams: Any  # like the cell's params: this step's share; summed over time by the caller


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: its names, and its equations over one time step.

    Attributes:
        name: the name under which `CELLS` knows it.
        gates: the blocks of the weight rows, in order.
        state_fields: what is carried from step to step, in order; the first is the output.
        values: ``values(x_BI, state, params, mask_BH=None)`` computes one step and returns a NamedTuple of every gate
            (B, H) and, last, the new state's fields. With a mask the products with W_hh see mask ∗ h (recurrent
            dropout); everything else sees h.
        step_backward: ``step_backward(dstate, x_BI, state, params, mask_BH=None)``: from the gradient of the new state,
            the gradients of everything the step read, written by hand.
        peephole_gates: the gates that see the cell c, in the order of ``weight_ch``.
        params: the NamedTuple that its parameters stand in.
    """

    name: str
    gates: tuple[str, ...]
    state_fields: tuple[str, ...]
    values: Callable[..., Any]
    step_backward: Callable[..., StepGradients]
    peephole_gates: tuple[str, ...] = ()
    params: Any = Params

    def step(self, x_BI: Tensor, state: State, params: Params) -> State:
        """One time step: the new state, a pure and differentiable function of its arguments."""
        values = self.values(x_BI, state, params)
        return tuple(getattr(values, field) for field in self.state_fields)


def masked(h_BH: Tensor, mask_BH: Tensor | None) -> Tensor:
    """mask ∗ h; a mask may be of a wider dtype than h, and then the product is rounded."""
    return h_BH if mask_BH is None else (h_BH * mask_BH).to(h_BH.dtype)


def affine(x_BI: Tensor, h_BH: Tensor, params: Params, mask_BH: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """W_ih x + b_ih and W_hh (mask ∗ h) + b_hh, both (B, G*H): the two halves of the pre-activations."""
    x_parts = linear(x_BI, params.weight_ih, params.bias_ih)
    return x_parts, linear(masked(h_BH, mask_BH), params.weight_hh, params.bias_hh)


def affine_backward(
    da_x: Tensor, da_h: Tensor, x_BI: Tensor, h_BH: Tensor, params: Params, mask_BH: Tensor | None = None
) -> tuple[Tensor, Tensor, Params]:
    """Partial derivatives of `affine`: dx, dh and the parameters' gradients.

    Args:
        da_x: gradient of W_ih x + b_ih, (B, G*H).
        da_h: gradient of W_hh (mask ∗ h) + b_hh, (B, G*H); the same tensor wherever the cell adds the two halves.
        x_BI: the input of the step.
        h_BH: the state.
        params: the parameters of the step.
        mask_BH: what stood between the state and W_hh.
    """
    return (
        da_x @ params.weight_ih,
        masked(da_h @ params.weight_hh, mask_BH),
        Params(
            weight_ih=da_x.mT @ x_BI,
            weight_hh=da_h.mT @ masked(h_BH, mask_BH),
            bias_ih=None if params.bias_ih is None else da_x.sum(0),
            bias_hh=None if params.bias_hh is None else da_h.sum(0),
        ),
    )
