"""Weights from and to Keras 3: SimpleRNN, GRU (both forms), LSTM, and Bidirectional around one of them.

    ours             Keras
    RNN              SimpleRNN, activation "tanh" or "relu"
    GRU              GRU, reset_after=True (its default)     bias (2, 3H)
    GRUResetBefore   GRU, reset_after=False                  bias (3H,)
    LSTM             LSTM                                    bias (4H,)

A Keras layer's ``get_weights()`` is a list: kernel (I, G*H), recurrent_kernel (H, G*H) and, with use_bias, bias; a
Bidirectional's is the forward layer's and then the backward one's, and its outputs stand side by side as here
(merge_mode "concat"). Gates are i f c o with c = g, and z r h with h = n. Keras has one bias where ours are added: on
the way there they are summed; on the way back b_hh is zero.

Keras's GRU on the way back in time, and its masks, differ in nothing from lengths here as long as padding stands at the
end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.exchange.weights import Array, arrays, check_layer, fill, gates, reorder
from throughtime.nn.layers import GRU, LSTM, RNN, GRUResetBefore
from throughtime.nn.recurrent import Recurrent

_KINDS = (RNN, GRU, GRUResetBefore, LSTM)
_ORDER = {"h": "h", "rzn": "zrn", "ifgo": "ifgo"}


def to_keras(layer: Recurrent) -> list[list[Array]]:
    """What each layer of the stack gets by ``set_weights``: Keras has no depth, so there is one list a layer.

    >>> from throughtime.nn import LSTM
    >>> [tuple(each.shape) for each in to_keras(LSTM(3, 5))[0]]
    [(3, 20), (5, 20), (20,)]

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: a layer that Keras has not; weights that are not finite.
    """
    layer = check_layer("to_keras", layer, _KINDS)
    own, D = gates(layer), layer.num_directions
    order = _ORDER[own]
    found = []
    for number in range(layer.num_layers):
        weights: list[Array] = []
        for index in range(number * D, number * D + D):
            given: dict[str, Any] = arrays(layer, index)
            weights += [np.ascontiguousarray(reorder(given[name], own, order).T) for name in ("weight_ih", "weight_hh")]
            if layer.bias:
                b_ih, b_hh = (reorder(given[name], own, order) for name in ("bias_ih", "bias_hh"))
                weights.append(np.stack((b_ih, b_hh)) if type(layer) is GRU else b_ih + b_hh)
        found.append(weights)
    return found


def from_keras(layer: Recurrent, weights: Sequence[Sequence[Any]]) -> None:
    """Set a layer's weights to those of Keras layers.

    Args:
        layer: of the cell, sizes, depth and directions that the Keras layers have.
        weights: ``get_weights()`` of each of them, the lowest first.

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: a layer that Keras has not; another number of layers or arrays, or another shape; weights that
            are not finite.
    """
    who = "from_keras"
    layer = check_layer(who, layer, _KINDS)
    own, D = gates(layer), layer.num_directions
    order, each = _ORDER[own], 3 if layer.bias else 2
    if len(weights) != layer.num_layers:
        raise ArgumentError(
            f"{who}: expected the weights of {layer.num_layers} layers, got {len(weights)}; pass get_weights() of each"
        )
    for number, given in enumerate(weights):
        if len(given) != D * each:
            what = "kernel, recurrent_kernel and bias" if layer.bias else "kernel and recurrent_kernel"
            raise ArgumentError(
                f"{who}: expected {D * each} arrays of layer {number} ({what} of {D} directions), got {len(given)}; "
                f"build the layer with the bias= and bidirectional= of Keras's use_bias and Bidirectional"
            )
        for way in range(D):
            kernel, recurrent, *bias = (np.asarray(array) for array in given[way * each : way * each + each])
            values = {
                "weight_ih": reorder(kernel.T, order, own),
                "weight_hh": reorder(recurrent.T, order, own),
            }
            if bias:
                values |= _biases(who, layer, bias[0], order, own)
            fill(layer, number * D + way, values)


def _biases(who: str, layer: Recurrent, bias: Array, order: str, own: str) -> dict[str, Array]:
    after, rows = type(layer) is GRU, len(own) * layer.hidden_size
    wanted = (2, rows) if after else (rows,)
    if bias.shape != wanted:
        advice = ""
        if isinstance(layer, GRU):
            other = "GRUResetBefore, as reset_after=False computes" if after else "GRU, as reset_after=True computes"
            advice = f" (another form: {other})" if bias.ndim != len(wanted) else ""
        raise ArgumentError(
            f"{who}: expected a bias of shape {wanted} for {type(layer).__name__}, got {bias.shape}{advice}; build the "
            "layer that fits"
        )
    if after:
        return {"bias_ih": reorder(bias[0], order, own), "bias_hh": reorder(bias[1], order, own)}
    return {"bias_ih": reorder(bias, order, own)}
