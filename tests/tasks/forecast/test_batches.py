"""Batches, anchors and gaps against loops over Python lists, ragged rows included.

Legend: B batch, L steps of history, K steps of the horizon.
"""

import math

import numpy as np
import pytest
import torch

from tests.tasks.forecast.series import UNSCALED, counting, design, frame, net, series_of, whole_batch
from throughtime.data import read_series
from throughtime.tasks.forecast.batches import WindowSource, forecast, forecast_raw, prepare
from throughtime.tasks.forecast.network import anchor_at, centre_at
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.windows import end_windows, fill_gaps, training_windows, windows_at

L, K = 6, 4
SHORT = {"horizon": K, "input_size": L}


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


def test_a_batch_is_aligned_at_the_origins_and_says_what_was_not_there():
    batch = whole_batch(ragged())
    for b, (history, horizon) in enumerate(rows(ragged())):
        before = L - len(history)
        assert batch.values[b].tolist() == [history[0]] * before + history + horizon
        assert batch.mask[b].tolist() == [0.0] * before + [1.0] * (len(history) + K)
    assert batch.history == L


def test_rows_that_are_all_full_need_no_mask():
    assert whole_batch(training_windows(counting(20), L, K)).mask is None


@pytest.mark.parametrize("m", [1, 2, 3, 5, 9])
def test_anchors_after_every_number_of_steps(m):
    batch = whole_batch(training_windows(counting(20, 15), L, K))
    ends = list(range(1, L + 1))
    for kind in ("level", "last", "seasonal"):
        found = anchor_at(batch.history_BL, ends, design("direct", anchor=kind, season_length=m, **SHORT), K)
        assert found.shape == (len(batch.values), L, K)
        for b, values in enumerate(batch.values.tolist()):
            for end in ends:
                seasonal = [values[max(end + k - m * (k // m + 1), 0)] for k in range(K)]
                expected = {"level": [0.0] * K, "last": [values[end - 1]] * K, "seasonal": seasonal}[kind]
                assert found[b, end - 1].tolist() == expected, (kind, m, end)


def test_the_centre_is_what_the_anchor_stands_on():
    batch = whole_batch(training_windows(counting(20), L, K))
    y = batch.history_BL
    for kind, expected in (("level", 0 * y[:, 0]), ("last", y[:, 3]), ("seasonal", y[:, 1:4].mean(1))):
        found = centre_at(y, [4], design("direct", anchor=kind, season_length=3, **SHORT))
        assert torch.equal(found[:, 0], expected)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
@pytest.mark.parametrize("segment", [1, 3])
def test_a_row_alone_is_the_row_in_a_ragged_batch(strategy, segment):
    model = net(strategy, segment=segment, missing=True, anchor="seasonal", season_length=3, **SHORT).float()
    windows = ragged()
    together = forecast(model, windows, UNSCALED)
    for n in range(len(windows)):
        alone = forecast(model, windows[np.array([n])], UNSCALED)
        np.testing.assert_allclose(alone[0], together[n], rtol=2e-6, atol=1e-5)


def test_forecasts_in_pieces_are_the_forecasts_at_once(monkeypatch):
    model = net("sequence", **SHORT).float()
    windows = training_windows(series_of(40, 9, 13), L, K)
    scaler = Scaler("window", 0.0, 1.0)
    whole, (raw, level, scale) = forecast(model, windows, scaler), forecast_raw([model, model], windows, scaler)
    monkeypatch.setattr("throughtime.tasks.forecast.batches._PREDICTION_ROWS", 7)
    np.testing.assert_allclose(forecast(model, windows, scaler), whole, rtol=1e-6, atol=1e-6)
    assert raw.shape == (2, len(windows), K, 1)
    again = forecast_raw([model], windows, scaler)[0]
    np.testing.assert_allclose(again[0], raw[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(raw[0, ..., 0].numpy() * scale[:, None] + level[:, None], whole, rtol=1e-6)


def test_training_batches_are_scaled_by_their_history_alone():
    series = series_of(30)
    windows = training_windows(series, L, K)
    batch = WindowSource(windows, Scaler("window", 0.0, 1.0)).batch(torch.arange(len(windows)))
    for n, origin in enumerate(windows.origins):
        own = series.flat_values[origin - L : origin + K]
        expected = (own - own[:L].mean()) / own[:L].std()
        np.testing.assert_allclose(batch.values[n].numpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(float(batch.scale[n]), own[:L].std(), rtol=1e-6)


def test_a_forecast_from_the_end_needs_no_horizon():
    windows = end_windows(counting(20, 3), L, K)
    found = forecast(net("direct", **SHORT).float(), windows, UNSCALED)
    assert found.shape == (2, K)
    assert np.isfinite(found).all()


def with_gaps():
    """One series of 0, 1, 2, ... with holes: in a row, a season apart, and five seasons long."""
    values = np.arange(60.0)
    values[[5, 6, 9]] = np.nan
    values[30:45] = np.nan
    df = frame(60).with_columns(y=values)
    return read_series(df, missing="keep"), values


def test_a_gap_is_filled_from_the_season_before_or_from_what_is_nearest():
    series, values = with_gaps()
    filled = fill_gaps(series.flat_values, series.offsets, 3)
    for t, value in enumerate(values.tolist()):
        if math.isnan(value):
            seasons = [values[t - 3 * back] for back in (1, 2, 3, 4) if not math.isnan(values[t - 3 * back])]
            value = seasons[0] if seasons else values[np.flatnonzero(np.isfinite(values[:t]))[-1]]
        assert filled[t] == value
    assert fill_gaps(counting(5).flat_values, np.array([0, 5]), 3) is not None


def test_a_missing_value_reaches_the_mask_and_no_loss():
    series, values = with_gaps()
    windows = training_windows(series, L, K)
    assert all(np.isfinite(values[o - L : o]).any() and np.isfinite(values[o : o + K]).any() for o in windows.origins)
    batch = WindowSource(windows, UNSCALED, prepare(series, 3, None, K)).batch(torch.arange(len(windows)))
    for n, origin in enumerate(windows.origins):
        assert batch.mask[n].tolist() == np.isfinite(values[origin - L : origin + K]).astype(float).tolist()
    model = net("direct", missing=True, **SHORT).float()
    error = (model(batch) - batch.horizon_BK) ** 2
    expected = error[batch.horizon_mask > 0].mean()
    assert model.loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_scale_stands_on_observed_values():
    series, values = with_gaps()
    windows = windows_at(series, np.array([0]), np.array([10]), L, K)
    level, scale = Scaler("window", 0.0, 1.0).apply(windows)
    own = values[4:10][np.isfinite(values[4:10])]
    assert (level[0], scale[0]) == (pytest.approx(own.mean()), pytest.approx(own.std()))
