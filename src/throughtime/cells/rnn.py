"""The simple recurrent cell.

(1) a_h = W_ih x + b_ih + W_hh h + b_hh
(2) h'  = tanh(a_h)    or    relu(a_h)

The notes write a for h and stack the weights: a_t = g(W_a [a_{t-1}, x_t] + b_a) with W_a = [W_hh | W_ih] and
b_a = b_ih + b_hh.

**Source** [Elman1990].
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Params, State, StepGradients, affine, affine_backward


class RNNValues(NamedTuple):
    """The values of one step, each (B, H)."""

    h: Tensor


def _build(name: str, activation: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor]) -> Cell:
    """The cell for one activation; `derivative` takes h' = activation(a_h)."""

    def values(x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None) -> RNNValues:
        (h,) = state
        a_x, a_h = affine(x_BI, h, params, mask_BH)
        return RNNValues(h=activation(a_x + a_h))

    def step_backward(
        dstate: State, x_BI: Tensor, state: State, params: Params, mask_BH: Tensor | None = None
    ) -> StepGradients:
        (h,) = state
        (dh_new,) = dstate
        # h' = activation(a_h)
        da = dh_new * derivative(values(x_BI, state, params, mask_BH).h)
        # a_h = W_ih x + b_ih + W_hh h + b_hh
        dx, dh, dparams = affine_backward(da, da, x_BI, h, params, mask_BH)
        return StepGradients(dx, (dh,), dparams)

    return Cell(name=name, gates=("h",), state_fields=("h",), values=values, step_backward=step_backward)


RNN_TANH = _build("rnn_tanh", torch.tanh, lambda h: 1 - h * h)
RNN_RELU = _build("rnn_relu", torch.relu, lambda h: (h > 0).to(h.dtype))
