"""Layers in ONNX Runtime: the same numbers as here, whatever the cell, the direction, the lengths and the states."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.exchange.onnx.runtime import flat, furthest, run, session
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, MissingExtraError
from throughtime.exchange import read_onnx_layer, write_onnx
from throughtime.nn import (
    GRU,
    LSTM,
    RNN,
    GRUResetBefore,
    LayerNormLSTM,
    PeepholeLSTM,
    PreviousPeepholeLSTM,
)

CELLS = {
    "rnn-tanh": (RNN, {}),
    "rnn-relu": (RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, {}),
    "gru-reset-before": (GRUResetBefore, {}),
    "lstm": (LSTM, {}),
    "peephole-lstm": (PeepholeLSTM, {}),
}
LENGTHS = torch.tensor([3, 0, 6, 1])


def layer_of(name: str, *arguments: Any, seed: int = 0, **options: Any) -> Any:
    """A layer with random weights; biases and peepholes are none of them zero."""
    kind, own = CELLS[name]
    torch.manual_seed(seed)
    return kind(*arguments, **own, **options)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_ragged_rows_with_an_empty_one_and_states(
    cell: str, bidirectional: bool, batch_first: bool, tmp_path: Path
) -> None:
    layer = layer_of(cell, 4, 5, 2, bidirectional=bidirectional, batch_first=batch_first)
    write_onnx(layer, tmp_path / "layer.onnx", lengths=True, state=True)
    fields = layer.cell.state_fields
    # The longest row is shorter than the input in the second batch; the third is one step of one row.
    for T, lengths in ((6, LENGTHS), (9, LENGTHS), (1, torch.tensor([1]))):
        B = len(lengths)
        x = torch.randn(*((B, T) if batch_first else (T, B)), 4)
        state = tuple(torch.randn(2 * (1 + bidirectional), B, 5) for _ in fields)
        found = run(tmp_path / "layer.onnx", x, lengths, *state)
        wanted = flat(*layer(x, state if len(fields) > 1 else state[0], lengths=lengths))
        assert furthest(found, wanted) < 1e-5
        for after, before in zip(found[1:], state, strict=True):
            assert torch.equal(after[:, lengths == 0], before[:, lengths == 0])


@pytest.mark.parametrize("cell", CELLS)
def test_without_lengths_states_and_biases(cell: str, tmp_path: Path) -> None:
    layer = layer_of(cell, 3, 7, bias=False)
    write_onnx(layer, tmp_path / "layer.onnx")
    x = torch.randn(5, 2, 3)
    assert furthest(run(tmp_path / "layer.onnx", x), flat(*layer(x))) < 1e-5
    assert [each.shape for each in session(tmp_path / "layer.onnx").get_inputs()] == [["time", "batch", 3]]


@pytest.mark.parametrize("cell", CELLS)
def test_there_and_back_is_the_same_layer(cell: str, tmp_path: Path) -> None:
    layer = layer_of(cell, 4, 5, 2, bidirectional=True, batch_first=True)
    write_onnx(layer, tmp_path / "layer.onnx", lengths=True, state=True)
    again = read_onnx_layer(tmp_path / "layer.onnx")
    assert repr(again) == repr(layer)
    assert type(again) is type(layer)
    for name, value in layer.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_lengths_alone_start_from_zeros(tmp_path: Path) -> None:
    layer = layer_of("lstm", 4, 5, bidirectional=True)
    write_onnx(layer, tmp_path / "layer.onnx", lengths=True)
    x = torch.randn(6, 4, 4)
    x[3:, 0] = torch.nan  # padding, and neither value nor state may see it
    found = run(tmp_path / "layer.onnx", x, LENGTHS)
    assert furthest(found, flat(*layer(x, lengths=LENGTHS))) < 1e-5


def test_a_learned_state_goes_with_the_layer(tmp_path: Path) -> None:
    layer = layer_of("lstm", 3, 4, 2, reset_state="learned")
    with torch.no_grad():
        layer.reset_h.normal_()
        layer.reset_c.normal_()
    write_onnx(layer, tmp_path / "layer.onnx", lengths=True)
    x = torch.randn(5, 4, 3)
    lengths = torch.tensor([5, 0, 2, 5])
    assert furthest(run(tmp_path / "layer.onnx", x, lengths), flat(*layer(x, lengths=lengths))) < 1e-5


def test_dropout_is_off_whatever_the_mode(tmp_path: Path) -> None:
    layer = layer_of("gru", 3, 4, 2, dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5).train()
    write_onnx(layer, tmp_path / "layer.onnx")
    assert layer.training
    x = torch.randn(5, 2, 3)
    assert furthest(run(tmp_path / "layer.onnx", x), flat(*layer.eval()(x))) < 1e-5


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (LayerNormLSTM(3, 4), "got LayerNormLSTM"),
        (PreviousPeepholeLSTM(3, 4), "got PreviousPeepholeLSTM"),
        (LSTM(3, 4, proj_size=2), "proj_size=0, got 2"),
        (GRU(3, 4, zoneout=0.25), r"zoneout=0, got \(0.25,\)"),
        (GRU(3, 4, dtype=torch.float64), "got torch.float64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_operator_computes_is_refused_by_name(layer: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=f"write_onnx: .*{told}"):
        write_onnx(layer, tmp_path / "layer.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    layer = GRU(3, 4)
    with torch.no_grad():
        layer.weight_hh_l0[5, 2] = torch.nan
    with pytest.raises(ArgumentError, match=r"GRU.weight_hh: expected finite weights, got nan at \(5, 2\) \(1 of 48"):
        write_onnx(layer, tmp_path / "layer.onnx")


def test_what_is_no_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match=r"of throughtime\.nn, got LSTM; .*load_state_dict"):
        write_onnx(torch.nn.LSTM(3, 4), tmp_path / "layer.onnx")  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="lengths"):
        write_onnx(GRU(3, 4), tmp_path / "layer.onnx", lengths=torch.tensor([3]))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="missing"):
        write_onnx(GRU(3, 4), tmp_path / "missing" / "layer.onnx")


def test_without_onnx_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (
        lambda: write_onnx(GRU(3, 4), tmp_path / "layer.onnx"),
        lambda: read_onnx_layer(tmp_path / "layer.onnx"),
    ):
        with pytest.raises(MissingExtraError, match=r"pip install 'throughtime\[onnx\]'"):
            call()
