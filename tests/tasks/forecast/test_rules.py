"""What stands beside the recurrent layers: lags weighed in, exponential smoothing to start from, logarithms."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.tasks.forecast.series import TINY, design, forecasts, frame, net, series_of
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.forecast import fitting, plan
from throughtime.tasks.forecast.batches import forecast, prepare
from throughtime.tasks.forecast.network import Lags
from throughtime.tasks.forecast.outputs import output_named
from throughtime.tasks.forecast.scaling import Scaler, fit_floor
from throughtime.tasks.forecast.smoothing import smoothed
from throughtime.tasks.forecast.strategies import build
from throughtime.tasks.forecast.windows import training_windows

K = 5


def test_a_lag_says_the_latest_value_known_a_multiple_of_it_before_and_how_far_off_it_was():
    L, horizon, reach, lags = 12, 7, 9, (2, 5, 11)
    values = torch.randn(3, L, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before, missed = Lags(lags, L, horizon, reach)(values)
    for b, own in enumerate(values.tolist()):
        for i, lag in enumerate(lags):
            for k in range(horizon):
                position = L + k - lag
                while position >= L:
                    position -= lag
                assert before[b, k, i] == own[position]
            off = [abs(own[t] - own[t - lag]) for t in range(L - reach, L) if t >= lag]
            assert missed[b, i].item() == pytest.approx(np.mean(off))


@pytest.mark.parametrize("segment", [1, 2])
def test_the_weights_of_lags_follow_the_state_and_begin_at_zero(segment):
    options = {"segment": segment, "season_length": 3, "lags": (3, 6), "anchor": "seasonal"}
    series = series_of(40)
    windows = training_windows(series, 8, K)
    fresh = build(design("direct", **options), output_named("mae")).eval()
    found = forecast(fresh, windows, Scaler("none", 0.0, 1.0))
    last = series.flat_values[windows.origins[:, None] + np.arange(K) - 3 * (np.arange(K) // 3 + 1)]
    np.testing.assert_allclose(found, last, rtol=1e-6)
    model = net("direct", **options).float()
    changed = forecast(model, windows, Scaler("none", 0.0, 1.0))
    with torch.no_grad():
        model.weigh.weight.zero_()
        model.weigh.bias.zero_()
    without = forecast(model, windows, Scaler("none", 0.0, 1.0))
    apart = series.flat_values[windows.origins - 6] - last[:, 0]
    weights = (changed - without)[:, 0] / apart  # of the longer lag: the shorter is the anchor itself
    assert np.std(weights) > 1e-3, "the same weight in every window"


def test_a_net_that_starts_from_smoothing_says_it_until_it_learns():
    series = series_of(60, 50, value=lambda t, i: 9.0 + np.sin(t / 2.0 + i) + 0.01 * t)
    windows = training_windows(series, 8, K)
    for scaler in (Scaler("window", 0.0, 1.0), Scaler("window", 0.0, 1.0, floor=1e-3)):
        prepared = prepare(series, 4, None, K, anchor="smoothed", scaler=scaler)
        model = build(design("direct", season_length=4, anchor="smoothed"), output_named("mae")).eval()
        np.testing.assert_allclose(forecast(model, windows, scaler, prepared), smoothed(windows, 4), rtol=1e-5)


def test_smoothing_is_for_direct_alone(tmp_path):
    df = frame(30, 28, 30, 26, 30)
    model = Forecaster(3, anchor="smoothed", season_length=4, input_size=8, **TINY).fit(df)
    np.testing.assert_allclose(forecasts(model), forecasts(model, df), rtol=1e-6)  # the whole past, not a window
    model.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(model).tobytes()
    with pytest.raises(ArgumentError, match=r"'smoothed' with strategy 'direct', .* got 'sequence'"):
        Forecaster(3, anchor="smoothed", strategy="sequence", **TINY).fit(df)


def test_smoothing_competes_with_the_next_best_rule():
    series = series_of(
        *[40] * 6, value=lambda t, i: 50.0 + 3.0 * np.random.default_rng(i).normal(size=len(t)).cumsum() * 0.2
    )
    windows = training_windows(series, 12, 3)
    rules = plan.choose_anchors(windows, Scaler("window", 0.0, 1.0), 4, smoothing=True)
    assert rules[0] == plan.choose_anchor(windows, Scaler("window", 0.0, 1.0), 4) or rules[0] == "smoothed"
    assert len(rules) == 1 + (rules[0] == "smoothed")
    assert plan.is_short(series)
    assert not plan.is_short(series_of(*[401] * 6))
    assert not plan.is_short(series_of(40))


def test_over_segments_the_best_rule_with_lags_competes_with_the_last_value_without(monkeypatch):
    tried = []
    train = fitting.Fit.train
    monkeypatch.setattr(
        fitting.Fit, "train", lambda fit, *a: tried.append((fit.design.anchor, fit.design.lags)) or train(fit, *a)
    )
    monkeypatch.setattr(plan, "is_linear", lambda *_: False)
    df = frame(120, value=lambda t, i: np.array([3.0, -2.0, 7.0, 0.0])[t % 4] + 0.1 * np.sin(t))
    model = Forecaster(8, season_length=4, input_size=16, segment_size=4, **TINY).fit(df)
    assert tried == [("seasonal", (4, 8, 12, 16)), ("last", ())]
    assert model.anchor_ in ("seasonal", "last")
    single = Forecaster(8, season_length=4, input_size=16, segment_size=1, **TINY).fit(df)
    assert tried[2:] == [("seasonal", (4, 8, 12, 16))]
    assert single.anchor_ == "seasonal"


def oscillating(t, i, noise=0.3):
    """A linear autoregression of two lags, pushed by noise."""
    pushed, found = np.random.default_rng(i).normal(size=len(t)) * noise, [0.0, 1.0]
    for push in pushed[2:]:
        found.append(1.6 * found[-1] - 0.95 * found[-2] + push)
    return np.array(found)


LONE = {"anchor": "auto", "input_size": 12, "logarithms": False, "seed": 0}


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_a_lone_series_starts_from_least_squares(strategy, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting.Fit, "is_worth_it", lambda *_: False)
    df = frame(160, value=oscillating)
    model = Forecaster(K, strategy=strategy, **LONE, **{**TINY, "refit": True}).fit(df)
    assert model.recipe_["rule_alone"]
    assert model.refitted_
    assert "what the net learnt is left out" in model.summary()
    assert "a linear map of the history" in model.summary()
    found = model.evaluate(df, n_windows=8).metrics
    if strategy == "recursive":  # one step ahead, fed back: near, not the same
        assert found["throughtime"]["MAE"] == pytest.approx(found["linear"]["MAE"], rel=0.2)
    else:
        assert found["throughtime"]["MAE"] == pytest.approx(found["linear"]["MAE"], rel=1e-5)
    model.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(model).tobytes()


def test_what_the_net_adds_stays_where_it_is_worth_more_than_chance(monkeypatch):
    df, found = frame(160, value=oscillating), {}
    for worth in (True, False):
        monkeypatch.setattr(fitting.Fit, "is_worth_it", lambda *_, worth=worth: worth)
        found[worth] = Forecaster(K, **LONE, **TINY).fit(df)
        assert found[worth].recipe_["rule_alone"] is not worth
    assert found[True].metrics_["validation_loss"] != found[False].metrics_["validation_loss"]
    assert forecasts(found[True]).tobytes() != forecasts(found[False]).tobytes()


def test_windows_that_overlap_count_as_one():
    series = series_of(200)
    windows = training_windows(series, 8, K)
    scaler = Scaler("none", 0.0, 1.0)
    target_NK = windows.targets()
    noise_NK = np.random.default_rng(0).normal(size=target_NK.shape)

    class Says(torch.nn.Module):
        def __init__(self, off_NK):
            super().__init__()
            self.made_NK = torch.from_numpy(target_NK + off_NK)

        def forward(self, batch):
            return self.made_NK

    fit = fitting.Fit(None, series, None, scaler, None, None, None, "linear")
    rule, prepared = Says(2.0 + 0.0 * noise_NK), prepare(series, 1, None, K, scaler=scaler)
    # A gain of d with deviation 1 over N / K windows' worth.
    apart = -(-len(windows) // K)
    for d, worth in ((0.5 / np.sqrt(apart), False), (2.0 / np.sqrt(apart), True)):
        own_N = noise_NK[:, 0] - noise_NK[:, 0].mean()
        gain_N1 = (d + own_N / own_N.std())[:, None]
        assert fit.is_worth_it(Says(2.0 - np.clip(gain_N1, -9, 2.0) + 0.0 * noise_NK), rule, windows, prepared) is worth


def test_least_squares_are_for_few_windows_that_they_tell_more_of_than_rules():
    scaler = Scaler("none", 0.0, 1.0)
    few = training_windows(series_of(200, value=oscillating), 12, K)
    assert plan.is_linear(few[:120], few[120:], scaler, 1, smoothing=False)
    assert not plan.is_linear(few[:120], few[:0], scaler, 1, smoothing=False)
    walk = series_of(200, value=lambda t, i: np.random.default_rng(i).normal(size=len(t)).cumsum())
    wandering = training_windows(walk, 60, K)
    assert not plan.is_linear(wandering[:70], wandering[70:], scaler, 1, smoothing=False)
    many = training_windows(series_of(6000, value=oscillating), 12, K)
    assert not plan.is_linear(many, few, scaler, 1, smoothing=False)


def test_logarithms_are_for_positive_values_far_from_zero():
    def floor(*values: float) -> float:
        series = read_series(pl.DataFrame({"ds": range(len(values)), "y": values}), missing="keep")
        return fit_floor(series.flat_values, series.offsets)

    assert floor(1.0, 2.0, 3.0) == 0.5
    assert floor(1.0, float("nan"), 3.0) == 0.5
    assert floor(0.0, 2.0, 3.0) == 0.0
    assert floor(-1.0, 2.0, 3.0) == 0.0
    assert floor(0.001, 2.0, 3.0) == 0.0  # a hole, not a small value
    assert floor(3.0, 3.0, 3.0) == 0.0


def test_logarithms_and_back():
    scaler = Scaler("global", 0.3, 2.0, floor=0.01)
    values = np.array([[0.05, 1.0, 700.0]])
    np.testing.assert_allclose(scaler.back(scaler.into(values, 0.3, 2.0), 0.3, 2.0), values, rtol=1e-12)
    assert scaler.into(np.array(-5.0), 0.3, 2.0) == scaler.into(np.array(0.01), 0.3, 2.0)
    assert np.isfinite(scaler.back(np.array(1e6), 0.3, 2.0))


def test_what_grows_by_a_factor_goes_on_growing(tmp_path):
    df = frame(60, value=lambda t, i: 5.0 * 1.1**t * (1.0 + 0.01 * np.sin(t)))
    options = {"input_size": 6, "epochs": 40, "batch_size": 8, "learning_rate": 0.02, "hidden_size": 4}
    model = Forecaster(K, **options).fit(df)
    assert model.scaler_.floor > 0
    assert "of logarithms" in model.summary()
    np.testing.assert_allclose(forecasts(model), 5.0 * 1.1 ** np.arange(60, 60 + K), rtol=0.1)
    assert model.evaluate(df).metrics["linear"]["sMAPE"] < 3.0
    model.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    assert forecasts(loaded).tobytes() == forecasts(model).tobytes()
    crossing = df.with_columns(y=pl.when(pl.col("ds") > 55).then(-1.0).otherwise(pl.col("y")))
    assert np.isfinite(forecasts(loaded, crossing)).all()


def test_logarithms_asked_for_and_not_to_be_had():
    with pytest.raises(DataError, match=r"values above 0 .* got -"):
        Forecaster(K, logarithms=True, **TINY).fit(frame(40))
    assert Forecaster(K, logarithms=False, **TINY).fit(frame(40, value=lambda t, i: 5.0 + t)).scaler_.floor == 0.0
