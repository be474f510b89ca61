"""ONNX's recurrent operators as layers: what they say is honoured, against ONNX Runtime, or refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.exchange.onnx.runtime import furthest, run
from throughtime.errors import DataError
from throughtime.exchange import read_onnx
from throughtime.nn import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
H, I = 5, 4


def model(
    path: Path, operator: str, *, D: int = 1, opset: int = 18, P: bool = False, bias: bool = True, **attributes: Any
) -> Path:
    """A file with one operator: input, lengths and the initial state in, everything out."""
    rng = np.random.default_rng(0)
    G, states = GATES[operator], 2 if operator == "LSTM" else 1

    def weight(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32) / 2, name)

    weights = [weight("W", D, G * H, I), weight("R", D, G * H, H)]
    weights += [weight("B", D, 2 * G * H)] if bias else []
    weights += [weight("P", D, 3 * H)] if P else []
    inputs = ["x", "W", "R", "B" if bias else "", "lengths", *[f"s{n}" for n in range(states)], *(["P"] if P else [])]
    outputs = ["Y", *[f"after{n}" for n in range(states)]]
    node = helper.make_node(operator, inputs, outputs, name="the node", hidden_size=H, **attributes)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "one",
        [
            info("x", TensorProto.FLOAT, ["T", "B", I]),
            info("lengths", TensorProto.INT32, ["B"]),
            *[info(f"s{n}", TensorProto.FLOAT, [D, "B", H]) for n in range(states)],
        ],
        [info(name, TensorProto.FLOAT, [None] * (4 if name == "Y" else 3)) for name in outputs],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("operator", "options", "kind"),
    [
        ("RNN", {}, RNN),
        ("RNN", {"activations": ["Relu"]}, RNN),
        ("GRU", {}, GRUResetBefore),
        ("GRU", {"linear_before_reset": 1, "bias": False}, GRU),
        ("LSTM", {"opset": 13}, LSTM),
        ("LSTM", {"P": True}, PeepholeLSTM),
    ],
)
def test_an_operator_is_honoured(
    operator: str, options: dict[str, Any], kind: type, direction: str, tmp_path: Path
) -> None:
    D = 2 if direction == "bidirectional" else 1
    if "activations" in options:
        options = {**options, "activations": options["activations"] * D}
    path = model(tmp_path / "one.onnx", operator, D=D, direction=direction, **options)
    module = read_onnx(path)
    assert type(module.recurrent_layers[0]) is kind
    x, lengths = torch.randn(6, 3, I), torch.tensor([6, 2, 4], dtype=torch.int32)
    state = [torch.randn(D, 3, H) for _ in range(2 if operator == "LSTM" else 1)]
    assert furthest(module(x, lengths, *state), run(path, x, lengths, *state)) < 1e-5
    sum(each.square().sum() for each in module(x, lengths, *state)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize(
    ("operator", "attributes", "told"),
    [
        ("LSTM", {"clip": 3.0}, "no clip in the LSTM 'the node', got clip=3"),
        ("LSTM", {"input_forget": 1}, "input_forget=0 .*, got input_forget=1"),
        ("GRU", {"activations": ["HardSigmoid", "Tanh"]}, "activations Sigmoid, Tanh .*, got HardSigmoid, Tanh"),
        ("RNN", {"activations": ["Affine"], "activation_alpha": [0.5]}, r"no activation_alpha .*, got \[0.5\]"),
        ("RNN", {"activations": ["Softsign"]}, "activations Tanh .*, got Softsign"),
        ("LSTM", {"direction": "sideways"}, "got 'sideways'"),
    ],
)
def test_what_no_layer_computes_is_refused_by_name(
    operator: str, attributes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=told):
        read_onnx(model(tmp_path / "one.onnx", operator, **attributes))


def test_rows_first(tmp_path: Path) -> None:
    # ONNX Runtime has no layout=1 on a CPU: the same weights time first are the oracle.
    x, lengths = torch.randn(6, 3, I), torch.tensor([6, 2, 4], dtype=torch.int32)
    h, c = torch.randn(2, 2, 3, H)
    first = read_onnx(model(tmp_path / "a.onnx", "LSTM", D=2, direction="bidirectional"))
    other = read_onnx(model(tmp_path / "b.onnx", "LSTM", D=2, direction="bidirectional", layout=1))
    Y, *after = first(x, lengths, h, c)
    Y_rows, *after_rows = other(x.transpose(0, 1), lengths, h.transpose(0, 1), c.transpose(0, 1))
    assert furthest([Y_rows.permute(1, 2, 0, 3), *(s.transpose(0, 1) for s in after_rows)], [Y, *after]) == 0


def test_weights_that_are_computed_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "one.onnx", "GRU")
    made = onnx.load(path)
    made.graph.input.append(helper.make_tensor_value_info("W", TensorProto.FLOAT, [1, 3 * H, I]))
    weights = [each for each in made.graph.initializer if each.name != "W"]
    del made.graph.initializer[:]
    made.graph.initializer.extend(weights)
    path.write_bytes(made.SerializeToString())
    with pytest.raises(DataError, match=r"W of 'the node' to be known beforehand, got the computed 'W'"):
        read_onnx(path)


def test_weights_of_another_number_of_directions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"weights of 2 directions in 'the node'|expected a valid ONNX model"):
        read_onnx(model(tmp_path / "one.onnx", "GRU", direction="bidirectional"))
