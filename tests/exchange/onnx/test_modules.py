"""Modules with layers of this library in them as ONNX: open axes stay open, and what cannot be written is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.exchange.onnx.runtime import furthest, run
from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.exchange import write_onnx_module
from throughtime.exchange.onnx.files import make_model
from throughtime.exchange.onnx.graph import Graph
from throughtime.exchange.onnx.viterbi import emit_viterbi
from throughtime.models import ManyToOne
from throughtime.nn import CRF, GRU, LSTM, PeepholeLSTM, TagConstraints

OPEN = {"x": {0: "time", 1: "batch"}}


class Two(nn.Module):
    """Two inputs of one shape, layers that differ, a state handed from one to the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = LSTM(3, 4, batch_first=True)
        self.second = PeepholeLSTM(3, 4, bidirectional=True)
        self.net = ManyToOne(GRU(8, 5, 2, bidirectional=True), nn.Linear(10, 2))

    def forward(self, x: Tensor, y: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        _, (h, c) = self.first(y.transpose(0, 1), lengths=lengths)
        hidden, _ = self.second(x, (h.repeat(2, 1, 1), c.repeat(2, 1, 1)), lengths=lengths)
        return self.net(hidden, lengths=lengths), hidden


@pytest.mark.slow
def test_a_module_of_several_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Two()
    example = torch.zeros(3, 2, 3)  # one tensor for both inputs, which torch.export would take for one input
    axes = {"x": OPEN["x"], "y": OPEN["x"], "lengths": {0: "batch"}}
    inputs = {"x": example, "y": example, "lengths": torch.tensor([3, 1])}
    write_onnx_module(module, tmp_path / "two.onnx", inputs, ["out", "hidden"], axes)
    for T, lengths in ((7, [4, 0, 7, 1]), (9, [2, 3]), (1, [1])):
        x, y = torch.randn(2, T, len(lengths), 3)
        given = (x, y, torch.tensor(lengths))
        assert furthest(run(tmp_path / "two.onnx", *given), module(*given)) < 1e-5
    assert "forward" not in vars(module.first)  # the module is as it was


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = GRU(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0].sum(0) / len(x)


class Called(nn.Module):
    """A layer with a call of its own."""

    def __init__(self, layer: nn.Module, call: Any) -> None:
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.call(self.layer, x)
        return found


@pytest.mark.parametrize(
    ("module", "error", "told"),
    [
        pytest.param(
            Frozen(), BackendError, r"axis 0 of 'x' \(time\) to stay open, got one of 3", marks=pytest.mark.slow
        ),
        (
            Called(GRU(3, 4), lambda layer, x: layer(x, reset=torch.zeros(x.shape[:2], dtype=torch.bool))[0]),
            ArgumentError,
            "calls of GRU without reset",
        ),
        (Called(GRU(3, 4), lambda layer, x: layer(x[0])[0]), ArgumentError, r"GRU to be called on a batch, got \("),
        (Called(GRU(3, 4, zoneout=0.1), lambda layer, x: layer(x)[0]), ArgumentError, "zoneout=0, got"),
        (nn.Linear(3, 4).forward, ArgumentTypeError, "got method"),
    ],
    ids=["frozen", "reset", "unbatched", "zoneout", "no-module"],
)
def test_what_cannot_be_written_is_refused(module: Any, error: type[Exception], told: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=told):
        write_onnx_module(module, tmp_path / "a.onnx", {"x": torch.zeros(3, 2, 3)}, ["y"], OPEN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("constrained", [False, True])
def test_the_best_tags_are_those_of_the_crf(constrained: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    follows = torch.rand(4, 4) < 0.7
    follows[0] = True
    allowed = TagConstraints(follows, [True, False, True, True], [True, True, False, True]) if constrained else None
    crf = CRF(4, constraints=allowed)
    with torch.no_grad():
        crf.transitions.normal_()
    graph = Graph()
    given = crf._weights(torch.zeros(()), impossible=-torch.inf)
    weights = [graph.constant(w.detach().numpy(), "weight") for w in given]
    graph.alias(emit_viterbi(graph, "x", *weights, "lengths"), "tags")
    info, kinds = graph.onnx.helper.make_tensor_value_info, graph.onnx.TensorProto
    made = graph.onnx.helper.make_graph(
        graph.nodes,
        "viterbi",
        [info("x", kinds.FLOAT, ["T", "B", 4]), info("lengths", kinds.INT64, ["B"])],
        [info("tags", kinds.INT64, ["T", "B"])],
        graph.initializers,
    )
    (tmp_path / "crf.onnx").write_bytes(make_model(made).SerializeToString())
    for T, lengths in ((6, [6, 0, 1, 4]), (1, [1]), (3, [2, 2])):
        x, n = torch.randn(T, len(lengths), 4), torch.tensor(lengths)
        (found,) = run(tmp_path / "crf.onnx", x, n)
        assert np.array_equal(found, crf.best(x, lengths=n))
