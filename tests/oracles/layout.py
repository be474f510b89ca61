"""The notes' letters and torch's stacked parameters, both ways.

torch stacks the gates' rows: weight_ih (G·H, I) and weight_hh (G·H, H) in the order (h), (r, z, n) or (i, f, g, o), and
keeps two biases where the notes have one; peepholes are weight_ch (3H,) in the order i, f, o. The notes' update gate of
the GRU is Γ_u = 1 − z = 1 − σ(a_z) = σ(−a_z), so its parameters are torch's z rows with the sign turned.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.oracles.cells import Weights

Array = NDArray[np.float64]
TorchParams = dict[str, Array]  # weight_ih, weight_hh and, where there are any, bias_ih, bias_hh, weight_ch


class Layout(NamedTuple):
    gates: tuple[str, ...]  # the notes' gate for each block of torch's rows; "-u" is a block with the sign turned
    source: str  # the letter of the recurrent vector: W_{gate}{source}
    states: int  # how many vectors a state holds
    peephole: bool = False
    normalized: bool = False  # the oracle of such a cell takes torch's parameters themselves
    two_biases: str = ""  # the gate whose two biases stay apart


_LSTM = Layout(("u", "f", "c", "o"), "a", 2)
LAYOUTS = {
    "rnn_tanh": Layout(("a",), "a", 1),
    "rnn_relu": Layout(("a",), "a", 1),
    "gru": Layout(("r", "-u", "c"), "c", 1, two_biases="c"),
    "gru_reset_before": Layout(("r", "-u", "c"), "c", 1),
    "lstm": _LSTM,
    "peephole_lstm": _LSTM._replace(peephole=True),
    "previous_peephole_lstm": _LSTM._replace(peephole=True),
}
NORMALIZED_LAYOUTS = {
    f"layer_norm_{name}": LAYOUTS[name]._replace(normalized=True) for name in ("rnn_tanh", "rnn_relu", "gru", "lstm")
}
EVERY_LAYOUT = {**LAYOUTS, **NORMALIZED_LAYOUTS}


def _blocks(layout: Layout, stacked: Array) -> list[tuple[str, float, Array]]:
    """(gate, sign, that gate's rows) for each block of a stacked array."""
    parts = np.split(stacked, len(layout.gates))
    return [(g.removeprefix("-"), -1.0 if g[0] == "-" else 1.0, p) for g, p in zip(layout.gates, parts, strict=True)]


def to_notes(name: str, params: TorchParams) -> Weights:
    """torch's parameters in the notes' letters; a layer without biases has zeros."""
    layout, w = EVERY_LAYOUT[name], {}
    zeros = np.zeros(len(params["weight_hh"]))
    if layout.normalized:
        no_bias = {"bias_ih": zeros, "bias_hh": zeros, "bias_ln_c": np.zeros(params["weight_hh"].shape[1])}
        return {**no_bias, **params}
    bias_ih, bias_hh = params.get("bias_ih", zeros), params.get("bias_hh", zeros)
    for gate, sign, rows in _blocks(layout, params["weight_ih"]):
        w[f"W_{gate}x"] = sign * rows
    for gate, sign, rows in _blocks(layout, params["weight_hh"]):
        w[f"W_{gate}{layout.source}"] = sign * rows
    for (gate, sign, b_ih), (_, _, b_hh) in zip(_blocks(layout, bias_ih), _blocks(layout, bias_hh), strict=True):
        if gate == layout.two_biases:
            w[f"b_{gate}x"], w[f"b_{gate}{layout.source}"] = b_ih.copy(), b_hh.copy()
        else:
            w[f"b_{gate}"] = sign * (b_ih + b_hh)
    if layout.peephole:
        w["p_u"], w["p_f"], w["p_o"] = np.split(params["weight_ch"], 3)
    return w


def gradients_to_torch(name: str, grad: Weights, params: TorchParams) -> TorchParams:
    """Gradients in the notes' letters as gradients of torch's parameters (the ones that `params` has).

    Where b = bias_ih + bias_hh, both biases have the gradient of b.
    """
    layout = EVERY_LAYOUT[name]
    if layout.normalized:
        return {key: grad[key] for key in params}
    signs = [(g.removeprefix("-"), -1.0 if g[0] == "-" else 1.0) for g in layout.gates]
    out = {
        "weight_ih": np.concatenate([sign * grad[f"W_{gate}x"] for gate, sign in signs]),
        "weight_hh": np.concatenate([sign * grad[f"W_{gate}{layout.source}"] for gate, sign in signs]),
    }
    for bias, letter in (("bias_ih", "x"), ("bias_hh", layout.source)):
        if bias in params:
            keys = [f"b_{gate}{letter}" if gate == layout.two_biases else f"b_{gate}" for gate, _ in signs]
            out[bias] = np.concatenate([sign * grad[key] for key, (_, sign) in zip(keys, signs, strict=True)])
    if layout.peephole:
        out["weight_ch"] = np.concatenate([grad["p_u"], grad["p_f"], grad["p_o"]])
    return out
