"""Models of torch.onnx's exporters as modules and layers; operators that are not known are named."""

import warnings
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from tests.exchange.onnx.runtime import furthest, run
from throughtime.errors import ArgumentError, DataError
from throughtime.exchange import read_onnx, read_onnx_layer, write_onnx
from throughtime.nn import GRU, LSTM


class Net(nn.Module):
    """A small model of torch alone: an embedding, layers, a head on the last step."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.layers = kind(4, 3, 2, **options)
        self.head = nn.Linear(3 * (1 + self.layers.bidirectional), 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.layers(self.embedding(ids))
        return self.head(torch.tanh(hidden[-1])).softmax(-1)


def export(module: nn.Module, x: torch.Tensor, path: Path, *, new: bool) -> Path:
    """A file by one of torch's exporters, axes 0 and 1 open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if new:
            axes = {0: torch.export.Dim("a"), 1: torch.export.Dim("b")}
            torch.onnx.export(module.eval(), (x,), path, dynamo=True, dynamic_shapes=(axes,), verbose=False)
        else:
            torch.onnx.export(
                module.eval(), (x,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "a", 1: "b"}}
            )
    return path


EXPORTERS = [False, pytest.param(True, marks=pytest.mark.slow)]


@pytest.mark.parametrize("new", EXPORTERS)
@pytest.mark.parametrize(
    "kind", [nn.LSTM, pytest.param(nn.GRU, marks=pytest.mark.slow), pytest.param(nn.RNN, marks=pytest.mark.slow)]
)
def test_a_model_of_torch_agrees_and_trains(kind: Any, new: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Net(kind, bidirectional=True)
    path = export(net, torch.zeros((5, 3), dtype=torch.int64), tmp_path / "net.onnx", new=new)
    if new and kind is nn.RNN:  # it is written out, step by step
        with pytest.raises(DataError, match="RNN, GRU or LSTM operator, got none"):
            read_onnx(path)
        return
    module = read_onnx(path)
    # The newer exporter freezes both axes at the example's sizes.
    ids = torch.randint(9, (5, 3) if new else (7, 2))
    assert furthest([module(ids)], run(path, ids)) < 1e-5
    assert furthest([module(ids)], [net(ids)]) < 1e-5
    # Embedding, head and both layers: as many numbers to be trained as there.
    assert sum(p.numel() for p in module.parameters()) == sum(p.numel() for p in net.parameters())
    module(ids)[:, 0].sum().backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("new", EXPORTERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_layer_of_torch_becomes_a_layer(new: bool, bidirectional: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = nn.GRU(4, 3, num_layers=2, bidirectional=bidirectional, batch_first=True)
    ours = read_onnx_layer(export(theirs, torch.zeros(5, 3, 4), tmp_path / "gru.onnx", new=new))
    assert type(ours) is GRU
    assert ours.batch_first
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_operators_that_are_not_known_are_all_named(tmp_path: Path) -> None:
    write_onnx(GRU(3, 4), tmp_path / "gru.onnx")
    model = onnx.load(tmp_path / "gru.onnx")
    for number, (kind, domain) in enumerate([("Mish", ""), ("Mish", ""), ("Cumsum", "com.example")]):
        node = helper.make_node(kind, ["output"], [f"more{number}"], domain=domain)
        model.graph.node.append(node)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    (tmp_path / "gru.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=r"got Mish \(2 times\), com.example.Cumsum;"):
        read_onnx(tmp_path / "gru.onnx")


def test_a_model_without_recurrent_operators(tmp_path: Path) -> None:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "none",
        [info("x", TensorProto.FLOAT, [2])],
        [info("y", TensorProto.FLOAT, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (tmp_path / "none.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="RNN, GRU or LSTM operator, got none"):
        read_onnx(tmp_path / "none.onnx")


def test_another_number_of_inputs(tmp_path: Path) -> None:
    write_onnx(GRU(3, 4), tmp_path / "gru.onnx", lengths=True)
    with pytest.raises(ArgumentError, match=r"expected 2 inputs \(input, lengths\), got 1"):
        read_onnx(tmp_path / "gru.onnx")(torch.zeros(2, 1, 3))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda nodes: nodes.insert(0, helper.make_node("Relu", ["input"], ["other"])), "before the first layer"),
        (lambda nodes: nodes.append(helper.make_node("Tanh", [nodes.pop(-3).input[0]], ["output"])), "after the last"),
    ],
)
def test_more_than_a_stack_is_refused_as_a_layer(change: Any, told: str, tmp_path: Path) -> None:
    write_onnx(LSTM(3, 4), tmp_path / "lstm.onnx")
    model = onnx.load(tmp_path / "lstm.onnx")
    nodes = list(model.graph.node)
    change(nodes)
    if nodes[0].op_type == "Relu":
        next(node for node in nodes if node.op_type == "LSTM").input[0] = "other"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (tmp_path / "lstm.onnx").write_bytes(model.SerializeToString())
    assert read_onnx(tmp_path / "lstm.onnx").recurrent_layers
    with pytest.raises(DataError, match=told):
        read_onnx_layer(tmp_path / "lstm.onnx")
