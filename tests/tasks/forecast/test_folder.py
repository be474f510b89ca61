"""Saved and loaded: the same bits, whatever was trained."""

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, forecasts, frame
from throughtime import Forecaster, tasks
from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.nn.layers import LAYERS
from throughtime.tasks.forecast.strategies import STRATEGIES

K = 3


def same_after_loading(model: Forecaster, path, df) -> Forecaster:
    model.save(path)
    loaded = Forecaster.load(path)
    mine, theirs = model.predict(), loaded.predict()
    assert np.asarray(mine["forecast"]).tobytes() == np.asarray(theirs["forecast"]).tobytes()
    assert np.asarray(model.predict(df)["forecast"]).tobytes() == np.asarray(loaded.predict(df)["forecast"]).tobytes()
    assert model.evaluate(df).as_dict() == loaded.evaluate(df).as_dict()
    assert loaded.summary() == model.summary()
    assert loaded.get_params() == model.get_params()
    assert loaded.history_ == model.history_
    assert set(vars(loaded)) == set(vars(model))
    return loaded


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("cell", sorted(LAYERS))
def test_every_strategy_and_cell(strategy, cell, tmp_path):
    df = frame(30, 24)
    model = Forecaster(K, strategy=strategy, cell=cell, hidden_size=3, num_layers=2, dropout=0.1, epochs=1).fit(df)
    same_after_loading(model, tmp_path / "m", df)


@pytest.mark.parametrize("scaling", ["auto", "global", "series", "window", "none"])
@pytest.mark.parametrize("anchor", ["auto", "level", "last", "seasonal"])
def test_every_scaling_and_anchor(scaling, anchor, tmp_path):
    df = frame(30, 24)
    options = {"scaling": scaling, "anchor": anchor, "season_length": 4, "input_size": 6}
    same_after_loading(Forecaster(K, **options, **TINY).fit(df), tmp_path / "m", df)


def stamps() -> dict[str, tuple[object, object]]:
    """30 stamps of every kind, and what a loaded model says comes next (in Polars)."""
    day, hour = datetime.timedelta(days=1), datetime.timedelta(hours=1)
    first, clock = datetime.date(2020, 2, 1), datetime.datetime(2020, 3, 28, 3)
    days = [first + day * i for i in range(33)]
    hours = [clock + hour * i for i in range(33)]
    zoned = pl.Series(hours).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    months = pd.date_range("2019-01-31", periods=33, freq="ME")
    return {
        "polars date": (pl.Series(days[:30]), days[30:]),
        "polars text": (pl.Series([str(d) for d in days[:30]]), [str(d) for d in days[30:]]),
        "polars month text": (
            pl.Series([f"{2019 + i // 12}-{i % 12 + 1:02d}" for i in range(30)]),
            ["2021-07", "2021-08", "2021-09"],
        ),
        "polars integer": (pl.Series(range(1990, 2020)), [2020, 2021, 2022]),
        "polars before 1970": (pl.Series([datetime.date(1900 + i, 1, 1) for i in range(30)]),
                               [datetime.date(1930 + i, 1, 1) for i in range(3)]),
        "polars zoned": (zoned[:30], zoned[30:].to_list()),
        "pandas datetime": (pd.Series(pd.DatetimeIndex(hours[:30])), hours[30:]),
        "pandas month end": (pd.Series(months[:30]), months[30:].to_pydatetime().tolist()),
        "pandas zoned days": (
            pd.Series(pd.date_range("2020-03-01", periods=30, freq="D", tz="Europe/Berlin")),
            pd.date_range("2020-03-31", periods=3, freq="D", tz="Europe/Berlin").to_pydatetime().tolist(),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(stamps()))
def test_every_kind_of_time(name, tmp_path):
    times, later = stamps()[name]
    y = np.sin(np.arange(30.0))
    df = (pl if isinstance(times, pl.Series) else pd).DataFrame({"unique_id": "a", "ds": times, "y": y})
    model = Forecaster(K, season_length=2, **TINY).fit(df)
    loaded = same_after_loading(model, tmp_path / "m", df)
    found = loaded.predict()
    assert isinstance(found, pl.DataFrame)
    assert found["ds"].to_list() == later
    assert type(loaded.predict(df)) is type(df)


def test_ids_that_are_integers_stay_integers(tmp_path):
    df = frame(30, 30).with_columns(unique_id=pl.when(pl.col("unique_id") == "s0").then(7).otherwise(-3))
    found = same_after_loading(Forecaster(K, **TINY).fit(df), tmp_path / "m", df).predict()
    assert found["unique_id"].to_list() == [7] * K + [-3] * K


def test_other_column_names(tmp_path):
    df = frame(30).rename({"unique_id": "shop", "ds": "day", "y": "sales"})
    model = Forecaster(K, id_col="shop", time_col="day", target_col="sales", **TINY).fit(df)
    assert same_after_loading(model, tmp_path / "m", df).predict().columns == ["shop", "day", "forecast"]


def test_a_window_of_one_step_and_a_horizon_of_one(tmp_path):
    df = frame(30)
    same_after_loading(Forecaster(1, input_size=1, **TINY).fit(df), tmp_path / "m", df)


def test_a_segment_longer_than_the_history_that_would_have_been_chosen(tmp_path):
    df = frame(60)
    assert Forecaster(3, **TINY).fit(df).input_size_ < 20
    assert same_after_loading(Forecaster(3, segment_size=20, **TINY).fit(df), tmp_path / "m", df).input_size_ == 20
    with pytest.raises(ArgumentError, match=r"at most 54, .* got 55"):
        Forecaster(3, segment_size=55, **TINY).fit(df)


def test_numpy_numbers_as_parameters(tmp_path):
    df = frame(30)
    model = Forecaster(np.int64(K), seed=np.int64(4), learning_rate=np.float64(0.01), **TINY).fit(df)
    model.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(model).tobytes()
    assert forecasts(Forecaster(K, seed=4, learning_rate=0.01, **TINY).fit(df)).tobytes() == forecasts(model).tobytes()


def test_the_same_model_gives_the_same_files(tmp_path):
    df = frame(30)
    model = Forecaster(K, **TINY).fit(df)
    model.save(tmp_path / "a")
    Forecaster.load(tmp_path / "a").save(tmp_path / "b")
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saving_over_a_model_replaces_it(tmp_path):
    one, two = (Forecaster(K, seed=seed, **TINY).fit(frame(30)) for seed in (1, 2))
    one.save(tmp_path / "m")
    two.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(two).tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_tasks_load_finds_the_estimator(tmp_path):
    model = Forecaster(K, **TINY).fit(frame(30))
    model.save(tmp_path / "m")
    loaded = tasks.load(tmp_path / "m")
    assert type(loaded) is Forecaster
    assert forecasts(loaded).tobytes() == forecasts(model).tobytes()


def test_a_model_of_another_task_is_refused(tmp_path):
    Forecaster(K, **TINY).fit(frame(30)).save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"task": "juggle"}))
    with pytest.raises(ModelFolderError, match="expected a model of task 'forecast', got 'juggle'"):
        Forecaster.load(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"expected a model of a known task \(.*forecast.*\), got 'juggle'"):
        tasks.load(tmp_path / "m")


def test_a_loaded_model_can_be_fitted_again(tmp_path):
    df = frame(30)
    model = Forecaster(K, **TINY).fit(df)
    model.save(tmp_path / "m")
    again = Forecaster.load(tmp_path / "m").fit(df)
    assert forecasts(again).tobytes() == forecasts(model).tobytes()
