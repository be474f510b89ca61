"""A recurrent layer that is written as a Loop, as Keras does: read where its step is one of ours, else refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.exchange.onnx.runtime import furthest, run
from throughtime.errors import DataError
from throughtime.exchange import read_onnx, to_keras
from throughtime.exchange.onnx.graph import Graph
from throughtime.nn import GRU, RNN, GRUResetBefore
from throughtime.nn.recurrent import Recurrent

F, I64, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def step(body: Graph, layer: Recurrent, x: str, h: str, K: str, R: str, b: str) -> str:
    """The next state as Keras writes it, gates z r h."""
    if isinstance(layer, RNN):
        total = body.add("Add", body.add("Add", body.add("MatMul", x, K), b), body.add("MatMul", h, R))
        return body.add("Tanh" if layer.nonlinearity == "tanh" else "Relu", total)
    zero, one, half, whole = (body.constant(np.array([4 * n])) for n in (0, 1, 2, 3))
    cut = (zero, one), (one, half), (half, whole)
    last = body.constant(np.array([1]))
    if type(layer) is GRU:
        of_x, of_h = (
            body.add("Squeeze", s, body.constant(np.array([0]))) for s in body.add("Split", b, outputs=2, num_outputs=2)
        )
        a = body.add("Split", body.add("Add", body.add("MatMul", x, K), of_x), outputs=3, axis=1, num_outputs=3)
        u = body.add("Add", body.add("MatMul", h, R), of_h)
        u_z, u_r, u_h = (body.add("Slice", u, *ends, last) for ends in cut)
    else:
        a = body.add("Split", body.add("Add", body.add("MatMul", x, K), b), outputs=3, axis=1, num_outputs=3)
        u = body.add("MatMul", h, body.add("Slice", R, zero, half, last))
        u_z, u_r = (body.add("Slice", u, *ends, last) for ends in cut[:2])
    z, r = (body.add("Sigmoid", body.add("Add", a[n], u_n)) for n, u_n in enumerate((u_z, u_r)))
    if type(layer) is GRU:
        reset = body.add("Mul", r, u_h)
    else:
        reset = body.add("MatMul", body.add("Mul", r, h), body.add("Slice", R, half, whole, last))
    new = body.add("Tanh", body.add("Add", a[2], reset))
    kept = body.add("Mul", body.add("Sub", body.constant(np.float32(1)), z), new)
    return body.add("Add", body.add("Mul", z, h), kept)


def looped(layer: Recurrent, path: Path, change: Any = None, steps: int | None = None) -> Path:
    """A file with a layer as a Loop over its input (T, B, 3); `change` gets the body and the next state's name."""
    graph, body = Graph(), Graph("body_")
    weights = to_keras(layer)[0]
    outer = [graph.constant(value, "weight") for value in weights]
    count = (
        graph.constant(np.int64(steps)) if steps else graph.add("Gather", graph.add("Shape", "x"), graph.constant(0))
    )
    own = [f"weight_{n}" for n in range(len(weights))]
    x = body.add("Gather", "x", "t")
    h = step(body, layer, x, "h", *own)
    h = change(body, h) if change else h
    body.alias("more", "more_after")
    body.nodes.append(helper.make_node("Add", ["t", body.constant(np.int64(1))], ["t_after"]))
    body.alias(h, "h_after")
    body.alias(h, "every")
    for name in own:
        body.alias(name, f"{name}_after")
    info = helper.make_tensor_value_info
    ports = [
        info("t", I64, []),
        info("h", F, [None, 4]),
        *(info(n, F, w.shape) for n, w in zip(own, weights, strict=True)),
    ]
    after = [info("t_after", I64, []), info("h_after", F, [None, 4])]
    after += [info(f"{n}_after", F, w.shape) for n, w in zip(own, weights, strict=True)]
    inner = helper.make_graph(
        body.nodes, "body", [info("k", I64, []), info("more", B, []), *ports],
        [info("more_after", B, []), *after, info("every", F, [None, 4])], body.initializers,
    )  # fmt: skip
    graph.nodes.append(
        helper.make_node(
            "Loop", [count, graph.constant(np.bool_(True)), graph.constant(np.int64(0)), "h_0", *outer],
            ["t_n", "h_n", *(f"{name}_n" for name in own), "y"], body=inner, name="the loop",
        )
    )  # fmt: skip
    made = helper.make_graph(
        graph.nodes, "looped", [info("x", F, ["T", "B", 3]), info("h_0", F, ["B", 4])],
        [info("y", F, ["T", "B", 4]), info("h_n", F, ["B", 4])], graph.initializers,
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "layer",
    [RNN(3, 4), RNN(3, 4, nonlinearity="relu"), GRU(3, 4), GRUResetBefore(3, 4)],
    ids=["rnn", "relu", "gru", "gru-reset-before"],
)
def test_a_loop_is_the_layer_that_it_computes(layer: Recurrent, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer.reset_parameters()
    path = looped(layer, tmp_path / "loop.onnx")
    module = read_onnx(path)
    (found,) = module.recurrent_layers
    assert type(found) is type(layer)
    for T in (1, 6):
        x, h_0 = torch.randn(T, 2, 3), torch.randn(2, 4)
        assert furthest(module(x, h_0), run(path, x, h_0)) < 1e-5
        y, h_n = layer(x, h_0.unsqueeze(0))
        assert furthest(module(x, h_0), (y, h_n[0])) < 1e-6
    module(x, h_0)[0].sum().backward()
    assert all(p.grad is not None for p in found.parameters())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body, h: body.add("Elu", h), "got operators Elu in 'the loop'"),
        (lambda body, h: body.add("Neg", h), "got another step over 3 features and 4 units"),
        (lambda body, h: body.add("Mul", h, "h_0"), "got a step of more inputs"),
    ],
)
def test_another_step_is_refused(change: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        read_onnx(looped(GRU(3, 4), tmp_path / "loop.onnx", change))


def test_a_loop_over_some_steps_is_refused(tmp_path: Path) -> None:
    module = read_onnx(looped(GRU(3, 4), tmp_path / "loop.onnx", steps=2))
    assert module(torch.zeros(2, 1, 3), torch.zeros(1, 4))[0].shape == (2, 1, 4)
    with pytest.raises(DataError, match="all 5 steps of its input, got one over 2"):
        module(torch.zeros(5, 1, 3), torch.zeros(1, 4))


@pytest.mark.parametrize(("value", "told"), [(np.nan, "without NaN, got 1 of 1"), (None, "in a file beside the model")])
def test_what_stands_in_the_body_is_checked_too(value: Any, told: str, tmp_path: Path) -> None:
    path = looped(GRU(3, 4), tmp_path / "loop.onnx")
    model = onnx.load(path)
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    body = next(a.g for a in loop.attribute if a.name == "body")
    one = next(each for each in body.initializer if each.data_type == F)
    if value is None:
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value="../elsewhere.bin")
    else:
        one.CopyFrom(numpy_helper.from_array(np.float32(value), one.name))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=told):
        read_onnx(path)


def test_a_loop_that_may_end_early_is_refused(tmp_path: Path) -> None:
    path = looped(GRU(3, 4), tmp_path / "loop.onnx")
    model = onnx.load(path)
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    body = next(a.g for a in loop.attribute if a.name == "body")
    body.initializer.append(numpy_helper.from_array(np.int64(7), "seven"))
    body.node.insert(0, helper.make_node("Less", ["k", "seven"], ["few"]))
    next(node for node in body.node if node.output[0] == "more_after").input[0] = "few"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="a condition that may end it early"):
        read_onnx(path)


def test_a_loop_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = looped(GRU(3, 4), tmp_path / "loop.onnx")
    model = onnx.load(path)
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    body = next(a.g for a in loop.attribute if a.name == "body")
    gather = next(node for node in body.node if node.op_type == "Gather")
    gather.input[1] = "k"  # not the counter that is carried
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="0 inputs and 1 states"):
        read_onnx(path)
    zero = numpy_helper.from_array(np.zeros((), np.int64), "zero")
    body.initializer.append(zero)
    gather.input[1] = "zero"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="0 inputs and 1 states"):
        read_onnx(path)
