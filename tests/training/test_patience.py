"""Early stopping, and which weights are kept."""

import math

import pytest

from tests.training.problems import Recorder, walk
from throughtime.training.patience import Patience

LOSSES = [5.0, 4.0, 3.0, 3.5, 3.2, 3.1, 1.0, 2.0]


def test_patience_counts_epochs_in_a_row():
    patience = Patience(3, 0.0)
    assert [patience.runs_out(loss) for loss in [3, 4, 4, 2, 2, 2, 2, 2, 2, 2]] == [
        False, False, False, False, False, False, True, False, False, True,
    ]  # fmt: skip


def test_an_improvement_is_larger_than_min_delta_over_the_last_improvement():
    patience = Patience(2, 0.5)
    assert [patience.runs_out(loss) for loss in [5, 4.75, 4.5, 4.25, 4.0]] == [False, False, True, False, False]
    assert patience.reference == 4.25


@pytest.mark.parametrize(("patience", "epochs", "best"), [(1, 4, 3), (2, 5, 3), (3, 6, 3), (4, 8, 7), (None, 8, 7)])
def test_training_stops_when_patience_runs_out_and_keeps_the_best_weights(patience, epochs, best):
    model, result = walk(LOSSES, epochs=8, patience=patience)
    assert len(result.history) == epochs
    assert result.stopped == ("epochs" if epochs == 8 else "patience")
    assert (result.best_epoch, result.best_loss) == (best, LOSSES[best - 1])
    assert model.steps == best
    assert f"the model holds epoch {best}" in result.message
    if patience is not None and epochs < 8:
        assert f"no better loss in {patience} epochs" in result.message


def test_best_weights_are_those_of_the_lowest_loss_whatever_min_delta_is():
    model, result = walk([5.0, 4.9, 4.8, 4.7], epochs=4, patience=2, min_delta=0.5)
    assert (result.stopped, len(result.history)) == ("patience", 3)
    assert (result.best_epoch, model.steps) == (3, 3)


def test_of_equal_losses_the_first_is_kept():
    model, result = walk([2.0, 1.0, 1.0, 1.0], epochs=4)
    assert (result.best_epoch, model.steps) == (2, 2)
    assert [record.best for record in result.history] == [True, True, False, False]


def test_without_validation_the_training_loss_decides():
    """The loss (w + 2)² is 4 at the first step, 0 at the third, and rises again."""
    recorder = Recorder()
    model, result = walk(training=lambda m: m.w + (m.w.detach() + 2) ** 2 - m.w.detach(), callbacks=[recorder])
    assert [record.train_loss for record in result.history] == [4, 1, 0, 1, 4, 9]
    assert all(record.validation_loss is None for record in result.history)
    # The loss of an epoch is measured before its last update: epoch 3 ends at −3.
    assert (result.best_epoch, result.best_loss, model.steps) == (3, 0.0, 3)


def test_an_infinite_reference_accepts_the_first_loss():
    assert Patience(1, 0.0).reference == math.inf
    assert Patience(1, 0.0).runs_out(1e300) is False
