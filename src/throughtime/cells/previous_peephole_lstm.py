"""The lecture notes' peephole LSTM: all three gates see the *previous* cell.

(1) i  = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ∗ c)
(2) f  = σ(W_if x + b_if + W_hf h + b_hf + p_f ∗ c)
(3) g  = tanh(W_ig x + b_ig + W_hg h + b_hg)
(4) o  = σ(W_io x + b_io + W_ho h + b_ho + p_o ∗ c)
(5) c' = f ∗ c + i ∗ g
(6) h' = o ∗ tanh(c')

**Source** the lecture notes; differs from [Gers2002] by (4), where o sees c instead of c'.
"""

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Params, State, StepGradients, affine, affine_backward
from throughtime.cells.lstm import LSTMValues, output_backward, update_backward
from throughtime.cells.peephole_lstm import peepholes


def values(x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None) -> LSTMValues:
    """Equations (1) to (6)."""
    h, c = state
    p_i, p_f, p_o = peepholes(params)
    a_x, a_h = affine(x_BI, h, params, mask_BH)
    a_i, a_f, a_g, a_o = (a_x + a_h).chunk(4, dim=-1)
    i, f, o = torch.sigmoid(a_i + p_i * c), torch.sigmoid(a_f + p_f * c), torch.sigmoid(a_o + p_o * c)
    g = torch.tanh(a_g)
    c_new = f * c + i * g
    return LSTMValues(i=i, f=f, g=g, o=o, c=c_new, h=o * torch.tanh(c_new))


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (6) to (1), in that order."""
    h, c = state
    dh_new, dc_new = dstate
    p_i, p_f, p_o = peepholes(params)
    v = values(x_BI, state, params, mask_BH)
    da_o, dc_through_h = output_backward(dh_new, v)
    da_i, da_f, da_g, dc = update_backward(dc_new + dc_through_h, c, v)
    # a_i = ... + p_i * c, a_f = ... + p_f * c, a_o = ... + p_o * c
    dc = dc + da_i * p_i + da_f * p_f + da_o * p_o
    # a = W_ih x + b_ih + W_hh h + b_hh + ...
    da = torch.cat((da_i, da_f, da_g, da_o), dim=-1)
    dx, dh, dparams = affine_backward(da, da, x_BI, h, params, mask_BH)
    dp = torch.cat(((da_i * c).sum(0), (da_f * c).sum(0), (da_o * c).sum(0)))
    return StepGradients(dx, (dh, dc), dparams._replace(weight_ch=dp))


PREVIOUS_PEEPHOLE_LSTM = Cell(
    name="previous_peephole_lstm",
    gates=("i", "f", "g", "o"),
    state_fields=("h", "c"),
    values=values,
    step_backward=step_backward,
    peephole_gates=("i", "f", "o"),
)
