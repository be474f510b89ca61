"""The gated recurrent unit, reset before the product: the paper's and the lecture notes' form.

(1) r  = σ(W_ir x + b_ir + W_hr h + b_hr)              the notes' Γ_r
(2) z  = σ(W_iz x + b_iz + W_hz h + b_hz)              Γ_u = 1 − z
(3) n  = tanh(W_in x + b_in + W_hn (r ∗ h) + b_hn)     the notes' c̃ = tanh(W_c [Γ_r ∗ c, x] + b_c)
(4) h' = (1 − z) ∗ n + z ∗ h                           the notes' c' = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c

**Source** [Cho2014]; the notes' figure misprints (4) as Γ_u ∗ c̃ + (1 − Γ_u) + c.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from throughtime.cells.base import Cell, Params, State, StepGradients, masked


class GRUResetBeforeValues(NamedTuple):
    """The values of one step, each (B, H)."""

    r: Tensor
    z: Tensor
    n: Tensor
    h: Tensor


def _rows(params: Params) -> tuple[Params, Params]:
    """The parameters of r and z (2H rows), and those of n (H rows): n's W_hh sees r ∗ h, the gates' W_hh sees h."""
    H = params.weight_hh.shape[1]
    return (
        Params(*(None if p is None else p[: 2 * H] for p in params)),  # type: ignore[arg-type]
        Params(*(None if p is None else p[2 * H :] for p in params)),  # type: ignore[arg-type]
    )


def values(x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None) -> GRUResetBeforeValues:
    """Equations (1) to (4)."""
    (h,) = state
    seen = masked(h, mask_BH)
    gates, candidate = _rows(params)
    a = linear(x_BI, gates.weight_ih, gates.bias_ih) + linear(seen, gates.weight_hh, gates.bias_hh)
    r, z = torch.sigmoid(a).chunk(2, dim=-1)
    a_n = linear(x_BI, candidate.weight_ih, candidate.bias_ih) + linear(
        r * seen, candidate.weight_hh, candidate.bias_hh
    )
    n = torch.tanh(a_n)
    return GRUResetBeforeValues(r=r, z=z, n=n, h=(1 - z) * n + z * h)


def step_backward(
    dstate: State, x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None
) -> StepGradients:
    """Partial derivatives of (4) to (1), in that order."""
    (h,) = state
    (dh_new,) = dstate
    seen = masked(h, mask_BH)
    gates, candidate = _rows(params)
    r, z, n, _ = values(x_BI, state, params, mask_BH)
    # h' = (1 - z) * n + z * h
    dz = dh_new * (h - n)
    da_n = dh_new * (1 - z) * (1 - n * n)
    # a_n = W_in x + b_in + W_hn (r * seen) + b_hn
    drh = da_n @ candidate.weight_hh
    da_r = drh * seen * r * (1 - r)
    da_z = dz * z * (1 - z)
    # a_r, a_z = W_i x + b_i + W_h seen + b_h
    da_rz = torch.cat((da_r, da_z), dim=-1)
    da = torch.cat((da_rz, da_n), dim=-1)
    dbias = da.sum(0)
    return StepGradients(
        dx=da @ params.weight_ih,
        # seen = mask * h; h' = ... + z * h
        dstate=(masked(da_rz @ gates.weight_hh + drh * r, mask_BH) + dh_new * z,),
        dparams=Params(
            weight_ih=da.mT @ x_BI,
            weight_hh=torch.cat((da_rz.mT @ seen, da_n.mT @ (r * seen))),
            bias_ih=None if params.bias_ih is None else dbias,
            bias_hh=None if params.bias_hh is None else dbias,
        ),
    )


GRU_RESET_BEFORE = Cell(
    name="gru_reset_before",
    gates=("r", "z", "n"),
    state_fields=("h",),
    values=values,
    step_backward=step_backward,
)
