"""A stack of recurrent layers in ONNX's own operators.

    x (T, B, I) ─ RNN | GRU | LSTM ─ Y (T, D, B, H) ─ Transpose, Reshape ─ (T, B, D*H) ─ the next layer ...

What ONNX leaves open is made certain by nodes around them: a row of length zero keeps its initial state, and outputs
past a length are zero. The operators are given lengths from 1 on, since runtimes differ below that.

Axes in names: T time, B batch, I input features, H hidden units, L layers, D directions.
"""

from typing import Any, NamedTuple

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.exchange.onnx.graph import Graph
from throughtime.exchange.onnx.parameters import OPERATOR, packed
from throughtime.exchange.weights import PLAIN, check_layer, to_array
from throughtime.nn.recurrent import Recurrent


class Emitted(NamedTuple):
    """Names of what a stack gives."""

    output: str
    """(T, B, D*H)"""
    state: tuple[str, ...]
    """h, and c of an LSTM: (L*D, B, H) each."""


def check(who: str, layer: Any) -> Recurrent:
    """A layer that can be written.

    Raises:
        ArgumentTypeError, ArgumentError: as `check_layer`; or its weights are not float32.
    """
    found = check_layer(who, layer, PLAIN)
    dtype = found.layer_params(0).weight_ih.dtype
    if str(dtype) != "torch.float32":
        raise ArgumentError(
            f"{who}: expected a layer of torch.float32, got {dtype}, in which runtimes have no recurrent operators; "
            "convert a copy with .float()"
        )
    return found


def emit(graph: Graph, layer: Recurrent, x_TBI: str, lengths_B: str = "", state: tuple[str, ...] = ()) -> Emitted:
    """Add the stack to a graph.

    Args:
        graph: gets the nodes.
        layer: as `check` gave it.
        x_TBI: the input's name, time first whatever the layer's `batch_first` is.
        lengths_B: int64; "" for none.
        state: names of the initial state's tensors (L*D, B, H); () for zeros, or the layer's learned ones.
    """
    fields, D = layer.cell.state_fields, layer.num_directions
    if not state and layer.reset_state == "learned":
        state = _learned(graph, layer, x_TBI)
    at_least_one, is_empty_1B1 = "", ""
    if lengths_B:
        one = graph.constant(np.int64(1), "one")
        at_least_one = graph.add("Cast", graph.add("Max", lengths_B, one), to=int(graph.onnx.TensorProto.INT32))
        is_empty_B = graph.add("Less", lengths_B, one)
        is_empty_1B1 = graph.add("Unsqueeze", is_empty_B, graph.constant(np.array([0, 2]), "axes"))
    finals: list[list[str]] = [[] for _ in fields]
    for number in range(layer.num_layers):
        initial = [_rows(graph, name, number * D, number * D + D, layer.num_layers * D) for name in state]
        Y_TDBH, *after = _one(graph, layer, number, x_TBI, at_least_one, initial)
        if lengths_B:
            before = initial or [graph.constant(np.float32(0), "zero")] * len(fields)
            after = [graph.add("Where", is_empty_1B1, b, a) for b, a in zip(before, after, strict=True)]
        for field, name in zip(finals, after, strict=True):
            field.append(name)
        Y_TBDH = graph.add("Transpose", Y_TDBH, perm=[0, 2, 1, 3])
        x_TBI = graph.add("Reshape", Y_TBDH, graph.constant(np.array([0, 0, -1]), "shape"))
    if lengths_B:
        x_TBI = _masked(graph, x_TBI, lengths_B)
    ends = [names[0] if len(names) == 1 else graph.add("Concat", *names, axis=0) for names in finals]
    return Emitted(x_TBI, tuple(ends))


def _one(graph: Graph, layer: Recurrent, number: int, x_TBI: str, lengths_B: str, initial: list[str]) -> list[str]:
    """One layer, all its directions: Y (T, D, B, H), Y_h and, of an LSTM, Y_c (D, B, H)."""
    operator, D = OPERATOR[layer.cell_name], layer.num_directions
    weights = {name: graph.constant(value, f"l{number}_{name}") for name, value in packed(layer, number).items()}
    inputs = [x_TBI, weights["W"], weights["R"], weights.get("B", ""), lengths_B, *(initial or [""])]
    if operator == "LSTM":
        inputs += ["", weights.get("P", "")] if not initial else [weights.get("P", "")]
    attributes: dict[str, Any] = {
        "hidden_size": layer.hidden_size,
        "direction": "bidirectional" if layer.bidirectional else "forward",
    }
    if operator == "GRU":
        attributes["linear_before_reset"] = int(layer.cell_name == "gru")
    if layer.cell_name == "rnn_relu":
        attributes["activations"] = ["Relu"] * D
    found: list[str] = graph.add(operator, *inputs, outputs=1 + len(layer.cell.state_fields), **attributes)
    return found


def _rows(graph: Graph, name: str, first: int, end: int, count: int) -> str:
    """Rows of a state: those of one layer."""
    if (first, end) == (0, count):
        return name
    places = [graph.constant(np.array([at]), "row") for at in (first, end, 0)]
    found: str = graph.add("Slice", name, *places)
    return found


def _masked(graph: Graph, y_TBF: str, lengths_B: str) -> str:
    """Zeros past each length."""
    zero, one = (graph.constant(np.int64(at), "place") for at in (0, 1))
    T = graph.add("Gather", graph.add("Shape", y_TBF), zero)
    step_T1 = graph.add("Unsqueeze", graph.add("Range", zero, T, one), graph.constant(np.array([1]), "axes"))
    inside_TB1 = graph.add("Unsqueeze", graph.add("Less", step_T1, lengths_B), graph.constant(np.array([2]), "axes"))
    found: str = graph.add("Where", inside_TB1, y_TBF, graph.constant(np.float32(0), "zero"))
    return found


def _learned(graph: Graph, layer: Recurrent, x_TBI: str) -> tuple[str, ...]:
    """The layer's own state before the first step, for every row of the batch."""
    one, two = (graph.constant(np.array([at]), "place") for at in (1, 2))
    B = graph.add("Slice", graph.add("Shape", x_TBI), one, two)
    found = []
    for field, size in zip(layer.cell.state_fields, layer._state_sizes, strict=True):
        own = to_array(getattr(layer, f"reset_{field}"), f"{type(layer).__name__}.reset_{field}")
        shape = graph.add("Concat", graph.constant(np.array([len(own)])), B, graph.constant(np.array([size])), axis=0)
        found.append(graph.add("Expand", graph.constant(own[:, None], f"reset_{field}"), shape))
    return tuple(found)
