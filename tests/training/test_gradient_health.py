"""Gradients along time where they are known beforehand, and values that are not finite where they were put.

Legend: T time, B batch, I input, H hidden.
"""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.problems import fresh
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import ManyToOne
from throughtime.nn import GRU, LSTM, RNN
from throughtime.nn.layers import LAYERS
from throughtime.training import GradientHealth, TensorSource, TrainingConfig, nonfinite_locator, train, watch
from throughtime.training.gradient_health_report import FADED

T, B = 40, 3
both_backends = pytest.mark.parametrize("backend", ["native", "reference"])


def linear_rnn(rate: float, *, size: int = 4, layers: int = 1, **options) -> RNN:
    """relu of positive numbers: h_t = λ h_{t−1} + x_t, so that ∂L/∂h_{t−k} = λ^k ∂L/∂h_t exactly."""
    layer = RNN(size, size, layers, nonlinearity="relu", **options)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.zero_()
            if "weight" in name:
                parameter.copy_((1.0 if "ih" in name else rate) * torch.eye(size))
    return layer


def at_the_end(layer: nn.Module, x: torch.Tensor, **options):
    with watch(layer) as ears:
        output, _ = layer(x, **options)
        output[-1].sum().backward()
    return ears


@both_backends
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_a_linear_rnn_has_powers_of_its_rate(rate, backend):
    report = at_the_end(linear_rnn(rate, backend=backend), torch.ones(T, B, 4)).report()
    (layer,) = report.layers
    back = np.arange(T)[::-1]
    np.testing.assert_array_equal(layer.dh, np.sqrt(4 * B * rate ** (2.0 * back)))
    np.testing.assert_allclose(layer.reach, rate ** np.arange(T, dtype=float), rtol=1e-6)
    assert layer.dc is None


@both_backends
@pytest.mark.parametrize(
    ("rate", "memory"),
    [(0.5, 20), (0.25, 10), (0.9, T), (1.0, T), (2.0, T)],  # λ^20 is the first power of ½ below 1e-6
)
def test_effective_memory_is_where_the_powers_fade(rate, memory, backend):
    (layer,) = at_the_end(linear_rnn(rate, backend=backend), torch.ones(T, B, 4)).report().layers
    assert layer.memory == memory
    assert (rate**layer.memory < FADED) or memory == T
    said = " ".join(layer.sentences())
    if memory == T:
        assert f"reaches back over all {T} steps" in said
    else:
        assert f"layer 0: the gradient falls below 1e-06 of its largest after {memory} of {T} steps" in said
        assert "try a gated cell" in said
    assert ("grows 5.5e+11 times on its way back over 40 steps" in said) == (rate == 2.0)


def test_a_loss_at_every_step_hides_the_fading_from_the_norms_and_not_from_the_memory():
    layer = linear_rnn(0.5)
    with watch(layer) as ears:
        layer(torch.ones(T, B, 4))[0].sum().backward()
    (found,) = ears.report().layers
    assert found.dh.min() > 0.4 * found.dh.max()
    assert found.memory == 20


@pytest.mark.parametrize("reverse", [False, True])
def test_ragged_rows_are_counted_from_their_own_end(reverse):
    layer = linear_rnn(0.5, bidirectional=True)
    lengths = torch.tensor([T, 30, 0])
    with watch(layer) as ears:
        layer(torch.ones(T, B, 4), lengths=lengths)[1].sum().backward()
    found = ears.report().layers[int(reverse)]
    assert found.direction == ("reverse" if reverse else "forward")
    np.testing.assert_allclose(found.reach, 0.5 ** np.arange(T, dtype=float), rtol=1e-6)
    ends = [0, 0] if reverse else [T - 1, 29]
    time, square = np.arange(T), np.zeros(T)
    for end, length in zip(ends, (T, 30), strict=True):
        square += np.where(time < length, 4 * 0.25 ** np.abs(time - end), 0.0)
    np.testing.assert_allclose(found.dh, np.sqrt(square), rtol=1e-6)


def open_lstm(size: int = 4) -> LSTM:
    """An LSTM whose forget gate is 1 to the last bit, and whose other gates see x alone."""
    layer = fresh(0, lambda: LSTM(3, size))
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0[size : 2 * size] = 0
        layer.bias_ih_l0[size : 2 * size] = 100.0
    return layer


def test_a_forget_gate_of_one_carries_the_gradient_unchanged():
    layer = open_lstm()
    (found,) = at_the_end(layer, torch.randn(T, B, 3)).report().layers
    assert found.dc is not None
    assert found.dc[0] > 0
    np.testing.assert_array_equal(found.dc, np.full(T, found.dc[0]))
    np.testing.assert_array_equal(found.dh[:-1], np.zeros(T - 1))
    assert found.memory == T
    assert found.saturated["f"] == 1.0
    assert found.saturated["i"] < 1.0


@both_backends
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_and_direction_is_named(kind, backend):
    model = nn.ModuleDict(
        {"enc": LAYERS[kind](3, 4, 2, bidirectional=True, backend=backend), "dec": LAYERS[kind](8, 4, backend=backend)}
    )
    with watch(model) as ears:
        model["dec"](model["enc"](torch.randn(6, 2, 3))[0])[0].sum().backward()
    found = ears.report().layers
    names = ["enc layer 0", "enc layer 0, reverse", "enc layer 1", "enc layer 1, reverse", "dec layer 0"]
    assert [layer.name for layer in found] == names
    assert all(layer.dh.shape == layer.reach.shape == (6,) for layer in found)
    assert all(list(layer.saturated) == list(model["enc"].cell.gates) for layer in found)


@both_backends
def test_masks_of_training_are_heard_and_change_no_bit(backend):
    """40 rows, of which the memory is measured in 32: a mask has a row for each."""
    layer = fresh(0, lambda: LSTM(3, 4, recurrent_dropout=0.5, zoneout=0.1, backend=backend))
    x, grads = torch.randn(6, 40, 3), []
    for watched in (True, False):
        torch.manual_seed(5)
        layer.zero_grad()
        if watched:
            ears = at_the_end(layer, x)
        else:
            layer(x)[0][-1].sum().backward()
        grads.append([p.grad.clone() for p in layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
    (found,) = ears.report().layers
    assert found.dh.all()
    assert found.memory == 6


def test_calls_step_by_step_are_one_after_the_other_in_time():
    layer = linear_rnn(0.5)
    with watch(layer) as ears:
        state = None
        for _ in range(5):
            output, state = layer.step(torch.ones(B, 4), state)
        output.sum().backward()
    (found,) = ears.report().layers
    np.testing.assert_allclose(found.dh, np.sqrt(4 * B) * 0.5 ** np.arange(5)[::-1].astype(float))
    assert found.memory is None


def test_a_forward_pass_after_a_backward_pass_begins_anew():
    layer = linear_rnn(1.0)
    with watch(layer) as ears:
        for steps in (3, 7):
            layer(torch.ones(steps, B, 4))[0].sum().backward()
        with torch.no_grad():
            layer(torch.ones(2, B, 4))
    assert ears.report().layers[0].dh.shape == (7,)
    layer(torch.ones(5, B, 4))[0].sum().backward()
    assert ears.report().layers[0].dh.shape == (7,)
    assert layer._listen is None


def test_the_ears_come_off_after_an_error():
    layer = linear_rnn(1.0)
    with pytest.raises(ZeroDivisionError), watch(layer):
        raise ZeroDivisionError
    assert layer._listen is None


def test_nothing_heard_is_said():
    with watch(linear_rnn(1.0)) as ears:
        pass
    assert str(ears.report()) == "no backward pass went through the recurrent layers while they were watched"


@pytest.mark.parametrize(("model", "said"), [(nn.LSTM(1, 1), "got LSTM"), (nn.Linear(1, 1), "got Linear")])
def test_a_model_that_cannot_be_heard_is_refused(model, said):
    with pytest.raises(ArgumentError, match=said), watch(model):
        pass


@pytest.mark.parametrize("margin", [0.0, 0.5, -1])
def test_a_margin_outside_its_range_is_refused(margin):
    with pytest.raises(ArgumentError, match=f"got {margin}"), watch(linear_rnn(1.0), margin=margin):
        pass


def test_compiled_code_is_refused_in_one_sentence(caplog):
    layer = linear_rnn(1.0)
    fast = torch.compile(layer, backend="eager")
    with caplog.at_level(logging.WARNING, "throughtime.training"), watch(fast) as ears:
        fast(torch.ones(4, B, 4))[0].sum().backward()
    assert [record.message for record in caplog.records] == [
        "watch: compiled code is not heard; watch the model before it is compiled, or uncompiled"
    ]
    assert ears.report().layers == ()


def stack(kind: str, backend: str = "native"):
    """Two layers both ways."""
    return fresh(1, lambda: LAYERS[kind](3, 5, 2, bidirectional=True, backend=backend))


@both_backends
@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_input_is_found(kind, backend):
    model = stack(kind, backend)
    x = torch.randn(6, 4, 3)
    x[3, 2, 1] = torch.nan
    with watch(model) as ears:
        model(x)[0].sum().backward()
    found = ears.nonfinite
    assert (found.during, found.module, found.layer, found.direction) == ("forward", "", 0, "forward")
    assert (found.gate, found.step, found.row, found.unit) == (model.cell.gates[0], 3, 2, 0)
    assert found.cause == "the input (feature 1)"
    assert "layer 0: the first value that is not finite is gate" in found.sentence


@both_backends
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_weight_is_found(kind, direction, backend):
    model = stack(kind, backend)
    gate = len(model.cell.gates) - 1
    suffix = "_reverse" if direction == "reverse" else ""
    with torch.no_grad():
        getattr(model, f"weight_ih_l1{suffix}")[gate * 5 + 2, 4] = torch.nan
    with watch(model) as ears:
        model(torch.randn(6, 4, 3))[0].sum().backward()
    found = ears.nonfinite
    assert (found.during, found.layer, found.direction) == ("forward", 1, direction)
    # Normalisation takes one bad product to every gate of the row; the cause is the parameter all the same.
    first_gate, first_unit = (0, 0) if kind.startswith("layer-norm") else (gate, 2)
    assert (found.gate, found.step, found.row, found.unit) == (
        model.cell.gates[first_gate], 5 if direction == "reverse" else 0, 0, first_unit,
    )  # fmt: skip
    assert found.cause == f"the parameter weight_ih_l1{suffix}[{gate * 5 + 2}, 4]"


@both_backends
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_gradient_is_found(kind, direction, backend):
    model = stack(kind, backend)
    with watch(model) as ears:
        output, _ = model(torch.randn(6, 4, 3))
        d_output = torch.ones_like(output)
        d_output[2, 3, 1 + 5 * (direction == "reverse")] = torch.inf
        output.backward(d_output)
    found = ears.nonfinite
    assert (found.during, found.layer, found.direction, found.step, found.row) == ("backward", 1, direction, 2, 3)
    assert found.cause == "the gradient from above"


@both_backends
def test_an_overflow_of_its_own_is_found(backend):
    layer = linear_rnn(1e20, backend=backend)
    with watch(layer) as ears:
        layer(torch.ones(6, B, 4))[0].sum().backward()
    found = ears.nonfinite
    assert (found.during, found.gate, found.step, found.row, found.unit) == ("forward", "h", 2, 0, 0)
    assert found.cause == "this step, whose inputs were finite: an overflow"


def test_a_bad_initial_state_is_found():
    layer = stack("lstm")
    h = torch.zeros(4, 2, 5)
    c = h.clone()
    c[0, 1, 3] = torch.inf
    with watch(layer) as ears:
        layer(torch.randn(6, 2, 3), (h, c))[0].sum().backward()
    found = ears.nonfinite
    assert (found.gate, found.step, found.row, found.unit, found.cause) == ("c", 0, 1, 3, "the initial state")


def test_what_was_found_stays_found():
    layer = linear_rnn(1.0)
    with watch(layer) as ears:
        for value in (torch.nan, 1.0):
            layer(torch.full((4, 1, 4), value))[0].sum().backward()
    assert ears.nonfinite.step == 0
    assert "the input (feature 0)" in str(ears.report())


def last_of(kind: str) -> ManyToOne:
    return fresh(0, lambda: ManyToOne(LAYERS[kind](2, 6), nn.Linear(6, 1)))


def loss_of(model: nn.Module, batch):
    return nn.functional.mse_loss(model(batch[0].transpose(0, 1)), batch[1])


def data(n: int = 20) -> TensorSource:
    generator = torch.Generator().manual_seed(0)
    return TensorSource(torch.randn(n, 8, 2, generator=generator), torch.randn(n, 1, generator=generator))


@pytest.mark.parametrize("every", [1, 3])
def test_a_training_is_watched_and_no_bit_changes(every):
    plain, watched, health = last_of("lstm"), last_of("lstm"), GradientHealth(every)
    config = TrainingConfig(epochs=2, batch_size=5)
    train(plain, loss_of, data(), config=config)
    train(watched, loss_of, data(), config=config, callbacks=[health])
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    (layer,) = health.report.layers
    assert (layer.module, layer.steps, layer.dh.shape) == ("recurrent", 8, (8,))
    assert health.report.update_ratios.keys() == dict(plain.named_parameters()).keys()
    assert watched.recurrent._listen is None


def test_update_ratios_are_those_of_a_step():
    """SGD of one weight: |Δw| / |w| = rate · |g| / |w|."""
    model, health = last_of("gru"), GradientHealth(every=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, loss_of, data(5), config=TrainingConfig(epochs=1, batch_size=5, optimizer="sgd"), callbacks=[health])
    for name, parameter in model.named_parameters():
        ratio = float((parameter.detach() - before[name]).norm() / before[name].norm())
        assert health.report.update_ratios[name] == pytest.approx(ratio, rel=1e-5)


def test_weights_that_hardly_move_or_jump_are_said():
    for rate, said in ((1e-9, "raise the learning rate"), (10.0, "lower the learning rate")):
        health = GradientHealth(every=1)
        config = TrainingConfig(epochs=1, batch_size=20, learning_rate=rate)
        train(last_of("rnn"), loss_of, data(), config=config, callbacks=[health])
        assert said in str(health.report)


def test_looks_must_be_apart_by_a_step():
    with pytest.raises(ArgumentError, match="got 0"):
        GradientHealth(0)
    with pytest.raises(ArgumentTypeError, match=r"^GradientHealth: expected every to be an int, got 'a'; give"):
        GradientHealth("a")


def test_a_batch_run_again_says_where():
    model = last_of("gru")
    x, y = data().tensors
    x[4, 5, 1] = torch.nan
    find = nonfinite_locator(loss_of)
    assert "recurrent layer 0: the first value that is not finite is gate r at step 5, row 4" in find(model, (x, y))
    assert find(model, (x[:4], y[:4])) is None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_batch_run_again_leaves_no_trace():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8), last_of("rnn"))
    x, y = data().tensors
    x[0, 0, 0] = torch.nan
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    random = torch.get_rng_state()

    def loss(model: nn.Module, batch):
        return nn.functional.mse_loss(model[2](model[:2](batch[0]).transpose(0, 1)), batch[1])

    assert "the input" in nonfinite_locator(loss)(model, (x, y))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())


def test_the_report_is_plain_data():
    found = at_the_end(fresh(0, lambda: GRU(2, 3)), torch.randn(5, 2, 2)).report().as_dict()
    assert found["layers"][0]["dc"] is None
    assert len(found["layers"][0]["reach"]) == 5
    assert found["nonfinite"] is None
    assert found["sentences"] == ["layer 0: the gradient reaches back over all 5 steps"]
