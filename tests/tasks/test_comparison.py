"""Cells side by side: the time shared out, what is kept, and what is said. The task here is a line, not a forecast."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from throughtime.datasets import waves_frame
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks import ForecastContest, Forecaster, compare
from throughtime.tasks.comparison_records import Comparison, Run, Scores
from throughtime.training import Callback, RunFolder, TensorSource, TrainingConfig, TrainingResult, train

CELLS = ["line", "parabola", "far"]


class FittedLine:
    """A polynomial of one variable."""

    def __init__(self, model: nn.Linear, training: TrainingResult, error: float) -> None:
        self.training = training
        self.parameters = sum(p.numel() for p in model.parameters())
        self.error = error

    def evaluate(self) -> Scores:
        return Scores({"MAE": self.error, "other": math.nan}, {"zero": {"MAE": 5.0, "other": 1.0}}, "MAE")

    def memory(self) -> tuple[int, int] | None:
        return None


class Lines:
    """Another task than forecasting: y = x² by a line, by a parabola, or far too fast."""

    task = "lines"
    cells = CELLS

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.fits: list[tuple[str, int, int, float]] = []

    def question(self) -> Mapping[str, Any]:
        return {"offset": self.offset}

    def fit(
        self,
        cell: str,
        seed: int,
        *,
        epochs: int,
        max_seconds: float,
        run: RunFolder | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> FittedLine:
        self.fits.append((cell, seed, epochs, max_seconds))
        x = torch.linspace(-1, 1, 64)[:, None]
        powers = torch.cat([x, x**2], dim=1)[:, : 1 + (cell == "parabola")]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = nn.Linear(powers.shape[1], 1)
        size = 1e30 if cell == "far" else 1.0

        def loss(model: nn.Module, batch: Any) -> torch.Tensor:
            return nn.functional.mse_loss(size * model(batch[0]), size * size * batch[1])

        config = TrainingConfig(
            epochs=epochs, learning_rate=0.1, schedule="onecycle", seed=seed, max_seconds=max_seconds
        )
        source = TensorSource(powers, x**2 + self.offset)
        result = train(model, loss, source, config=config, callbacks=callbacks, run=run)
        if result.best_epoch is None and result.stopped == "non-finite":
            raise DataError("Lines.fit: expected a finite loss")
        with torch.no_grad():
            error = float((model(powers) - x**2 - self.offset).abs().mean())
        return FittedLine(model, result, error)


def planned(contest: Lines) -> dict[str, set[tuple[int, float]]]:
    """By cell, the epochs and seconds of its runs, the trials apart."""
    found: dict[str, set[tuple[int, float]]] = {}
    for cell, _, epochs, seconds in contest.fits:
        if epochs < 1_000_000:
            found.setdefault(cell, set()).add((epochs, seconds))
    return found


def test_the_budget_is_shared_out_equally_and_kept():
    contest = Lines()
    found = compare(contest, ["line", "parabola"], seeds=[3, 5], budget=1.26)
    assert found.seconds == pytest.approx(1.26 / (2 * 2.1)) == pytest.approx(0.3)
    trials = [fit for fit in contest.fits if fit[2] == 1_000_000]
    assert [(cell, seed) for cell, seed, _, _ in trials] == [("line", 3), ("parabola", 3)]
    assert all(seconds == pytest.approx(0.03) for *_, seconds in trials)
    assert sum(seconds for *_, seconds in contest.fits) == pytest.approx(1.26)
    plans = planned(contest)
    assert all(len(plan) == 1 for plan in plans.values()), "the seeds of a cell train for the same epochs"
    assert [(run.cell, run.seed) for run in found.runs] == [("line", 3), ("parabola", 3), ("line", 5), ("parabola", 5)]
    for run in found.runs:
        assert run.planned_epochs > 1
        assert 0.0 < run.seconds < 0.3 + 0.2
    assert found.rows["line"].parameters == 2
    assert found.rows["parabola"].parameters == 3
    assert found.rows["line"].memory is None


def test_the_better_cell_wins_and_the_words_say_so():
    found = compare(Lines(), ["line", "parabola"], seeds=[0, 1], budget=1.2)
    line, parabola = found.rows["line"], found.rows["parabola"]
    assert parabola.errors["MAE"] < 0.05 < 0.2 < line.errors["MAE"]
    assert [row.cell for row in found.ranking] == ["parabola", "line"]
    assert line.spread == pytest.approx(np.std([run.errors["MAE"] for run in found.runs if run.cell == "line"], ddof=1))
    assert found.sentence.startswith(f"parabola has the least MAE, {parabola.errors['MAE']:.4g}; line comes next")
    assert "is larger than the spread over 2 seeds" in found.sentence
    assert found.sentence.endswith("It beats every baseline (MAE 5 for zero).")
    assert not any("no result" in note for note in found.notes)


def test_a_cell_that_does_not_stay_finite_is_told_and_the_others_go_on(tmp_path):
    found = compare(Lines(), ["far", "line"], seeds=[0], budget=0.2, folder=tmp_path / "c")
    assert [bool(run.failure) for run in found.runs] == [True, False]
    assert list(found.rows) == ["line"]
    assert found.notes[0].startswith("far with seed 0 has no result: train: ")
    contest = Lines()
    again = compare(contest, ["far", "line"], seeds=[0], budget=0.2, folder=tmp_path / "c")
    assert contest.fits == []
    assert (again.notes, again.sentence) == (found.notes, found.sentence)


class CtrlC(Callback):
    """Interrupts at the n-th epoch."""

    def __init__(self, n: int) -> None:
        self.left = n

    def on_epoch(self, record) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


CtrlC.__abstractmethods__ = frozenset()


def test_an_interrupted_comparison_goes_on_without_loss(tmp_path):
    labels: list[str] = []

    @contextmanager
    def listen(label: str):
        labels.append(label)
        yield (CtrlC(3),) if label.startswith("line, seed 1") else ()

    options: dict[str, Any] = {"seeds": [0, 1], "budget": 1.2, "folder": tmp_path / "c"}
    first = Lines()
    with pytest.raises(KeyboardInterrupt):
        compare(first, ["parabola", "line"], **options, listen=listen)
    assert labels == ["parabola, seed 0 (1 of 4)", "line, seed 0 (2 of 4)", "parabola, seed 1 (3 of 4)", labels[-1]]
    kept = {path: path.read_bytes() for path in (tmp_path / "c" / "runs").iterdir()}
    assert sorted(path.name for path in kept) == ["line-seed0.json", "parabola-seed0.json", "parabola-seed1.json"]

    second = Lines()
    found = compare(second, ["parabola", "line"], **options)
    assert second.fits == [first.fits[-1]], "the one run that had not ended, for the epochs that were planned"
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(found.runs) == 4
    assert [*(tmp_path / "c" / "unfinished").iterdir()] == []

    (tmp_path / "c" / "unfinished" / "line-seed1").mkdir()  # as a kill between two writes leaves it
    third = Lines()
    assert compare(third, ["parabola", "line"], **options) == found
    assert third.fits == []
    assert [*(tmp_path / "c" / "unfinished").iterdir()] == []


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.tasks.test_comparison import Lines
from throughtime.tasks import compare
compare(Lines(), ["line", "parabola"], seeds=range(40), budget=16.0, folder=Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_comparison_goes_on(tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code, folder = KILLED.format(root=root), tmp_path / "c"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    ended = time.monotonic() + 60
    while len([*folder.glob("runs/*.json")]) < 7 and time.monotonic() < ended:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.read_bytes() for path in folder.glob("runs/*.json")}
    assert len(kept) >= 7
    contest = Lines()
    found = compare(contest, ["line", "parabola"], seeds=range(40), budget=16.0, folder=folder)
    assert len(contest.fits) == 80 - len(kept)
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(found.runs) == 80


def test_another_question_is_refused_with_every_difference(tmp_path):
    folder = tmp_path / "c"
    compare(Lines(), ["line", "parabola"], seeds=[0], budget=0.2, folder=folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    with pytest.raises(DataError) as refused:
        compare(Lines(offset=2.0), ["line", "parabola"], seeds=[0, 4], budget=0.3, folder=folder)
    said = str(refused.value)
    assert "seeds was [0], is [0, 4]; budget was 0.2, is 0.3; offset was 0.0, is 2.0" in said
    assert "cells" not in said.partition("got another")[2]
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"got one with thesis\.txt in it"):
        compare(Lines(), ["line", "parabola"], budget=0.2, folder=tmp_path)
    with pytest.raises(DataError, match="got File exists"):
        compare(Lines(), ["line", "parabola"], budget=0.2, folder=tmp_path / "thesis.txt")
    with pytest.raises(DataError, match="got Not a directory"):
        compare(Lines(), ["line", "parabola"], budget=0.2, folder=tmp_path / "thesis.txt" / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


OTHER_RUN = '{"cell": "gru", "seed": 1, "planned_epochs": 1, "errors": {}, "baselines": {}}'


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("runs/line-seed0.json", "{", "got Expecting property name"),
        ("runs/line-seed0.json", "[]", "got a list"),
        ("runs/line-seed0.json", '{"cell": "line"}', "got 'errors'"),
        ("runs/line-seed0.json", OTHER_RUN, "gru and seed 1"),
        ("epochs/line.json", '{"epochs": 0}', "got epochs 0"),
        ("question.json", "null", "got a NoneType"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, text, said):
    folder = tmp_path / "c"
    compare(Lines(), ["line", "parabola"], seeds=[0], budget=0.2, folder=folder)
    (folder / name).write_text(text)
    if name.startswith("epochs"):
        (folder / "runs" / "line-seed0.json").unlink()
    with pytest.raises(DataError, match="delete it, and it is made again") as refused:
        compare(Lines(), ["line", "parabola"], seeds=[0], budget=0.2, folder=folder)
    assert said in str(refused.value)
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("cells", "options", "error", "said"),
    [
        (["line"], {}, ArgumentError, "got line;"),
        ([], {}, ArgumentError, "got none;"),
        (["line", "line"], {}, ArgumentError, "got line, line"),
        (["line", "cubic"], {}, ArgumentError, "among line, parabola, far, got 'cubic'"),
        (["line", "far"], {"seeds": []}, ArgumentError, r"got \[\]"),
        (["line", "far"], {"seeds": [1, 1]}, ArgumentError, r"got \[1, 1\]"),
        (["line", "far"], {"seeds": [-1]}, ArgumentError, "got -1"),
        (["line", "far"], {"seeds": [0.5]}, ArgumentTypeError, "got 0.5"),
        (["line", "far"], {"budget": 0.0}, ArgumentError, "got 0;"),
        (["line", "far"], {"budget": math.nan}, ArgumentError, "got nan"),
        (["line", "far"], {"budget": "10m"}, ArgumentTypeError, "got '10m'"),
    ],
)
def test_what_cannot_be_compared(tmp_path, cells, options, error, said):
    with pytest.raises(error, match=said):
        compare(Lines(), cells, folder=tmp_path / "c", **options)
    assert not (tmp_path / "c").exists()


def run_of(cell: str, seed: int, error: float, **others: Any) -> Run:
    baselines = {"naive": {"MASE": 2.0}, "linear": {"MASE": 1.0}}
    return Run(
        cell=cell, seed=seed, planned_epochs=10, errors={"MASE": error}, baselines=baselines, decisive="MASE", **others
    )


def of(errors: Mapping[str, Sequence[float]], **others: Any) -> Comparison:
    runs = tuple(run_of(cell, seed, e, **others) for cell, values in errors.items() for seed, e in enumerate(values))
    return Comparison(task="t", question={}, cells=tuple(errors), budget=1.0, seconds=0.1, runs=runs)


def test_what_lies_within_the_spread_is_not_called_better():
    # standard deviations 0.1, 0.1 and 0; gru 0.05 behind, rnn 0.7 behind
    found = of({"lstm": [0.7, 0.8, 0.9], "gru": [0.75, 0.85, 0.95], "rnn": [1.5, 1.5, 1.5]})
    assert found.rows["lstm"].spread == pytest.approx(0.1)
    assert found.sentence == (
        "lstm has the least MASE, 0.8; gru comes next with 0.85. The difference, 0.05, is not larger than the spread "
        "over 3 seeds, 0.1: this does not tell lstm from gru. It beats every baseline (MASE 1 for linear)."
    )


def test_what_lies_outside_of_it_is():
    found = of({"gru": [1.5, 1.6], "lstm": [1.1, 1.1]})
    assert found.sentence == (
        "lstm has the least MASE, 1.1; gru comes next with 1.55. The difference, 0.45, is larger than the spread over "
        "2 seeds, 0.071. It does not beat linear (MASE 1 for linear)."
    )


def test_a_single_seed_tells_no_spread():
    found = of({"gru": [2.5], "lstm": [2.4]})
    assert "With a single seed, nothing says" in found.sentence
    assert found.sentence.endswith("It does not beat naive and linear (MASE 1 for linear).")
    assert math.isnan(found.rows["gru"].spread)


def test_nothing_finite_is_said():
    found = of({"gru": [math.nan], "lstm": [math.inf]})
    assert found.sentence == "No cell can be judged: no run has a finite error."


def test_a_run_cut_off_far_from_its_end_is_told():
    found = of({"gru": [0.5, 0.5], "lstm": [0.6, 0.6]}, stopped="budget", steps=30, planned_steps=40)
    whole = replace(found.runs[0], steps=39)
    assert not whole.cut
    found = replace(found, runs=(whole, *found.runs[1:]))
    (note,) = found.notes
    assert note.startswith("3 of 4 runs were cut off before their learning rate came down (gru and lstm; after 75% ")


def test_a_run_that_left_time_unused_is_told():
    found = of({"gru": [0.5, 0.5], "lstm": [0.6, 0.6]}, stopped="epochs", steps=40, planned_steps=40, seconds=0.09)
    assert found.notes == []
    found = replace(found, runs=(*found.runs[:3], replace(found.runs[3], seconds=0.05)))
    (note,) = found.notes
    assert note.startswith("1 of 4 runs did their epochs in less than their time (lstm; 50% of it at worst)")


def test_as_plain_data():
    told = of({"gru": [0.5, 0.7], "lstm": [0.6, 0.6]}).as_dict()
    assert told["cells"]["gru"]["errors"] == {"MASE": 0.6}
    assert told["baselines"] == {"naive": {"MASE": 2.0}, "linear": {"MASE": 1.0}}
    assert [run["seed"] for run in told["runs"]] == [0, 1, 0, 1]
    assert json.loads(json.dumps(told))["decisive"] == "MASE"


def test_forecasters_side_by_side(tmp_path):
    frame = waves_frame(12, seed=0)
    contest = ForecastContest(frame, 3, hidden_size=4, num_layers=1, n_windows=2)
    found = compare(contest, ["rnn", "lstm"], seeds=[0], budget=0.4, folder=tmp_path / "c")
    assert found.decisive == "MASE"
    assert set(found.baselines) == {"naive", "linear"}
    for run in found.runs:
        assert set(run.errors) >= {"MSE", "MAE", "sMAPE", "MASE"}
        assert run.memory is not None
        assert run.memory_limit is not None
        assert 1 <= run.memory <= run.memory_limit
    assert found.rows["lstm"].parameters > found.rows["rnn"].parameters
    fitted = contest.fit("lstm", 0, epochs=2, max_seconds=60.0)
    again = fitted.forecaster.evaluate(frame, n_windows=2)
    assert again.seen_windows == 0, "what is judged was not learnt from"
    assert fitted.evaluate().errors == again.metrics["throughtime"]
    other = ForecastContest(frame, 4, hidden_size=4, num_layers=1, n_windows=2)
    with pytest.raises(DataError, match=r"horizon was 3, is 4"):
        compare(other, ["rnn", "lstm"], seeds=[0], budget=0.4, folder=tmp_path / "c")
    other = ForecastContest(frame.with_columns(frame["y"] + 1.0), 3, hidden_size=4, num_layers=1, n_windows=2)
    with pytest.raises(DataError, match=r"data was .*, is "):
        compare(other, ["rnn", "lstm"], seeds=[0], budget=0.4, folder=tmp_path / "c")


def test_a_forecaster_stops_when_its_time_is_over():
    frame = waves_frame(12, seed=0)
    model = Forecaster(3, hidden_size=4, num_layers=1, epochs=100_000).fit(frame, max_seconds=0.05)
    assert model.history_.stopped == "budget"
    assert 0.05 <= model.history_.seconds < 2.0
    with pytest.raises(ArgumentError, match="max_seconds above 0, got 0"):
        model.fit(frame, max_seconds=0.0)


@pytest.mark.parametrize(("length", "windows"), [(300, 5), (30, 2), (29, 1), (12, 1)])
def test_how_many_origins_where_none_are_asked_for(length, windows):
    frame = waves_frame(1, seed=0, n_steps=length)
    assert ForecastContest(frame, 5).n_windows == windows


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "gru"}, "got 'cell'"),
        ({"epochs": 3}, "got 'epochs'"),
        ({"hiden_size": 3}, "got 'hiden_size'"),
        ({"hidden_size": 0}, "got 0"),
        ({"n_windows": 0}, "got 0"),
        ({"step_size": -1}, "got -1"),
        ({"n_windows": 50}, "for 50 windows of 3"),
    ],
)
def test_contests_that_cannot_be(options, said):
    with pytest.raises((ArgumentError, DataError), match=said):
        ForecastContest(waves_frame(2, seed=0), 3, **options)
