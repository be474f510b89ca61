"""Theta and ETS: statsforecast's own where it is installed; what is asked of it, by a stand-in."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.tasks.forecast.series import counting, series_of
from throughtime.errors import ArgumentError, MissingExtraError
from throughtime.tasks.forecast.baselines import seasonal_naive
from throughtime.tasks.forecast.peers import check_peers, peer_forecast
from throughtime.tasks.forecast.windows import end_windows, windows_at

K = 3


@pytest.fixture
def asked(monkeypatch) -> list[Any]:
    """A statsforecast whose Theta forecasts the sum of what it was given, and fails below 10 or above 1000."""
    calls: list[Any] = []

    class Theta:
        def __init__(self, season_length):
            self.season_length = season_length

        def forecast(self, y, h):
            calls.append((self.season_length, y.tolist(), h))
            if y[-1] < 10:
                raise NotImplementedError("tiny datasets")
            return {"mean": np.full(h, np.nan if y[-1] > 1000 else y.sum())}

    package, models = ModuleType("statsforecast"), ModuleType("statsforecast.models")
    models.Theta = Theta
    monkeypatch.setitem(sys.modules, "statsforecast", package)
    monkeypatch.setitem(sys.modules, "statsforecast.models", models)
    return calls


def test_a_peer_reads_the_series_up_to_the_origin_with_gaps_filled(asked):
    series = counting(20, 20)
    series.flat_values[[3, 4, 25]] = np.nan
    windows = windows_at(series, np.array([0, 1]), np.array([15, 12]), 4, K)
    found = peer_forecast("theta", windows, 7)
    first = [0, 1, 2, 2, 2, *range(5, 15)]
    second = [100, 101, 102, 103, 104, 104, *range(106, 112)]
    assert asked == [(7, first, K), (7, second, K)]
    assert found.tolist() == [[sum(first)] * K, [sum(second)] * K]


def test_where_a_peer_cannot_be_fitted_the_seasonal_naive_stands_and_a_warning_says_so(asked, caplog):
    series = series_of(20, 20, 20, value=lambda t, i: t / 10 if i == 0 else t + [0, 50, 2000][i])
    windows = end_windows(series, 4, K)
    found = peer_forecast("theta", windows, 2)
    expected = seasonal_naive(windows, 2)
    expected[1] = sum(range(50, 70))
    assert np.array_equal(found, expected)
    assert caplog.messages == ["theta could not be fitted to 2 of 3 windows; seasonal naive stands there"]


def test_peers_that_are_not_there_are_refused(asked, monkeypatch):
    assert check_peers((), "Forecaster.evaluate") == ()
    assert check_peers("theta", "Forecaster.evaluate") == ("theta",)
    with pytest.raises(ArgumentError, match=r"Forecaster.evaluate: expected peers among theta, ets, got 'arima'"):
        check_peers(("theta", "arima"), "Forecaster.evaluate")
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(MissingExtraError, match=r"statsforecast.*pip install 'throughtime\[peers\]'"):
        check_peers(("ets",), "Forecaster.evaluate")


@pytest.mark.parametrize("name", ["theta", "ets"])
def test_statsforecasts_own_follow_a_season(name):
    pytest.importorskip("statsforecast")
    series = series_of(
        48, value=lambda t, i: 10 + 3 * np.sin(t * np.pi / 2) + 0.01 * np.random.default_rng(0).normal(size=48)
    )
    found = peer_forecast(name, end_windows(series, 4, K), 4)
    np.testing.assert_allclose(found, [[10.0, 13.0, 10.0]], atol=0.1)
