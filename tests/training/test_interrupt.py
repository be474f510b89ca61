"""Ctrl-C anywhere: training returns, with the best weights so far."""

import pytest
import torch
from torch import nn

from tests.training.problems import Recorder, Walk, walk
from throughtime.training import Callback


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
