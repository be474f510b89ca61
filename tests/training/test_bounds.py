"""Each bound on the gradient, by its effect on the step; and the one inside backpropagation through time."""

import math

import pytest
import torch
from torch import nn

from tests.training.problems import Recorder, Walk, fresh
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import GRU, LSTM, RNN
from throughtime.training import ClippedBPTT, TensorSource, TrainingConfig, train
from throughtime.training.clipping import layer_of


class Two(nn.Module):
    """Two layers with gradients (300, 400) and (0.6, 0.8)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ParameterList([nn.Parameter(torch.zeros(2))])
        self.b = nn.Module()
        self.b.weight_hh_l0 = nn.Parameter(torch.zeros(()))
        self.b.weight_hh_l1 = nn.Parameter(torch.zeros(()))


def slope(model, batch):
    gradient = torch.tensor([300.0, 400.0])
    return (model.a[0] * gradient).sum() + 0.6 * model.b.weight_hh_l0 + 8.0 * model.b.weight_hh_l1


def step(**options):
    model, recorder = Two(), Recorder()
    config = TrainingConfig(epochs=1, learning_rate=1.0, optimizer="sgd", **options)
    train(model, slope, TensorSource(torch.zeros(1)), None, config, [recorder])
    (record,) = recorder.steps
    assert record.grad_norm == pytest.approx(math.sqrt(500**2 + 0.6**2 + 8**2))
    moved = [*(-model.a[0]).tolist(), -model.b.weight_hh_l0.item(), -model.b.weight_hh_l1.item()]
    return moved, record.clipped


def test_each_layer_by_itself():
    assert step(clip_norm=5.0, clip_scope="layer") == (pytest.approx([3.0, 4.0, 0.6, 5.0], rel=1e-6), True)


def test_by_value():
    assert step(clip_norm=None, clip_value=350.0) == (pytest.approx([300.0, 350.0, 0.6, 8.0]), True)


def test_by_value_and_then_by_norm():
    both, _ = step(clip_norm=5.0, clip_value=8.0)
    assert math.hypot(*both) == pytest.approx(5.0, rel=1e-6)
    assert both[0] == pytest.approx(both[1]) == pytest.approx(both[3])


@pytest.mark.parametrize(
    "options", [{"clip_norm": 600.0, "clip_scope": "layer"}, {"clip_norm": None, "clip_value": 400.0}]
)
def test_a_bound_that_is_not_reached_changes_nothing(options):
    assert step(**options) == (pytest.approx([300.0, 400.0, 0.6, 8.0]), False)


def test_layers_by_name():
    assert [layer_of(name) for name in ("lstm.weight_ih_l0", "lstm.bias_hh_l0_reverse", "head.weight", "w")] == [
        "lstm.l0", "lstm.l0_reverse", "head", "",
    ]  # fmt: skip


def linear_rnn(slope: float, limit: float | None):
    """h_t = slope · h_{t−1} + x_t (ReLU, all positive), and ∂h_T/∂x_t, which is slope^(T−t) without a bound."""
    layer = RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(slope)
    x = torch.ones(4, 2, 1, requires_grad=True)
    model = layer if limit is None else ClippedBPTT(layer, limit)
    _, h = model(x)
    # Row 1 gets a gradient a hundredth of row 0's.
    (h * torch.tensor([1.0, 0.01])[None, :, None]).sum().backward()
    return x.grad[:, :, 0], model


def test_inside_backpropagation_through_time():
    """g_t = min(limit, 3 g_{t+1}) in each row: 1, 3, then 3·… held at 4; the other row stays below the bound."""
    free, _ = linear_rnn(3.0, None)
    torch.testing.assert_close(free[:, 0], torch.tensor([27.0, 9.0, 3.0, 1.0]))
    bound, model = linear_rnn(3.0, 4.0)
    torch.testing.assert_close(bound[:, 0], torch.tensor([4.0, 4.0, 3.0, 1.0]))
    torch.testing.assert_close(bound[:, 1], torch.tensor([0.27, 0.09, 0.03, 0.01]))
    assert model.take_counts() == (2, 6)
    assert model.take_counts() == (0, 0)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_its_outputs_are_the_layers_and_its_gradient_too_below_the_bound(kind, batch_first):
    layer = fresh(0, lambda: kind(3, 5, num_layers=2, batch_first=batch_first))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 6, 3, generator=generator, requires_grad=True)
    found = []
    for model in (layer, ClippedBPTT(layer, 1e6)):
        output, state = model(x)
        loss = output.square().sum() + sum(part.sum() for part in (state if isinstance(state, tuple) else (state,)))
        found.append((output, *torch.autograd.grad(loss, [x, *layer.parameters()])))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[1], found[0])
    given = layer(x)[1]
    assert torch.equal(ClippedBPTT(layer, 1.0)(x, given)[0], layer(x, given)[0])
    empty = x[:0] if not batch_first else x[:, :0]
    assert torch.equal(ClippedBPTT(layer, 1.0)(empty)[0], layer(empty)[0])


def test_how_often_it_bit_is_in_the_records():
    layer = RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(3.0)
    model, recorder = ClippedBPTT(layer, 4.0), Recorder()
    source = TensorSource(torch.ones(1, 4, 1))
    config = TrainingConfig(epochs=1, learning_rate=1e-6)
    train(model, lambda m, b: m(b[0].transpose(0, 1))[1].sum(), source, config=config, callbacks=[recorder])
    assert recorder.steps[0].bptt_clipped == pytest.approx(2 / 3)


def test_models_without_it_have_no_share():
    recorder = Recorder()
    train(
        Walk(),
        lambda m, b: m.w * 1.0,
        TensorSource(torch.zeros(1)),
        config=TrainingConfig(epochs=1),
        callbacks=[recorder],
    )
    assert recorder.steps[0].bptt_clipped is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ClippedBPTT(nn.LSTM(1, 1), 1.0), ArgumentTypeError, "expected a layer of throughtime.nn, got LSTM"),
        (lambda: ClippedBPTT(LSTM(1, 1, bidirectional=True), 1.0), ArgumentError, "got bidirectional=True"),
        (lambda: ClippedBPTT(LSTM(1, 1), -2.0), ArgumentError, "expected a limit above 0, got -2.0"),
        (
            lambda: ClippedBPTT(LSTM(1, 1), "a"),
            ArgumentTypeError,
            "ClippedBPTT: expected a number as limit, got 'a'; give",
        ),
        (lambda: ClippedBPTT(LSTM(1, 1), 1.0)(torch.zeros(3, 1)), ArgumentError, r"three axes, got \(3, 1\)"),
    ],
)
def test_what_it_cannot_wrap_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
