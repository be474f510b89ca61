"""What a fitted forecaster says of how sure it is: columns, coverage, paths, folders and refusals."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tests.tasks.forecast.series import TINY, double, frame, net, series_of, whole_batch
from throughtime import Forecaster
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.tasks.forecast import intervals, plan
from throughtime.tasks.forecast.outputs import Distribution
from throughtime.tasks.forecast.windows import rolling_windows, training_windows

K = 4
OPTIONS: dict[str, Any] = {**TINY, "input_size": 8, "segment_size": 1}


def noisy(series: int, seed: int = 0, n: int = 60) -> pl.DataFrame:
    """A level for each series and skewed noise around it: nothing to learn, everything to be honest about."""
    rng = np.random.default_rng(seed)
    return frame(*[n] * series, value=lambda t, i: 10.0 * (i % 12) + rng.gamma(2.0, 1.0, size=len(t)))


def fitted(loss: str, strategy: str = "direct", **options: Any) -> Forecaster:
    return Forecaster(K, loss=loss, strategy=strategy, **{**OPTIONS, **options}).fit(noisy(12))


@pytest.fixture(scope="module")
def points() -> Forecaster:
    return fitted("mae")


@pytest.fixture(scope="module")
def paths() -> Forecaster:
    return fitted("gaussian", "recursive")


def test_columns_are_named_by_what_was_asked_for(points):
    found = points.predict(levels=[80, 95], quantiles=[0.1, 0.5])
    beside = ["lo-80", "hi-80", "lo-95", "hi-95", "q-0.1", "q-0.5"]
    assert found.columns == ["unique_id", "ds", "forecast", *(f"forecast-{name}" for name in beside)]
    assert len(found) == 12 * K
    assert found.select("unique_id", "ds", "forecast").equals(points.predict())
    assert found["forecast-lo-80"].equals(found["forecast-q-0.1"].rename("forecast-lo-80"))
    ordered = found.select("forecast-lo-95", "forecast-lo-80", "forecast-q-0.5", "forecast-hi-80", "forecast-hi-95")
    assert (np.diff(ordered.to_numpy(), axis=1) > 0).all()


def test_a_shorter_horizon_is_the_beginning_of_the_trained_one(points):
    short, whole = points.predict(levels=80, horizon=3), points.predict(levels=80)
    assert short.equals(whole.filter(pl.col("ds") < 63))


@pytest.mark.parametrize(
    ("loss", "strategy"),
    [("mse", "sequence"), ("quantiles", "direct"), ("student-t", "direct"), ("gaussian", "recursive")],
)
def test_intervals_hold_what_they_promise_on_new_series(loss, strategy):
    model = Forecaster(K, loss=loss, strategy=strategy, **OPTIONS).fit(noisy(60))
    # Some 300 errors a step to calibrate on: 80 % is known to 2.3 points, 95 % to 1.3.
    found = model.evaluate(noisy(100, seed=1), n_windows=5, levels=[80, 95])
    assert [(s.level, s.coverage) for s in found.intervals] == [
        (80.0, pytest.approx(80, abs=4.6)),
        (95.0, pytest.approx(95, abs=2.6)),
    ]
    assert found.metrics["throughtime"]["WQL"] < found.metrics["naive"]["WQL"]
    assert "measured on series kept apart: 80 % held " in model.summary()


def test_counts_stay_counts():
    rng = np.random.default_rng(0)
    df = frame(*[60] * 12, value=lambda t, i: rng.poisson(0.7 + 3 * i, size=len(t)))
    model = Forecaster(K, loss="negative-binomial", **OPTIONS).fit(df)
    found = model.predict(levels=[80], samples=5)
    assert (found["forecast-lo-80"] >= 0).all()
    assert (found["forecast-hi-80"] > found["forecast-lo-80"]).all()
    drawn = found.select(pl.col("^forecast-draw-.*$")).to_numpy()
    assert drawn.shape == (12 * K, 5)
    np.testing.assert_allclose(drawn, np.rint(drawn), atol=1e-4)
    assert (drawn >= 0).all()


def test_a_recursive_path_is_fed_with_what_it_drew():
    """Step k of a path is drawn from what the net says after the path's own first k − 1 steps."""
    model = net("recursive", loss="gaussian", hidden_size=3)
    windows = rolling_windows(series_of(40, 30), 2, 3, 8, 5)
    batch = double(whole_batch(windows))
    batch = replace(batch, values=batch.history_BL)
    S = 3
    with torch.inference_mode():
        paths = intervals._roll(model, batch, S, torch.Generator().manual_seed(0))
        assert paths.shape == (4, S, 5)
        steps = iter(paths.reshape(4 * S, 5).split(1, dim=1))
        wide = replace(batch, values=batch.values.repeat_interleave(S, 0), scale=batch.scale.repeat_interleave(S, 0))
        raw = model.raw(wide, draw=lambda _: next(steps))  # the same path fed by hand
        g = torch.Generator().manual_seed(0)
        again = [model.output.sample(raw[:, k : k + 1], wide.scale.unsqueeze(-1), g) for k in range(5)]
    torch.testing.assert_close(torch.cat(again, 1).view(4, S, 5), paths)
    assert (paths[:, 0] != paths[:, 1]).all()


def test_paths_go_together_where_draws_do_not():
    rng = np.random.default_rng(0)
    walk = frame(*[60] * 10, value=lambda t, i: np.cumsum(rng.normal(size=len(t))))
    together = {}
    for strategy, kind in (("recursive", "path"), ("direct", "draw")):
        options = {**OPTIONS, "epochs": 4, "anchor": "last"}
        model = Forecaster(K, strategy=strategy, loss="gaussian", **options).fit(walk)
        drawn = model.predict(samples=200).select(pl.col(f"^forecast-{kind}-.*$")).to_numpy().reshape(10, K, 200)
        together[kind] = np.mean([np.corrcoef(own[1:3])[0, 1] for own in drawn])
    assert together["path"] > 0.5  # 0.82 in a random walk
    assert abs(together["draw"]) < 0.1


def test_an_ensemble_shares_the_samples_and_averages_the_quantiles():
    model = fitted("gaussian", ensemble=2)
    windows, prepared = rolling_windows(model.series_, 1, K, 8, K), model._prepare(model.series_)
    kind, drawn = intervals.samples_of(model, windows, prepared, 5, "predict")
    assert (kind, drawn.shape) == ("draw", (12, K, 5))
    own = []
    for member in model.model_.members:
        raw, level, scale = intervals.forecast_raw([member], windows, model.scaler_, prepared)
        q = member.output.quantiles(raw[0], [0.5], torch.ones(1))[..., 0].numpy()
        own.append(q)
    model.calibration_ = None
    found = intervals.quantiles_of(model, windows, prepared, [0.5], "predict")[..., 0]
    expected = model.scaler_.back((own[0] + own[1]) / 2, level[:, None], scale[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(own[0] - own[1]).max() > 1e-3


def test_the_seed_decides_every_draw(paths):
    first = paths.predict(samples=3, levels=[80])
    assert first.equals(paths.predict(samples=3, levels=[80]))
    other = Forecaster(K, loss="gaussian", strategy="recursive", **OPTIONS, seed=1)
    other.__dict__ |= {name: value for name, value in vars(paths).items() if name.endswith("_")}
    assert not first["forecast-path-1"].equals(other.predict(samples=3)["forecast-path-1"])


@pytest.mark.parametrize("which", ["points", "paths"])
def test_a_folder_keeps_the_calibration(which, request, tmp_path):
    model = request.getfixturevalue(which)
    model.save(tmp_path / "m")
    again = Forecaster.load(tmp_path / "m")
    assert again.predict(levels=[80, 95]).equals(model.predict(levels=[80, 95]))
    assert again.calibration_.sentence == model.calibration_.sentence
    assert json.loads((tmp_path / "m" / "model.json").read_text())["fitted"]["conformal"]["origins"] > 0


def test_a_refitted_model_was_calibrated_by_the_nets_that_had_not_seen_the_end():
    """Noise without end: a net that has learnt it by heart makes no error on it, and its intervals would be nothing."""
    rng = np.random.default_rng(0)
    df = frame(90, value=lambda t, i: rng.normal(size=len(t)))
    one, other = (Forecaster(K, loss="mse", **{**OPTIONS, "refit": refit}).fit(df) for refit in (False, True))
    assert (one.refitted_, other.refitted_) == (False, True)
    assert np.array_equal(one.calibration_.offsets_QK, other.calibration_.offsets_QK)
    assert not np.array_equal(one.predict()["forecast"], other.predict()["forecast"])


def test_cross_validation_brings_the_intervals_of_what_it_fitted():
    df = noisy(12)
    found = Forecaster(K, **OPTIONS).cross_validation(df, n_windows=2, levels=[80])
    assert found.columns == ["unique_id", "ds", "cutoff", "y", "forecast", "forecast-lo-80", "forecast-hi-80"]
    alike = Forecaster(K, **OPTIONS).fit(df.filter(pl.col("ds") < 60 - 2 * K))
    assert found.equals(alike.evaluate(df, n_windows=2, levels=[80]).forecasts.select(found.columns))


def test_evaluation_shows_the_ends_of_the_intervals_it_scores(points):
    found = points.evaluate(noisy(5, seed=3), levels=[80])
    rows = found.forecasts
    held = (rows["forecast-lo-80"] <= rows["y"]) & (rows["y"] <= rows["forecast-hi-80"])
    assert found.intervals[0].coverage == pytest.approx(100 * held.mean())
    assert found.intervals[0].width == pytest.approx((rows["forecast-hi-80"] - rows["forecast-lo-80"]).mean())


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"quantiles": [0.1, 1.5]}, ArgumentError, r"expected quantiles in \(0, 1\), got 1.5; give shares, as 0.9"),
        ({"quantiles": [0.0]}, ArgumentError, r"expected quantiles in \(0, 1\), got 0;"),
        ({"quantiles": float("nan")}, ArgumentError, r"expected quantiles in \(0, 1\), got nan;"),
        ({"levels": [100]}, ArgumentError, r"expected levels in \(0, 100\), got 100; give percent, as 80"),
        ({"levels": [-5]}, ArgumentError, r"expected levels in \(0, 100\), got -5;"),
        ({"levels": [80, 80.0]}, ArgumentError, r"expected levels that differ, got \[80, 80.0\]"),
        ({"levels": "80"}, ArgumentTypeError, r"expected levels to be numbers, got '80'"),
        ({"levels": [True]}, ArgumentTypeError, r"expected levels to be numbers, got True"),
        ({"samples": 0}, ArgumentError, r"expected samples > 0, got 0"),
        ({"samples": 2.5}, ArgumentTypeError, r"expected samples to be an int, got 2.5"),
        ({"samples": 3}, ArgumentError, r"a distribution to draw samples from, got one with loss 'mae'; fit with loss"),
        ({"levels": [99.9]}, ArgumentError, r"held-out origins tell \(intervals up to .* %\), got 0.0005;"),
        ({"levels": [80], "horizon": 9}, ArgumentError, r"expected horizon <= 4, as trained, .* got 9; .* horizon=9"),
    ],
)
def test_what_cannot_be_told_is_refused(points, asked, error, message):
    with pytest.raises(error, match=r"Forecaster\.predict: .*" + message):
        points.predict(**asked)


def test_a_model_without_held_out_origins_has_no_intervals_unless_it_is_a_distribution():
    df = noisy(1, n=10)
    alone = Forecaster(K, **{**OPTIONS, "input_size": 2}).fit(df)
    alone.calibration_ = None
    assert "intervals   not calibrated" in alone.summary()
    with pytest.raises(ArgumentError, match=r"held out too few origins; .* or with loss='quantiles'"):
        alone.predict(levels=[80])
    gaussian = Forecaster(K, loss="gaussian", **{**OPTIONS, "input_size": 2}).fit(df)
    gaussian.calibration_ = None
    assert isinstance(gaussian.model_.output, Distribution)
    found = gaussian.predict(levels=[80])
    assert (found["forecast-hi-80"] > found["forecast-lo-80"]).all()


def test_a_column_of_forecasts_is_no_name_for_an_id():
    with pytest.raises(ArgumentError, match=r"expected id_col to differ from .* got 'forecast-lo-80'"):
        Forecaster(K, id_col="forecast-lo-80").fit(noisy(2))


@pytest.mark.parametrize("m", [1, 3, 9])
def test_the_expected_error_is_that_of_the_better_naive_rule(m):
    """One series swings in threes, the other climbs; 9 is longer than the window shows, as if there were no season."""
    series = series_of(40, 40, value=lambda t, i: 0.1 * t**2 if i else 5 * np.sin(2 * np.pi * t / 3) + 0.1 * np.cos(t))
    series.flat_values[[33, 73]] = np.nan
    windows = rolling_windows(series, 1, K, 8, K)
    expected = []
    for origin in windows.origins:
        own = windows.flat_values[origin - 8 : origin]
        assert np.isnan(own).sum() == 1
        changes = [[abs(own[t] - own[t - lag]) for t in range(lag, 8)] for lag in {1, m} if lag < 8]
        expected.append(min(np.nanmean(change) for change in changes))
    found = intervals.naive_error(windows, m)
    assert found.tolist() == pytest.approx(expected)
    assert (found < intervals.naive_error(windows, 1)).tolist() == [m == 3, False]  # both rules are met


def test_intervals_of_logarithms_are_in_the_series_own_units():
    rng = np.random.default_rng(0)
    df = frame(*[60] * 40, value=lambda t, i: np.exp(3 + i / 8 + 0.3 * rng.normal(size=len(t))))
    model = Forecaster(K, logarithms=True, **OPTIONS).fit(df)
    found = model.evaluate(df, n_windows=5, levels=[80])
    assert found.intervals[0].coverage == pytest.approx(80, abs=5)
    rows = model.predict(levels=[80])
    above, below = rows["forecast-hi-80"] - rows["forecast"], rows["forecast"] - rows["forecast-lo-80"]
    assert (above > below).mean() > 0.9
    assert (rows["forecast-lo-80"] > 0).all()


def test_series_are_set_apart_with_all_their_moments():
    series = series_of(*[30] * 70)
    whole = training_windows(series, 8, K)
    assert not plan.is_one_moment(whole)
    assert plan.is_one_moment(rolling_windows(series, 1, K, 8, K))
    found = plan.series_apart(whole, 8, seed=0)
    apart, rest = {*found.validation.series.tolist()}, {*found.training.series.tolist()}
    assert (len(apart), len(rest), apart & rest) == (20, 50, set())
    assert (found.validation.lengths == 8).all()
    assert len(found.validation) == 20 * (30 - K - 8 + 1)
    assert plan.series_apart(training_windows(series_of(*[30] * 59), 8, K), 8, seed=0) is None


def test_one_moment_of_every_series_is_not_what_intervals_are_calibrated_on():
    """The last K values of every series jump together: whoever calibrates on them promises far too much width."""
    rng = np.random.default_rng(0)
    df = frame(*[44] * 64, value=lambda t, i: rng.normal(size=len(t)) + 20.0 * (t >= 40) * rng.choice([-1, 1]))
    widths = {}
    for refit in (False, True):
        model = Forecaster(K, **{**OPTIONS, "epochs": 1, "refit": refit, "anchor": "level"}).fit(df)
        assert model.validation_.startswith("by time: the last 4 points")
        found = model.predict(df.filter(pl.col("ds") < 40), levels=[50])
        widths[refit] = (found["forecast-hi-50"] - found["forecast-lo-50"]).median()
        assert model.calibration_.origins == (20 * (44 - 8 - K + 1) if refit else 64)
    assert widths[True] < widths[False] / 3
