"""The best tag sequence under a linear-chain CRF as two of ONNX's Scans: scores forward, tags backward.

(1) s_1 = start + x_1;  s_t[j] = max_i (s_{t−1}[i] + pairs[i, j]) + x_t[j],  from_t[j] the i of the maximum
(2) y_n = argmax (s_n + end), y_{t−1} = from_t[y_t]

Past a row's length s stays and from_t[j] = j, so that y_n comes through unchanged.

Axes in names: T time, B batch, K tags.
"""

from typing import Any

import numpy as np

from throughtime.exchange.onnx.graph import Graph


def emit_viterbi(graph: Graph, x_TBK: str, start_K: str, pairs_KK: str, end_K: str, lengths_B: str) -> str:
    """Add the decoding to a graph; the name of the tags (T, B), int64, −1 past a length."""
    zero, one = (graph.constant(np.int64(at), "place") for at in (0, 1))
    steps_T = graph.add("Range", zero, graph.add("Gather", graph.add("Shape", x_TBK), zero), one)
    step_T1 = graph.add("Unsqueeze", steps_T, graph.constant(np.array([1]), "axes"))
    valid_TB = graph.add("Less", step_T1, lengths_B)
    first_T = graph.add("Equal", steps_T, zero)
    begin_BK = graph.add("Mul", graph.add("Gather", x_TBK, zero, axis=0), graph.constant(np.float32(0), "zero"))
    score_BK, from_TBK = graph.add(
        "Scan",
        begin_BK,
        x_TBK,
        valid_TB,
        first_T,
        outputs=2,
        num_scan_inputs=3,
        body=_forward(graph, start_K, pairs_KK),
    )
    last_B = graph.add("ArgMax", graph.add("Add", score_BK, end_K), axis=1, keepdims=0)
    _, tags_TB = graph.add(
        "Scan", last_B, from_TBK, outputs=2, num_scan_inputs=1, scan_input_directions=[1],
        scan_output_directions=[1], body=_backward(graph),
    )  # fmt: skip
    found: str = graph.add("Where", valid_TB, tags_TB, graph.constant(np.int64(-1), "none"))
    return found


def _forward(graph: Graph, start_K: str, pairs_KK: str) -> Any:
    """One step of (1): s, x_t, whether the row is there, whether it is the first step, to s and from_t."""
    inner = Graph(graph.name("forward") + "_")
    helper, kinds = inner.onnx.helper, inner.onnx.TensorProto
    s_BK, x_BK, valid_B, first = (inner.name(name) for name in ("s", "x", "valid", "first"))
    one, two = (inner.constant(np.array([axis]), "axes") for axis in (1, 2))
    ways_BKK = inner.add("Add", inner.add("Unsqueeze", s_BK, two), pairs_KK)
    best_BK = inner.add("ReduceMax", ways_BKK, one, keepdims=0)
    begun_BK = inner.add("Where", first, start_K, best_BK)
    valid_B1 = inner.add("Unsqueeze", valid_B, one)
    after_BK = inner.add("Where", valid_B1, inner.add("Add", begun_BK, x_BK), s_BK)
    K = inner.add("Gather", inner.add("Shape", start_K), inner.constant(np.int64(0), "place"))
    own_K = inner.add("Range", inner.constant(np.int64(0), "place"), K, inner.constant(np.int64(1), "place"))
    from_BK = inner.add("Where", valid_B1, inner.add("ArgMax", ways_BKK, axis=1, keepdims=0), own_K)
    info = helper.make_tensor_value_info
    return helper.make_graph(
        inner.nodes,
        "forward",
        [
            info(s_BK, kinds.FLOAT, [None, None]),
            info(x_BK, kinds.FLOAT, [None, None]),
            info(valid_B, kinds.BOOL, [None]),
            info(first, kinds.BOOL, []),
        ],
        [info(after_BK, kinds.FLOAT, [None, None]), info(from_BK, kinds.INT64, [None, None])],
        initializer=inner.initializers,
    )


def _backward(graph: Graph) -> Any:
    """One step of (2): y_t and from_t to y_{t−1} and y_t."""
    inner = Graph(graph.name("backward") + "_")
    helper, kinds = inner.onnx.helper, inner.onnx.TensorProto
    y_B, from_BK = inner.name("y"), inner.name("from")
    one = inner.constant(np.array([1]), "axes")
    before_B = inner.add("Squeeze", inner.add("GatherElements", from_BK, inner.add("Unsqueeze", y_B, one), axis=1), one)
    here_B = inner.add("Identity", y_B)
    info = helper.make_tensor_value_info
    return helper.make_graph(
        inner.nodes,
        "backward",
        [info(y_B, kinds.INT64, [None]), info(from_BK, kinds.INT64, [None, None])],
        [info(before_B, kinds.INT64, [None]), info(here_B, kinds.INT64, [None])],
        initializer=inner.initializers,
    )
