"""The simple recurrent cell with layer normalisation.

(1) a_x, a_h as in `layer_norm`: the normalised products, each with its gain and shift
(2) h' = tanh(a_x + a_h), or relu

**Source** [Ba2016], and differs from its equation (4) by two normalisations, as its LSTM and GRU have, where its RNN
has one of the sum.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from throughtime.cells.base import Cell, State, StepGradients
from throughtime.cells.layer_norm import LayerNormParams, affine, affine_backward
from throughtime.cells.rnn import RNNValues


def _make(name: str, g: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor]) -> Cell:
    """The cell for one nonlinearity g, whose derivative is a function of its result."""

    def values(x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None) -> RNNValues:
        (h,) = state
        a_x, a_h = affine(x_BI, h, params, mask_BH)
        return RNNValues(h=g(a_x + a_h))

    def step_backward(
        dstate: State, x_BI: Tensor, state: State, params: LayerNormParams, mask_BH: Tensor | None = None
    ) -> StepGradients:
        (h,) = state
        (dh_new,) = dstate
        # h' = g(a_x + a_h)
        da = dh_new * derivative(values(x_BI, state, params, mask_BH).h)
        dx, dh, dparams = affine_backward(da, da, x_BI, h, params, mask_BH)
        return StepGradients(dx, (dh,), dparams)

    return Cell(
        name=name, gates=("h",), state_fields=("h",), values=values, step_backward=step_backward, params=LayerNormParams
    )


LAYER_NORM_RNN_TANH = _make("layer_norm_rnn_tanh", torch.tanh, lambda h: 1 - h * h)
LAYER_NORM_RNN_RELU = _make("layer_norm_rnn_relu", torch.relu, lambda h: (h > 0).to(h.dtype))
