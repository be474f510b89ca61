"""What happens to a loss or a gradient that is not finite, beside stopping: skip, rollback; and where it came from."""

import logging
import math

import pytest
import torch
from torch import nn

from tests.training.problems import Recorder, Walk, walk
from throughtime.nn import RNN
from throughtime.training import TensorSource, TrainingConfig, locate_nonfinite, train


class Bad:
    """The loss is NaN at these calls of it, counted from 1."""

    def __init__(self, *calls: int) -> None:
        self.calls = calls
        self.count = 0

    def __call__(self, model: Walk) -> torch.Tensor:
        self.count += 1
        return model.w * (math.nan if self.count in self.calls else 1.0)


def test_skip_leaves_the_step_out(caplog):
    recorder = Recorder()
    model, result = walk(steps_per_epoch=4, epochs=2, training=Bad(2, 7), on_nonfinite="skip", callbacks=[recorder])
    assert (result.stopped, result.steps, model.steps) == ("epochs", 6, 6)
    assert [record.skipped for record in recorder.steps] == [False, True, False, False, False, False, True, False]
    assert [record.global_step for record in recorder.steps] == list(range(1, 9))
    assert [record.skipped_steps for record in result.history] == [1, 1]
    assert [record.train_loss for record in result.history] == [-1.0, -4.0]
    assert len(caplog.records) == 2
    assert "the loss became nan at epoch 1, step 2; before it the loss was 0" in caplog.text
    assert "the step was left out" in caplog.text


def test_skip_takes_the_buffers_back():
    """One NaN in a batch would stay in the running mean of a BatchNorm for good."""
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    data = TensorSource(torch.tensor([[1.0], [2.0], [math.nan], [4.0]]))
    config = TrainingConfig(epochs=1, batch_size=2, on_nonfinite="skip")
    result = train(model, lambda m, b: m(b[0]).square().mean(), data, config=config)
    assert result.history[0].skipped_steps == 1
    assert torch.isfinite(model[0].running_mean).all()
    assert model[0].num_batches_tracked == 1


def test_skipping_everything_stops():
    model, result = walk(training=Bad(1, 2), steps_per_epoch=2, on_nonfinite="skip")
    assert (result.stopped, model.steps) == ("non-finite", 0)
    assert "no step of epoch 1 had a finite loss and gradient; all 2 were left out" in result.message


def test_only_the_first_warnings_are_written(caplog):
    walk(training=Bad(*range(1, 10)), steps_per_epoch=10, epochs=1, on_nonfinite="skip")
    assert len(caplog.records) == 5
    assert caplog.records[-1].getMessage().endswith("further ones are only counted")


def test_rollback_goes_back_and_halves_the_rate(caplog):
    """Steps of 1 to −4, good at −4 after an epoch; the sixth step fails; then halves from −4 on."""
    recorder = Recorder()
    model, result = walk(steps_per_epoch=4, epochs=2, training=Bad(6), on_nonfinite="rollback", callbacks=[recorder])
    assert result.stopped == "epochs"
    assert model.w.item() == -4.0 - 2 * 0.5
    assert [record.learning_rate for record in recorder.steps] == [1.0] * 6 + [0.5] * 2
    assert [record.skipped for record in recorder.steps] == [False] * 5 + [True, False, False]
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "rolled back to the weights after step 4, the learning rate is 0.5 of the schedule's from here on" in message


def test_rollback_takes_the_optimizer_back():
    """With momentum, going on from good weights with the state of bad ones would not be going back."""
    ends = []
    for bad in ((6,), (6, 7)):
        options = {"on_nonfinite": "rollback", "momentum": 0.5}
        ends.append(walk(steps_per_epoch=4, epochs=2, training=Bad(*bad), **options)[0].w.item())
    # After four steps v = 1, 1.5, 1.75, 1.875 and w = −6.125. The fifth is undone with the sixth, that failed.
    assert ends == [-6.125 - 0.5 * (1.9375 + 1.96875), -6.125 - 0.25 * 1.9375]


def test_rollback_gives_up_after_ten_times():
    model, result = walk(training=Bad(*range(2, 20)), steps_per_epoch=30, epochs=1, on_nonfinite="rollback")
    assert result.stopped == "non-finite"
    assert "it was so 10 times before, each time rolled back" in result.message
    assert math.isfinite(model.w.item())


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_gradient_counts_like_a_loss(policy):
    """√|w| has an infinite slope at 0; it is the loss of the first call alone."""
    calls = []

    def training(model):
        calls.append(model)
        return model.w.abs().sqrt() if len(calls) == 1 else model.w * 1.0

    model, result = walk(training=training, steps_per_epoch=3, epochs=1, clip_norm=1.0, on_nonfinite=policy)
    assert (result.stopped, result.history[0].skipped_steps) == ("epochs", 1)
    assert model.w.item() == (-2.0 if policy == "skip" else -1.0)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_validation_loss_ends_the_training(policy):
    _, result = walk([1.0, math.nan], on_nonfinite=policy)
    assert result.stopped == "non-finite"
    assert "the validation loss became nan" in result.message


def test_the_message_says_where_it_came_from():
    """Here and in the place of whoever knows better."""
    data = TensorSource(torch.tensor([[1.0], [math.inf]]))
    loss = lambda m, b: m(b[0]).square().mean()  # noqa: E731
    result = train(nn.Linear(1, 1), loss, data, config=TrainingConfig(batch_size=2))
    assert "the loss became inf (the batch holds inf in tensor 0 at [" in result.message
    result = train(nn.Linear(1, 1), loss, data, locate=lambda model, batch: f"gate f of {type(model).__name__}")
    assert "the loss became inf (gate f of Linear) at epoch 1, step 1" in result.message


def test_it_is_located_in_weights_and_gradients():
    model = nn.Linear(2, 1)
    assert locate_nonfinite(model, {"x": [torch.ones(1), torch.tensor(3)]}) is None
    model.weight.grad = torch.tensor([[0.0, math.inf]])
    assert locate_nonfinite(model, None) == "the gradient of weight holds inf at [0, 1]"
    with torch.no_grad():
        model.bias[0] = -math.inf
    assert locate_nonfinite(model, None) == "the weight bias holds -inf at [0]"


def test_it_is_located_in_the_layers_of_a_model():
    """A ReLU net that grows 1e20-fold a step: past 1e38 at its second step, counted from 0 at its first."""
    model = RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        model.weight_ih_l0.fill_(1.0)
        model.weight_hh_l0.fill_(1e20)
    data = TensorSource(torch.ones(2, 5, 1))
    result = train(model, lambda m, b: m(b[0].transpose(0, 1))[0].mean(), data)
    assert "the loss became inf (layer 0" in result.message
    assert (
        "step 2, row 0, unit 0, in the forward pass; it comes from this step, whose inputs were finite"
        in result.message
    )
