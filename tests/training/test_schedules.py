"""Rates against closed forms written here anew, and against torch's schedulers."""

import math
import re

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from tests.training.problems import Recorder, walk
from throughtime.errors import ArgumentError
from throughtime.training import TrainingConfig
from throughtime.training.schedules import make_schedule


def rates(steps_per_epoch=10, **options):
    config = TrainingConfig(**({"epochs": 4, "learning_rate": 0.1} | options))
    schedule = make_schedule(config, steps_per_epoch)
    return [schedule.rate(step) for step in range(config.epochs * steps_per_epoch)]


def optimizer(rate=0.1):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=rate)


def torch_rates(made, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append(made.param_groups[0]["lr"])
        made.step()
        scheduler.step()
    return found


def test_constant():
    assert rates() == [0.1] * 40


def test_warm_up_is_a_line_that_ends_at_the_full_rate():
    expected = [0.1 * share for share in (0.25, 0.5, 0.75, 1.0, 1.0)]
    assert rates(warmup_steps=4)[:5] == pytest.approx(expected, rel=1e-12)


def test_cosine_at_known_steps():
    found = rates(schedule="cosine")
    assert [found[s] for s in (0, 10, 20, 30)] == pytest.approx(
        [0.1, 0.1 * (1 + math.sqrt(0.5)) / 2, 0.05, 0.1 * (1 - math.sqrt(0.5)) / 2], rel=1e-12
    )
    assert 0 < found[39] < 0.1 * 0.0016


def test_cosine_is_torchs():
    made = optimizer()
    assert rates(schedule="cosine") == pytest.approx(torch_rates(made, CosineAnnealingLR(made, 40), 40), rel=1e-9)


def test_cosine_after_a_warm_up_spans_what_is_left():
    found = rates(schedule="cosine", warmup_steps=20)
    assert [found[s] for s in (0, 19, 20, 30)] == pytest.approx([0.005, 0.1, 0.1, 0.05], rel=1e-12)


@pytest.mark.parametrize("steps_per_epoch", [3, 10, 33])
def test_onecycle_is_torchs(steps_per_epoch):
    made = optimizer()
    steps = 4 * steps_per_epoch
    scheduler = OneCycleLR(made, max_lr=0.1, total_steps=steps, cycle_momentum=False)
    expected = torch_rates(made, scheduler, steps - 1)
    assert rates(steps_per_epoch, schedule="onecycle")[:-1] == pytest.approx(expected, rel=1e-9)


def test_onecycle_at_known_steps():
    found = rates(schedule="onecycle", warmup_steps=11)
    assert [found[s] for s in (0, 5, 10, 39)] == pytest.approx([0.004, (0.004 + 0.1) / 2, 0.1, 4e-7], rel=1e-9)
    assert max(found) == found[10]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_onecycle_of_a_few_steps_stays_finite_and_reaches_no_more_than_the_peak(epochs):
    found = rates(1, schedule="onecycle", epochs=epochs)
    assert all(0 < rate <= 0.1 for rate in found)
    assert found[0] == 0.1


def test_plateau_is_torchs_with_one_epoch_more_of_patience():
    """torch reduces after more than `patience` bad epochs, this after `plateau_patience` of them."""
    losses = [5, 4, 4, 4.1, 3.9, 3.95, 3.95, 3.95, 3.95, 3.95, 3.95, 2, 1.95, 1.92, 1.91]
    config = TrainingConfig(
        learning_rate=0.1, schedule="plateau", plateau_factor=0.3, plateau_patience=3, min_delta=0.1
    )
    schedule = make_schedule(config, 1)
    made = optimizer()
    scheduler = ReduceLROnPlateau(made, factor=0.3, patience=2, threshold=0.1, threshold_mode="abs", eps=0)
    ours, theirs = [], []
    for step, loss in enumerate(losses):
        schedule.end_epoch(loss)
        scheduler.step(loss)
        ours.append(schedule.rate(step))
        theirs.append(made.param_groups[0]["lr"])
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert ours[-1] == pytest.approx(0.1 * 0.3**4)


def test_plateau_hears_the_validation_loss_of_the_loop():
    recorder = Recorder()
    walk(
        [3, 2, 2, 2, 1, 1],
        schedule="plateau",
        plateau_patience=2,
        training=lambda model: (
            model.w / model.w.new_tensor(recorder.epochs[-1].learning_rate if recorder.epochs else 1)
        ),
        callbacks=[recorder],
    )
    assert [record.learning_rate for record in recorder.epochs] == [1, 1, 1, 1, 0.5, 0.5]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_the_loop_uses_the_rate_of_its_schedule(schedule):
    """SGD on the loss w: the weight is minus the sum of the rates."""
    recorder = Recorder()
    model, _ = walk(steps_per_epoch=5, epochs=4, schedule=schedule, warmup_steps=3, callbacks=[recorder])
    expected = rates(5, schedule=schedule, warmup_steps=3, learning_rate=1.0)
    assert [record.learning_rate for record in recorder.steps] == expected
    assert -model.w.item() == pytest.approx(sum(expected), rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau", "onecycle"])
def test_a_warm_up_as_long_as_the_training_is_refused(schedule):
    message = "train: expected warmup_steps below the 8 steps of the training (4 epochs of 2), got 8; give fewer"
    with pytest.raises(ArgumentError, match="^" + re.escape(message)):
        walk(steps_per_epoch=2, epochs=4, warmup_steps=8, schedule=schedule)
