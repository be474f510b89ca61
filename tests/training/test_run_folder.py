"""The folder of a run: what is refused, what is survived, and what is said."""

import json
import logging
import os
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.problems import LastOutput, Recorder, fresh, squared_error, waves, weights
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.nn import GRU, RNN
from throughtime.training import RunFolder, TensorSource, TrainingConfig, train
from throughtime.training.checkpoints import checkpoint_paths


def trained(folder, *, steps=6, every=2, epochs=2, data=None, validation=None, model=None, about=None, **options):
    """Two epochs of three steps, a checkpoint after every second step."""
    model = fresh(0, lambda: LastOutput(dropout=0.2)) if model is None else model
    run = (
        None
        if folder is None
        else RunFolder(path=folder, resume=True, every_steps=every, log_every=1, about=about or {})
    )
    config = TrainingConfig(epochs=epochs, batch_size=4, **options)
    recorder = Recorder()
    result = train(model, squared_error, data or waves(12), validation, config, [recorder], run=run)
    return weights(model), result, recorder


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_last_two_are_kept(tmp_path):
    trained(tmp_path / "run", epochs=4)
    assert [path.name for path in checkpoint_paths(tmp_path / "run")] == ["step-000000000012", "step-000000000012-end"]
    for path in checkpoint_paths(tmp_path / "run"):
        assert sorted(file.name for file in path.iterdir()) == ["state.json", "state.safetensors"]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "a bit of the tensors": lambda path: flip(path / "state.safetensors"),
    "a bit of the JSON": lambda path: flip(path / "state.json"),
    "cut tensors": lambda path: os.truncate(path / "state.safetensors", 100),
    "empty JSON": lambda path: (path / "state.json").write_bytes(b""),
    "no tensors": lambda path: (path / "state.safetensors").unlink(),
    "no files": lambda path: [file.unlink() for file in path.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path, caplog, damage):
    whole, _, _ = trained(None, epochs=4)
    folder = tmp_path / "run"
    trained(folder, epochs=4)
    before, last = checkpoint_paths(folder)
    damage(last)
    ended, result, _ = trained(folder, epochs=4)
    assert torch.equal(ended, whole)
    assert result.resumed_at == 12
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"a checkpoint is damaged and left aside: {last.name} (" in warning
    assert warning.endswith(f"{before.name} is used instead")
    assert len(list(folder.glob(f"damaged-{last.name}-*"))) == 1


def test_an_older_one_leads_to_the_same_end(tmp_path):
    whole, _, _ = trained(None, epochs=4)
    folder = tmp_path / "run"
    trained(folder, epochs=4, every=5)
    for path in checkpoint_paths(folder)[1:]:
        flip(path / "state.json")
    ended, result, recorder = trained(folder, epochs=4, every=5)
    assert (result.resumed_at, recorder.starts[0].resumed_at, recorder.steps[0].global_step) == (10, 10, 11)
    assert torch.equal(ended, whole)


def test_damaged_ones_alone_are_refused(tmp_path):
    folder = tmp_path / "run"
    trained(folder)
    for path in checkpoint_paths(folder):
        flip(path / "state.json")
    with pytest.raises(DataError, match=r"run: expected a whole checkpoint, got damaged ones only: step-0+6-end \("):
        trained(folder)


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("throughtime.training.checkpoints.FORMAT_VERSION", 2)
    trained(tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(DataError, match="expected checkpoint format 1 or older, got 2; update throughtime"):
        trained(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"seed": 3}, "option seed was 0, is 3"),
        ({"epochs": 9}, "option epochs was 2, is 9"),
        ({"clip_norm": None}, "option clip_norm was 1.0, is None"),
        ({"data": waves(13)}, "training data was 12 examples, "),
        ({"data": TensorSource(*(t + 1e-6 for t in waves(12).tensors))}, "training data was 12 examples, "),
        ({"validation": waves(2)}, "validation data was none, is 2 examples, "),
        ({"model": LastOutput(dropout=0.3)}, "Dropout(p=0.2, inplace=False), is   (dropout): Dropout(p=0.3, inplace"),
        (
            {"model": LastOutput(dropout=0.2).double()},
            "parameter lstm.weight_ih_l0 was torch.float32 (32, 1), is torch.",
        ),
        ({"about": {"speaker": "B"}}, "speaker was not there, is B"),
    ],
)
def test_another_training_is_refused_with_the_differences(tmp_path, changes, difference):
    folder = tmp_path / "run"
    trained(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(DataError, match=r"step-0+6-end: expected the training that wrote it, got another: ") as caught:
        trained(folder, **changes)
    assert difference in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_every_difference_is_listed(tmp_path):
    trained(tmp_path / "run")
    with pytest.raises(DataError, match=r"option ema was None, is 0\.5; option seed was 0, is 1; give what") as caught:
        trained(tmp_path / "run", seed=1, ema=0.5)
    assert str(caught.value).count(", is ") == 2


def test_the_budget_and_the_workers_may_change(tmp_path):
    whole, _, _ = trained(None, epochs=4)
    _, cut, _ = trained(tmp_path / "run", epochs=4, max_seconds=1e-9)
    assert (cut.stopped, cut.steps) == ("budget", 1)
    again = trained(tmp_path / "run", epochs=4, max_seconds=1e-9)
    assert (again[1].stopped, again[1].steps) == ("budget", 1)
    ended, result, _ = trained(tmp_path / "run", epochs=4, workers=2)
    assert (result.stopped, result.resumed_at) == ("epochs", 1)
    assert torch.equal(ended, whole)


def test_a_folder_with_checkpoints_is_not_trained_over(tmp_path):
    trained(tmp_path / "run")
    with pytest.raises(DataError, match=r"expected a folder without a training, got step-0+6-end in it; give resume="):
        train(LastOutput(), squared_error, waves(4), run=RunFolder(path=tmp_path / "run"))


def test_a_log_is_not_written_over(tmp_path):
    """Somebody's own file, or what is left of a training whose checkpoints were removed."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text("precious\n")
    with pytest.raises(DataError, match=r"without a training, got log\.jsonl in it"):
        train(LastOutput(), squared_error, waves(4), run=RunFolder(path=tmp_path / "run"))
    assert (tmp_path / "run" / "log.jsonl").read_text() == "precious\n"


def test_a_path_below_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    recorder = Recorder()
    with pytest.raises(DataError, match="run: expected a folder to write checkpoints in, got Not a directory; give"):
        train(
            LastOutput(), squared_error, waves(4), callbacks=[recorder], run=RunFolder(path=tmp_path / "file" / "run")
        )
    assert recorder.starts == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every_steps": 0}, ArgumentError, "expected every_steps above 0 and finite, got 0"),
        ({"every_minutes": float("inf")}, ArgumentError, "expected every_minutes above 0 and finite, got inf"),
        ({"log_every": "3"}, ArgumentTypeError, "expected log_every to be a number, got '3'"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=f"^RunFolder: {message}"):
        RunFolder(path="x", **options)


def test_a_path_must_be_one():
    with pytest.raises(ArgumentTypeError, match=r"^RunFolder: expected path to be a path, got None; give"):
        RunFolder(path=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "run"}, "run to be a RunFolder or None, got 'run'; give a RunFolder"),
        ({"config": {"epochs": 2}}, "config to be a TrainingConfig or None, got {'epochs': 2}; give a TrainingConfig"),
        ({"model": None}, "model to be a Module, got None; give a Module"),
    ],
)
def test_what_train_is_given(change, message):
    given = {"model": LastOutput(), "loss": squared_error, "train_data": waves(4)} | change
    with pytest.raises(ArgumentTypeError, match=f"^train: expected {re.escape(message)}"):
        train(**given)


class Recurrence(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x_BTI):
        return self.layer(x_BTI.transpose(0, 1))[0][-1, :, :1]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (lambda: RNN(1, 3), lambda: RNN(1, 3, nonlinearity="relu"), "layer layer was rnn_tanh.*, is rnn_relu"),
        (
            lambda: GRU(1, 3),
            lambda: GRU(1, 3, backend="reference"),
            "layer layer was gru, backend native, is gru, backend reference",
        ),
    ],
)
def test_another_recurrence_is_refused(tmp_path, first, second, message):
    loss = lambda model, batch: model(batch[0]).square().mean()  # noqa: E731
    for layer, refused in ((first(), False), (second(), True)):
        with pytest.raises(DataError, match=message) if refused else nullcontext():
            train(
                Recurrence(layer),
                loss,
                TensorSource(torch.zeros(4, 5, 1)),
                config=TrainingConfig(epochs=1),
                run=RunFolder(path=tmp_path / "run", resume=True),
            )


def test_numbers_of_numpy_in_about_are_numbers(tmp_path):
    trained(tmp_path / "run", about={"size": np.int64(3)})
    assert trained(tmp_path / "run", about={"size": 3})[1].resumed_at == 6


def test_about_must_be_json(tmp_path):
    with pytest.raises(ArgumentError, match=r"RunFolder.about: expected JSON values, got .*'when'.* give numbers"):
        trained(tmp_path / "run", about={"when": object()})


def test_a_checkpoint_by_the_clock(tmp_path, monkeypatch):
    run = RunFolder(path=tmp_path / "run", every_minutes=1e-9)
    train(LastOutput(), squared_error, waves(12), config=TrainingConfig(epochs=1, batch_size=4), run=run)
    assert [line["step"] for line in lines(tmp_path / "run") if line["event"] == "checkpoint"] == [1, 2, 3, 3]


def test_the_log_tells_all_in_lines_of_json(tmp_path):
    _, result, recorder = trained(tmp_path / "run", validation=waves(3))
    log = lines(tmp_path / "run")
    events = [line["event"] for line in log]
    assert events[:2] == ["start", "identity"]
    assert events[-1] == "end"
    assert log[0]["parameters"] == recorder.starts[0].parameters
    assert [line["loss"] for line in log if line["event"] == "step"] == [record.loss for record in recorder.steps]
    assert [line["validation_loss"] for line in log if line["event"] == "epoch"] == [
        record.validation_loss for record in result.history
    ]
    assert log[-1]["message"] == result.message


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path):
    """What was logged after the last checkpoint is cut off, since it happens again."""
    trained(tmp_path / "run", epochs=4, every=5)
    for path in checkpoint_paths(tmp_path / "run")[1:]:
        flip(path / "state.json")
    trained(tmp_path / "run", epochs=4, every=5)
    log = lines(tmp_path / "run")
    assert [line["global_step"] for line in log if line["event"] == "step"] == list(range(1, 13))
    assert [line["step"] for line in log if line["event"] == "resume"] == [10]


def test_a_failed_write_is_said_and_survived(tmp_path, monkeypatch, caplog):
    whole, _, _ = trained(None, epochs=4)
    folder, fsync, calls = tmp_path / "run", os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 6:  # the second file of the second checkpoint
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    ended, result, _ = trained(folder, epochs=4)
    assert torch.equal(ended, whole)
    assert result.stopped == "epochs"
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning == (
        f"train: no checkpoint at step 4: No space left on device in {folder}; step-000000000002 stays the last one"
    )
    assert "warning" in [line["event"] for line in lines(folder)]
    assert not list(folder.glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path, caplog):
    """A tmpfs with room for one checkpoint and a half of this model."""
    model = nn.Sequential(nn.Linear(1, 100), nn.Linear(100, 100), nn.Flatten(1), nn.Linear(1200, 1))
    where = tmp_path / "small"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320k", "none", where], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs here: {mounted.stderr.strip()}")
    try:
        _, result, _ = trained(where / "run", model=model)
        assert result.stopped == "epochs"
        assert any("No space left on device" in record.getMessage() for record in caplog.records)
        (kept,) = checkpoint_paths(where / "run")
        assert kept.name == "step-000000000002"
        again = fresh(
            1, lambda: nn.Sequential(nn.Linear(1, 100), nn.Linear(100, 100), nn.Flatten(1), nn.Linear(1200, 1))
        )
        ended, result, _ = trained(where / "run", model=again)
        assert result.resumed_at == 2
        assert torch.equal(ended, weights(model))
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_log_that_cannot_be_written_is_said_and_survived(tmp_path, caplog):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "log.jsonl").symlink_to("/dev/full")
    _, result, _ = trained(folder)
    assert result.stopped == "epochs"
    assert any("log.jsonl ends here: No space left on device" in record.getMessage() for record in caplog.records)
    assert checkpoint_paths(folder)


def test_tied_weights_and_extra_state(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(1, 1)
            self.b = nn.Linear(1, 1)
            self.b.weight = self.a.weight
            self.calls = 0

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

        def forward(self, x):
            self.calls += self.training
            return self.b(self.a(x))[:, -1]

    found = trained(tmp_path / "run", model=Tied())
    again = Tied()
    torch.testing.assert_close(trained(tmp_path / "run", model=again)[0], found[0], rtol=0, atol=0)
    assert again.a.weight is again.b.weight
    assert again.calls == 6
