"""Weights from and to haste (the package haste_pytorch): LSTM and GRU.

    kernel             (I, G*H)     i g f o, and z r h with h = n
    recurrent_kernel   (H, G*H)
    bias               (G*H,)
    recurrent_bias     (3*H,), of a GRU alone

haste's GRU has its reset gate after the product, as `GRU` here. Its LSTM has one bias where ours are added. Its zoneout
acts on h alone; build a layer with ``zoneout=(p, 0.0)`` to go on with a p of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from throughtime.errors import ArgumentError
from throughtime.exchange.weights import Array, arrays, check_layer, fill, gates, reorder
from throughtime.nn.layers import GRU, LSTM
from throughtime.nn.recurrent import Recurrent

_KINDS = (GRU, LSTM)
_ORDER = {"rzn": "zrn", "ifgo": "igfo"}


def to_haste(layer: Recurrent) -> list[dict[str, torch.Tensor]]:
    """A state dict for each layer of the stack: haste has neither depth nor directions.

    >>> from throughtime.nn import GRU
    >>> {name: tuple(value.shape) for name, value in to_haste(GRU(3, 5))[0].items()}["kernel"]
    (3, 15)

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: a layer that haste has not, both ways, or with zoneout of c; weights that are not finite.
    """
    layer = _check("to_haste", layer)
    own = gates(layer)
    order = _ORDER[own]
    found = []
    for number in range(layer.num_layers):
        given: dict[str, Any] = arrays(layer, number)
        made: dict[str, Array] = {
            "kernel": reorder(given["weight_ih"], own, order).T,
            "recurrent_kernel": reorder(given["weight_hh"], own, order).T,
        }
        zeros = np.zeros(len(given["weight_ih"]), given["weight_ih"].dtype)
        b_ih, b_hh = (
            zeros if given[name] is None else reorder(given[name], own, order) for name in ("bias_ih", "bias_hh")
        )
        made |= {"bias": b_ih, "recurrent_bias": b_hh} if own == "rzn" else {"bias": b_ih + b_hh}
        found.append({name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in made.items()})
    return found


def from_haste(layer: Recurrent, states: Sequence[Mapping[str, Any]]) -> None:
    """Set a layer's weights to those of haste layers.

    Args:
        layer: of the cell, sizes and depth that they have, one way, with biases.
        states: ``state_dict()`` of each, the lowest first.

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: a layer that haste has not; another number of layers, names of another cell or another shape;
            weights that are not finite.
    """
    who = "from_haste"
    layer = _check(who, layer)
    own = gates(layer)
    order = _ORDER[own]
    names = {"kernel": "weight_ih", "recurrent_kernel": "weight_hh", "bias": "bias_ih"}
    names |= {"recurrent_bias": "bias_hh"} if own == "rzn" else {}
    if not layer.bias:
        raise ArgumentError(
            f"{who}: expected a layer with biases, as haste's have, got bias=False; build it with bias=True"
        )
    if len(states) != layer.num_layers:
        raise ArgumentError(
            f"{who}: expected the weights of {layer.num_layers} layers, got {len(states)}; pass a state_dict() of each"
        )
    for number, state in enumerate(states):
        if set(state) != set(names):
            raise ArgumentError(
                f"{who}: expected {', '.join(names)} for {type(layer).__name__}, got {', '.join(sorted(state))}; pass "
                "the state_dict of such a layer"
            )
        values = {ours: reorder(np.asarray(state[theirs]).T, order, own) for theirs, ours in names.items()}
        fill(layer, number, values)


def _check(who: str, given: Any) -> Recurrent:
    layer = check_layer(who, given, _KINDS, zoneout=True)
    if layer.bidirectional:
        raise ArgumentError(
            f"{who}: expected a one-way layer, got bidirectional=True, which haste has not; use two layers"
        )
    zoneout = layer.dropouts.zoneout
    if any(zoneout[1:]):
        raise ArgumentError(
            f"{who}: expected zoneout of h alone, as haste has it, got {zoneout}; build the layer with "
            f"zoneout=({zoneout[0]:g}, 0.0)"
        )
    return layer
