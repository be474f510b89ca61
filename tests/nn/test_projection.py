"""`proj_size`: torch's LSTM where torch has it, the equations where it has not.

Legend: T time, B batch, I input, H hidden, P projected.
"""

import copy
import itertools
import logging
import pickle

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import answer
from throughtime import nn
from throughtime.cells import CELLS
from throughtime.kernels import reference
from throughtime.nn import projection
from throughtime.nn.projection import PROJECTED, ProjectedParams

KINDS = ("LSTM", "PeepholeLSTM", "PreviousPeepholeLSTM")
every_kind = pytest.mark.parametrize("kind", KINDS)
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers, both, first, bias in itertools.product((1, 2), (False, True), (False, True), (True, False))
]


def build(kind, *args, seed=0, **options):
    torch.manual_seed(seed)
    return getattr(nn, kind)(*args, dtype=torch.float64, **options)


def states(layer, B, seed=1):
    g = torch.Generator().manual_seed(seed)
    rows = layer.num_layers * layer.num_directions
    return tuple(
        torch.randn(rows, B, size, generator=g, dtype=torch.float64) * 0.5
        for size in (layer.proj_size, layer.hidden_size)
    )


def sequences(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(k for k, v in o.items() if v not in (False, 1)))
def test_projected_lstm_is_torchs(options):
    """Names, shapes, initial bits, state dicts both ways, values and gradients."""
    torch.manual_seed(3)
    theirs = torch.nn.LSTM(3, 5, proj_size=2, **options, dtype=torch.float64)
    torch.manual_seed(3)
    layer = nn.LSTM(3, 5, proj_size=2, **options, dtype=torch.float64)
    assert [n for n, _ in layer.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for name, p in theirs.named_parameters():
        assert torch.equal(getattr(layer, name), p), name
    assert repr(layer) == repr(theirs)
    assert [[w.shape for w in group] for group in layer.all_weights] == [
        [w.shape for w in group] for group in theirs.all_weights
    ]
    other = torch.nn.LSTM(3, 5, proj_size=2, **options, dtype=torch.float64)
    layer.load_state_dict(other.state_dict())
    x = sequences(2, 6, 3) if options["batch_first"] else sequences(6, 2, 3)
    assert_close(answer(layer, x, states(layer, 2)), answer(other, x, states(layer, 2)), dtype=torch.float64)
    theirs.load_state_dict(layer.state_dict())
    assert_close(layer(x)[0], theirs(x)[0])


@every_kind
def test_projected_equals_the_equations(kind):
    """Written out here, a step at a time, from the cell of width H and the product after it."""
    layer = build(kind, 3, 5, proj_size=2)
    p = {name.removesuffix("_l0"): value for name, value in layer.named_parameters()}
    p_i, p_f, p_o = p["weight_ch"].chunk(3) if "weight_ch" in p else (torch.zeros(5, dtype=torch.float64),) * 3
    x, (h0, c0) = sequences(6, 4, 3), states(layer, 4)
    h, c = h0[0], c0[0]
    outputs = []
    for x_t in x:
        a = x_t @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]
        a_i, a_f, a_g, a_o = a.chunk(4, dim=-1)
        c_new = torch.sigmoid(a_f + p_f * c) * c + torch.sigmoid(a_i + p_i * c) * torch.tanh(a_g)
        seen = c_new if kind == "PeepholeLSTM" else c
        h, c = (torch.sigmoid(a_o + p_o * seen) * torch.tanh(c_new)) @ p["weight_hr"].T, c_new
        outputs.append(h)
    output, state = layer(x, (h0, c0))
    assert_close(output, torch.stack(outputs))
    assert_close(tuple(state), (h[None], c[None]))


@every_kind
def test_projected_lengths_resets_and_steps(kind):
    layer = build(kind, 3, 5, 2, proj_size=2)
    x, hx, lengths = sequences(6, 3, 3), states(layer, 3), [4, 0, 6]
    x[4:, 0] = x[:, 1] = float("nan")
    output, (h, c) = layer(x, hx, lengths=lengths)
    alone, (h_alone, c_alone) = layer(x[:4, :1], tuple(s[:, :1] for s in hx))
    assert_close((output[:4, :1], h[:, :1], c[:, :1]), (alone, h_alone, c_alone), k=20)
    assert not output[4:, 0].any()
    assert_close((h[:, 1], c[:, 1]), tuple(s[:, 1] for s in hx), k=0)

    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[2] = True
    good = sequences(6, 3, 3)
    cut, end = layer(good, hx, reset=reset)
    fresh, fresh_end = layer(good[2:])
    assert_close((cut[2:], tuple(end)), (fresh, tuple(fresh_end)), k=0)

    stepper, state, frozen = layer.stepper(), hx, hx
    for x_BI, reset_B, expected in zip(good, reset, cut, strict=True):
        one, state = layer.step(x_BI, state, reset=reset_B)
        fast, frozen = stepper(x_BI, frozen, reset_B)
        assert_close((one, fast), (expected, expected), k=0)
    assert_close((tuple(state), tuple(frozen)), (tuple(end), tuple(end)), k=0)
    assert_close(stepper(good[0])[0], layer.step(good[0])[0], k=0)
    with torch.no_grad():
        layer.weight_hr_l1.mul_(2)
    stepper.refresh()
    assert_close(stepper(good[0])[0], layer.step(good[0])[0], k=0)


@every_kind
def test_empty_projected(kind):
    layer = build(kind, 3, 5, 2, bidirectional=True, proj_size=2)
    hx = states(layer, 2)
    output, state = layer(sequences(0, 2, 3), hx)
    assert output.shape == (0, 2, 4)
    assert_close(tuple(state), hx, k=0)
    assert layer(sequences(4, 0, 3))[0].shape == (4, 0, 4)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@every_kind
def test_projected_derivatives(kind):
    layer = build(kind, 2, 3, proj_size=2, bidirectional=True)
    hx = states(layer, 2)

    def call(x, h, c):
        output, state = layer(x, (h, c), lengths=torch.tensor([2, 1]))
        return output, *state

    flat = tuple(t.requires_grad_() for t in (sequences(2, 2, 2), *hx))
    assert torch.autograd.gradcheck(call, flat)
    assert torch.autograd.gradgradcheck(call, flat, fast_mode=True)
    x, tangent = sequences(2, 2, 2), sequences(2, 2, 2, seed=5)
    _, got = torch.func.jvp(lambda x: layer(x)[0].sum(), (x,), (tangent,))
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert_close(got, (gradient * tangent).sum())
    assert abs(got) > 1e-3


@pytest.mark.parametrize("name", PROJECTED)
def test_the_step_written_by_hand(name):
    """Its partial derivatives are autograd's."""
    cell, g = PROJECTED[name], torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).requires_grad_()

    peepholes = draw(15) if CELLS[name].peephole_gates else None
    params = ProjectedParams(draw(20, 3), draw(20, 2), draw(20), draw(20), peepholes, draw(2, 5))
    x, state, d_state = draw(4, 3), (draw(4, 2), draw(4, 5)), (draw(4, 2), draw(4, 5))
    present = [p for p in params if p is not None]
    wanted = torch.autograd.grad(cell.step(x, state, params), [x, *state, *present], d_state)
    found = cell.step_backward(d_state, x, state, params)
    got = [found.dx, *found.dstate, *(p for p in found.dparams if p is not None)]
    assert_close([t.detach() for t in got], list(wanted))


def test_projected_runs_on_the_reference_and_says_so_once(caplog):
    layer = nn.LSTM(3, 5, proj_size=2)
    assert layer.backend == "reference"
    assert nn.LSTM(3, 5, proj_size=2, backend="reference").backend == "reference"
    projection._say.cache_clear()
    with caplog.at_level(logging.INFO, "throughtime"):
        layer(torch.zeros(4, 2, 3))
        layer(torch.zeros(4, 2, 3))
    assert [r.message for r in caplog.records if "proj_size" in r.message] == [
        "recurrent layers with proj_size run on the reference backend, since the native kernels do not have it"
    ]


def test_projected_reaches_the_scan(monkeypatch):
    seen = []
    scan = reference.scan
    monkeypatch.setattr(reference, "scan", lambda cell, *a, **k: seen.append(cell.name) or scan(cell, *a, **k))
    nn.PeepholeLSTM(3, 5, proj_size=2, bidirectional=True)(torch.zeros(4, 2, 3))
    assert seen == ["peephole_lstm_projected"] * 2


@every_kind
def test_projected_copies(kind):
    layer = build(kind, 3, 5, 2, proj_size=2)
    x = sequences(4, 2, 3)
    assert layer.output_size == 2
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], layer(x)[0])
