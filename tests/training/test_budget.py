"""max_seconds is looked at after every step."""

import time

import pytest

from tests.training.problems import Recorder, walk
from throughtime.training import Callback


class Clock(Callback):
    """A clock that moves one second a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def on_step(self, record: object) -> None:
        self.now += 1.0


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_an_epoch_that_it_cuts_short_is_validated_and_counts(clock):
    model, result = walk([2.0, 1.0], steps_per_epoch=3, max_seconds=3.5, callbacks=[clock])
    assert (result.stopped, result.steps) == ("budget", 4)
    assert [record.steps for record in result.history] == [3, 1]
    assert (result.best_epoch, model.steps) == (2, 4)
    assert "the budget of 3.5 seconds was spent" in result.message


def test_the_cut_epoch_is_not_the_best_by_being_the_last(clock):
    model, result = walk([1.0, 2.0], steps_per_epoch=3, max_seconds=3.5, callbacks=[clock])
    assert (result.stopped, result.best_epoch, model.steps) == ("budget", 1, 3)


def test_without_validation_a_cut_epoch_is_no_best_beside_a_whole_one(clock):
    model, result = walk(steps_per_epoch=4, max_seconds=5.5, callbacks=[clock])
    assert [(record.steps, record.best) for record in result.history] == [(4, True), (2, False)]
    assert (result.best_epoch, model.steps) == (1, 4)


def test_without_validation_a_cut_first_epoch_is_kept(clock):
    model, result = walk(steps_per_epoch=4, max_seconds=1.5, callbacks=[clock])
    assert (result.best_epoch, model.steps, result.stopped) == (1, 2, "budget")


def test_a_training_that_ends_in_its_last_step_has_done_all_epochs(clock):
    _, result = walk(steps_per_epoch=2, epochs=2, max_seconds=3.5, callbacks=[clock])
    assert (result.stopped, result.steps) == ("epochs", 4)


def test_it_ends_near_the_limit_by_the_real_clock():
    class Slow(Callback):
        def on_step(self, record: object) -> None:
            time.sleep(0.01)

    recorder = Recorder()
    _, result = walk(steps_per_epoch=1000, max_seconds=0.1, callbacks=[recorder, Slow()])
    assert result.stopped == "budget"
    assert 2 <= len(recorder.steps) <= 11
    assert result.seconds > 0.1
