"""The loop learns, repeats itself, tells what it does, and gives back what it was lent."""

import re

import pytest
import torch
from torch import nn

from tests.training.problems import LastOutput, Recorder, fresh, squared_error, walk, waves, weights
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.training import Callback, TensorSource, TrainingConfig, mean_loss, train


def line(examples=200):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(examples, 3, generator=generator)
    return TensorSource(x, x @ torch.tensor([[2.0], [-1.0], [0.5]]) + 0.25)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau", "onecycle"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_it_learns_a_line(optimizer, schedule):
    model = fresh(0, lambda: nn.Linear(3, 1))
    config = TrainingConfig(epochs=80, learning_rate=0.05, optimizer=optimizer, schedule=schedule, clip_norm=10.0)
    result = train(model, squared_error, line(), line(50), config)
    assert result.best_loss < 1e-3
    torch.testing.assert_close(model.weight.detach(), torch.tensor([[2.0, -1.0, 0.5]]), atol=0.02, rtol=0)
    torch.testing.assert_close(model.bias.detach(), torch.tensor([0.25]), atol=0.02, rtol=0)


def test_it_learns_waves_with_an_lstm():
    model = fresh(0, LastOutput)
    before = mean_loss(model, squared_error, waves(64))
    result = train(model, squared_error, waves(256), waves(64), TrainingConfig(epochs=20, learning_rate=0.02))
    assert before > 0.2
    assert result.best_loss < 0.005
    assert mean_loss(model, squared_error, waves(64)) == pytest.approx(result.best_loss, rel=1e-6)


def trained(seed=0, ambient=0, model_seed=0):
    """20 examples in batches of 8, dropout on; `ambient` is what the caller's generator happens to be at."""
    model = fresh(model_seed, lambda: LastOutput(dropout=0.3))
    with torch.random.fork_rng():
        torch.manual_seed(ambient)
        state = torch.get_rng_state()
        result = train(model, squared_error, waves(20), waves(9), TrainingConfig(epochs=3, batch_size=8, seed=seed))
        assert torch.equal(torch.get_rng_state(), state)
    return weights(model), [(record.train_loss, record.validation_loss) for record in result.history]


def test_the_same_seed_gives_the_same_bits_whatever_the_callers_generator_is_at():
    (first, losses), (second, again) = trained(ambient=1), trained(ambient=2)
    assert torch.equal(first, second)
    assert losses == again


def test_another_seed_gives_other_bits():
    assert not torch.equal(trained(seed=0)[0], trained(seed=1)[0])


def test_the_seed_sets_the_order_and_the_dropout():
    orders, masks = {}, {}
    for seed in (0, 0, 1):
        seen, dropped = [], []

        def loss(model, batch, seen=seen, dropped=dropped):
            seen.extend(batch[0].tolist())
            dropped.append(nn.functional.dropout(torch.ones(64), 0.5))
            return model.w * 1.0

        model = nn.Module()
        model.w = nn.Parameter(torch.zeros(()))
        train(model, loss, TensorSource(torch.arange(30)), config=TrainingConfig(epochs=2, batch_size=7, seed=seed))
        assert sorted(seen[:30]) == sorted(seen[30:]) == list(range(30))
        assert seen[:30] != seen[30:]
        orders.setdefault(seed, []).append(seen)
        masks.setdefault(seed, []).append(torch.stack(dropped))
    assert orders[0][0] == orders[0][1] != orders[1][0]
    assert torch.equal(masks[0][0], masks[0][1])
    assert not torch.equal(masks[0][0], masks[1][0])


def test_modes_are_those_of_training_and_validation_and_then_the_callers():
    model = LastOutput(dropout=0.5).eval()
    model.head.train()
    seen = []

    def loss(model, batch):
        seen.append((model.training, model.dropout.training, torch.is_grad_enabled()))
        return squared_error(model, batch)

    with torch.no_grad():
        train(model, loss, waves(4), waves(2), TrainingConfig(epochs=2, batch_size=2))
    assert seen == [(True, True, True), (True, True, True), (False, False, False)] * 2
    assert (model.training, model.dropout.training, model.head.training) == (False, False, True)


def test_no_gradient_is_left_behind():
    model = fresh(0, LastOutput)
    train(model, squared_error, waves(4), config=TrainingConfig(epochs=1))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_parameters_stay_and_are_not_counted():
    model, recorder = nn.Linear(3, 1), Recorder()
    model.weight.requires_grad_(False)
    before = model.weight.clone()
    train(model, squared_error, line(), config=TrainingConfig(epochs=2), callbacks=[recorder])
    assert torch.equal(model.weight, before)
    assert recorder.starts[0].parameters == 1


def test_buffers_are_part_of_the_best_weights():
    """BatchNorm's running mean moves with every batch: what is restored is the mean of the best epoch."""
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    means = []

    class Keep(Callback):
        def on_epoch(self, record):
            means.append(model[0].running_mean.clone())

    def loss(model, batch):
        if not model.training:
            return torch.tensor(float((len(means) - 1) ** 2))
        return model(batch[0]).mean()

    train(model, loss, TensorSource(torch.randn(8, 1) + 3), waves(1), TrainingConfig(epochs=4), [Keep()])
    assert torch.equal(model[0].running_mean, means[1])
    assert not torch.equal(means[1], means[3])


def test_the_records_tell_what_happened():
    recorder = Recorder()
    model, result = walk([3.0, 1.0, 2.0], epochs=3, steps_per_epoch=2, callbacks=[recorder])
    (start,) = recorder.starts
    assert (start.model, start.train_examples, start.validation_examples) == (model, 2, 1)
    assert (start.steps_per_epoch, start.total_steps, start.parameters) == (2, 6, 1)
    assert start.config.learning_rate == 1.0
    counted = [(r.epoch, r.epochs, r.step, r.steps_per_epoch, r.global_step) for r in recorder.steps]
    assert counted == [
        (1, 3, 1, 2, 1),
        (1, 3, 2, 2, 2),
        (2, 3, 1, 2, 3),
        (2, 3, 2, 2, 4),
        (3, 3, 1, 2, 5),
        (3, 3, 2, 2, 6),
    ]
    assert [r.loss for r in recorder.steps] == [0, -1, -2, -3, -4, -5]
    assert all((r.learning_rate, r.grad_norm, r.clipped) == (1.0, 1.0, False) for r in recorder.steps)
    seconds = [record.seconds for record in recorder.steps]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert [(r.epoch, r.train_loss, r.validation_loss, r.best, r.steps) for r in recorder.epochs] == [
        (1, -0.5, 3.0, True, 2), (2, -2.5, 1.0, True, 2), (3, -4.5, 2.0, False, 2),
    ]  # fmt: skip
    assert all(r.steps_per_second > 2 / r.seconds for r in recorder.epochs)
    assert result.history == tuple(recorder.epochs)
    assert recorder.ends == [result]
    assert (result.stopped, result.steps) == ("epochs", 6)
    assert result.seconds >= sum(record.seconds for record in result.history)
    assert result.message == "train: all 3 epochs were done; the model holds epoch 2"


def test_a_callback_that_overrides_nothing_does_nothing():
    class Silent(Callback):
        pass

    assert walk(callbacks=[Silent()])[1].stopped == "epochs"


EMPTY = TensorSource(torch.zeros(0))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"train_data": [1]},
            ArgumentTypeError,
            "expected train_data with __len__() and batch(indices), got list",
        ),
        (
            {"validation_data": 3},
            ArgumentTypeError,
            "validation_data with __len__() and batch(indices), got int; wrap",
        ),
        ({"train_data": EMPTY}, ArgumentError, "train: expected at least 1 example in train_data, got 0; give more"),
        ({"validation_data": EMPTY}, ArgumentError, "in validation_data, got 0; give more data or no validation_data"),
        ({"model": nn.Identity()}, ArgumentError, "at least 1 parameter that requires a gradient, got 0; call"),
        (
            {"loss": lambda m, b: torch.tensor(1.0)},
            ArgumentError,
            "loss: expected a scalar that depends on the",
        ),
        ({"loss": lambda m, b: m(b[0])}, ArgumentError, "loss: expected a scalar, got shape (32, 1); return the mean"),
        ({"loss": lambda m, b: 0.5}, ArgumentTypeError, "loss: expected a scalar tensor or a WeightedLoss, got float"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments, error, message):
    usual = {"model": nn.Linear(3, 1), "loss": squared_error, "train_data": line()}
    with pytest.raises(error, match=re.escape(message)):
        train(**(usual | arguments))


@pytest.mark.parametrize("examples", [1, 2])
def test_one_example_is_enough(examples):
    model = fresh(0, lambda: nn.Linear(3, 1))
    result = train(model, squared_error, line(examples), line(1), TrainingConfig(epochs=2, batch_size=2))
    assert result.stopped == "epochs"
