"""The long short-term memory cell with layer normalisation.

(1) a_x, a_h as in `layer_norm`, each of four blocks: i, f, g, o
(2) i, f, o = σ(a_x + a_h), g = tanh(a_x + a_h), each its own block
(3) c' = f ∗ c + i ∗ g
(4) h' = o ∗ tanh(LN(c'; γ_c) + β_c)

**Source** [Ba2016], equations (20) to (22).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.cells.base import Cell, State, StepGradients
from throughtime.cells.layer_norm import LayerNormParams, affine, affine_backward, normalize, normalize_backward
from throughtime.cells.lstm import LSTMValues, update_backward


def values(x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None) -> LSTMValues:
    """Equations (1) to (4)."""
    h, c = state
    assert params.weight_ln_c is not None
    i, f, g, o = gates(*(a.chunk(4, dim=-1) for a in affine(x_BI, h, params, mask_BH)))
    c_new = f * c + i * g
    return LSTMValues(
        i=i, f=f, g=g, o=o, c=c_new, h=o * torch.tanh(normalize(c_new, params.weight_ln_c, params.bias_ln_c))
    )


def gates(a_x: Sequence[Tensor], a_h: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Equation (2), of the blocks of (1)."""
    i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (4) to (1), in that order."""
    h, c = state
    dh_new, dc_new = dstate
    assert params.weight_ln_c is not None
    v = values(x_BI, state, params, mask_BH)
    t = torch.tanh(normalize(v.c, params.weight_ln_c, params.bias_ln_c))
    # h' = o * t, t = tanh(LN(c') + β_c)
    da_o = dh_new * t * v.o * (1 - v.o)
    dn = dh_new * v.o * (1 - t * t)
    dc_through_h, dgain_c = normalize_backward(dn, v.c, params.weight_ln_c)
    # c' = f * c + i * g
    da_i, da_f, da_g, dc = update_backward(dc_new + dc_through_h, c, v)
    # a = a_x + a_h
    da = torch.cat((da_i, da_f, da_g, da_o), dim=-1)
    dx, dh, dparams = affine_backward(da, da, x_BI, h, params, mask_BH)
    dshift_c = None if params.bias_ln_c is None else dn.sum(0)
    return StepGradients(dx, (dh, dc), dparams._replace(weight_ln_c=dgain_c, bias_ln_c=dshift_c))


LAYER_NORM_LSTM = Cell(
    name="layer_norm_lstm",
    gates=("i", "f", "g", "o"),
    state_fields=("h", "c"),
    values=values,
    step_backward=step_backward,
    params=LayerNormParams,
)
