"""Layer normalisation of a cell's two products: what the `layer_norm_...` cells share.

(1) LN(a) = γ ∗ (a − μ) / √(σ² + ε), with μ and σ² the mean and the variance of a row's G*H values, ε = 10⁻⁵
(2) a_x = LN(W_ih x; γ_ih) + b_ih
(3) a_h = LN(W_hh h; γ_hh) + b_hh

The two biases are the shifts of the two normalisations, so there is no further b.

**Source** [Ba2016], supplement; differs from it where a cell's file says so.

Axes in names: B batch, I input features, N the values that are normalised together.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import layer_norm, linear

from throughtime.cells.base import masked

EPSILON = 1e-5


class LayerNormParams(NamedTuple):
    """The parameters of one layer in one direction."""

    weight_ih: Tensor  # (G*H, I)
    weight_hh: Tensor  # (G*H, H)
    bias_ih: Tensor | None  # (G*H,)
    bias_hh: Tensor | None  # (G*H,)
    weight_ln_ih: Tensor  # (G*H,): γ_ih
    weight_ln_hh: Tensor  # (G*H,): γ_hh
    weight_ln_c: Tensor | None = None  # (H,): γ_c of a cell that carries c
    bias_ln_c: Tensor | None = None  # (H,): β_c


def normalize(a_BN: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
    """LN(a; gain) + shift over the last axis."""
    return layer_norm(a_BN, a_BN.shape[-1:], gain, shift, EPSILON)


def normalize_backward(d_BN: Tensor, a_BN: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Partial derivatives of (1): the gradients of a and of the gain."""
    from_mean = a_BN - a_BN.mean(-1, keepdim=True)
    scale = (from_mean.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
    # LN(a) = gain * unit, unit = (a - mean) * scale
    unit = from_mean * scale
    d_unit = d_BN * gain
    # mean and scale depend on every value of the row
    da = scale * (d_unit - d_unit.mean(-1, keepdim=True) - unit * (d_unit * unit).mean(-1, keepdim=True))
    return da, (d_BN * unit).sum(0)


def affine(x_BI: Tensor, h_BH: Tensor, params: LayerNormParams, mask_BH: Tensor | None) -> tuple[Tensor, Tensor]:
    """Equations (2) and (3), both (B, G*H); under a mask W_hh sees mask ∗ h."""
    return (
        normalize(linear(x_BI, params.weight_ih), params.weight_ln_ih, params.bias_ih),
        normalize(linear(masked(h_BH, mask_BH), params.weight_hh), params.weight_ln_hh, params.bias_hh),
    )


def affine_backward(
    da_x: Tensor, da_h: Tensor, x_BI: Tensor, h_BH: Tensor, params: LayerNormParams, mask_BH: Tensor | None
) -> tuple[Tensor, Tensor, LayerNormParams]:
    """Partial derivatives of (2) and (3): dx, dh and the parameters' gradients, γ_c and β_c left out."""
    seen = masked(h_BH, mask_BH)
    # a_x = LN(W_ih x; γ_ih) + b_ih, a_h = LN(W_hh seen; γ_hh) + b_hh
    dz_x, dgain_x = normalize_backward(da_x, linear(x_BI, params.weight_ih), params.weight_ln_ih)
    dz_h, dgain_h = normalize_backward(da_h, linear(seen, params.weight_hh), params.weight_ln_hh)
    return (
        dz_x @ params.weight_ih,
        masked(dz_h @ params.weight_hh, mask_BH),
        LayerNormParams(
            weight_ih=dz_x.mT @ x_BI,
            weight_hh=dz_h.mT @ seen,
            bias_ih=None if params.bias_ih is None else da_x.sum(0),
            bias_hh=None if params.bias_hh is None else da_h.sum(0),
            weight_ln_ih=dgain_x,
            weight_ln_hh=dgain_h,
        ),
    )
