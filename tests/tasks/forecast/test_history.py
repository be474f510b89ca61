"""What a fitted forecaster does with what came since: update, and horizons beyond the trained one."""

import datetime

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, forecasts, frame
from throughtime import Forecaster
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
