"""Naive2 against R's definitions, written anew value by value."""

import math

import numpy as np
import pytest

from tests.tasks.forecast.series import series_of
from throughtime.tasks.forecast.baselines import naive
from throughtime.tasks.forecast.naive2 import naive2, season_indices
from throughtime.tasks.forecast.season import is_seasonal
from throughtime.tasks.forecast.windows import end_windows, rolling_windows

K = 5


def seasonal(m, strength):
    """Positive series with a season of m, a trend and noise."""
    noise = np.random.default_rng(m).normal(size=(9, 200))
    return lambda t, i: (10 + 0.02 * t) * (1 + strength * np.sin(2 * np.pi * t / m)) + 0.3 * noise[i, : len(t)] + i


def autocorrelation(y, lag):
    mean = math.fsum(y) / len(y)
    below = math.fsum((v - mean) ** 2 for v in y)
    return math.fsum((y[t] - mean) * (y[t - lag] - mean) for t in range(lag, len(y))) / below


def m4_seasonality_test(y, m):
    """M4's SeasonalityTest."""
    if len(y) < 3 * m:
        return False
    limit = 1.645 * math.sqrt((1 + 2 * sum(autocorrelation(y, j) ** 2 for j in range(1, m))) / len(y))
    return abs(autocorrelation(y, m)) > limit


def decomposed(y, m):
    """The figure of R's decompose(type = "multiplicative")."""
    weights = [1 / m] * m if m % 2 else [0.5 / m] + [1 / m] * (m - 1) + [0.5 / m]
    half = len(weights) // 2
    ratios = [[] for _ in range(m)]
    for t in range(half, len(y) - half):
        ratios[t % m].append(y[t] / sum(w * y[t - half + j] for j, w in enumerate(weights)))
    means = [sum(r) / len(r) for r in ratios]
    return [v / (sum(means) / m) for v in means]


@pytest.mark.parametrize("m", [2, 4, 7, 12])
@pytest.mark.parametrize("strength", [0.0, 0.05, 0.5])
def test_naive2_is_m4s(m, strength):
    series = series_of(60, 3 * m, 3 * m - 1, 43, value=seasonal(m, strength))
    found = naive2(end_windows(series, 4, K), m)
    for i in range(len(series)):
        y = series.values(i).tolist()
        index = decomposed(y, m) if m4_seasonality_test(y, m) else [1.0] * m
        last = y[-1] / index[(len(y) - 1) % m]
        assert found[i].tolist() == pytest.approx([last * index[(len(y) + k) % m] for k in range(K)], rel=1e-10)
    # Both branches are met: a trend alone is no season of 12.
    if strength == 0.5 or (strength == 0.0 and m == 12):
        assert m4_seasonality_test(series.values(0).tolist(), m) == (strength > 0)


def test_the_past_of_the_first_origin_gives_the_season():
    series = series_of(60, value=seasonal(4, 0.5))
    found = naive2(rolling_windows(series, 3, 2, 4, K), 4)
    y = series.values(0).tolist()
    index = decomposed(y[: 60 - K - 4], 4)
    for row, origin in zip(found, (51, 53, 55), strict=True):
        last = y[origin - 1] / index[(origin - 1) % 4]
        assert row.tolist() == pytest.approx([last * index[(origin + k) % 4] for k in range(K)], rel=1e-10)


def test_no_season_in_values_that_cannot_be_divided():
    for value in (lambda t, i: np.maximum(np.sin(t), 0.0), lambda t, i: 0.0 * t, lambda t, i: 0.0 * t + 5):
        windows = end_windows(series_of(60, value=value), 4, K)
        assert np.array_equal(naive2(windows, 4), naive(windows))
    assert is_seasonal(np.sin(np.arange(60.0) * np.pi / 2)[None], 4).tolist() == [True]


def test_gaps_are_left_out_of_the_indices():
    values = np.tile([1.0, 2.0, 4.0, 1.0], 15)[None]
    with_gaps = values.copy()
    with_gaps[0, [5, 18]] = np.nan
    np.testing.assert_allclose(season_indices(values, 4), [[0.5, 1.0, 2.0, 0.5]], rtol=1e-12)
    np.testing.assert_allclose(season_indices(with_gaps, 4), [[0.5, 1.0, 2.0, 0.5]], rtol=1e-12)


def test_many_series_are_taken_in_pieces(monkeypatch):
    series = series_of(*(30 + 3 * i for i in range(9)), value=seasonal(4, 0.5))
    windows = end_windows(series, 4, K)
    whole = naive2(windows, 4)
    monkeypatch.setattr("throughtime.tasks.forecast.windows._MOST_NUMBERS", 100)
    assert np.array_equal(naive2(windows, 4), whole)
