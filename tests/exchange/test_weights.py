"""Weights of Keras, Flax and haste against their equations written out in NumPy, and what cannot be represented."""

from typing import Any

import numpy as np
import pytest
import torch

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.exchange import from_flax, from_haste, from_keras, to_flax, to_haste, to_keras
from throughtime.nn import GRU, LSTM, RNN, GRUResetBefore, LayerNormGRU, PeepholeLSTM

DTYPE = torch.float64
X = np.random.default_rng(0).normal(size=(6, 2, 3))


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def gru(x_TBI: Any, W: Any, R: Any, b_x: Any, b_h: Any, *, after: bool) -> Any:
    """z r h, as Keras and haste write it; h' = z h + (1 - z) h~."""
    h, found = np.zeros((x_TBI.shape[1], len(R))), []
    for x in x_TBI:
        xz, xr, xh = np.split(x @ W + b_x, 3, 1)
        Rz, Rr, Rh = np.split(R, 3, 1)
        bz, br, bh = np.split(b_h, 3)
        z, r = sigmoid(xz + h @ Rz + bz), sigmoid(xr + h @ Rr + br)
        inner = r * (h @ Rh + bh) if after else (r * h) @ Rh + bh
        h = z * h + (1 - z) * np.tanh(xh + inner)
        found.append(h)
    return np.stack(found)


def lstm(x_TBI: Any, W: Any, R: Any, b: Any, order: str) -> Any:
    """Gates in the order of the letters, c for the candidate."""
    h = c = np.zeros((x_TBI.shape[1], len(R)))
    found = []
    for x in x_TBI:
        a = dict(zip(order, np.split(x @ W + h @ R + b, 4, 1), strict=True))
        c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["c"])
        h = sigmoid(a["o"]) * np.tanh(c)
        found.append(h)
    return np.stack(found)


def output(layer: Any) -> Any:
    return layer(torch.from_numpy(X))[0].detach().numpy()


def test_keras_equations() -> None:
    layer = GRU(3, 5, dtype=DTYPE)
    W, R, b = to_keras(layer)[0]
    assert np.allclose(gru(X, W, R, b[0], b[1], after=True), output(layer), atol=1e-12)
    before = GRUResetBefore(3, 5, dtype=DTYPE)
    W, R, b = to_keras(before)[0]
    assert np.allclose(gru(X, W, R, b, np.zeros(15), after=False), output(before), atol=1e-12)
    long = LSTM(3, 5, dtype=DTYPE)
    W, R, b = to_keras(long)[0]
    assert np.allclose(lstm(X, W, R, b, "ifco"), output(long), atol=1e-12)


def test_haste_equations() -> None:
    layer = GRU(3, 5, dtype=DTYPE)
    state = {name: value.numpy() for name, value in to_haste(layer)[0].items()}
    found = gru(X, state["kernel"], state["recurrent_kernel"], state["bias"], state["recurrent_bias"], after=True)
    assert np.allclose(found, output(layer), atol=1e-12)
    long = LSTM(3, 5, dtype=DTYPE)
    state = {name: value.numpy() for name, value in to_haste(long)[0].items()}
    found = lstm(X, state["kernel"], state["recurrent_kernel"], state["bias"], "icfo")
    assert np.allclose(found, output(long), atol=1e-12)


@pytest.mark.parametrize("api", ["linen", "nnx"])
def test_flax_equations(api: str) -> None:
    layer = LSTM(3, 5, dtype=DTYPE)
    [[p]] = to_flax(layer, api)
    if api == "linen":
        W = np.concatenate([p[name]["kernel"] for name in ("ii", "if", "ig", "io")], 1)
        R = np.concatenate([p[name]["kernel"] for name in ("hi", "hf", "hg", "ho")], 1)
        b = np.concatenate([p[name]["bias"] for name in ("hi", "hf", "hg", "ho")])
    else:
        W, R, b = p["dense_i"]["kernel"], p["dense_h"]["kernel"], p["dense_h"]["bias"]
    assert np.allclose(lstm(X, W, R, b, "ifco"), output(layer), atol=1e-12)


@pytest.mark.parametrize("kind", [RNN, GRU, GRUResetBefore, LSTM])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"bias": False}])
def test_there_and_back(kind: Any, options: dict[str, Any]) -> None:
    layer = kind(3, 5, 2, dtype=DTYPE, **options)
    exchanges: list[tuple[Any, Any]] = [(to_keras, from_keras)]
    if kind is not GRUResetBefore and "bias" not in options:
        exchanges.append((lambda layer: to_flax(layer, "linen"), from_flax))
        if kind is not RNN and "bidirectional" not in options:
            exchanges.append((to_haste, from_haste))
    for to, back in exchanges:
        again = kind(3, 5, 2, dtype=DTYPE, **options)
        assert not np.allclose(output(again), output(layer), atol=1e-3)
        back(again, to(layer))
        assert np.allclose(output(again), output(layer), atol=1e-12)


def test_nnx_with_a_cell_of_a_matrix_for_each_gate() -> None:
    layer, again = LSTM(3, 5, dtype=DTYPE), LSTM(3, 5, dtype=DTYPE)
    [[params]] = to_flax(layer, "linen")
    from_flax(again, [[{("if_" if name == "if" else name): leaves for name, leaves in params.items()}]])
    assert np.allclose(output(again), output(layer), atol=1e-12)


def test_a_bias_that_nnx_has_not() -> None:
    layer = GRU(3, 5, dtype=DTYPE)
    with torch.no_grad():
        layer.bias_hh_l0[10:] = torch.tensor([0, 0.25, 0, -0.5, 0])
    with pytest.raises(ArgumentError, match=r"b_hn = 0 for nnx, .* got up to 0\.5"):
        to_flax(layer, "nnx")
    assert to_flax(layer, "linen")[0][0]["hn"]["bias"].tolist() == [0, 0.25, 0, -0.5, 0]
    with torch.no_grad():
        layer.bias_hh_l0[10:] = 0
    [[params]] = to_flax(layer, "nnx")
    W, R, b = params["dense_i"]["kernel"], params["dense_h"]["kernel"], params["dense_i"]["bias"]

    def zrn(a: Any) -> Any:
        r, z, n = np.split(a, 3, -1)
        return np.concatenate((z, r, n), -1)

    assert np.allclose(gru(X, zrn(W), zrn(R), zrn(b), np.zeros(15), after=True), output(layer), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: to_keras(PeepholeLSTM(3, 4)), "RNN, GRU, GRUResetBefore, LSTM, got PeepholeLSTM"),
        (lambda: to_flax(GRUResetBefore(3, 4), "linen"), "RNN, GRU, LSTM, got GRUResetBefore"),
        (lambda: to_haste(LayerNormGRU(3, 4)), "GRU, LSTM, got LayerNormGRU"),
        (lambda: to_haste(GRU(3, 4, bidirectional=True)), "one-way layer, got bidirectional=True"),
        (lambda: to_haste(LSTM(3, 4, zoneout=(0.1, 0.2))), r"zoneout of h alone, .* got \(0\.1, 0\.2\)"),
        (lambda: to_keras(GRU(3, 4, zoneout=0.1)), "zoneout=0, got"),
        (lambda: to_flax(GRU(3, 4), "haiku"), "'linen' or 'nnx', got 'haiku'"),
        (lambda: from_keras(GRU(3, 4), to_keras(GRUResetBefore(3, 4))), r"\(2, 12\) for GRU, got \(12,\)"),
        (lambda: from_keras(GRUResetBefore(3, 4), to_keras(GRU(3, 4))), r"\(12,\) for GRUResetBefore, got \(2, 12\)"),
        (lambda: from_keras(GRU(3, 4), to_keras(GRU(3, 4, bias=False))), "expected 3 arrays of layer 0 .* got 2"),
        (lambda: from_keras(GRU(3, 4, 2), to_keras(GRU(3, 4))), "the weights of 2 layers, got 1"),
        (lambda: from_keras(GRU(4, 4), to_keras(GRU(3, 4))), r"weight_ih of shape \(12, 4\), got \(12, 3\)"),
        (lambda: from_flax(GRU(3, 4, bias=False), to_flax(GRU(3, 4), "linen")), "got bias=False"),
        (lambda: from_flax(LSTM(3, 4), to_flax(GRU(3, 4), "linen")), "for LSTM, got hn, hr, hz, in, ir, iz"),
        (lambda: from_flax(GRU(3, 4, 2), to_flax(GRU(3, 4), "linen")), r"2 layers of 1 directions, got \[1\]"),
        (lambda: from_haste(GRU(3, 4), to_haste(LSTM(3, 4))), "recurrent_bias for GRU, got bias, kernel"),
        (lambda: from_haste(GRU(3, 4, bias=False), to_haste(GRU(3, 4))), "got bias=False"),
        (lambda: from_haste(GRU(3, 4, 2), to_haste(GRU(3, 4))), "the weights of 2 layers, got 1"),
    ],
)
def test_what_cannot_be_represented_is_refused(call: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        call()


def test_wrong_types_and_numbers() -> None:
    with pytest.raises(ArgumentTypeError, match="got LSTM"):
        to_keras(torch.nn.LSTM(3, 4))  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"dict of a cell's parameters, got 3"):
        from_flax(GRU(3, 4), [[3]])  # type: ignore[list-item]
    weights = to_keras(GRU(3, 4))
    weights[0][0][1, 2] = np.nan
    with pytest.raises(ArgumentError, match=r"GRU\.weight_ih: expected finite weights, got nan"):
        from_keras(GRU(3, 4), weights)
    with pytest.raises(ArgumentError, match=r"got torch\.bfloat16"):
        to_keras(GRU(3, 4, dtype=torch.bfloat16))
