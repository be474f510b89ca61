"""Options tried within a time: the default first, what lags ended early, what ended kept. The task is a formula."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import optuna
import pytest

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks import tuning
from throughtime.tasks.tuning import tune
from throughtime.tasks.tuning_records import REFIT, Between, Choice, Dimension, Tried
from throughtime.training import Callback

RULE = 3.0
"""Of the one baseline, on what decides nothing."""


class Valley:
    """(x − 0.7)² + 0.1 [colour is not red] + 1, but for a colour that leads to no model."""

    task = "valley"

    def __init__(self, pause: float = 0.0, stop_at: int | None = None, offset: float = 1.0) -> None:
        self.pause = pause
        self.stop_at = stop_at
        self.offset = offset
        self.fits: list[tuple[dict[str, Any], float, float | None]] = []

    def question(self) -> Mapping[str, Any]:
        return {"offset": self.offset}

    def space(self, default: Mapping[str, Any]) -> Mapping[str, Dimension]:
        assert default == {"x": 0.1, "colour": "red"}
        return {"x": Between(0.0, 1.0), "colour": Choice(("red", "blue", "broken"))}

    def fit(
        self,
        options: Mapping[str, Any],
        *,
        share: float = 1.0,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Tried:
        self.fits.append((dict(options), share, max_seconds))
        if len(self.fits) == self.stop_at:
            raise KeyboardInterrupt
        values = {"x": 0.1, "colour": "red"} | dict(options)
        if values["colour"] == "broken":
            raise DataError("Valley.fit: expected a colour, got 'broken'")
        time.sleep(self.pause * share)
        error = (values["x"] - 0.7) ** 2 + 0.1 * (values["colour"] != "red") + self.offset
        return Tried(
            error=error / share,
            metric="MAE",
            later={"model": error + 0.5, "rule": RULE},
            values=values,
            seconds=self.pause * share,
            parameters=7,
        )


def test_the_default_comes_first_and_something_better_is_found():
    search = Valley()
    found = tune(search, trials=25, seed=1)
    assert [trial.number for trial in found.trials] == [*range(25)]
    assert (found.default.options, found.default.error) == ({}, pytest.approx(1.36))
    assert search.fits[:2] == [({}, 0.25, None), ({}, 1.0, None)]
    best = found.best
    assert best.error < 1.1
    assert best.error == min(trial.error for trial in found.trials if trial.state == "done")
    assert best.values["colour"] == "red"
    assert found.metric == "MAE"
    assert found.ended == "trials"
    assert f"Trial {best.number} has the least MAE, {best.error:.4g}; the default has 1.36." in found.sentence
    assert f"{best.later['model']:.4g} against 1.86 for the default and 3 for rule" in found.sentence


def test_a_trial_that_lags_ends_after_its_short_training():
    search = Valley()
    found = tune(search, trials=25, seed=1)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert math.isnan(pruned[0].error)
    assert all(trial.options not in [options for options, share, _ in search.fits if share == 1.0] for trial in pruned)
    for trial in pruned:
        before = sorted(t.early for t in found.trials[: trial.number] if t.state == "done")
        assert len(before) >= tuning.UNPRUNED
        middle = (before[(len(before) - 1) // 2] + before[len(before) // 2]) / 2
        assert trial.early > middle
    assert f"{len(pruned)} ended early" in found.sentence


def test_options_that_lead_to_no_model_are_told_and_passed_over():
    found = tune(Valley(), trials=25, seed=1)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert failed
    assert {trial.failure for trial in failed} == {"Valley.fit: expected a colour, got 'broken'"}
    assert f"{len(failed)} failed" in found.sentence


def test_the_same_seed_proposes_the_same_and_another_does_not():
    def options(seed: int) -> list[Mapping[str, Any]]:
        return [trial.options for trial in tune(Valley(), trials=9, seed=seed).trials]

    assert options(3) == options(3) != options(4)


def untimed(found: Any) -> list[dict[str, Any]]:
    return json.loads(json.dumps([{**asdict(trial), "seconds": 0, "last_seconds": 0} for trial in found.trials]))


@pytest.mark.parametrize("stop_at", [1, 2, 3, 12, 13])
def test_interrupted_and_gone_on_with_it_ends_as_if_it_had_not_been(tmp_path, stop_at: int):
    whole = tune(Valley(), trials=12, seed=5)
    with pytest.raises(KeyboardInterrupt):
        tune(Valley(stop_at=stop_at), trials=12, seed=5, folder=tmp_path / "study")
    kept = len([*(tmp_path / "study/trials").iterdir()])
    search = Valley()
    resumed = tune(search, trials=12, seed=5, folder=tmp_path / "study")
    assert untimed(resumed) == untimed(whole)
    assert sum(share < 1 for _, share, _ in search.fits) == 12 - kept, "no trial is made twice"
    again = Valley()
    assert untimed(tune(again, trials=12, seed=5, folder=tmp_path / "study")) == untimed(whole)
    assert again.fits == []
    assert whole.metric == resumed.metric == "MAE"
    more = tune(Valley(), trials=14, seed=5, folder=tmp_path / "study")
    assert untimed(more)[:12] == untimed(whole)
    assert len(more.trials) == 14


def test_the_folder_holds_json_alone(tmp_path):
    tune(Valley(), trials=3, folder=tmp_path / "study")
    names = sorted(str(path.relative_to(tmp_path / "study")) for path in (tmp_path / "study").rglob("*.*"))
    assert names == ["question.json", "trials/0000.json", "trials/0001.json", "trials/0002.json"]
    for name in names:
        json.loads((tmp_path / "study" / name).read_text())


def test_another_question_is_refused(tmp_path):
    tune(Valley(), trials=1, folder=tmp_path / "study")
    with pytest.raises(DataError, match=r"expected the tuning that was begun there.*offset was 1\.0, is 2\.0"):
        tune(Valley(offset=2.0), trials=1, folder=tmp_path / "study")
    with pytest.raises(DataError, match="seed was 0, is 1"):
        tune(Valley(), trials=1, seed=1, folder=tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {"x": 2.0}}, "x 2.0, which this version does not try"),
        ({"options": {"smell": 1}}, "smell 1, which"),
        ({"options": [1]}, "options that are not a table"),
        ({"number": 7}, "trial 7"),
        ({"state": "asleep"}, "'asleep'"),
        ({"seconds": -1.0}, "-1.0 seconds"),
        ({"later": None}, "NoneType"),
        ({"more": 1}, "'more'"),
    ],
)
def test_a_damaged_trial_is_refused_by_name(tmp_path, changes: dict[str, Any], said: str):
    tune(Valley(), trials=2, folder=tmp_path / "study")
    path = tmp_path / "study/trials/0001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DataError, match=r"0001\.json: expected a file that a tuning has written") as refused:
        tune(Valley(), trials=2, folder=tmp_path / "study")
    assert said in str(refused.value)
    path.write_text("{")
    with pytest.raises(DataError, match=r"0001\.json"):
        tune(Valley(), trials=2, folder=tmp_path / "study")


def test_no_trial_is_begun_that_the_time_does_not_hold():
    search = Valley(pause=0.05)
    began = time.monotonic()
    found = tune(search, trials=100, seconds=0.6)
    took = time.monotonic() - began
    assert found.ended == "time"
    assert 2 < len(found.trials) < 50
    assert took < 0.6 - 0.05, "one more fit with the best options still fits"
    limits = [limit for _, _, limit in search.fits]
    assert all(limit is not None and 0.0 < limit < 0.6 for limit in limits)
    assert limits[2] < 0.6 - 0.0625 - REFIT * 0.05


def test_the_time_of_the_folder_counts(tmp_path):
    first = tune(Valley(pause=0.05), trials=100, seconds=0.5, folder=tmp_path / "study")
    second = tune(Valley(pause=0.05), trials=100, seconds=0.5, folder=tmp_path / "study")
    assert len(second.trials) <= len(first.trials) + 3, "near the end only trials that end at once fit in"
    assert len(tune(Valley(), trials=len(first.trials) + 3, seconds=1.0, folder=tmp_path / "study").trials) > len(
        first.trials
    )


def test_a_time_too_short_for_the_default_cuts_it():
    class Cut(Valley):
        def fit(self, options: Mapping[str, Any], **how: Any) -> Tried:
            tried = super().fit(options, **how)
            return Tried(**{**asdict(tried), "seconds": how["max_seconds"], "whole": False})

    found = tune(Cut(), trials=5, seconds=0.4)
    assert len(found.trials) == 1
    assert not found.default.whole
    assert found.refit_seconds == pytest.approx(REFIT * found.default.last_seconds)
    assert found.ended == "time"
    assert "the default stays" in found.sentence


def test_every_fit_is_listened_to():
    labels: list[str] = []

    @contextmanager
    def listen(label: str):
        labels.append(label)
        yield ()

    tune(Valley(), trials=2, listen=listen, seed=2)
    assert labels[:3] == ["trial 0 (the default), short", "trial 0 (the default)", "trial 1, short"]


def test_optuna_is_left_as_it_was(caplog: pytest.LogCaptureFixture):
    before = optuna.logging.get_verbosity()
    tune(Valley(), trials=2)
    assert optuna.logging.get_verbosity() == before
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"trials": 0}, "got 0"),
        ({"seconds": 0.0}, "got 0;"),
        ({"seconds": math.nan}, "got nan"),
        ({"seconds": -3.0}, "got -3"),
        ({"seed": -1}, "got -1"),
    ],
)
def test_values_out_of_range(how: dict[str, Any], said: str):
    with pytest.raises(ArgumentError, match=said):
        tune(Valley(), **how)


@pytest.mark.parametrize(("how", "said"), [({"trials": 2.0}, "2.0"), ({"seconds": "3m"}, "'3m'"), ({"seed": "a"}, "a")])
def test_values_of_another_type(how: dict[str, Any], said: str):
    with pytest.raises(ArgumentTypeError, match=said):
        tune(Valley(), **how)


@pytest.mark.parametrize(("low", "high", "log"), [(1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True)])
def test_an_empty_range_is_refused(low: float, high: float, log: bool):
    with pytest.raises(ArgumentError, match=f"got {low} and {high}"):
        Between(low, high, log)
    with pytest.raises(ArgumentError, match=r"\(1, 1\)"):
        Choice((1, 1))


def test_what_a_dimension_holds():
    assert Choice((1, "a", None)).holds(None)
    assert not Choice((1, "a")).holds(True)
    assert Between(0, 1).holds(1)
    assert not Between(0, 1).holds(1.01)
    assert not Between(0, 1).holds(True)
    assert not Between(0, 1).holds("a")
