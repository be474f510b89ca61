"""Forecasting as something to tune: which windows decide, what varies, and that a trial is the fit it says it is."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from throughtime.errors import ArgumentError, DataError
from throughtime.tasks import Forecaster, ForecastSearch, tune
from throughtime.tasks.tuning_records import Between, Choice
from throughtime.training import Callback, EpochRecord, TrainingStart

QUICK = {"hidden_size": 4, "input_size": 8, "epochs": 4}


def frame(lengths: tuple[int, ...] = (60, 60), gap: int | None = None) -> pl.DataFrame:
    """Monthly series; in the first, the value at `gap` is missing."""
    starts = pl.datetime_range(pl.datetime(2015, 1, 1), pl.datetime(2035, 1, 1), "1mo", eager=True)
    parts = []
    for i, n in enumerate(lengths):
        t = np.arange(n)
        y = 100 + 10 * i + 20 * np.sin(t * np.pi / 6) + np.random.default_rng(i).normal(size=n)
        if gap is not None and not i:
            y[gap] = np.nan
        parts.append(pl.DataFrame({"unique_id": f"s{i}", "ds": starts[:n], "y": y}))
    return pl.concat(parts)


@pytest.mark.parametrize(
    ("length", "given", "windows"),
    [
        (60, {}, (2, 1)),
        (30, {}, (1, 0)),
        (200, {}, (4, 2)),
        (60, {"n_windows": 2}, (2, 1)),
        (60, {"n_windows": 4, "n_later": 0}, (4, 0)),
        (60, {"n_windows": 1, "n_later": 3}, (1, 3)),
    ],
)
def test_what_is_held_out(length: int, given: dict[str, int], windows: tuple[int, int]):
    search = ForecastSearch(frame((length, length + 7)), 6, **given)
    assert (search.n_windows, search.n_later) == windows
    held = 6 * sum(windows)
    assert search._seen.lengths.tolist() == [length - held, length + 7 - held]
    assert search._deciding.lengths.tolist() == [length - 6 * windows[1], length + 7 - 6 * windows[1]]


def test_a_trial_is_the_fit_that_it_says_it_is():
    search = ForecastSearch(frame(), 6, **QUICK)
    tried = search.fit({"learning_rate": 0.004, "linear": True})
    first = frame().group_by("unique_id", maintain_order=True).head(60 - 18)
    own = Forecaster(6, **QUICK, learning_rate=0.004, linear=True, refit=False).fit(first)
    seen = frame().group_by("unique_id", maintain_order=True).head(60 - 6)
    assert tried.error == own.evaluate(seen, n_windows=2).metrics["throughtime"]["MASE"]
    assert tried.metric == "MASE"
    later = own.evaluate(frame()).metrics
    assert tried.later == {"model" if k == "throughtime" else k: row["MASE"] for k, row in later.items()}
    assert tried.parameters == own.n_parameters_
    assert tried.values["learning_rate"] == 0.004
    assert tried.values["hidden_size"] == 4
    assert tried.whole


def test_a_share_is_one_of_the_epochs_with_a_schedule_that_ends():
    class Listener(Callback):
        rates: list[float]

        def on_start(self, start: TrainingStart) -> None:
            self.epochs, self.rates = start.config.epochs, []

        def on_epoch(self, record: EpochRecord) -> None:
            self.rates.append(record.learning_rate)

    heard = Listener()
    search = ForecastSearch(frame(), 6, hidden_size=4, input_size=8, epochs=8)
    short = search.fit({}, share=0.25, callbacks=(heard,))
    assert heard.epochs == 2
    assert heard.rates[-1] < 1e-4
    assert short.later == {}
    whole = ForecastSearch(frame(), 6, hidden_size=4, input_size=8)
    whole.fit({}, share=0.01, callbacks=(heard,))
    assert heard.epochs == 1, "where the epochs were left open, they are asked for first"


def test_a_fit_that_the_time_cut_is_not_whole():
    assert not ForecastSearch(frame(), 6, **QUICK).fit({}, max_seconds=1e-6).whole


def test_the_space_lies_around_the_default_and_leaves_alone_what_was_given():
    search = ForecastSearch(frame((120, 120)), 6, epochs=1)
    default = search.fit({}).values
    space = search.space(default)
    assert set(space) == set(default) == {
        "strategy", "hidden_size", "num_layers", "dropout", "input_size", "linear", "loss", "learning_rate"
    }  # fmt: skip
    assert [name for name, dimension in space.items() if not dimension.holds(default[name])] == []
    H = default["hidden_size"]
    assert space["hidden_size"] == Choice((H // 2, H, 2 * H))
    assert isinstance(space["learning_rate"], Between)
    assert space["learning_rate"].log
    for name, values in (("input_size", space["input_size"]), ("strategy", space["strategy"])):
        assert isinstance(values, Choice)
        for value in values.values:
            search.fit({name: value})
    fixed = ForecastSearch(frame((120, 120)), 6, epochs=1, hidden_size=4, loss="quantiles")
    space = fixed.space(fixed.fit({}).values)
    assert {"hidden_size", "loss"} & set(space) == set()


def test_a_distribution_is_judged_as_one():
    tried = ForecastSearch(frame(), 6, **QUICK, loss="gaussian").fit({})
    assert tried.metric == "WQL"
    assert 0.0 < tried.error < 1.0


def test_another_table_or_option_is_another_question():
    first = ForecastSearch(frame(), 6).question()
    assert first == ForecastSearch(frame(), 6).question()
    assert first != ForecastSearch(frame((60, 61)), 6).question()
    assert first != ForecastSearch(frame(), 6, hidden_size=None).question(), "what was given stays"
    assert first != ForecastSearch(frame(), 6, n_windows=1).question()


def test_the_whole_way(tmp_path):
    search = ForecastSearch(frame(gap=20), 6, **QUICK)
    found = tune(search, trials=3, folder=tmp_path / "study")
    assert [trial.state for trial in found.trials] == ["done"] * 3
    model = search.forecaster(found.best.options).fit(frame(gap=20))
    assert model.predict().height == 12


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"colour": 1}, ArgumentError, "got 'colour'"),
        ({"n_later": -1}, ArgumentError, "got -1"),
        ({"n_windows": 0}, ArgumentError, "got 0"),
        ({"n_windows": 30}, DataError, "for 30 windows of 6, got 60 in series 's0'"),
        ({"strategy": "magic"}, ArgumentError, "'magic'"),
    ],
)
def test_bad_input(how: dict[str, Any], error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        ForecastSearch(frame(), 6, **how)
