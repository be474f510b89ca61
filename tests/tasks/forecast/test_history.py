"""What a fitted forecaster does with what came since: update, and horizons beyond the trained one."""

import datetime

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, forecasts, frame
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.errors import ArgumentError, DataError

K = 3


@pytest.fixture(scope="module", params=["window", "series"])
def fitted(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m"
    Forecaster(K, scaling=request.param, input_size=6, **TINY).fit(frame(40, 30)).save(path)
    return path


def test_an_update_is_the_longer_history(fitted):
    whole = frame(50, 40)
    newer = whole.filter(pl.col("ds") >= pl.when(pl.col("unique_id") == "s0").then(40).otherwise(30))
    model = Forecaster.load(fitted).update(newer.to_pandas())
    assert model.predict().equals(Forecaster.load(fitted).predict(whole))
    assert forecasts(model.update(newer)).tobytes() == forecasts(model).tobytes()  # known rows change nothing


def test_an_update_takes_new_series_newer_values_and_gaps(fitted):
    model = Forecaster.load(fitted)
    rows = pl.DataFrame({"unique_id": ["s0", "new", "new", "s1"], "ds": [39, 5, 6, 32], "y": [9.0, 1.0, 2.0, 1.5]})
    found = model.update(rows).predict()
    assert found["unique_id"].unique(maintain_order=True).to_list() == ["s0", "s1", "new"]
    assert found["ds"].to_list() == [40, 41, 42, 33, 34, 35, 7, 8, 9]
    assert np.isfinite(found["forecast"].to_numpy()).all()
    assert (found["forecast"][:K] != Forecaster.load(fitted).predict()["forecast"][:K]).all()
    assert np.isnan(model.series_.values(1)[-3:-1]).all()  # 30 and 31, which nobody gave


def test_an_update_off_the_grid_is_refused(fitted):
    dates = pl.DataFrame({"unique_id": "s0", "ds": [datetime.date(2020, 1, 1)], "y": [1.0]})
    with pytest.raises(DataError, match=r"Forecaster.update: .*date"):
        Forecaster.load(fitted).update(dates)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_beyond_the_trained_horizon_forecasts_are_taken_for_history(strategy):
    df = frame(40, 30)
    model = Forecaster(K, strategy=strategy, input_size=6, **TINY).fit(df)
    found = model.predict(horizon=2 * K + 1)
    first = model.predict()
    rows = pl.col("ds") - pl.col("ds").min().over("unique_id")
    np.testing.assert_allclose(found.filter(rows < K)["forecast"], first["forecast"], rtol=1e-6)
    longer = pl.concat([df, first.rename({"forecast": "y"})]).sort("unique_id", "ds")
    second = model.predict(longer)
    np.testing.assert_allclose(
        found.filter((rows >= K) & (rows < 2 * K))["forecast"], second["forecast"], rtol=1e-4, atol=1e-5
    )
    assert found["ds"].to_list() == [*range(40, 47), *range(30, 37)]
    assert model.predict(horizon=1).equals(first.filter(rows == 0))
    with pytest.raises(ArgumentError, match="horizon > 0, got 0"):
        model.predict(horizon=0)


def test_what_an_update_lacks_takes_nothing_away():
    df = frame(40).with_columns(heat=pl.col("y") * 2)
    model = Forecaster(K, past=["heat"], input_size=6, **TINY).fit(df)
    known = model.series_
    rows = pl.DataFrame({"unique_id": "s0", "ds": [36, 37, 40], "y": [9.0, None, 8.0], "heat": [None, 7.0, 6.0]})
    found = model.update(rows).series_
    assert found.values(0)[-5:].tolist() == [9.0, *known.values(0)[-3:], 8.0]  # 38 and 39 were not given
    assert found.covariates.past[-5:, 0].tolist() == [
        known.covariates.past[-4, 0],
        7.0,
        *known.covariates.past[-2:, 0],
        6.0,
    ]


def promoted(n: int, first: int = 0) -> pl.DataFrame:
    """One series with a known-future column."""
    t = np.arange(first, first + n)
    return pl.DataFrame({"unique_id": "s0", "ds": t, "y": 1.0 + t % 3, "promo": (t % 3 == 0) * 1.0})


def test_an_update_over_skipped_rows_takes_their_known_future_and_leaves_their_values_missing():
    model = Forecaster(K, future=["promo"], input_size=6, **TINY).fit(promoted(40))
    newer = promoted(5, 40).with_columns(y=pl.when(pl.col("ds").is_in([40, 41, 44])).then(None).otherwise(pl.col("y")))
    series = model.update(newer).series_
    assert series.flat_times[-4:].tolist() == [40, 41, 42, 43]  # 44 has no value yet
    np.testing.assert_array_equal(series.flat_values[-5:], [1.0, np.nan, np.nan, 1.0, 2.0])
    assert series.covariates.future[-4:, 0].tolist() == [0.0, 0.0, 1.0, 0.0]
    later = promoted(K, 44).drop("y")
    assert np.isfinite(model.predict(future=later)["forecast"].to_numpy()).all()
    # A known row may be told again beside new ones; what lies between is there already.
    model.update(pl.concat([promoted(1, 30), promoted(1, 44)]))
    assert model.series_.flat_times[-1] == 44


def test_an_update_that_skips_rows_of_a_known_future_says_what_is_lacking():
    model = Forecaster(K, future=["promo"], input_size=6, **TINY).fit(promoted(40))
    with pytest.raises(DataError, match=r"Forecaster.update: expected promo.* 's0', got none for 40 .*1 more.*y\)$"):
        model.update(promoted(2, 42))
    assert model.series_.flat_times[-1] == 39


def in_days(df: pl.DataFrame) -> pl.DataFrame:
    return df.with_columns(ds=pl.date(2020, 1, 1) + pl.duration(days=pl.col("ds")))


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("written", ["date", "datetime", "text", "ns"])
def test_an_update_may_write_dates_and_ids_otherwise(written, number):
    df = in_days(frame(40, 30)).with_columns(unique_id=pl.col("unique_id").str.slice(1))
    as_number, as_text = pl.col("unique_id").cast(pl.Int64), pl.col("unique_id")
    model = Forecaster(K, input_size=6, **TINY).fit(df.with_columns(as_number if number else as_text))
    rows = pl.DataFrame({"unique_id": ["0", "7"], "ds": [40, 40], "y": [2.0, 3.0]})
    rows = in_days(rows).with_columns(as_text if number else as_number)
    kinds = {"date": pl.Date, "datetime": pl.Datetime("us"), "text": pl.String, "ns": pl.Datetime("ns")}
    rows = rows.with_columns(pl.col("ds").cast(kinds[written]))
    model.update(rows.to_pandas() if written == "ns" else rows)
    assert model.series_.ids == ([0, 1, 7] if number else ["0", "1", "7"])
    assert model.series_.values(0)[-1] == 2.0
    assert model.predict().schema == pl.Schema(
        {"unique_id": pl.Int64 if number else pl.String, "ds": pl.Date, "forecast": pl.Float64}
    )


def test_an_update_with_ids_of_another_kind_is_refused():
    model = Forecaster(K, input_size=6, **TINY).fit(frame(40).with_columns(unique_id=pl.lit(7)))
    with pytest.raises(DataError, match=r"Forecaster.update: expected whole numbers in unique_id.*got '007'"):
        model.update(pl.DataFrame({"unique_id": "007", "ds": [40], "y": [1.0]}))


def test_an_embedding_knows_its_series_as_number_and_as_text(caplog):
    df = frame(40, 30).with_columns(unique_id=pl.col("unique_id").str.slice(1))
    model = Forecaster(K, series_embedding=True, input_size=6, **TINY).fit(
        df.with_columns(pl.col("unique_id").cast(int))
    )
    assert model.inputs_.numbers(read_series(df)).tolist() == [1, 2]
    assert model.predict(df)["unique_id"].dtype == pl.String
    assert not caplog.records
    model.predict(frame(40))
    assert "Forecaster.predict: " in caplog.text
    assert "'s0'" in caplog.text


@pytest.mark.parametrize("anchor", ["seasonal", "last"])
def test_a_forecast_from_what_was_kept_is_the_one_from_the_training_frame(anchor):
    df = frame(120, 90, 50)
    # A value that stands four seasons before the window; a gap across its start, longer than five seasons.
    gone = {"s0": [111, 107, 103, 110, 106, 102], "s1": [*range(40, 86)], "s2": [*range(20, 50, 3)]}
    df = df.filter(~pl.any_horizontal((pl.col("unique_id") == s) & pl.col("ds").is_in(t) for s, t in gone.items()))
    model = Forecaster(K, input_size=10, season_length=4, anchor=anchor, **TINY).fit(df)
    assert forecasts(model).tobytes() == forecasts(model, df).tobytes()
    assert model.series_.lengths.tolist() == [26, 51, 26]
