"""A loss or gradient that is not finite ends the training before it reaches a weight."""

import logging
import math

import pytest

from tests.training.problems import Recorder, walk


def explode_at(step, value):
    return lambda model: model.w + (value if model.steps == step else 0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_loss(value, caplog):
    recorder = Recorder()
    model, result = walk([3.0, 2.0, 1.0], steps_per_epoch=2, training=explode_at(3, value), callbacks=[recorder])
    assert result.stopped == "non-finite"
    assert (result.best_epoch, model.steps, result.steps) == (1, 2, 3)
    assert result.message == (
        f"train: the loss became {value} at epoch 2, step 2; before it the loss was -2 and the gradient norm 1; "
        "lower learning_rate=1 or give clip_norm=1.0; the model holds epoch 1"
    )
    assert recorder.ends == [result]
    assert caplog.record_tuples == [("throughtime.training", logging.WARNING, result.message)]


def test_the_gradient_where_the_loss_is_finite():
    """√|w| has an infinite slope at 0."""
    model, result = walk(training=lambda m: m.w.abs().sqrt() if m.steps == 0 else m.w * 1.0, clip_norm=1.0)
    assert result.stopped == "non-finite"
    assert "the gradient norm became" in result.message
    assert "at epoch 1, step 1; it was the first step; lower learning_rate=1; the model holds the weights of its" in (
        result.message
    )
    assert (model.w.item(), result.best_epoch, result.steps) == (0.0, None, 0)


def test_the_validation_loss():
    model, result = walk([3.0, math.nan], steps_per_epoch=2)
    assert result.stopped == "non-finite"
    assert "the validation loss became nan at epoch 2, step 2" in result.message
    assert (result.best_epoch, model.steps, len(result.history)) == (1, 2, 1)


def test_a_real_explosion():
    """SGD on (w − 1)² with rate 10: w − 1 grows 19-fold a step until float32 ends."""
    losses = [1.0] + [2.0] * 99
    model, result = walk(losses.__getitem__, training=lambda model: (model.w - 1) ** 2, epochs=100, learning_rate=10.0)
    assert result.stopped == "non-finite"
    assert "the loss became inf at epoch" in result.message
    assert "lower learning_rate=10 or give clip_norm=1.0" in result.message
    assert result.best_epoch == 1
    assert model.w.item() == 20.0
