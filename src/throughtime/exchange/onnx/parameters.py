"""Weights as ONNX's RNN, GRU and LSTM keep them, and back.

ours                       ONNX
LSTM  i f g o              i o f c        W (D, 4H, I), R (D, 4H, H), B (D, 8H): W's biases, then R's
GRU   r z n                z r h          B (D, 6H)
peepholes i f o            i o f          P (D, 3H)
LSTM.h = o ∗ tanh(c)       activations f, g, h = Sigmoid, Tanh, Tanh
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from throughtime.exchange.weights import Array, arrays, gates, reorder
from throughtime.nn.recurrent import Recurrent

OPERATOR = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "gru": "GRU", "gru_reset_before": "GRU"} | dict.fromkeys(
    ("lstm", "peephole_lstm"), "LSTM"
)
"""By cell: the standard operator that computes the same."""
ORDER = {"RNN": "h", "GRU": "zrn", "LSTM": "iofg"}
"""By operator: its blocks, in our letters."""
_PEEPHOLES, _THEIR_PEEPHOLES = "ifo", "iof"


def packed(layer: Recurrent, number: int) -> dict[str, Array]:
    """W, R, and B and P where the layer has them, of layer `number`, all its directions."""
    D, order = layer.num_directions, ORDER[OPERATOR[layer.cell_name]]
    own = gates(layer)
    found: dict[str, list[Array]] = {"W": [], "R": [], "B": [], "P": []}
    for index in range(number * D, number * D + D):
        given: dict[str, Any] = arrays(layer, index)
        found["W"].append(reorder(given["weight_ih"], own, order))
        found["R"].append(reorder(given["weight_hh"], own, order))
        if given["bias_ih"] is not None:
            halves = [reorder(given[name], own, order) for name in ("bias_ih", "bias_hh")]
            found["B"].append(np.concatenate(halves))
        if given["weight_ch"] is not None:
            found["P"].append(reorder(given["weight_ch"], _PEEPHOLES, _THEIR_PEEPHOLES))
    return {name: np.stack(parts) for name, parts in found.items() if parts}


def unpacked(operator: str, W: Array, R: Array, B: Array | None, P: Array | None) -> Sequence[dict[str, Array]]:
    """The parameters of each direction, by our names."""
    order = ORDER[operator]
    own = {"RNN": "h", "GRU": "rzn", "LSTM": "ifgo"}[operator]
    found = []
    for d in range(len(W)):
        values = {"weight_ih": reorder(W[d], order, own), "weight_hh": reorder(R[d], order, own)}
        if B is not None:
            of_w, of_r = np.split(B[d], 2)
            values |= {"bias_ih": reorder(of_w, order, own), "bias_hh": reorder(of_r, order, own)}
        if P is not None:
            values["weight_ch"] = reorder(P[d], _THEIR_PEEPHOLES, _PEEPHOLES)
        found.append(values)
    return found
