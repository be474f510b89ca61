"""Measures by formulas written anew, value by value."""

import math

import numpy as np
import pytest

from tests.tasks.forecast.series import counting, series_of
from throughtime.tasks.forecast import metrics
from throughtime.tasks.forecast.metrics import Scales, season_scales
from throughtime.tasks.forecast.windows import rolling_windows

N, K = 7, 3
Q = (0.1, 0.5, 0.9)


def case(missing=True):
    rng = np.random.default_rng(0)
    forecast, target = rng.normal(size=(N, K)), rng.normal(size=(N, K))
    if missing:
        target[0, 1] = target[4, :2] = target[5] = np.nan
    scales = Scales(rng.uniform(0.5, 2, size=N), rng.uniform(0.5, 2, size=N))
    scales.absolute[2] = scales.squared[2] = np.nan
    return forecast, target, scales, {q: forecast + q - 0.5 for q in Q}


def expected(forecast, target, scales, quantiles, places):
    """Each measure over a list of (window, step)."""
    known = [(n, k) for n, k in places if not math.isnan(target[n, k])]
    scaled = [(n, k) for n, k in known if not math.isnan(scales.absolute[n])]

    def mean(values):
        values = list(values)
        return math.fsum(values) / len(values) if values else math.nan

    def e(n, k):
        return forecast[n, k] - target[n, k]

    loss = [
        mean(max(q * (target[n, k] - f[n, k]), (q - 1) * (target[n, k] - f[n, k])) for q, f in quantiles.items())
        for n, k in known
    ]
    windows = sorted({n for n, _ in scaled})
    return {
        "MSE": mean(e(*p) ** 2 for p in known),
        "MAE": mean(abs(e(*p)) for p in known),
        "sMAPE": mean(200 * abs(e(*p)) / (abs(forecast[p]) + abs(target[p])) for p in known),
        "MASE": mean(abs(e(n, k)) / scales.absolute[n] for n, k in scaled),
        "RMSSE": mean(math.sqrt(mean(e(n, k) ** 2 for m, k in scaled if m == n)) / scales.squared[n] for n in windows),
        "WQL": 2 * math.fsum(loss) / math.fsum(abs(target[p]) for p in known) if known else math.nan,
    }


def test_measures_over_all_by_horizon_and_by_series_leave_missing_values_out():
    given = case()
    found = metrics.parts(*given)
    every = [(n, k) for n in range(N) for k in range(K)]
    assert metrics.over_all(found) == pytest.approx(expected(*given, every))
    by_horizon = metrics.by_horizon(found)
    for k in range(K):
        step = expected(*given, [(n, k) for n in range(N)])
        assert {name: v[k] for name, v in by_horizon.items()} == pytest.approx(step)
    series = np.array([0, 0, 2, 0, 1, 3, 1])
    by_series = metrics.by_series(found, series, 5)
    for s in range(5):
        own = expected(*given, [(n, k) for n, k in every if series[n] == s])
        assert {name: v[s] for name, v in by_series.items()} == pytest.approx(own, nan_ok=True)


def test_a_point_stands_for_every_quantile():
    forecast, target, scales, _ = case(missing=False)
    points = metrics.over_all(metrics.parts(forecast, target, scales, dict.fromkeys((0.1, 0.5, 0.9), forecast)))
    found = metrics.over_all(metrics.parts(forecast, target, scales))
    assert found["WQL"] == pytest.approx(np.abs(forecast - target).sum() / np.abs(target).sum())
    assert found["WQL"] == pytest.approx(points["WQL"])


def test_smape_of_zeros():
    one = Scales(np.ones(1), np.ones(1))
    found = metrics.parts(np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, -2.0]]), one)
    assert metrics.by_horizon(found)["sMAPE"].tolist() == [0.0, 200.0, 200.0]
    tiny = metrics.parts(np.array([[1e-9, 3e-30]]), np.array([[3e-9, 1e-30]]), one)
    assert metrics.by_horizon(tiny)["sMAPE"] == pytest.approx([100.0, 100.0])


def test_nothing_to_measure_is_nan():
    found = metrics.over_all(metrics.parts(np.zeros((1, 2)), np.full((1, 2), np.nan), Scales(np.ones(1), np.ones(1))))
    assert all(math.isnan(value) for value in found.values())
    unscaled = metrics.parts(np.zeros((1, 2)), np.ones((1, 2)), Scales(np.full(1, np.nan), np.full(1, np.nan)))
    assert math.isnan(metrics.over_all(unscaled)["RMSSE"])
    assert np.isnan(metrics.by_horizon(unscaled)["MASE"]).all()


def test_coverage():
    low, high = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    found = {"coverage": metrics.inside(low, high, np.array([[0.0, 1.5], [1.0, np.nan]]))}
    assert metrics.over_all(found)["coverage"] == pytest.approx(200 / 3)
    assert metrics.by_horizon(found)["coverage"].tolist() == [100.0, 0.0]


def test_owa_is_one_for_naive2_and_nan_where_that_makes_no_error():
    assert metrics.overall_weighted_average(3.0, 0.4, 3.0, 0.4) == 1.0
    assert metrics.overall_weighted_average(3.0, 0.4, 6.0, 0.2) == pytest.approx((0.5 + 2.0) / 2)
    found = metrics.overall_weighted_average(np.ones(2), np.ones(2), np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    assert np.isnan(found[0])
    assert found[1] == 0.5


@pytest.mark.parametrize("m", [1, 2, 5])
def test_scales_are_the_seasonal_change_before_the_first_origin(m):
    series = series_of(30, 17)
    series.flat_values[[3, 33]] = np.nan
    windows = rolling_windows(series, 3, 2, 4, K)
    absolute, squared = [], []
    for i in range(2):
        own = series.values(i).tolist()
        past = own[: len(own) - K - 2 * 2]
        change = [abs(past[t] - past[t - m]) for t in range(m, len(past))]
        change = [c for c in change if not math.isnan(c)]
        absolute += [math.fsum(change) / len(change)] * 3
        squared += [math.sqrt(math.fsum(c**2 for c in change) / len(change))] * 3
    found = season_scales(windows, m)
    np.testing.assert_allclose(found.absolute, absolute, rtol=1e-12)
    np.testing.assert_allclose(found.squared, squared, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e12])
def test_a_constant_past_and_one_shorter_than_a_season_have_no_scale(value):
    constant = series_of(20, value=lambda t, i: 0 * t + value)
    assert np.isnan(season_scales(rolling_windows(constant, 1, K, 4, K), 1)).all()
    assert np.isnan(season_scales(rolling_windows(counting(10), 1, K, 4, K), 7)).all()
    assert np.isfinite(season_scales(rolling_windows(counting(11), 1, K, 4, K), 7)).all()
    assert np.isnan(season_scales(rolling_windows(counting(11, 10), 1, K, 4, K), 7).absolute).tolist() == [False, True]
