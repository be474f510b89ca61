"""Metrics by formulas written anew, and what an evaluation admits."""

import json
import math

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, counting, frame, series_of
from throughtime import Forecaster
from throughtime.tasks.forecast.evaluation import Evaluation, errors, mase_scales
from throughtime.tasks.forecast.windows import rolling_windows

K = 3


def test_each_metric_by_horizon():
    rng = np.random.default_rng(0)
    forecast, target, scale = rng.normal(size=(7, K)), rng.normal(size=(7, K)), rng.uniform(0.5, 2, size=7)
    found = errors(forecast, target, scale)
    for k in range(K):
        pairs = list(zip(forecast[:, k], target[:, k], scale, strict=True))
        assert found["MSE"][k] == pytest.approx(math.fsum((f - y) ** 2 for f, y, _ in pairs) / 7)
        assert found["MAE"][k] == pytest.approx(math.fsum(abs(f - y) for f, y, _ in pairs) / 7)
        assert found["sMAPE"][k] == pytest.approx(
            100 * math.fsum(2 * abs(f - y) / (abs(f) + abs(y)) for f, y, _ in pairs) / 7
        )
        assert found["MASE"][k] == pytest.approx(math.fsum(abs(f - y) / s for f, y, s in pairs) / 7)


def test_smape_of_zeros():
    found = errors(np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, -2.0]]), np.array([1.0]))
    assert found["sMAPE"].tolist() == [0.0, 200.0, 200.0]
    tiny = errors(np.array([[1e-9, 3e-30]]), np.array([[3e-9, 1e-30]]), np.array([1.0]))
    assert tiny["sMAPE"] == pytest.approx([100.0, 100.0])


def test_mase_leaves_windows_without_a_scale_out():
    found = errors(np.array([[3.0], [9.0]]), np.array([[1.0], [1.0]]), np.array([2.0, np.nan]))
    assert found["MASE"].tolist() == [1.0]
    assert found["MAE"].tolist() == [5.0]
    assert np.isnan(errors(np.zeros((1, 2)), np.ones((1, 2)), np.array([np.nan]))["MASE"]).all()


@pytest.mark.parametrize("m", [1, 2, 5])
def test_mase_scales_by_the_seasonal_change_before_the_first_origin(m):
    series = series_of(30, 17)
    windows = rolling_windows(series, 3, 2, 4, K)
    expected = []
    for i in range(2):
        own = series.values(i).tolist()
        past = own[: len(own) - K - 2 * 2]
        scale = sum(abs(past[t] - past[t - m]) for t in range(m, len(past))) / (len(past) - m)
        expected += [scale] * 3
    np.testing.assert_allclose(mase_scales(windows, m), expected, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e12])
def test_a_constant_past_and_one_shorter_than_a_season_have_no_scale(value):
    constant = series_of(20, value=lambda t, i: 0 * t + value)
    assert np.isnan(mase_scales(rolling_windows(constant, 1, K, 4, K), 1)).all()
    assert np.isnan(mase_scales(rolling_windows(counting(10), 1, K, 4, K), 7)).all()
    assert np.isfinite(mase_scales(rolling_windows(counting(11), 1, K, 4, K), 7)).all()


def test_a_series_without_a_scale_is_counted_and_named_in_the_sentence():
    df = frame(40, 40, value=lambda t, i: [np.sin(t), 0 * t + 2.0][i])
    found = Forecaster(K, **TINY).fit(df.filter(pl.col("ds") < 30)).evaluate(df)
    assert found.without_scale == 1
    assert "1 series have no scale and are left out of MASE" in found.sentence
    assert math.isfinite(found.metrics["throughtime"]["MASE"])


def test_no_scale_at_all_falls_to_mae_and_says_so():
    df = frame(40, value=lambda t, i: 0 * t + 2.0)
    found = Forecaster(K, **TINY).fit(df.filter(pl.col("ds") < 30)).evaluate(df)
    assert found.decisive_metric == "MAE"
    assert found.as_dict()["metrics"]["naive"]["MASE"] is None
    assert "MAE 0.000" in found.sentence
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_frame_of_forecasts_gives_the_metrics_again():
    df = frame(60, 45)
    model = Forecaster(K, season_length=4, **TINY).fit(df.filter(pl.col("ds") < 35))
    found = model.evaluate(df, n_windows=3, step_size=2)
    rows = found.forecasts
    assert rows.columns == ["unique_id", "ds", "cutoff", "y", "forecast", "naive", "seasonal_naive", "linear"]
    assert len(rows) == 2 * 3 * K
    assert found.models == ["throughtime", "naive", "seasonal naive", "linear"]
    for name in found.models:
        column = {"throughtime": "forecast"}.get(name, name.replace(" ", "_"))
        off = (rows[column] - rows["y"]).to_numpy().reshape(-1, K)
        np.testing.assert_allclose(found.by_horizon[name]["MSE"], (off**2).mean(0), rtol=1e-12)
        assert found.metrics[name]["MAE"] == pytest.approx(np.abs(off).mean())
        assert found.metrics[name]["MSE"] == pytest.approx((off**2).mean())
    actual = df.select("unique_id", "ds", pl.col("y").alias("actual"))
    assert (rows.join(actual, on=["unique_id", "ds"])["actual"] == rows.join(actual, on=["unique_id", "ds"])["y"]).all()
    assert (found.n_series, found.n_windows, found.horizon, found.season_length) == (2, 3, K, 4)


def test_no_season_no_seasonal_naive():
    df = frame(40)
    assert Forecaster(K, **TINY).fit(df).evaluate(df).models == ["throughtime", "naive", "linear"]


def made(**mase: float) -> Evaluation:
    metrics = {name.replace("_", " "): {"MSE": 1.0, "MAE": 1.0, "sMAPE": 1.0, "MASE": v} for name, v in mase.items()}
    return Evaluation(metrics, {}, None, n_series=1, n_windows=1, horizon=1, season_length=1)


def test_the_sentence_says_who_won():
    better = made(throughtime=0.5, naive=1.0, linear=0.75)
    assert better.beats_baselines
    assert better.sentence == "The model beats every baseline: MASE 0.500 against 0.750 for linear."
    worse = made(throughtime=0.5, naive=0.4, linear=0.3)
    assert not worse.beats_baselines
    assert worse.sentence == "The model does not beat naive and linear: MASE 0.500 against 0.300 for linear."
    assert not made(throughtime=0.5, naive=0.5).beats_baselines


@pytest.mark.parametrize(
    ("points", "n_windows", "seen"),
    [
        (40, 1, 1),  # the training data itself
        (36, 1, 1),  # the training data without its end
        (12, 2, 2),  # its beginning, of which the model keeps nothing
        (43, 1, 0),  # continued by one horizon
        (43, 3, 2),  # the last window is new, two are not
        (49, 3, 0),
    ],
)
def test_windows_that_training_has_seen_are_counted(points, n_windows, seen):
    df = frame(60)
    model = Forecaster(K, input_size=5, **TINY).fit(df.head(40))
    found = model.evaluate(df.head(points), n_windows=n_windows)
    assert found.seen_windows == seen
    assert (f"{seen} of the windows reach into its training data" in found.sentence) == (seen > 0)


def test_other_series_of_the_same_name_are_not_seen():
    model = Forecaster(K, **TINY).fit(frame(40))
    other = frame(40, value=lambda t, i: np.cos(t) + 5)
    assert model.evaluate(other, n_windows=2).seen_windows == 0
    renamed = frame(40).with_columns(unique_id=pl.lit("another"))
    assert model.evaluate(renamed).seen_windows == 0
