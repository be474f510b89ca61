"""The long short-term memory cell.

(1) i  = σ(W_ii x + b_ii + W_hi h + b_hi)     the notes' update gate Γ_u
(2) f  = σ(W_if x + b_if + W_hf h + b_hf)     Γ_f
(3) g  = tanh(W_ig x + b_ig + W_hg h + b_hg)  c̃
(4) o  = σ(W_io x + b_io + W_ho h + b_ho)     Γ_o
(5) c' = f ∗ c + i ∗ g
(6) h' = o ∗ tanh(c')                         the notes' a_t

**Source** [Hochreiter1997] with the forget gate of [Gers2000].
"""

from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Params, State, StepGradients, affine, affine_backward


class LSTMValues(NamedTuple):
    """The values of one step, each (B, H)."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


def values(x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None) -> LSTMValues:
    """Equations (1) to (6)."""
    h, c = state
    a_x, a_h = affine(x_BI, h, params, mask_BH)
    a_i, a_f, a_g, a_o = (a_x + a_h).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(a_i), torch.sigmoid(a_f), torch.tanh(a_g), torch.sigmoid(a_o)
    c_new = f * c + i * g
    return LSTMValues(i=i, f=f, g=g, o=o, c=c_new, h=o * torch.tanh(c_new))


def output_backward(dh_new: Tensor, v: LSTMValues) -> tuple[Tensor, Tensor]:
    """Partial derivatives of (6): da_o and the share of dc' that comes through h'."""
    tanh_c = torch.tanh(v.c)
    # h' = o * tanh(c')
    do = dh_new * tanh_c
    dc_new = dh_new * v.o * (1 - tanh_c * tanh_c)
    # o = σ(a_o)
    return do * v.o * (1 - v.o), dc_new


def update_backward(dc_new: Tensor, c: Tensor, v: LSTMValues) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Partial derivatives of (5): da_i, da_f, da_g and dc."""
    # c' = f * c + i * g
    di, df, dg, dc = dc_new * v.g, dc_new * c, dc_new * v.i, dc_new * v.f
    # i = σ(a_i), f = σ(a_f), g = tanh(a_g)
    return di * v.i * (1 - v.i), df * v.f * (1 - v.f), dg * (1 - v.g * v.g), dc


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (6) to (1), in that order."""
    h, c = state
    dh_new, dc_new = dstate
    v = values(x_BI, state, params, mask_BH)
    da_o, dc_through_h = output_backward(dh_new, v)
    da_i, da_f, da_g, dc = update_backward(dc_new + dc_through_h, c, v)
    # a = W_ih x + b_ih + W_hh h + b_hh
    da = torch.cat((da_i, da_f, da_g, da_o), dim=-1)
    dx, dh, dparams = affine_backward(da, da, x_BI, h, params, mask_BH)
    return StepGradients(dx, (dh, dc), dparams)


LSTM = Cell(
    name="lstm",
    gates=("i", "f", "g", "o"),
    state_fields=("h", "c"),
    values=values,
    step_backward=step_backward,
)
