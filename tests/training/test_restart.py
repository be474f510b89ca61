"""After a kill at any moment, training goes on and ends with the same bits."""

import random
import signal
import time
from pathlib import Path

import pytest
import torch

from tests.training.problems import Recorder
from tests.training.restarts import FULL, STEPS, child, run, start
from throughtime.training import Callback
from throughtime.training.checkpoints import checkpoint_paths


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the processes that are killed have: torch's sums differ in the last bit with the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole():
    """The training that nobody interrupts, without a folder."""
    final, result = run(None)
    assert (result.stopped, result.best_epoch) == ("epochs", 5)
    assert 0 < sum(record.skipped_steps for record in result.history) < STEPS / 2
    assert sum(record.clipped_share for record in result.history) > 0
    return final, result


def losses(result):
    return [(r.epoch, r.train_loss, r.validation_loss, r.best, r.learning_rate) for r in result.history]


def assert_same(ended, whole):
    assert torch.equal(ended[0], whole[0])
    assert losses(ended[1]) == losses(whole[1])
    assert (ended[1].best_epoch, ended[1].steps) == (whole[1].best_epoch, whole[1].steps)


def test_checkpoints_change_nothing(whole, tmp_path):
    assert_same(run(tmp_path / "run"), whole)


def test_the_comparison_sees_another_seed(whole):
    assert not torch.equal(run(None, seed=1)[0], whole[0])


class Fail(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, record):
        if record.global_step == self.step:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("step", [1, 2, 5, 6, 13, STEPS])
def test_going_on_from_each_kind_of_place(whole, tmp_path, step):
    """After the first step, in the middle of an epoch, at its end before validation, at the very end."""
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="power cut"):
        run(folder, (Fail(step),))
    recorder = Recorder()
    ended = run(folder, (recorder,))
    assert_same(ended, whole)
    # The failure came before the checkpoint of that step.
    assert (ended[1].resumed_at or 0) == recorder.steps[0].global_step - 1 == step - 1


def test_a_finished_training_is_not_run_again(whole, tmp_path):
    run(tmp_path / "run")
    recorder = Recorder()
    ended = run(tmp_path / "run", (recorder,))
    assert_same(ended, whole)
    assert recorder.steps == []
    assert ended[1].stopped == "epochs"
    assert ended[1].message == whole[1].message


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.9, "ema": None, "on_nonfinite": "skip"},
        {"optimizer": "adamw", "schedule": "constant", "plateau_patience": 5, "accumulate": 1, "workers": 0},
        {"patience": 1, "learning_rate": 0.5},
    ],
)
def test_with_other_options(tmp_path, options):
    whole = run(None, **options)
    for step in (3, 8):
        with pytest.raises(RuntimeError, match="power cut"):
            run(tmp_path / "run", (Fail(step),), **options)
    assert_same(run(tmp_path / "run", **options), whole)
    assert (whole[1].stopped == "patience") == ("patience" in options)


def kill_at_random(folder: Path, seed: int) -> int:
    """Run in a process, and kill it at a moment of the seed's; the step that it had reached."""
    draw = random.Random(seed)
    beat = folder.parent / "beat"

    def reached() -> int:
        return int(beat.read_text() or 0) if beat.exists() else 0

    process = start(child, folder, beat, {})
    step = draw.randint(1, STEPS * 2 // 3)
    while process.is_alive() and reached() < step:
        time.sleep(0.001)
    # A step and its checkpoint take about 15 ms here: this may be in the loss, in the update or in the write.
    time.sleep(draw.uniform(0.0, 0.02))
    process.kill()
    process.join()
    return reached()


def kills(tmp_path: Path, count: int, whole) -> None:
    """So many trainings, each killed at a moment of its own, and then let run."""
    unfinished = 0
    for seed in range(count):
        (tmp_path / str(seed)).mkdir()
        folder = tmp_path / str(seed) / "run"
        unfinished += kill_at_random(folder, seed) < STEPS
        assert_same(run(folder), whole)
        assert not list(folder.glob(".*"))
    assert unfinished >= count / 2, "the kills came too late to show anything"


def test_kill_9_at_three_random_moments(tmp_path, whole):
    kills(tmp_path, 3, whole)


@pytest.mark.slow
def test_kill_9_at_twenty_random_moments(tmp_path, whole):
    kills(tmp_path, 20, whole)


@pytest.mark.parametrize("fatal_sync", [2, 5, 7, 8])
def test_kill_9_during_the_write(tmp_path, whole, fatal_sync):
    """Four calls of fsync a checkpoint: tensors, JSON, the hidden folder, and the folder that it appears in."""
    folder = tmp_path / "run"
    process = start(child, folder, tmp_path / "beat", {}, fatal_sync)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    whole_ones = fatal_sync // 4
    assert len(checkpoint_paths(folder)) == whole_ones
    assert bool(list(folder.glob(".step-*"))) == (fatal_sync % 4 != 0)
    ended = run(folder)
    assert_same(ended, whole)
    assert (ended[1].resumed_at or 0) == whole_ones
    assert not list(folder.glob(".*"))


def test_the_options_of_the_test_use_what_a_checkpoint_holds():
    assert {"accumulate", "schedule", "patience", "ema", "on_nonfinite", "workers"} <= set(FULL)
