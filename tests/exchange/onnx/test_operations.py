"""Every operator that is known gives what ONNX Runtime gives."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from throughtime.exchange.onnx.operations import OPERATIONS

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4)).astype(np.float32), RNG.normal(size=(3, 4)).astype(np.float32)
POSITIVE = np.abs(A) + 0.5
COUNTS = np.array([[7, -7, 3], [2, 5, -1]])
YES = A > 0


def n(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def scalar(value: Any) -> Any:
    return np.array(value)


CASES: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("Identity", {}, [A]),
    ("Dropout", {}, [A]),
    ("Constant", {"value": numpy_helper.from_array(B)}, []),
    ("Constant", {"value_ints": [3, 4]}, []),
    ("Constant", {"value_float": 0.5}, []),
    ("ConstantOfShape", {"value": numpy_helper.from_array(n(7))}, [n(2, 3)]),
    ("ConstantOfShape", {}, [n(2)]),
    ("Shape", {}, [A]),
    ("Shape", {"start": 1, "end": 2}, [A]),
    ("Size", {}, [A]),
    ("Cast", {"to": TensorProto.INT64}, [A * 3]),
    ("CastLike", {}, [COUNTS, B]),
    ("Reshape", {}, [A, n(0, -1)]),
    ("Reshape", {"allowzero": 1}, [A, n(4, 6)]),
    ("Flatten", {"axis": 2}, [A]),
    ("Flatten", {"axis": 0}, [A]),
    ("Squeeze", {}, [A[:1], n(0)]),
    ("Squeeze", {}, [A[:1, :, :1]]),
    ("Unsqueeze", {}, [B, n(0, -1)]),
    ("Transpose", {"perm": [2, 0, 1]}, [A]),
    ("Transpose", {}, [A]),
    ("Expand", {}, [B, n(2, 1, 4)]),
    ("Tile", {}, [B, n(2, 3)]),
    ("Concat", {"axis": -1}, [A, A]),
    ("Split", {"axis": 1, "num_outputs": 2}, [A]),
    ("Split", {"axis": 2}, [A, n(1, 3)]),
    ("Slice", {}, [A, n(0, -3), n(2, 9), n(1, 2)]),
    ("Slice", {}, [A, n(-1), n(-(2**62)), n(2), n(-1)]),
    ("Slice", {}, [A, n(1), n(2**62)]),
    ("Gather", {"axis": 1}, [A, COUNTS[:, 2:] % 3]),
    ("Gather", {}, [A, scalar(-1)]),
    ("ReverseSequence", {}, [A, n(2, 1, 2)]),
    ("ReverseSequence", {"time_axis": 1, "batch_axis": 0}, [A, n(1, 3)]),
    ("GatherND", {}, [A, np.array([[0, 1], [1, 2]])]),
    ("GatherND", {"batch_dims": 1}, [A, np.array([[0], [2]])]),
    ("GatherElements", {"axis": 1}, [B, n(0, -1, 2)[:, None]]),
    ("Range", {}, [scalar(1), scalar(9), scalar(3)]),
    ("Where", {}, [YES, A, B]),
    ("Equal", {}, [COUNTS, scalar(2)]),
    ("Less", {}, [A, B]),
    ("LessOrEqual", {}, [COUNTS, scalar(2)]),
    ("Greater", {}, [A, B]),
    ("GreaterOrEqual", {}, [COUNTS, scalar(2)]),
    ("And", {}, [YES, ~YES]),
    ("Or", {}, [YES, ~YES]),
    ("Not", {}, [YES]),
    ("Add", {}, [A, B]),
    ("Sub", {}, [A, B]),
    ("Mul", {}, [A, B]),
    ("Div", {}, [A, POSITIVE]),
    ("Div", {}, [COUNTS, scalar(2)]),
    ("Pow", {}, [POSITIVE, scalar(2)]),
    ("Neg", {}, [A]),
    ("Abs", {}, [A]),
    ("Sqrt", {}, [POSITIVE]),
    ("Exp", {}, [A]),
    ("Log", {}, [POSITIVE]),
    ("Max", {}, [A, B, A * 2]),
    ("Min", {}, [COUNTS, scalar(3)]),
    ("Clip", {}, [A, np.array(-0.5, np.float32), np.array(0.25, np.float32)]),
    ("Clip", {}, [COUNTS, scalar(0)]),
    ("Tanh", {}, [A]),
    ("Sigmoid", {}, [A]),
    ("Relu", {}, [A]),
    ("Softplus", {}, [A]),
    ("Softmax", {"axis": 1}, [A]),
    ("LogSoftmax", {}, [A]),
    ("MatMul", {}, [A, B.T]),
    ("Gemm", {"transB": 1, "alpha": 0.5, "beta": 2.0}, [B, B, B[:, 0]]),
    ("Gemm", {"transA": 1}, [B, B]),
    ("LayerNormalization", {"epsilon": 1e-3}, [A, B[0], B[1]]),
    ("LayerNormalization", {"axis": 1}, [A, B]),
    ("ReduceSum", {"keepdims": 0}, [A, n(0, 2)]),
    ("ReduceSum", {"noop_with_empty_axes": 1}, [A]),
    ("ReduceMean", {}, [A]),
    ("ReduceMax", {}, [A, n(-1)]),
    ("ReduceProd", {"keepdims": 0}, [A, n(0, 2)]),
    ("ReduceProd", {}, [COUNTS]),
    ("ReduceMin", {"keepdims": 0}, [A, n(1)]),
]


def runtime(kind: str, attributes: dict[str, Any], inputs: list[Any], outputs: int) -> list[Any]:
    names = [f"x{i}" for i in range(len(inputs))]
    makes = [f"y{i}" for i in range(outputs)]
    info = helper.make_tensor_value_info
    kinds = [helper.np_dtype_to_tensor_dtype(each.dtype) for each in inputs]
    graph = helper.make_graph(
        [helper.make_node(kind, names, makes, **attributes)],
        kind,
        [info(name, dtype, each.shape) for name, dtype, each in zip(names, kinds, inputs, strict=True)],
        [helper.make_empty_tensor_value_info(name) for name in makes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))


@pytest.mark.parametrize(("kind", "attributes", "inputs"), CASES, ids=[case[0] for case in CASES])
def test_an_operator_gives_what_the_runtime_gives(kind: str, attributes: dict[str, Any], inputs: list[Any]) -> None:
    read = {
        name: torch.from_numpy(numpy_helper.to_array(value).copy()) if hasattr(value, "dims") else value
        for name, value in attributes.items()
    }
    found = OPERATIONS[kind](read, *[torch.from_numpy(np.array(each)) for each in inputs])
    found = found if isinstance(found, tuple) else (found,)
    wanted = runtime(kind, attributes, inputs, len(found))
    for one, other in zip(found, wanted, strict=True):
        assert one.numpy().dtype == other.dtype
        assert one.shape == other.shape
        assert np.allclose(one.numpy(), other, atol=1e-6)


def test_every_operator_has_a_case() -> None:
    assert {case[0] for case in CASES} == {*OPERATIONS}
