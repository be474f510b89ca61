"""ONNX Runtime's answers: inference, alone in a process of its own, its threads not spinning.

Its gate order: LSTM i o f g, GRU z r n, peepholes i o f. Axes: T time, B batch, I input features, H hidden units.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.speed.cases import CELLS, Case
from benchmarks.speed.job import Arrays, Job, Jobs, Unavailable

OPERATORS = {"rnn": "RNN", "gru": "GRU", "gru-reset-before": "GRU", "lstm": "LSTM", "peephole-lstm": "LSTM"}
# For each of its gates, the place of that gate in torch's order.
ORDERS = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}


def versions() -> dict[str, str]:
    return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}


def jobs(case: Case, arrays: Arrays, threads: int) -> Jobs:
    if case.mode != "inference" or case.cell not in OPERATORS:
        raise Unavailable(f"onnxruntime has nothing for {case.mode} {case.cell}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model(case, arrays).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": arrays["x"]}

    def run() -> None:
        session.run(["y"], feed)

    def results() -> dict[str, Any]:
        return {"y": session.run(["y"], feed)[0].reshape(case.T, case.B, case.H)}

    return {"onnxruntime": Job(run, results)}


def model(case: Case, arrays: Arrays) -> onnx.ModelProto:
    """The layers as operators, one after another; between them the axis of directions is squeezed out."""
    operator = OPERATORS[case.cell]
    constants, nodes, x = {"directions": np.array([1], np.int64)}, [], "x"

    def rows(name: str) -> Any:
        blocks = np.split(arrays[name], CELLS[case.cell])
        return np.concatenate([blocks[place] for place in ORDERS[operator]])[None]

    for k in range(case.L):
        constants[f"w{k}"], constants[f"r{k}"] = rows(f"weight_ih_l{k}"), rows(f"weight_hh_l{k}")
        constants[f"b{k}"] = np.concatenate([rows(f"bias_ih_l{k}"), rows(f"bias_hh_l{k}")], axis=1)
        inputs = [x, f"w{k}", f"r{k}", f"b{k}"]
        attributes: dict[str, Any] = {"hidden_size": case.H}
        if operator == "GRU":
            attributes["linear_before_reset"] = int(case.cell == "gru")
        if "peephole" in case.cell:
            i, f, o = np.split(arrays[f"weight_ch_l{k}"], 3)
            constants[f"p{k}"] = np.concatenate([i, o, f])[None]
            inputs += ["", "", "", f"p{k}"]
        nodes.append(helper.make_node(operator, inputs, [f"d{k}"], **attributes))
        x = "y" if k == case.L - 1 else f"y{k}"
        nodes.append(helper.make_node("Squeeze", [f"d{k}", "directions"], [x]))
    graph = helper.make_graph(
        nodes,
        case.cell,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [case.T, case.B, case.I])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [case.T, case.B, case.H])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    found: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(found)
    return found
