"""The cells with layer normalisation: forward against plain NumPy, backward against Jacobians and against autograd.

Legend: B batch, I input, H hidden, G gates.
"""

import numpy as np
import pytest
import torch

from tests.helpers import as_arrays, assert_close
from throughtime.cells import CELLS, LAYER_NORM_CELLS, LayerNormParams, layer_norm
from throughtime.kernels import reference

every_cell = pytest.mark.parametrize("name", LAYER_NORM_CELLS)
EPSILON = 1e-5


def problem(name: str, B: int = 3, I: int = 4, H: int = 5, *, bias: bool = True, seed: int = 0):
    cell = LAYER_NORM_CELLS[name]
    g, G, has_c = torch.Generator().manual_seed(seed), len(cell.gates), "c" in cell.state_fields

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    params = LayerNormParams(
        normal(G * H, I),
        normal(G * H, H),
        normal(G * H) if bias else None,
        normal(G * H) if bias else None,
        normal(G * H),
        normal(G * H),
        normal(H) if has_c else None,
        normal(H) if has_c and bias else None,
    )
    return cell, normal(B, I), tuple(normal(B, H) for _ in cell.state_fields), params


def unit(a: np.ndarray) -> np.ndarray:
    return (a - a.mean()) / np.sqrt(((a - a.mean()) ** 2).mean() + EPSILON)


def jacobian(a: np.ndarray) -> np.ndarray:
    """∂unit_i / ∂a_j, written out."""
    n, scale = len(a), 1 / np.sqrt(((a - a.mean()) ** 2).mean() + EPSILON)
    return scale * (np.eye(n) - 1 / n - np.outer(unit(a), unit(a)) / n)


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def oracle(name: str, x: np.ndarray, state, p: dict) -> tuple[np.ndarray, ...]:
    """One step of one row."""
    h = state[0]
    a_x = p["weight_ln_ih"] * unit(p["weight_ih"] @ x) + p.get("bias_ih", 0)
    a_h = p["weight_ln_hh"] * unit(p["weight_hh"] @ h) + p.get("bias_hh", 0)
    if "rnn" in name:
        a = a_x + a_h
        return (np.tanh(a) if "tanh" in name else np.maximum(a, 0),)
    if "gru" in name:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(a_x, 3), np.split(a_h, 3)
        z = sigmoid(x_z + h_z)
        return ((1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h,)
    i, f, g, o = np.split(a_x + a_h, 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(p["weight_ln_c"] * unit(c) + p.get("bias_ln_c", 0)), c


@pytest.mark.parametrize("bias", [True, False])
@every_cell
def test_step_equals_the_equations(name, bias):
    for H, I in ((5, 4), (1, 1), (7, 3)):
        cell, x, state, params = problem(name, I=I, H=H, bias=bias)
        p = {key: as_arrays(v) for key, v in params._asdict().items() if v is not None}
        found = cell.step(x, state, params)
        for b in range(3):
            wanted = oracle(name, x[b].numpy(), [s[b].numpy() for s in state], p)
            assert_close(tuple(s[b] for s in found), wanted, k=50)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@every_cell
def test_step_backward_equals_autograd(name, bias, masked):
    cell, x, state, params = problem(name, bias=bias)
    mask = (torch.rand(3, 5) < 0.7).double() / 0.7 if masked else None
    leaves = [t.clone().requires_grad_() for t in (x, *state, *(v for v in params if v is not None))]
    n, fields = 1 + len(state), [key for key, v in params._asdict().items() if v is not None]
    given = LayerNormParams(**{**dict.fromkeys(LayerNormParams._fields), **dict(zip(fields, leaves[n:], strict=True))})
    values = cell.values(leaves[0], tuple(leaves[1:n]), given, mask)
    d_state = tuple(torch.randn_like(s) for s in state)
    new = [getattr(values, field) for field in cell.state_fields]
    wanted = torch.autograd.grad(new, leaves, d_state)
    found = cell.step_backward(d_state, x, state, params, mask)
    assert_close((found.dx, *found.dstate), wanted[:n], k=100)
    for key, grad in zip(fields, wanted[n:], strict=True):
        assert_close(getattr(found.dparams, key), grad, key, k=100)
    assert [v is None for v in found.dparams] == [v is None for v in params]


def test_the_normalisation_s_jacobian():
    """The whole chain of one row of the RNN by matrices: dh'/dh = diag(1 − h'²) diag(γ) J W_hh."""
    cell, x, state, params = problem("layer_norm_rnn_tanh", B=1)
    p = {key: as_arrays(v) for key, v in params._asdict().items() if v is not None}
    (h_new,) = oracle("layer_norm_rnn_tanh", x[0].numpy(), [state[0][0].numpy()], p)
    d = np.linspace(-1, 2, 5)
    inner = p["weight_ln_hh"][:, None] * (jacobian(p["weight_hh"] @ state[0][0].numpy()) @ p["weight_hh"])
    wanted = (d * (1 - h_new**2)) @ inner
    found = cell.step_backward((torch.from_numpy(d)[None],), x, state, params)
    assert_close(found.dstate[0][0], wanted, k=100)


@every_cell
def test_scaling_either_weight_matrix_changes_nothing(name, monkeypatch):
    """What layer normalisation is for: exact without ε; a plain cell is the negative control."""
    monkeypatch.setattr(layer_norm, "EPSILON", 0.0)
    cell, x, state, params = problem(name)
    bigger = params._replace(weight_ih=params.weight_ih * 7, weight_hh=params.weight_hh * 0.3)
    assert_close(cell.step(x, state, bigger), cell.step(x, state, params), k=50)
    plain = CELLS["lstm"]
    other = CELLS["lstm"].params(*problem("layer_norm_lstm")[3][:4])
    x, state = problem("layer_norm_lstm")[1:3]
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            plain.step(x, state, other._replace(weight_ih=other.weight_ih * 7)), plain.step(x, state, other)
        )


@pytest.mark.parametrize("reverse", [False, True])
@every_cell
def test_bptt_equals_autograd_through_the_scan(name, reverse):
    cell, _, state, params = problem(name, B=4)
    x = torch.randn(6, 4, 4, dtype=torch.float64)
    where = {"lengths": torch.tensor([6, 0, 3, 5]), "reset": torch.rand(6, 4) < 0.3, "reverse": reverse}
    answers = []
    for function in (reference.run, lambda *a, **k: reference.scan(*a, **k)[:2]):
        leaves = [t.clone().requires_grad_() for t in (x, *state, *params) if t is not None]
        n = 1 + len(state)
        given = iter(leaves[n:])
        own = LayerNormParams(*(None if p is None else next(given) for p in params))
        output, final = function(cell, leaves[0], tuple(leaves[1:n]), own, **where)
        grads = torch.autograd.grad(sum((t**2).sum() for t in (output, *final)), leaves)
        answers.append((output.detach(), *final, *grads))
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-11, atol=1e-11)
