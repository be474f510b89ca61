"""Frames of every kind in, the same kind out; names, times and cutoffs worked out by hand."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.tasks.forecast.series import TINY, forecasts, frame
from throughtime import Forecaster
from throughtime.errors import DataError

K = 3
VALUES = np.sin(np.arange(30.0)) + 2


def dates(n: int = 30) -> list[datetime.date]:
    return [datetime.date(2020, 1, 1) + datetime.timedelta(days=d) for d in range(n)]


def kinds() -> dict[str, tuple[object, list[object]]]:
    """A frame of each kind, and the times that follow it."""
    later = dates(33)[30:]
    stamps = pd.date_range("2020-01-01", periods=33, freq="h")
    zoned = stamps.tz_localize("Europe/Berlin")
    months = pd.date_range("2019-01-01", periods=33, freq="MS")
    column = {"unique_id": ["a"] * 30, "y": VALUES}
    return {
        "polars dates": (pl.DataFrame({**column, "ds": dates()}), later),
        "polars text": (pl.DataFrame({**column, "ds": [str(d) for d in dates()]}), [str(d) for d in later]),
        "polars integers": (pl.DataFrame({**column, "ds": range(30)}), [30, 31, 32]),
        "polars datetimes": (
            pl.DataFrame({**column, "ds": stamps[:30].to_pydatetime().tolist()}),
            stamps[30:].to_pydatetime().tolist(),
        ),
        "pandas datetimes": (pd.DataFrame({**column, "ds": stamps[:30]}), list(stamps[30:])),
        "pandas zoned": (pd.DataFrame({**column, "ds": zoned[:30]}), list(zoned[30:])),
        "pandas months": (pd.DataFrame({**column, "ds": months[:30]}), list(months[30:])),
        "pandas integers": (pd.DataFrame({**column, "ds": range(30)}), [30, 31, 32]),
        "arrow dates": (pa.table({**column, "ds": dates()}), later),
    }


@pytest.mark.parametrize("name", sorted(kinds()))
def test_the_kind_that_came_in_comes_out(name):
    df, later = kinds()[name]
    model = Forecaster(K, season_length=1, **TINY).fit(df)
    for found in (model.predict(), model.predict(df)):
        assert type(found) is type(df)
        columns = found.column_names if isinstance(found, pa.Table) else list(found.columns)
        assert columns == ["unique_id", "ds", "forecast"]
        times = found["ds"].to_pylist() if isinstance(found, pa.Table) else found["ds"].to_list()
        assert times == later
    evaluated = model.evaluate(df).forecasts
    crossed = model.cross_validation(df, n_windows=2, step_size=1)
    assert type(evaluated) is type(crossed) is type(df)
    if isinstance(df, pl.DataFrame):
        assert found.schema["ds"] == crossed.schema["ds"] == crossed.schema["cutoff"] == df.schema["ds"]
    if isinstance(df, pd.DataFrame):
        assert found["ds"].dtype == crossed["ds"].dtype == crossed["cutoff"].dtype == df["ds"].dtype


def test_every_library_gives_the_same_numbers():
    df = frame(40, 30)
    expected = forecasts(Forecaster(K, **TINY).fit(df))
    for other in (df.to_pandas(), df.to_arrow(), df.sort("ds", "unique_id")):
        found = Forecaster(K, **TINY).fit(other).predict()
        rows = pl.DataFrame({n: np.asarray(found[n]) for n in ("unique_id", "ds", "forecast")}).sort("unique_id", "ds")
        assert rows["forecast"].to_list() == expected.tolist()


def test_other_names_of_columns():
    df = frame(40, 30).rename({"unique_id": "shop", "ds": "day", "y": "sales"}).with_columns(note=pl.lit("x"))
    model = Forecaster(K, id_col="shop", time_col="day", target_col="sales", **TINY).fit(df)
    assert model.predict().columns == ["shop", "day", "forecast"]
    assert model.cross_validation(df, 1).columns == ["shop", "day", "cutoff", "sales", "forecast"]
    assert model.evaluate(df).forecasts.columns[:5] == ["shop", "day", "cutoff", "sales", "forecast"]


def test_one_series_needs_no_id():
    df = frame(40).drop("unique_id")
    model = Forecaster(K, **TINY).fit(df)
    assert model.predict()["unique_id"].to_list() == ["series"] * K
    assert forecasts(model).tolist() == forecasts(Forecaster(K, **TINY).fit(frame(40))).tolist()
    assert model.cross_validation(df, 2).columns == ["unique_id", "ds", "cutoff", "y", "forecast"]


def test_series_never_seen_and_of_any_length():
    model = Forecaster(K, input_size=8, **TINY).fit(frame(40, 30))
    unseen = frame(5, 1, 60, 2).with_columns(unique_id="new " + pl.col("unique_id"))
    found = model.predict(unseen)
    assert found["unique_id"].unique(maintain_order=True).to_list() == [f"new s{i}" for i in range(4)]
    assert found["ds"].to_list() == [5, 6, 7, 1, 2, 3, 60, 61, 62, 2, 3, 4]
    for i in range(4):
        alone = unseen.filter(pl.col("unique_id") == f"new s{i}")
        np.testing.assert_allclose(forecasts(model, alone), found["forecast"][K * i : K * (i + 1)], rtol=1e-5)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_ragged_series_train_together(strategy):
    model = Forecaster(K, strategy=strategy, input_size=12, season_length=4, **TINY).fit(frame(40, 6, 9, 14, 30))
    assert np.isfinite(forecasts(model)).all()
    assert model.predict()["ds"].to_list() == [n + k for n in (40, 6, 9, 14, 30) for k in range(K)]


def test_rows_and_cutoffs_of_a_cross_validation():
    df = frame(30, 24)
    found = Forecaster(K, **TINY).cross_validation(df, n_windows=3, step_size=2)
    rows = found.select("unique_id", "ds", "cutoff").rows()
    expected = []
    for name, n in (("s0", 30), ("s1", 24)):
        for cutoff in (n - K - 4 - 1, n - K - 2 - 1, n - K - 1):
            expected += [(name, cutoff + 1 + k, cutoff) for k in range(K)]
    assert rows == expected
    joined = found.join(df.rename({"y": "actual"}), on=["unique_id", "ds"], how="left", maintain_order="left")
    assert joined["y"].to_list() == joined["actual"].to_list()
    assert found["ds"].max() == 29


def test_the_step_between_windows_is_the_horizon_unless_said():
    df = frame(40)
    assert Forecaster(K, **TINY).cross_validation(df, 2)["cutoff"].unique().sort().to_list() == [33, 36]
    model = Forecaster(K, **TINY).fit(df)
    assert model.evaluate(df, n_windows=2).forecasts["cutoff"].unique().sort().to_list() == [33, 36]


def test_a_history_of_another_step_is_refused():
    model = Forecaster(K, **TINY).fit(frame(40))
    with pytest.raises(DataError, match="got dates"):
        model.predict(kinds()["polars dates"][0])
    by_two = Forecaster(K, **TINY).fit(frame(40).with_columns(ds=pl.col("ds") * 2))
    with pytest.raises(DataError, match="step"):
        by_two.predict(frame(40))


def test_a_given_validation_frame_is_said_and_used():
    df, held_out = frame(40), frame(15, value=lambda t, i: np.cos(t / 2))
    model = Forecaster(K, **TINY).fit(df, held_out)
    assert model.validation_ == "the given frame: 1 series"
    assert model.n_windows_ == 40 - model.input_size_ - K + 1
    assert model.history_.best_loss != Forecaster(K, **TINY).fit(df).history_.best_loss


def test_the_summary_names_every_choice():
    model = Forecaster(K, season_length=4, **TINY).fit(frame(40, 40))
    text = model.summary()
    for part in ("2 series, 80 points, step 1, season of 4", "direct gru, 1 x 4", "by time: the last 4 points"):
        assert part in text
    assert f"{model.n_windows_} to train on, {model.input_size_} steps in, 3 out" in text
    assert f"{sum(p.numel() for p in model.model_.parameters())} parameters" in text
    assert f"scaling {model.scaler_.kind}, anchor {model.anchor_}" in text
    assert f"best epoch {model.history_.best_epoch} of 2, validation loss {model.history_.best_loss:.5g}" in text
