"""The gated recurrent unit, reset after the product (cuDNN's and torch.nn's form).

(1) r  = σ(W_ir x + b_ir + W_hr h + b_hr)              the notes' relevance gate Γ_r
(2) z  = σ(W_iz x + b_iz + W_hz h + b_hz)              Γ_u = 1 − z: the notes' 1 updates, this 1 keeps
(3) q  = W_hn h + b_hn
(4) n  = tanh(W_in x + b_in + r ∗ q)                   the notes' c̃
(5) h' = (1 − z) ∗ n + z ∗ h

**Source** [Cho2014], and differs from it by (3) and (4): the reset gate acts after the product with W_hn, and on b_hn
too. `gru_reset_before` is the paper's and the notes' form.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Params, State, StepGradients, affine, affine_backward


class GRUValues(NamedTuple):
    """The values of one step, each (B, H)."""

    r: Tensor
    z: Tensor
    q: Tensor
    n: Tensor
    h: Tensor


def values(x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None) -> GRUValues:
    """Equations (1) to (5)."""
    (h,) = state
    x_parts, h_parts = affine(x_BI, h, params, mask_BH)
    x_r, x_z, x_n = x_parts.chunk(3, dim=-1)
    h_r, h_z, q = h_parts.chunk(3, dim=-1)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * q)
    return GRUValues(r=r, z=z, q=q, n=n, h=(1 - z) * n + z * h)


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (5) to (1), in that order."""
    (h,) = state
    (dh_new,) = dstate
    r, z, q, n, _ = values(x_BI, state, params, mask_BH)
    # h' = (1 - z) * n + z * h
    dn = dh_new * (1 - z)
    dz = dh_new * (h - n)
    # n = tanh(W_in x + b_in + r * q)
    da_n = dn * (1 - n * n)
    dr = da_n * q
    dq = da_n * r
    # z = σ(a_z), r = σ(a_r)
    da_z = dz * z * (1 - z)
    da_r = dr * r * (1 - r)
    # the halves of the pre-activations: q is W_hh's alone
    da_x = torch.cat((da_r, da_z, da_n), dim=-1)
    da_h = torch.cat((da_r, da_z, dq), dim=-1)
    dx, dh, dparams = affine_backward(da_x, da_h, x_BI, h, params, mask_BH)
    # h' = ... + z * h
    return StepGradients(dx, (dh + dh_new * z,), dparams)


GRU = Cell(name="gru", gates=("r", "z", "n"), state_fields=("h",), values=values, step_backward=step_backward)
