"""Batches, anchors and features against loops over Python lists, ragged rows included.

Legend: T time, B batch, L steps of history, K steps of the horizon.
"""

import numpy as np
import pytest
import torch

from tests.tasks.forecast.series import UNSCALED, counting, net, series_of, whole_batch
from throughtime.tasks.forecast.batches import WindowSource, forecast
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.strategies import anchors, features
from throughtime.tasks.forecast.windows import end_windows, training_windows, windows_at

L, K = 6, 4


def ragged():
    """Windows with 2, 6, 3 and 6 steps of history."""
    which, origins = np.array([0, 0, 1, 1]), np.array([2, 9, 3, 12])
    return windows_at(counting(20, 20), which, origins, L, K)


def rows(windows) -> list[tuple[list[float], list[float]]]:
    """(history, horizon) of every window, from the flat values."""
    flat = windows.flat_values.tolist()
    found = []
    for start, origin in zip(windows.series_starts.tolist(), windows.origins.tolist(), strict=True):
        begin = max(start, origin - L)
        found.append((flat[begin:origin], flat[origin : origin + K]))
    return found


def seasonal_value(history: list[float], t: int, k: int, m: int) -> float:
    """The value a whole number of seasons before step t + 1 + k, the latest that step t knows."""
    position = t + 1 + k
    while position > t:
        position -= m
    return history[max(position, 0)]


def test_a_batch_holds_history_then_horizon_then_zeros():
    batch = whole_batch(ragged())
    for b, (history, horizon) in enumerate(rows(ragged())):
        own = history + horizon
        assert batch.values_TB[:, b].tolist() == own + [0.0] * (L + K - len(own))
    assert batch.lengths.tolist() == [2, 6, 3, 6]
    assert batch.history == L


def test_rows_that_are_all_full_need_no_lengths():
    windows = training_windows(counting(20), L, K)
    assert whole_batch(windows).lengths is None


def test_horizons_are_what_follows_each_step():
    batch = whole_batch(ragged())
    found = batch.horizons(K)
    assert found.shape == (L, 4, K)
    for b, (history, horizon) in enumerate(rows(ragged())):
        own = history + horizon
        for t in range(len(history)):
            assert found[t, b].tolist() == own[t + 1 : t + 1 + K]


def test_at_end_is_each_rows_last_step():
    batch = whole_batch(ragged())
    assert batch.at_end(batch.values_TB.unsqueeze(-1)).squeeze(-1).tolist() == [h[-1] for h, _ in rows(ragged())]
    assert batch.at_end(batch.horizons(K)).tolist() == [horizon for _, horizon in rows(ragged())]


@pytest.mark.parametrize("m", [1, 2, 3, 5, 9])
def test_anchors_in_every_step_of_every_row(m):
    batch = whole_batch(ragged())
    for kind in ("level", "last", "seasonal"):
        found = anchors(batch.history_TB, kind, m, K)
        assert found.shape == (L, 4, K)
        for b, (history, _) in enumerate(rows(ragged())):
            for t in range(len(history)):
                expected = {
                    "level": [0.0] * K,
                    "last": [history[t]] * K,
                    "seasonal": [seasonal_value(history[: t + 1], t, k, m) for k in range(K)],
                }[kind]
                assert found[t, b].tolist() == expected, (kind, m, t, b)


def test_anchors_look_at_nothing_later_than_their_step():
    y_TB = torch.arange(12.0, dtype=torch.float64).unsqueeze(1).requires_grad_()
    for kind in ("last", "seasonal"):
        found = anchors(y_TB, kind, 3, 7)
        for t in range(12):
            (gradient,) = torch.autograd.grad(found[t].sum(), y_TB, retain_graph=True)
            assert (gradient[t + 1 :] == 0).all()
            assert (gradient[: t + 1] != 0).any()


@pytest.mark.parametrize("m", [1, 2, 4, 9])
def test_features_are_the_value_and_its_change_over_a_season(m):
    batch = whole_batch(ragged())
    found = features(batch.history_TB, m)
    assert found.shape == (L, 4, 1 if m == 1 else 2)
    for b, (history, _) in enumerate(rows(ragged())):
        for t, value in enumerate(history):
            change = [] if m == 1 else [value - history[max(t - m, 0)]]
            assert found[t, b].tolist() == [value, *change]


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
@pytest.mark.parametrize("anchor", ["level", "last", "seasonal"])
def test_a_row_alone_is_the_row_in_a_ragged_batch(strategy, anchor):
    model = net(strategy, horizon=K, anchor=anchor, season_length=3).float()
    windows = ragged()
    together = forecast(model, windows, UNSCALED)
    for n in range(len(windows)):
        alone = windows[np.array([n])]
        shorter = windows_at(
            counting(20, 20), alone.series, alone.origins - alone.series_starts, int(alone.lengths[0]), K
        )
        np.testing.assert_allclose(forecast(model, shorter, UNSCALED)[0], together[n], rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_what_stands_beyond_a_row_reaches_neither_forecast_nor_loss(strategy):
    model = net(strategy, horizon=K, anchor="seasonal", season_length=3).float()
    batch = whole_batch(ragged())
    for b, length in enumerate(batch.lengths.tolist()):
        batch.values_TB[length + K :, b] = float("nan")
    clean = whole_batch(ragged())
    assert torch.equal(model(batch), model(clean))
    for dirty, expected in zip(model.errors(batch), model.errors(clean), strict=True):
        assert torch.equal(dirty, expected)


def test_forecasts_in_pieces_are_the_forecasts_at_once(monkeypatch):
    model = net("sequence", horizon=K).float()
    windows = training_windows(series_of(40, 9, 13), L, K)
    scaler = Scaler("window", 0.0, 1.0)
    whole = forecast(model, windows, scaler)
    monkeypatch.setattr("throughtime.tasks.forecast.batches._PREDICTION_ROWS", 7)
    np.testing.assert_allclose(forecast(model, windows, scaler), whole, rtol=1e-6, atol=1e-6)


def test_training_batches_are_scaled_by_their_history_alone():
    series = series_of(30)
    windows = training_windows(series, L, K)
    scaler = Scaler("window", 0.0, 1.0)
    batch = WindowSource(windows, scaler).batch(torch.arange(len(windows)))
    for n, origin in enumerate(windows.origins):
        own = series.flat_values[origin - L : origin + K]
        expected = (own - own[:L].mean()) / own[:L].std()
        np.testing.assert_allclose(batch.values_TB[:, n].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_forecast_from_the_end_needs_no_horizon():
    windows = end_windows(counting(20, 3), L, K)
    found = forecast(net("direct", horizon=K).float(), windows, UNSCALED)
    assert found.shape == (2, K)
    assert np.isfinite(found).all()
