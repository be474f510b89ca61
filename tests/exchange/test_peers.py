"""Keras and Flax themselves: a layer's weights there give a layer's numbers here.

They bring another array library with them and so stand in an interpreter of their own: THROUGHTIME_PEERS_PYTHON names
one that has the packages keras, jax and flax, and tensorflow and tf2onnx for Keras's export. Without it these tests are
skipped.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from throughtime.errors import DataError
from throughtime.exchange import from_flax, from_keras, read_onnx, to_flax, to_keras
from throughtime.nn import GRU, LSTM, RNN, GRUResetBefore

PYTHON = os.environ.get("THROUGHTIME_PEERS_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="THROUGHTIME_PEERS_PYTHON names no interpreter with keras and flax"),
]


def peer(tmp_path: Path, spec: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """What the other interpreter finds."""
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    np.savez(tmp_path / "in.npz", **arrays)
    script = Path(__file__).with_name("peers.py")
    names = [str(tmp_path / name) for name in ("spec.json", "in.npz", "out.npz")]
    done = subprocess.run([PYTHON, str(script), *names], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as found:
        return dict(found)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("kind", "theirs", "options"),
    [
        (RNN, "RNN", {}),
        (lambda *a, **k: RNN(*a, nonlinearity="relu", **k), "RNN", {"activation": "relu"}),
        (GRU, "GRU", {"reset_after": True}),
        (GRUResetBefore, "GRU", {"reset_after": False}),
        (LSTM, "LSTM", {}),
        (lambda *a, **k: LSTM(*a, bias=False, **k), "LSTM", {"use_bias": False}),
    ],
    ids=["rnn", "rnn-relu", "gru", "gru-reset-before", "lstm", "lstm-no-bias"],
)
def test_keras(kind: Any, theirs: str, options: dict[str, Any], bidirectional: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = kind(4, 5, num_layers=2, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(3, 7, 4)
    arrays = {f"{n}_{i}": w for n, weights in enumerate(to_keras(layer)) for i, w in enumerate(weights)}
    spec = {"library": "keras", "kind": theirs, "units": 5, "layers": 2, "bidirectional": bidirectional}
    found = peer(tmp_path, {**spec, "options": options}, {"x": x.numpy(), **arrays})
    assert np.abs(found["y"] - layer(x)[0].detach().numpy()).max() < 1e-5
    again = kind(4, 5, num_layers=2, batch_first=True, bidirectional=bidirectional)
    each = len(arrays) // 2
    from_keras(again, [[found[f"{n}_{i}"] for i in range(each)] for n in range(2)])
    assert torch.allclose(again(x)[0], layer(x)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("library", "kind", "theirs"),
    [
        ("linen", RNN, "SimpleCell"),
        ("linen", GRU, "GRUCell"),
        ("linen", LSTM, "LSTMCell"),
        ("linen", LSTM, "OptimizedLSTMCell"),
        ("nnx", RNN, "SimpleCell"),
        ("nnx", GRU, "GRUCell"),
        ("nnx", LSTM, "OptimizedLSTMCell"),
    ],
)
def test_flax(library: str, kind: Any, theirs: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = kind(4, 5, batch_first=True)
    if library == "nnx" and kind is GRU:
        with torch.no_grad():
            layer.bias_hh_l0[10:] = 0
    x = torch.randn(3, 7, 4)
    [[params]] = to_flax(layer, library)
    arrays = {f"{cell}/{leaf}": value for cell, leaves in params.items() for leaf, value in leaves.items()}
    spec = {"library": library, "kind": theirs, "units": 5}
    found = peer(tmp_path, spec, {"x": x.numpy(), **arrays})
    assert np.abs(found["y"] - layer(x)[0].detach().numpy()).max() < 1e-5
    again = kind(4, 5, batch_first=True)
    from_flax(again, [[params]])
    assert torch.allclose(again(x)[0], layer(x)[0], atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("kind", "theirs", "options"),
    [
        (LSTM, "LSTM", {}),
        (GRU, "GRU", {}),
        (GRUResetBefore, "GRU", {"reset_after": False}),
        (RNN, "RNN", {"activation": "relu"}),
    ],
)
def test_a_model_that_keras_exported_is_read(
    kind: Any, theirs: str, options: dict[str, Any], bidirectional: bool, tmp_path: Path
) -> None:
    x = torch.randn(3, 7, 4)
    file = tmp_path / "keras.onnx"
    spec = {"library": "keras-onnx", "kind": theirs, "units": 5, "layers": 2, "bidirectional": bidirectional}
    found = peer(tmp_path, {**spec, "options": options, "file": str(file)}, {"x": x.numpy()})
    module = read_onnx(file)
    # A Loop, as Keras writes all but the LSTM, goes one way.
    ways = 2 if bidirectional and kind is not LSTM else 1
    assert [type(layer) for layer in module.recurrent_layers] == [kind] * 2 * ways
    assert np.abs(found["y"] - module(x).detach().numpy()).max() < 1e-5


def test_a_gru_of_another_activation_that_keras_exported_is_refused(tmp_path: Path) -> None:
    spec = {"library": "keras-onnx", "kind": "GRU", "units": 5, "layers": 1, "bidirectional": False}
    spec |= {"options": {"activation": "elu"}, "file": str(tmp_path / "keras.onnx")}
    peer(tmp_path, spec, {"x": np.zeros((2, 3, 4), "float32")})
    with pytest.raises(DataError, match=r"a SimpleRNN or a GRU, as Keras writes them, got operators Elu"):
        read_onnx(tmp_path / "keras.onnx")
