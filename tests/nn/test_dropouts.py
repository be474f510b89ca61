"""Recurrent dropout, weight dropout and zoneout of the layers: when they act, what they draw, what they leave alone.

Legend: T time, B batch, I input, H hidden.
"""

import copy

import pytest
import torch

from tests.nn.layers import LAYERS, as_hx, build, random_state, state_tensors
from throughtime import nn
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import masks, torch_ops
from throughtime.kernels.masks import Kind
from throughtime.kernels.variation import Variation

every_layer = pytest.mark.parametrize("kind", LAYERS)
WAYS = {
    "recurrent": {"recurrent_dropout": 0.4},
    "weight": {"weight_dropout": 0.4},
    "zoneout": {"zoneout": 0.3},
    "all": {"recurrent_dropout": 0.4, "weight_dropout": 0.3, "zoneout": 0.2},
}
every_way = pytest.mark.parametrize("way", WAYS)
SEED = 2**41 + 3


def problem(kind: str, way: str, **options):
    layer = build(kind, 3, 7, **{**WAYS[way], **options})
    x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return layer, x


def run(layer, x, hx=None, **options):
    output, state = layer(x, hx, **options)
    return output, *state_tensors(state)


def same(found, wanted) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@every_way
@every_layer
def test_training_draws_from_torch_s_generator(kind, way):
    layer, x = problem(kind, way, num_layers=2, bidirectional=True)
    torch.manual_seed(4)
    first, second = run(layer, x), run(layer, x)
    torch.manual_seed(4)
    assert same(run(layer, x), first)
    assert not torch.equal(first[0], second[0])
    assert same(run(layer, x, mask_seed=SEED), run(layer, x, mask_seed=torch.tensor(SEED)))
    assert not torch.equal(run(layer, x, mask_seed=SEED)[0], run(layer, x, mask_seed=SEED + 2**32)[0])


@every_layer
def test_dropout_is_off_in_evaluation(kind):
    layer, x = problem(kind, "all", zoneout=0.0, num_layers=2)
    plain = build(kind, 3, 7, num_layers=2)
    layer.eval()
    before = torch.get_rng_state()
    assert same(run(layer, x), run(plain, x))
    assert same(run(layer, x, mask_seed=SEED), run(plain, x))
    assert torch.equal(torch.get_rng_state(), before)


@every_way
@every_layer
def test_backends_agree(kind, way):
    """Layers, directions, lengths, resets and gradients: native against reference under the same seed."""
    layers = [
        build(kind, 3, 7, num_layers=2, bidirectional=True, backend=b, **WAYS[way]) for b in ("native", "reference")
    ]
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    hx = as_hx(random_state(layers[0], 4))
    lengths, reset = torch.tensor([6, 0, 3, 5]), torch.rand(6, 4) < 0.3
    answers = []
    for layer in layers:
        found = run(layer, x, hx, lengths=lengths, reset=reset, mask_seed=SEED, step0=9)
        grads = torch.autograd.grad(sum((t**2).sum() for t in found), list(layer.parameters()))
        answers.append((*found, *grads))
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-11, atol=1e-12)


@every_way
@every_layer
def test_chunks_and_steps_with_one_seed_are_the_whole(kind, way):
    for backend in ("native", "reference"):
        layer, x = problem(kind, way, num_layers=2, backend=backend)
        whole = run(layer, x, mask_seed=SEED, step0=5)
        state, parts = None, []
        for begin, end in ((0, 1), (1, 4), (4, 6)):
            part, state = layer(x[begin:end], state, mask_seed=SEED, step0=5 + begin)
            parts.append(part)
        assert same((torch.cat(parts), *state_tensors(state)), whole)
        state, parts = None, []
        for t in range(6):
            part, state = layer.step(x[t], state, mask_seed=SEED, step0=5 + t)
            parts.append(part)
        assert same((torch.stack(parts), *state_tensors(state)), whole)


@every_way
@every_layer
def test_recomputation_finds_the_same_masks(kind, way):
    layer, x = problem(kind, way, num_layers=2)
    x.requires_grad_()
    answers = []
    for function in (layer, lambda x: nn.checkpointed(layer, x, steps=2)):
        torch.manual_seed(6)
        output, _ = function(x)
        answers.append((output.detach(), *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-12, atol=1e-13)
    assert torch.equal(answers[0][0], answers[1][0])


def test_recurrent_dropout_is_one_mask_a_sequence():
    """Known answer: W_hh = I, x = 0: a unit's h is h0 / (1 − p)^t where it is kept, and 0 where it is not."""
    layer = nn.RNN(1, 50, nonlinearity="relu", bias=False, recurrent_dropout=0.5)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(50))
    output, _ = layer(torch.zeros(4, 8, 1), torch.ones(1, 8, 50))
    kept = output[0] > 0
    assert 0.35 < kept.float().mean() < 0.65
    for t in range(4):
        assert torch.equal(output[t], kept * 2.0 ** (t + 1))
    assert not torch.equal(kept[0], kept[1])


def test_a_gru_blends_the_state_that_is_not_masked():
    """z = 1: h' = h, whatever the mask."""
    layer = nn.GRU(1, 5, recurrent_dropout=0.9)
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        layer.bias_ih_l0[5:10] = 100.0
    h0 = torch.randn(1, 2, 5)
    assert torch.equal(layer(torch.zeros(3, 2, 1), h0)[1], h0)


def test_weight_dropout_leaves_the_parameter_alone():
    layer, x = problem("LSTM", "weight")
    before = copy.deepcopy(layer.state_dict())
    versions = [p._version for p in layer.parameters()]
    run(layer, x)[0].sum().backward()
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())
    assert [p._version for p in layer.parameters()] == versions
    assert isinstance(layer.weight_hh_l0, torch.nn.Parameter)
    # Known answer: the masked weights in a plain layer.
    plain = build("LSTM", 3, 7)
    mask = masks.drop_mask(torch.tensor(SEED), 0, Kind.WEIGHT, 0.4, 28, 7, torch.float64)
    with torch.no_grad():
        plain.weight_hh_l0.mul_(mask)
    assert same(run(layer, x, mask_seed=SEED), run(plain, x))
    layer.zero_grad()
    run(layer, x, mask_seed=SEED)[0].sum().backward()
    assert not layer.weight_hh_l0.grad[mask == 0].any()
    assert layer.weight_hh_l0.grad[mask != 0].all()


def test_zoneout_of_h_and_of_c_are_apart():
    x = torch.randn(5, 3, 3)
    frozen_h = nn.LSTM(3, 7, zoneout=(1.0, 0.0))
    h0, c0 = torch.randn(1, 3, 7), torch.randn(1, 3, 7)
    output, (h, c) = frozen_h(x, (h0, c0))
    assert torch.equal(output, h0.expand(5, -1, -1))
    assert torch.equal(h, h0)
    assert (c != c0).all()
    _, (h, c) = nn.LSTM(3, 7, zoneout=(0.0, 1.0))(x, (h0, c0))
    assert torch.equal(c, c0)
    assert (h != h0).all()


def test_zoneout_in_evaluation_is_the_expectation_of_one_step():
    """The mean of many draws of one step, within 5 standard errors."""
    layer = nn.LSTM(3, 7, zoneout=(0.3, 0.6), dtype=torch.float64)
    x, state = torch.randn(1, 1, 3, dtype=torch.float64), tuple(torch.randn(1, 1, 7, dtype=torch.float64) for _ in "hc")
    many = layer(x.expand(-1, 20_000, -1), tuple(s.expand(-1, 20_000, -1).contiguous() for s in state))[1]
    layer.eval()
    expected = layer(x, state)[1]
    for drawn, mean in zip(many, expected, strict=True):
        error = (drawn.mean(1) - mean[:, 0]).abs()
        assert (error < 5 * drawn.std(1) / 20_000**0.5).all()


@every_way
@every_layer
def test_the_stepper_runs_as_in_evaluation(kind, way):
    for backend in ("native", "reference"):
        layer, x = problem(kind, way, num_layers=2, backend=backend)
        stepper, state, outputs = layer.stepper(), None, []
        for t in range(6):
            output, state = stepper(x[t], state)
            outputs.append(output)
        layer.eval()
        wanted = run(layer, x)
        torch.testing.assert_close((torch.stack(outputs), *state_tensors(state)), wanted, rtol=1e-13, atol=1e-14)
        if backend == "native":
            assert same((torch.stack(outputs), *state_tensors(state)), wanted)


@every_way
def test_packed_sequences_and_other_layouts(way):
    """Rows are counted as they are run: a packed batch that is sorted already is the padded one."""
    layer, x = problem("LSTM", way)
    lengths = torch.tensor([6, 4, 4, 1])
    padded = run(layer, x, lengths=lengths, mask_seed=SEED)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
    output, state = layer(packed, mask_seed=SEED)
    unpacked, _ = torch.nn.utils.rnn.pad_packed_sequence(output)
    assert same((unpacked, *state), padded)
    first = build("LSTM", 3, 7, batch_first=True, **WAYS[way])
    assert torch.equal(first(x.transpose(0, 1), mask_seed=SEED)[0].transpose(0, 1), run(layer, x, mask_seed=SEED)[0])
    assert torch.equal(layer(x[:, 0], mask_seed=SEED)[0], run(layer, x[:, :1], mask_seed=SEED)[0][:, 0])


@every_way
@every_layer
def test_trace_and_reset_state(kind, way):
    """Traced values are those of the scan; a state of the caller's at borders is put there under masks too."""
    layer, x = problem(kind, way)
    torch.manual_seed(3)
    traced = layer.trace(x)
    torch.manual_seed(3)
    torch.testing.assert_close(traced.output, layer(x)[0], rtol=1e-12, atol=1e-13)
    own = as_hx(random_state(layer, 4))
    reset = torch.zeros(6, 4, dtype=torch.bool)
    reset[3] = True
    output, _ = layer(x, reset=reset, reset_state=own, mask_seed=SEED)
    later, _ = layer(x[3:], own, mask_seed=SEED, step0=3)
    torch.testing.assert_close(output[3:], later, rtol=1e-12, atol=1e-13)


@every_way
def test_projections(way):
    """proj_size runs on the scan: its own Variation by hand."""
    layer = nn.LSTM(3, 7, proj_size=2, dtype=torch.float64, **WAYS[way])
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    found = run(layer, x, mask_seed=SEED)
    assert same(found, run(layer, x, mask_seed=SEED))
    assert not torch.equal(found[0], run(layer, x, mask_seed=SEED + 1)[0])
    layer.eval()
    stepper, state = layer.stepper(), None
    for t in range(6):
        output, state = stepper(x[t], state)
    torch.testing.assert_close(output, run(layer, x)[0][-1])


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@every_way
@every_layer
def test_derivatives_of_every_order(kind, way):
    layer = build(kind, 2, 3, **WAYS[way])
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def f(x, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, given, (x,), {"mask_seed": SEED})[0]

    assert torch.autograd.gradcheck(f, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (x, *parameters), fast_mode=True)
    given, tangent = tuple(p.detach() for p in parameters), torch.randn_like(x)
    grad = torch.autograd.grad(f(x, *given).sum(), x)[0]
    _, moved = torch.func.jvp(lambda x: f(x, *given).sum(), (x.detach(),), (tangent,))
    torch.testing.assert_close(moved, (grad * tangent).sum())
    many = torch.stack([x.detach(), 2 * x.detach()])
    batched = torch.func.vmap(lambda x: f(x, *given))(many)
    torch.testing.assert_close(batched, torch.stack([f(one, *given) for one in many]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@every_way
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_one_graph_without_breaks(kind, way):
    layer, x = problem(kind, way, dtype=torch.float32)
    x = x.float().requires_grad_()
    compiled = torch.compile(lambda x: layer(x, mask_seed=SEED)[0], fullgraph=True, backend="aot_eager")
    found, wanted = compiled(x), layer(x, mask_seed=SEED)[0]
    assert torch.equal(found, wanted)
    assert torch.equal(torch.autograd.grad(found.sum(), x)[0], torch.autograd.grad(wanted.sum(), x)[0])
    drawn = torch.compile(lambda x: layer(x)[0], fullgraph=True, backend="aot_eager")
    assert not torch.equal(drawn(x), drawn(x))


def test_autocast_and_bfloat16():
    for kind in ("GRU", "LSTM"):
        layer, x = problem(kind, "all", dtype=torch.float32)
        x = x.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = run(layer, x, mask_seed=SEED)
        assert low[0].dtype is torch.bfloat16
        torch.testing.assert_close(low[0].float(), run(layer, x, mask_seed=SEED)[0], rtol=0.05, atol=0.03)


def test_what_a_call_hands_to_the_kernels(monkeypatch):
    """One Variation for each layer and direction; none in evaluation without zoneout."""
    seen = []
    real = torch_ops.run
    monkeypatch.setattr(torch_ops, "run", lambda *a, **k: seen.append(k["variation"]) or real(*a, **k))
    layer, x = problem("LSTM", "all", num_layers=2, bidirectional=True)
    layer(x, mask_seed=SEED, step0=4)
    assert [(v.stream, v.step0, v.zoneout, int(v.seed)) for v in seen] == [(i, 4, (0.2, 0.2), SEED) for i in range(4)]
    for v in seen:
        assert torch.equal(v.h_mask, masks.drop_mask(v.seed, v.stream, Kind.RECURRENT, 0.4, 4, 7, torch.float64))
    seen.clear()
    build("LSTM", 3, 7, recurrent_dropout=0.4).eval()(x)
    assert seen == []  # the plain equations have a way of their own
    layer.eval()(x)
    assert seen == [Variation(zoneout=(0.2, 0.2), stream=i) for i in range(4)]


def test_repr_and_pickle():
    layer = nn.LSTM(3, 7, recurrent_dropout=0.1, weight_dropout=0.2, zoneout=(0.3, 0.4))
    assert repr(layer) == "LSTM(3, 7, recurrent_dropout=0.1, weight_dropout=0.2, zoneout=(0.3, 0.4))"
    assert repr(nn.GRU(3, 7, zoneout=0.25)) == "GRU(3, 7, zoneout=0.25)"
    assert copy.deepcopy(layer).dropouts == layer.dropouts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent_dropout": 1.5}, r"LSTM: expected recurrent_dropout in \[0, 1\], got 1.5"),
        ({"recurrent_dropout": True}, r"expected recurrent_dropout in \[0, 1\], got True"),
        ({"weight_dropout": -0.1}, r"expected weight_dropout in \[0, 1\], got -0.1"),
        ({"weight_dropout": "some"}, r"expected weight_dropout in \[0, 1\], got 'some'"),
        ({"zoneout": (0.1, 2.0)}, r"expected zoneout in \[0, 1\], got 2.0"),
        ({"zoneout": (0.1,)}, r"expected zoneout as one number or 2, for h and c, got \(0.1,\)"),
        ({"zoneout": float("nan")}, r"expected zoneout in \[0, 1\], got nan"),
    ],
)
def test_wrong_probabilities_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        nn.LSTM(3, 7, **options)


def test_a_pair_for_one_state_is_refused():
    with pytest.raises(ArgumentError, match=r"GRU: expected zoneout as one number or 1, for h, got \(0.1, 0.2\)"):
        nn.GRU(3, 7, zoneout=(0.1, 0.2))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mask_seed": -1}, ArgumentError, r"expected mask_seed in \[0, 2\*\*63\), got -1"),
        ({"mask_seed": torch.tensor(-5)}, ArgumentError, r"expected mask_seed in \[0, 2\*\*63\), got -5"),
        ({"mask_seed": 2**63}, ArgumentError, r"got 9223372036854775808"),
        ({"mask_seed": 1.5}, ArgumentTypeError, r"expected mask_seed to be an int, got 1.5"),
        ({"mask_seed": torch.zeros(2)}, ArgumentTypeError, r"got \(2,\) of torch.float32"),
        ({"step0": -2}, ArgumentError, r"expected step0 >= 0, got -2"),
        ({"step0": 0.5}, ArgumentTypeError, r"expected step0 to be an int, got 0.5"),
    ],
)
def test_wrong_seeds_and_steps_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        nn.GRU(3, 7, zoneout=0.1)(torch.zeros(2, 2, 3), **options)


@pytest.mark.parametrize(("options", "got"), [({"mask_seed": 7}, "mask_seed=7"), ({"step0": 3}, "step0=3")])
def test_masks_for_a_layer_without_any_are_refused(options, got):
    with pytest.raises(ArgumentError, match=f"GRU.forward: expected a layer with recurrent_dropout.*, got {got}"):
        nn.GRU(3, 7, dropout=0.0)(torch.zeros(2, 2, 3), **options)
