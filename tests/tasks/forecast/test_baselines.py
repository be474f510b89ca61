"""The baselines against formulas written anew."""

import numpy as np
import pytest

from tests.tasks.forecast.series import counting, series_of
from throughtime.tasks.forecast.baselines import LinearAutoregression, naive, seasonal_naive
from throughtime.tasks.forecast.windows import end_windows, rolling_windows, training_windows, windows_at

K = 5


def test_naive_is_the_last_value():
    windows = rolling_windows(counting(20, 9), 2, 3, 4, K)
    expected = [[float(100 * i + n - K - 3 * back - 1)] * K for i, n in enumerate((20, 9)) for back in (1, 0)]
    assert naive(windows).tolist() == expected


@pytest.mark.parametrize("m", [1, 2, 3, 4, 7])
def test_seasonal_naive_repeats_the_last_season(m):
    windows = end_windows(counting(20, 9, 3), 4, K)
    found = seasonal_naive(windows, m)
    for i, n in enumerate((20, 9, 3)):
        own = [100.0 * i + t for t in range(n)]
        if n >= m:
            season = own[-m:]
            assert found[i].tolist() == [season[k % m] for k in range(K)]


def test_seasonal_naive_of_a_series_younger_than_a_season_is_the_last_value_where_there_is_none():
    windows = end_windows(counting(5, 3), 4, K)
    assert seasonal_naive(windows, 7).tolist() == [[4.0, 4.0, 0.0, 1.0, 2.0], [102.0] * 4 + [100.0]]


def unscaled(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(n), np.ones(n)


def test_linear_autoregression_is_the_least_squares_solution():
    windows = training_windows(series_of(60, 40), 6, K)
    level, scale = np.linspace(-1, 1, len(windows)), np.linspace(0.5, 2.0, len(windows))
    model = LinearAutoregression.fit(windows, level, scale)
    rows, targets = [], []
    for n, origin in enumerate(windows.origins):
        own = (windows.flat_values[origin - 6 : origin + K] - level[n]) / scale[n]
        rows.append([*own[:6], 1.0])
        targets.append(own[6:])
    design, target = np.array(rows), np.array(targets)
    expected = np.linalg.solve(design.T @ design, design.T @ target)  # the normal equations
    np.testing.assert_allclose(np.vstack((model.weight, model.bias)), expected, rtol=1e-7, atol=1e-9)
    found = model.predict(windows, level, scale)
    np.testing.assert_allclose(found, (design @ expected) * scale[:, None] + level[:, None], rtol=1e-8)


def test_linear_autoregression_finds_a_linear_recurrence():
    # y_t = 2 cos(w) y_{t-1} - y_{t-2}: two lags are enough.
    windows = training_windows(series_of(80, value=lambda t, i: np.cos(0.7 * t + 0.3)), 8, K)
    model = LinearAutoregression.fit(windows, *unscaled(len(windows)))
    np.testing.assert_allclose(model.predict(windows, *unscaled(len(windows))), windows.targets(), atol=1e-9)


def test_linear_autoregression_takes_a_trend_on():
    series = series_of(30, value=lambda t, i: 3.0 * t)
    windows = training_windows(series, 8, K)
    model = LinearAutoregression.fit(windows, *unscaled(len(windows)))
    ahead = model.predict(end_windows(series, 8, K), *unscaled(1))
    np.testing.assert_allclose(ahead, [3.0 * np.arange(30, 35)], rtol=1e-9)


@pytest.mark.parametrize(("n", "input_size"), [(8, 6), (9, 2), (30, 1), (14, 30), (45, 12)])
def test_linear_autoregression_of_few_windows_is_finite(n, input_size):
    windows = training_windows(series_of(n), input_size, K)
    model = LinearAutoregression.fit(windows, *unscaled(len(windows)))
    assert len(model.weight) in {max(1, input_size >> halvings) for halvings in range(6)}
    assert np.isfinite(model.predict(windows, *unscaled(len(windows)))).all()


@pytest.mark.parametrize(("lag", "expected"), [(3, 3), (12, 12)])
def test_linear_autoregression_takes_as_many_lags_as_predict_best(lag, expected):
    noise = np.random.default_rng(0).normal(size=(400 + lag, 1))
    values = noise.copy()
    for t in range(lag, len(values)):
        values[t] += 0.95 * values[t - lag]
    windows = training_windows(series_of(len(values), value=lambda t, i: values[:, 0]), 12, 1)
    model = LinearAutoregression.fit(windows, *unscaled(len(windows)))
    assert len(model.weight) == expected


def test_linear_autoregression_learns_from_windows_with_a_full_history_where_there_are_any():
    windows = windows_at(series_of(60), np.zeros(40, dtype=np.int64), np.arange(2, 42), 6, K)
    full = windows[np.arange(4, 40)]
    model, alone = (LinearAutoregression.fit(w, *unscaled(len(w))) for w in (windows, full))
    assert np.array_equal(model.weight, alone.weight)


def test_a_young_series_repeats_its_first_value_in_the_lags():
    model = LinearAutoregression(weight=np.eye(4, K), bias=np.zeros(K))
    windows = windows_at(counting(20), np.array([0]), np.array([2]), 6, K)
    assert model.predict(windows, *unscaled(1)).tolist() == [[0.0, 0.0, 0.0, 1.0, 0.0]]


def gapped():
    series = counting(20, 9)
    series.flat_values[[13, 14, 19, 27]] = np.nan
    return series


def test_naive_is_the_last_value_that_was_observed():
    windows = windows_at(gapped(), np.array([0, 0, 1]), np.array([15, 20, 8]), 4, 2)
    assert naive(windows).tolist() == [[12.0, 12.0], [18.0, 18.0], [106.0, 106.0]]


def test_seasonal_naive_goes_back_whole_seasons_to_an_observed_value():
    windows = windows_at(gapped(), np.array([0, 1]), np.array([15, 8]), 4, K)
    assert seasonal_naive(windows, 3).tolist() == [[12.0, 10.0, 11.0, 12.0, 10.0], [105.0, 106.0, 104.0, 105.0, 106.0]]


def test_linear_autoregression_learns_from_the_values_that_are_known():
    series = series_of(90)
    windows = training_windows(series, 4, K)
    whole = windows.targets()
    gaps = np.random.default_rng(0).random(whole.shape) < 0.2
    lags = np.concatenate((windows.history()[0], np.ones((len(windows), 1))), axis=1)
    found = LinearAutoregression._solve(lags[:, :-1], np.where(gaps, np.nan, whole))
    for k in range(K):
        known = ~gaps[:, k]
        expected = np.linalg.solve(lags[known].T @ lags[known], lags[known].T @ whole[known, k])
        np.testing.assert_allclose([*found.weight[:, k], found.bias[k]], expected, rtol=1e-6, atol=1e-8)


def test_linear_autoregression_of_gaps_is_finite_and_forgets_none_of_its_skill():
    series = series_of(120, value=lambda t, i: np.cos(0.7 * t + 0.3))
    whole = training_windows(series, 8, K).targets()
    series.flat_values[np.random.default_rng(1).integers(10, 100, size=8)] = np.nan
    windows = training_windows(series, 8, K)
    model = LinearAutoregression.fit(windows, *unscaled(len(windows)))
    off = model.predict(windows, *unscaled(len(windows))) - whole
    assert np.isfinite(off).all()
    assert np.median(np.abs(off)) < 0.15
