"""The gated recurrent unit with layer normalisation, reset after the product.

(1) a_x, a_h as in `layer_norm`, each of three blocks: r, z, n
(2) r  = σ(a_xr + a_hr)
(3) z  = σ(a_xz + a_hz)                 Γ_u = 1 − z
(4) n  = tanh(a_xn + r ∗ q), q = a_hn
(5) h' = (1 − z) ∗ n + z ∗ h

**Source** [Ba2016], and differs from it by normalising the whole 3*H values of a product together, where it normalises
the gates' 2*H and the candidate's H apart, and by z, which there is 1 where this is 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.cells.base import Cell, State, StepGradients
from throughtime.cells.gru import GRUValues
from throughtime.cells.layer_norm import LayerNormParams, affine, affine_backward


def values(x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None) -> GRUValues:
    """Equations (1) to (5)."""
    (h,) = state
    r, z, q, n = gates(*(a.chunk(3, dim=-1) for a in affine(x_BI, h, params, mask_BH)))
    return GRUValues(r=r, z=z, q=q, n=n, h=(1 - z) * n + z * h)


def gates(a_x: Sequence[Tensor], a_h: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Equations (2) to (4), of the blocks of (1)."""
    (x_r, x_z, x_n), (h_r, h_z, q) = a_x, a_h
    r = torch.sigmoid(x_r + h_r)
    return r, torch.sigmoid(x_z + h_z), q, torch.tanh(x_n + r * q)


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (5) to (1), in that order."""
    (h,) = state
    (dh_new,) = dstate
    r, z, q, n, _ = values(x_BI, state, params, mask_BH)
    # h' = (1 - z) * n + z * h
    dz = dh_new * (h - n)
    # n = tanh(x_n + r * q)
    da_n = dh_new * (1 - z) * (1 - n * n)
    # z = σ(a_z), r = σ(a_r)
    da_z = dz * z * (1 - z)
    da_r = da_n * q * r * (1 - r)
    da_x = torch.cat((da_r, da_z, da_n), dim=-1)
    da_h = torch.cat((da_r, da_z, da_n * r), dim=-1)
    dx, dh, dparams = affine_backward(da_x, da_h, x_BI, h, params, mask_BH)
    # h' = ... + z * h
    return StepGradients(dx, (dh + dh_new * z,), dparams)


LAYER_NORM_GRU = Cell(
    name="layer_norm_gru",
    gates=("r", "z", "n"),
    state_fields=("h",),
    values=values,
    step_backward=step_backward,
    params=LayerNormParams,
)
