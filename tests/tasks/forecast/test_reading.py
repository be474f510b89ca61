"""Frames, and series that were read already: the same to a forecaster, and refused where they are not."""

import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, frame
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

K = 3
OPTIONS = {"input_size": 6, **TINY}


def shops(n: int = 30) -> pl.DataFrame:
    return frame(n, n).with_columns(heat=pl.col("y") * 2, kind=pl.col("unique_id"))


def test_series_read_already_are_taken_as_they_are():
    df, columns = shops(), {"past": ["heat"], "static": ["kind"]}
    series = read_series(df, missing="keep", **columns)
    of_frame, of_series = (Forecaster(K, **columns, **OPTIONS).fit(each) for each in (df, series))
    assert of_series.predict().equals(of_frame.predict())
    again = read_series(df, missing="keep", fitted=series.covariates)
    assert of_series.predict(again).equals(of_frame.predict(df))
    assert of_series.evaluate(again).metrics == of_frame.evaluate(df).metrics
    assert of_series.update(again).predict().equals(of_frame.predict())


def test_series_that_a_forecaster_would_not_have_read_are_refused():
    model = Forecaster(K, static=["kind"], **OPTIONS).fit(shops())
    with pytest.raises(DataError, match=r"Forecaster.fit: expected series with past=\['heat'\], got \[\]; read"):
        Forecaster(K, past="heat", **OPTIONS).fit(read_series(frame(30)))
    with pytest.raises(DataError, match=r"predict: expected series with static=\['kind'\], got \[\]"):
        model.predict(read_series(frame(30)))
    renamed = read_series(shops().rename({"y": "sold"}), target_col="sold", static="kind")
    with pytest.raises(DataError, match="evaluate: expected series with target_col='y', got 'sold'"):
        model.evaluate(renamed)
    others = shops().with_columns(kind=pl.lit("airport"))
    with pytest.raises(DataError, match=r"labels numbered as in training, .*'s1'.*, got .*'airport'.*fitted="):
        model.predict(read_series(others, static="kind"))
    with pytest.raises(DataError, match="series that step by 1, got 2; read them with freq='1'"):
        model.predict(read_series(shops().with_columns(pl.col("ds") * 2), fitted=model.series_.covariates))
    with pytest.raises(DataError, match=r"Forecaster.fit: expected series that step by 2, got 1"):
        Forecaster(K, freq=2, **OPTIONS).fit(read_series(frame(30)))


def test_holidays_are_checked_before_anything_is_read():
    for wrong, said in (({"x": ["2020-02-30"]}, "'x', got '2020-02-30'"), (["soon"], "'holiday', got 'soon'")):
        with pytest.raises(DataError, match=f"Forecaster: expected dates such as 2024-12-25 for {said}"):
            Forecaster(K, holidays=wrong, **OPTIONS).fit(frame(30))
    with pytest.raises(ArgumentTypeError, match="Forecaster: expected dates by name, or a list of dates, got str"):
        Forecaster(K, holidays="2020-01-01", **OPTIONS).fit(frame(30))
    with pytest.raises(DataError, match=r"Forecaster.fit: expected dates in the time column, got integers"):
        Forecaster(K, holidays=["2020-01-01"], **OPTIONS).fit(frame(30))
    with pytest.raises(ArgumentError, match=r"predict: expected no holidays for a model that knows none, got \['x'\]"):
        Forecaster(K, **OPTIONS).fit(frame(30)).predict(holidays={"x": ["2020-01-01"]})
