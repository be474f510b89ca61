"""What nets read beside the values: the calendar, covariates, statics, and the series itself."""

import datetime
import json

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, forecasts
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.errors import DataError
from throughtime.tasks.forecast.features import Inputs, choose_calendar
from throughtime.tasks.forecast.holiday_inputs import HolidayInputs
from throughtime.tasks.forecast.windows import training_windows

K = 3


def daily(n: int, ids: str = "ab") -> pl.DataFrame:
    """Daily series with a past, a known-future and two static columns; y follows the known-future one."""
    rng = np.random.default_rng(0)
    parts = []
    for i, name in enumerate(ids):
        promo = (rng.random(n) < 0.3).astype(float)
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": name,
                    "ds": [datetime.date(2020, 1, 1) + datetime.timedelta(t) for t in range(n)],
                    "y": 2.0 * promo + 0.1 * rng.normal(size=n) + i,
                    "promo": promo,
                    "rain": rng.normal(size=n),
                    "size": 10.0 * i,
                    "kind": "big" if i else "small",
                }
            )
        )
    return pl.concat(parts)


COLUMNS = {"past": ("rain",), "future": ("promo",), "static": ("size", "kind")}


@pytest.mark.parametrize(
    ("n", "names"), [(10, ()), (20, ("day of week",)), (800, ("day of week", "day of month", "day of year"))]
)
def test_the_calendar_is_read_as_far_as_the_data_show_its_cycles_twice(n, names):
    assert choose_calendar(read_series(daily(n)), 5) == names


@pytest.mark.parametrize(
    ("input_size", "names"), [(5, ("hour of day", "day of week")), (24, ("day of week",)), (168, ())]
)
def test_within_days_a_window_that_shows_a_whole_cycle_needs_no_calendar(input_size, names):
    hours = pl.datetime_range(datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 16), "1h", eager=True)
    series = read_series(pl.DataFrame({"ds": hours, "y": np.arange(float(len(hours)))}))
    assert choose_calendar(series, input_size) == names


def test_holidays_are_read_together_and_by_kind():
    series = read_series(daily(30, "a"))
    given = {"Carnival": ["2020-01-20", "2020-03-01"], "Epiphany": [datetime.date(2020, 1, 6)], "May": ["2020-05-01"]}
    inputs = Inputs.fit(series, calendar=False, embedded=False, input_size=5, holidays=given)
    assert inputs.holidays.kinds == ("Carnival", "Epiphany")  # May was never seen: a holiday as any other
    again = Inputs.from_json(json.loads(json.dumps(inputs.to_json())))
    assert again == inputs
    assert inputs.sizes["future"] == 3
    future = inputs.of(series, K).future
    assert future.shape == (33, 3)
    lifted = future - future.min(axis=0) > 1.0
    assert [np.flatnonzero(column).tolist() for column in lifted.T] == [[5, 19], [19], [5]]
    assert np.abs(future).max() <= 5.0
    more = inputs.holidays.with_dates({"May": ["2020-02-01"]}, "predict")
    assert more.counted(series.future_times(K)[0], series.frequency).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    with pytest.raises(DataError, match=r"predict: expected holidays among 'Carnival', .*, got 'Easter'"):
        inputs.holidays.with_dates({"Easter": ["2020-04-12"]}, "predict")
    one = Inputs.fit(series, calendar=False, embedded=False, input_size=5, holidays=["2020-01-06"])
    assert one.sizes["future"] == 1


def test_holidays_that_the_training_data_lack_are_told_and_left_out(caplog):
    series = read_series(daily(30, "a"))
    assert HolidayInputs.fit(series, {"May": ["2020-05-01"]}, "Forecaster.fit") is None
    assert "holidays in the training data, 2020-01-01 to 2020-01-30, got none" in caplog.text
    assert not Inputs.fit(series, calendar=False, embedded=False, input_size=5, holidays={}).reads


def test_windows_find_their_own_steps():
    df = daily(30)
    series = read_series(df, **COLUMNS)
    inputs = Inputs.fit(series, calendar=True, embedded=True, input_size=5)
    again = Inputs.from_json(json.loads(json.dumps(inputs.to_json())))
    assert again.to_json() == inputs.to_json()
    windows = training_windows(series, 5, K)
    beyond = np.arange(2.0 * K).reshape(2, K, 1)
    found = inputs.of(series, K, beyond).take(windows)
    promo = df["promo"].to_numpy()
    for w, origin in enumerate(windows.origins):
        own = (promo[origin - 5 : origin + K] - promo.mean()) / promo.std()
        np.testing.assert_allclose(found["future"][w, :, 2], own, rtol=1e-5, atol=1e-6)
        monday = np.array([d.weekday() for d in df["ds"][origin - 5 : origin + K].to_list()])
        np.testing.assert_allclose(found["future"][w, :, 0], np.sin(2 * np.pi * monday / 7), atol=1e-6)
        rain = df["rain"].to_numpy()
        np.testing.assert_allclose(
            found["past"][w, :, 0], (rain[origin - 5 : origin] - rain.mean()) / rain.std(), rtol=1e-4, atol=1e-6
        )
    assert found["series"].tolist() == [1] * 23 + [2] * 23
    assert set(found["static"][:, 0].tolist()) == {-1.0, 1.0}
    assert found["categories"][:, 0].tolist() == [2] * 23 + [1] * 23  # "big" comes before "small"


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_a_known_future_is_used_and_a_missing_row_is_named(strategy, tmp_path):
    df = daily(120)
    options = {"hidden_size": 8, "epochs": 30, "batch_size": 32, "learning_rate": 0.02, "input_size": 6, "refit": False}
    model = Forecaster(K, strategy=strategy, calendar=False, **COLUMNS, **options).fit(
        df.filter(pl.col("ds") < pl.date(2020, 4, 20))
    )
    later = df.filter(pl.col("ds") >= pl.date(2020, 4, 20)).select("unique_id", "ds", "promo")
    changed = later.with_columns(promo=1.0 - pl.col("promo"))
    found, other = model.predict(future=later), model.predict(future=changed)
    promo = later.join(found.select("unique_id", "ds"), on=["unique_id", "ds"])["promo"].to_numpy()
    difference = (found["forecast"] - other["forecast"]).to_numpy() * np.where(promo > 0, 1.0, -1.0)
    assert (difference > 0.8).all(), difference
    with pytest.raises(DataError, match=r"'b'.*2020-04-21|2020-04-21.*'b'"):
        model.predict(future=later.filter((pl.col("unique_id") == "a") | (pl.col("ds") != pl.date(2020, 4, 21))))
    with pytest.raises(DataError, match="promo"):
        model.predict()
    model.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    assert loaded.predict(future=later)["forecast"].to_list() == found["forecast"].to_list()
    assert loaded.get_params() == model.get_params()
    assert len(loaded.predict(future=later, horizon=5)) == 10


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_fewer_steps_than_trained_are_the_first_of_all(strategy):
    df = daily(60)
    rows = pl.col("ds").rank("dense").over("unique_id").cast(int)
    later = df.filter(rows > 52).drop("y", "rain")
    model = Forecaster(8, strategy=strategy, segment_size=4, input_size=8, **COLUMNS, **TINY).fit(df.filter(rows <= 52))
    whole = model.predict(future=later, levels=[50]).filter(rows <= 2)
    found = model.predict(future=later, horizon=2, levels=[50])  # two steps of a segment of four
    for name in ("forecast", "forecast-lo-50"):
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-5)
    first = later.filter(pl.col("ds") < pl.date(2020, 2, 24))
    assert len(first) == 4
    # Of what nobody told, neither the last row nor anything else is taken: a column's mean stands there.
    mean = {"promo": float(df.filter(rows <= 52)["promo"].mean())}
    rest = later.filter(pl.col("ds") >= pl.date(2020, 2, 24)).with_columns(promo=pl.lit(mean["promo"]))
    unknown, average = (model.predict(future=f, horizon=2) for f in (first, pl.concat([first, rest])))
    np.testing.assert_allclose(unknown["forecast"], average["forecast"], rtol=1e-5)


def test_a_series_and_a_category_never_seen_are_forecast():
    df = daily(60)
    model = Forecaster(K, static=("size", "kind"), series_embedding=True, **TINY).fit(df)
    cold = daily(20, "c").with_columns(kind=pl.lit("huge"), size=pl.lit(3.0))
    assert np.isfinite(forecasts(model, cold)).all()
    assert model.design_.n_series == 2
    assert "which series it is" in model.summary()
