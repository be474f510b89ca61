"""A recurrent layer as an ONNX file."""

import os
from typing import Any

from throughtime.exchange.onnx import files
from throughtime.exchange.onnx.graph import Graph
from throughtime.exchange.onnx.operators import check, emit
from throughtime.nn.arguments import check_flag
from throughtime.nn.recurrent import Recurrent


def write_onnx(layer: Recurrent, path: str | os.PathLike[str], *, lengths: bool = False, state: bool = False) -> None:
    """Write a layer as a model in ONNX's RNN, GRU or LSTM operator.

    Inputs, in float32 with dynamic T ≥ 1 and B:

        input                (T, B, I), or (B, T, I) of a layer with `batch_first`
        lengths              (B,) int64, in any order, zeros allowed; with ``lengths=True``
        h_0, and c_0         (L*D, B, H) each; with ``state=True``, else zeros or the layer's learned state

    Outputs: output of input's layout with D*H features, zero past a length; h_n, and c_n of an LSTM, the state at each
    length. Dropout is off, as in evaluation.

    Args:
        layer: RNN, GRU, GRUResetBefore, LSTM or PeepholeLSTM.
        path: the file; one that is there is replaced.
        lengths: whether the model takes lengths.
        state: whether the model takes an initial state.

    **Numerics**: ONNX Runtime's outputs and states within 1e-5 of the layer's.

    Raises:
        ArgumentTypeError: no layer.
        ArgumentError: another layer, `proj_size` or `zoneout`, weights that are not float32 or not finite, or more than
            2 GiB.
        DataError: `path` cannot be written.
        MissingExtraError: onnx is not installed.
    """
    who = "write_onnx"
    layer = check(who, layer)
    check_flag(who, "lengths", lengths)
    check_flag(who, "state", state)
    graph = Graph()
    helper, float32, int64 = graph.onnx.helper, graph.onnx.TensorProto.FLOAT, graph.onnx.TensorProto.INT64
    axes = ["batch", "time"] if layer.batch_first else ["time", "batch"]
    fields, rows = layer.cell.state_fields, layer.num_layers * layer.num_directions

    def of_state(suffix: str) -> list[Any]:
        shape = [rows, "batch", layer.hidden_size]
        return [helper.make_tensor_value_info(f"{field}_{suffix}", float32, shape) for field in fields]

    inputs = [helper.make_tensor_value_info("input", float32, [*axes, layer.input_size])]
    if lengths:
        inputs.append(helper.make_tensor_value_info("lengths", int64, ["batch"]))
    inputs += of_state("0") if state else []
    outputs = [helper.make_tensor_value_info("output", float32, [*axes, layer.output_size]), *of_state("n")]
    x = graph.add("Transpose", "input", perm=[1, 0, 2]) if layer.batch_first else "input"
    initial = tuple(f"{field}_0" for field in fields) if state else ()
    found = emit(graph, layer, x, "lengths" if lengths else "", initial)
    y = graph.add("Transpose", found.output, perm=[1, 0, 2]) if layer.batch_first else found.output
    for value, given in zip((y, *found.state), outputs, strict=True):
        graph.alias(value, given.name)
    name = type(layer).__name__
    made = helper.make_graph(graph.nodes, name, inputs, outputs, initializer=graph.initializers)
    files.write(files.make_model(made), path, who)
