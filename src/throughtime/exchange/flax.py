"""Weights from and to Flax: SimpleCell, GRUCell and LSTMCell, of linen and of nnx.

    ours    linen                                          nnx
    RNN     SimpleCell      i, h                           SimpleCell         dense_i, dense_h
    GRU     GRUCell         ir iz in, hr hz hn             GRUCell            dense_i, dense_h (r z n side by side)
    LSTM    LSTMCell        ii if ig io, hi hf hg ho       OptimizedLSTMCell  dense_i, dense_h (i f g o side by side)
                                                           LSTMCell           ii if_ ig io, hi hf hg ho

Each is a dict of dicts with a kernel (features in, features out) and, for one of the two sides, a bias: the other's is
added to it. A GRU's b_hn stands behind the reset gate and cannot be: linen has a place for it, **nnx has none**, and a
layer where it is not zero is refused there. The reset gate acts after the product in all of them; GRUResetBefore has no
counterpart.

Flax has no depth and no directions in a cell: weights are a list of layers, each a list of directions. (A backward
direction is `flax.linen.RNN(cell, reverse=True, keep_order=True)`.) A carry is (c, h) there and (h, c) here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.exchange.weights import Array, arrays, check_layer, fill, gates
from throughtime.nn.layers import GRU, LSTM, RNN
from throughtime.nn.recurrent import Recurrent

Tree = Mapping[str, Mapping[str, Any]]

_KINDS = (RNN, GRU, LSTM)
APIS = ("linen", "nnx")
# Which side has the bias of every gate; linen's GRU has b_hn beside.
_BIAS_SIDE = {"h": "i", "rzn": "i", "ifgo": "h"}


def to_flax(layer: Recurrent, api: str) -> list[list[dict[str, dict[str, Array]]]]:
    """The parameters of each layer and direction: what `cell.apply` takes as ``{"params": ...}``, or nnx's pure dict.

    >>> from throughtime.nn import LSTM
    >>> [[params]] = to_flax(LSTM(3, 5), "linen")
    >>> params["ii"]["kernel"].shape, params["hi"]["bias"].shape
    ((3, 5), (5,))

    Args:
        layer: RNN, GRU or LSTM.
        api: "linen" or "nnx".

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: another api; a layer that Flax has not; b_hn that is not zero, for nnx; weights that are not
            finite.
    """
    who = "to_flax"
    layer = check_layer(who, layer, _KINDS)
    if api not in APIS:
        raise ArgumentError(f"{who}: expected api 'linen' or 'nnx', got {api!r}; pass one of these")
    D = layer.num_directions
    made = [_tree(who, layer, index, api) for index in range(layer.num_layers * D)]
    return [made[number * D : number * D + D] for number in range(layer.num_layers)]


def from_flax(layer: Recurrent, params: Sequence[Sequence[Tree]]) -> None:
    """Set a layer's weights to those of Flax cells, of linen or nnx as their names tell.

    Args:
        layer: of the cell, sizes, depth and directions that they have.
        params: by layer and direction, as `to_flax` gives them; of nnx
            ``nnx.to_pure_dict(nnx.state(cell, nnx.Param))``.

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: a layer that Flax has not, or one without biases, which Flax's cells always have; another number
            of layers or directions; names of another cell; another shape; weights that are not finite.
    """
    who = "from_flax"
    layer = check_layer(who, layer, _KINDS)
    if not layer.bias:
        raise ArgumentError(
            f"{who}: expected a layer with biases, as all of Flax's cells have, got bias=False; build it with bias=True"
        )
    D = layer.num_directions
    shape = [len(each) for each in params]
    if shape != [D] * layer.num_layers:
        raise ArgumentError(
            f"{who}: expected the weights of {layer.num_layers} layers of {D} directions, got {shape}; pass a list of "
            "directions for each layer"
        )
    for number, directions in enumerate(params):
        for way, tree in enumerate(directions):
            fill(layer, number * D + way, _values(who, layer, tree))


def _names(own: str, side: str, api: str) -> list[str]:
    """The entries of one side ("i" or "h"), a gate each."""
    if own == "h":
        return [side]
    keyword = "if_" if api == "nnx" else "if"  # Python's own word cannot name an attribute
    return [keyword if side + gate == "if" else side + gate for gate in own]


def _tree(who: str, layer: Recurrent, index: int, api: str) -> dict[str, dict[str, Array]]:
    given: dict[str, Any] = arrays(layer, index)
    own, G = gates(layer), len(layer.cell.gates)
    b_ih, b_hh = (np.zeros(len(given["weight_ih"]), given["weight_ih"].dtype) if given[name] is None else given[name]
                  for name in ("bias_ih", "bias_hh"))  # fmt: skip
    bias, b_hn = b_ih + b_hh, None
    if own == "rzn":
        H = layer.hidden_size
        b_hn = b_hh[2 * H :]
        bias = np.concatenate((b_ih[: 2 * H] + b_hh[: 2 * H], b_ih[2 * H :]))
        if api == "nnx" and b_hn.any():
            raise ArgumentError(
                f"{who}: expected b_hn = 0 for nnx, whose GRUCell has no such bias, got up to {np.abs(b_hn).max():g}; "
                "use api='linen', which has it, or train a layer with it held at zero"
            )
    side = _BIAS_SIDE[own]
    kernels = {"i": given["weight_ih"], "h": given["weight_hh"]}
    made: dict[str, dict[str, Array]] = {}
    for which, weight in kernels.items():
        if api == "nnx":
            made[f"dense_{which}"] = {"kernel": _turned(weight)} | ({"bias": bias} if which == side else {})
            continue
        names = _names(own, which, api)
        for name, part, part_bias in zip(names, np.split(weight, G), np.split(bias, G), strict=True):
            made[name] = {"kernel": _turned(part)} | ({"bias": part_bias} if which == side else {})
    if api == "linen" and b_hn is not None:
        made["hn"]["bias"] = b_hn
    return made


def _values(who: str, layer: Recurrent, tree: Tree) -> dict[str, Array]:
    own = gates(layer)
    if not isinstance(tree, Mapping):
        raise ArgumentTypeError(f"{who}: expected a dict of a cell's parameters, got {tree!r:.60}; pass its params")
    found: dict[str, Array] = {}
    for which, role in (("i", "ih"), ("h", "hh")):
        layouts = [[f"dense_{which}"], _names(own, which, "linen"), _names(own, which, "nnx")]
        names = next((layout for layout in layouts if all(name in tree for name in layout)), None)
        if names is None:
            wanted = " or ".join(", ".join(layout) for layout in layouts[: 2 if own != "ifgo" or which == "h" else 3])
            raise ArgumentError(
                f"{who}: expected the entries {wanted} for {type(layer).__name__}, got {', '.join(sorted(tree))}; pass "
                "the parameters of such a cell"
            )
        parts = [tree[name] for name in names]
        found[f"weight_{role}"] = np.concatenate([_turned(np.asarray(part["kernel"])) for part in parts])
        biases = [np.asarray(part["bias"]) if "bias" in part else None for part in parts]
        if any(bias is not None for bias in biases):
            sizes = [np.asarray(part["kernel"]).shape[1] for part in parts]
            each = [np.zeros(n) if bias is None else bias for n, bias in zip(sizes, biases, strict=True)]
            found[f"bias_{role}"] = np.concatenate(each)
    return found


def _turned(array: Array) -> Array:
    return np.ascontiguousarray(array.T)
