"""Ctrl-C anywhere: training returns, with the best weights so far."""

import signal
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from tests.training import restarts
from tests.training.problems import Recorder, Walk, walk
from tests.training.restarts import run
from throughtime.nn import GRU
from throughtime.training import Callback, GradientHealth, TensorSource, loop, train
from throughtime.training.interruption import held_back


@pytest.fixture(autouse=True)
def pythons_own_handler() -> Iterator[None]:
    """A process started in the background of a shell ignores Ctrl-C, and so would these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class CtrlC(Callback):
    """Interrupts at the n-th call of one method."""

    def __init__(self, method: str, call: int = 1) -> None:
        self.left = call
        setattr(self, method, self.count)

    def count(self, _: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


LOSSES = [5.0, 1.0, 2.0, 3.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("method", "call", "epochs", "held"),
    [
        ("on_start", 1, 0, 0),
        ("on_step", 2, 0, 2),  # the first epoch has three steps: no validation yet, the weights of now
        ("on_step", 4, 1, 3),  # in the second epoch: the weights of the first
        ("on_step", 9, 2, 6),  # the last step of the third: the second was the best
        ("on_epoch", 1, 1, 3),
        ("on_epoch", 4, 4, 6),
        ("on_end", 1, 6, 6),
    ],
)
def test_it_keeps_the_best_weights_so_far(method, call, epochs, held):
    recorder = Recorder()
    model, result = walk(LOSSES, steps_per_epoch=3, callbacks=[recorder, CtrlC(method, call)])
    assert result.stopped == "interrupted"
    assert len(result.history) == epochs
    assert model.steps == held
    assert result.best_epoch == (None if epochs == 0 else held // 3)
    assert len(recorder.ends) == 1
    if method != "on_end":
        assert recorder.ends == [result]
        assert "interrupted" in result.message
        assert ("the weights of its last step" in result.message) == (epochs == 0)


def test_in_the_loss():
    def training(model: Walk) -> torch.Tensor:
        if model.steps == 4:
            raise KeyboardInterrupt
        return model.w * 1.0

    model, result = walk(LOSSES, training=training)
    assert (result.stopped, result.best_epoch, model.steps) == ("interrupted", 2, 2)


def test_in_the_validation():
    def validation(epoch: int) -> float:
        if epoch == 4:
            raise KeyboardInterrupt
        return LOSSES[epoch - 1]

    model, result = walk(validation)
    assert (result.stopped, len(result.history), model.steps) == ("interrupted", 3, 2)
    assert model.training


def test_while_the_best_weights_are_copied(monkeypatch):
    """The copy before it stays whole."""
    state_dict = Walk.state_dict
    calls = []

    def interrupted(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return state_dict(self, *args, **kwargs)

    monkeypatch.setattr(Walk, "state_dict", interrupted)
    model, result = walk(LOSSES)
    assert (result.stopped, result.best_epoch, model.steps) == ("interrupted", 1, 1)


def test_a_second_time_while_the_best_weights_are_restored(monkeypatch):
    load_state_dict = nn.Module.load_state_dict
    calls = []

    def interrupted(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return load_state_dict(self, *args, **kwargs)

    monkeypatch.setattr(Walk, "load_state_dict", interrupted)
    model, result = walk(LOSSES, callbacks=[CtrlC("on_epoch", 5)])
    assert (result.stopped, result.best_epoch, model.steps) == ("interrupted", 2, 2)
    assert len(calls) == 2


def test_another_exception_passes_through():
    class Broken(Callback):
        def on_epoch(self, record):
            raise RuntimeError("disk full")

    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="disk full"):
        walk(LOSSES, callbacks=[Broken()])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def uninterrupted():
    return run(None)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


class Press(Callback):
    """A real Ctrl-C in a callback."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, record):
        if record.global_step == self.step:
            press()


class PressInEpoch(Callback):
    def on_epoch(self, record):
        if record.epoch == 2:
            press()


@pytest.mark.parametrize("where", ["step", "validation", "after a step", "after the last step of an epoch", "epoch"])
def test_ctrl_c_keeps_a_checkpoint(tmp_path, monkeypatch, uninterrupted, where):
    """A real signal at step 7 of 25, or as epoch 2 ends: what goes on ends with the bits of a training without it."""
    calls = {True: 0, False: 0}

    def loss(model, batch):
        calls[model.training] += 1
        # Two batches a step; a validation has three.
        if (where, calls[model.training]) in (("step", 13), ("validation", 5)) and model.training == (where == "step"):
            if not model.training:
                torch.rand(3)  # what a validation that is done again has drawn must not show
            press()
        return restarts.noisy_error(model, batch)

    loss.__qualname__ = restarts.noisy_error.__qualname__
    callbacks = {
        "after a step": (Press(7),),
        "after the last step of an epoch": (Press(10),),
        "epoch": (PressInEpoch(),),
    }
    monkeypatch.setattr(restarts, "EVERY_STEPS", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(restarts, "LOSS", loss)
        _, stopped = run(tmp_path / "run", callbacks.get(where, ()))
    assert stopped.stopped == "interrupted"
    ended, result = run(tmp_path / "run")
    expected = {"step": 7, "validation": 10, "after a step": 7, "after the last step of an epoch": 10, "epoch": None}
    assert result.resumed_at == expected[where]
    assert torch.equal(ended, uninterrupted[0])
    assert [r.validation_loss for r in result.history] == [r.validation_loss for r in uninterrupted[1].history]
    assert [r.best for r in result.history] == [r.best for r in uninterrupted[1].history]


def test_between_two_epochs_the_place_is_kept(tmp_path, monkeypatch, uninterrupted):
    """As the third epoch begins, with no step of it made."""
    batches = loop.Batches.epoch
    calls = []

    def interrupted(self, *args):
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return batches(self, *args)

    monkeypatch.setattr(restarts, "EVERY_STEPS", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Batches, "epoch", interrupted)
        assert run(tmp_path / "run")[1].stopped == "interrupted"
    ended, result = run(tmp_path / "run")
    assert result.resumed_at == 10
    assert torch.equal(ended, uninterrupted[0])


def test_a_second_ctrl_c_does_not_wait():
    reached = []

    def twice():
        with held_back():
            press()
            reached.append(1)
            press()
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert reached == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_programs_own_handler_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with held_back():
            press()
            assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("raised", [None, RuntimeError("disk full")])
def test_callbacks_are_closed_last(raised):
    told = []

    class Holds(Callback):
        def on_epoch(self, record):
            if raised is not None:
                raise raised

        def on_end(self, result):
            told.append("end")

        def close(self):
            told.append("close")

    with nullcontext() if raised is None else pytest.raises(RuntimeError, match="disk full"):
        walk(LOSSES, callbacks=[Holds()])
    assert told == (["end", "close"] if raised is None else ["close"])


def test_gradient_health_is_deaf_after_an_exception():
    class Broken(Callback):
        def on_step(self, record):
            raise RuntimeError("disk full")

    model = nn.Sequential(GRU(2, 3))
    source = TensorSource(torch.zeros(4, 5, 2))
    with pytest.raises(RuntimeError, match="disk full"):
        train(
            model,
            lambda model, batch: model(batch[0].transpose(0, 1))[0].square().mean(),
            source,
            callbacks=[Broken(), GradientHealth()],
        )
    assert model[0]._listen is None
