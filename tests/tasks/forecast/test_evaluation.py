"""What an evaluation says and admits."""

import json
import math

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, counting, frame
from throughtime import Forecaster
from throughtime.tasks.forecast.evaluation import METRICS, Evaluation, evaluate
from throughtime.tasks.forecast.windows import rolling_windows

K = 3


def test_a_series_without_a_scale_is_named():
    df = frame(40, 40, value=lambda t, i: [np.sin(t), 0 * t + 2.0][i])
    found = Forecaster(K, **TINY).fit(df.filter(pl.col("ds") < 30)).evaluate(df)
    assert (found.without_scale, found.unscaled) == (1, ("s1",))
    assert "1 series have no scale and are left out of MASE: s1." in found.sentence
    assert math.isnan(found.by_series["naive"]["MASE"][1])
    assert found.as_dict()["unscaled"] == ["s1"]
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


def test_many_series_without_a_scale_are_listed_and_the_sentence_stays_short():
    metrics = {name: dict.fromkeys(METRICS, v) for name, v in (("throughtime", 0.5), ("naive", 1.0))}
    names = tuple(f"part {i}" for i in range(7))
    found = Evaluation(metrics, {}, None, n_series=9, n_windows=1, horizon=1, season_length=1, unscaled=names)
    assert found.sentence.endswith("left out of MASE: part 0, part 1, part 2, part 3, part 4 and 2 more.")
    assert found.as_dict()["unscaled"] == list(names)


def test_intervals_are_scored_by_horizon_and_by_series():
    series = counting(20, 12)
    windows = rolling_windows(series, 2, 1, 4, K)
    target = windows.targets()
    low, high = target - 1.0, target + 2.0
    low[0, 0], high[3, 2] = target[0, 0] + 0.5, target[3, 2] - 0.5
    found = evaluate(
        windows,
        {"throughtime": target + 1.0, "naive": target},
        None,
        series=series,
        n_windows=2,
        season_length=1,
        seen_windows=0,
        quantiles={0.5: target},
        intervals={80: (low, high), 99.5: (target, target)},
    )
    eighty, other = found.intervals
    assert (eighty.level, other.level, other.coverage, other.width) == (80, 99.5, 100.0, 0.0)
    assert eighty.coverage == pytest.approx(100 * 10 / 12)
    assert eighty.by_horizon.tolist() == pytest.approx([75.0, 100.0, 75.0])
    assert eighty.by_series.tolist() == pytest.approx([100 * 5 / 6, 100 * 5 / 6])
    assert eighty.width == pytest.approx((3 * 10 + 1.5 + 0.5) / 12)
    assert found.metrics["throughtime"]["WQL"] == 0.0  # of the quantiles, not of the point
    assert found.metrics["throughtime"]["MAE"] == 1.0
    assert "Of the values, 83.3 % in its 80 % intervals and 100.0 % in its 99.5 % intervals." in found.sentence
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["intervals"][0]["by_series"] == pytest.approx([100 * 5 / 6] * 2)
    assert told["series"] == ["s0", "s1"]


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
    worst = made(throughtime=0.5, naive=0.4, seasonal_naive=0.5, linear=0.3)
    assert worst.sentence.startswith(
        "The model does not beat naive, seasonal naive and linear: MASE 0.500 against 0.300"
    )


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
