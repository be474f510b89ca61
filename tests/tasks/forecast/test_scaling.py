"""Level and scale against loops, and series of any magnitude."""

import statistics

import numpy as np
import pytest

from tests.tasks.forecast.series import TINY, counting, forecasts, frame, series_of
from throughtime import Forecaster
from throughtime.tasks.forecast.scaling import SCALINGS, Scaler, fit_scaler
from throughtime.tasks.forecast.windows import training_windows, windows_at

L, K = 6, 3


def windows():
    which, origins = np.array([0, 0, 1, 2, 2]), np.array([2, 17, 9, 1, 4])
    return windows_at(series_of(20, 9, 5, value=lambda t, i: 10.0**i * (np.sin(t + i) + 3)), which, origins, L, K)


def histories(of, reach: int | None) -> list[list[float]]:
    """What lies before each origin, `reach` steps of it (None: all)."""
    found = []
    for start, origin in zip(of.series_starts.tolist(), of.origins.tolist(), strict=True):
        begin = start if reach is None else max(start, origin - reach)
        found.append(of.flat_values[begin:origin].tolist())
    return found


@pytest.mark.parametrize(("kind", "reach"), [("window", L), ("series", None)])
def test_moments_of_a_window_and_of_a_series_so_far(kind, reach):
    level, scale = Scaler(kind, 0.0, 7.0).apply(windows())
    for n, own in enumerate(histories(windows(), reach)):
        assert level[n] == pytest.approx(statistics.fmean(own), rel=1e-12)
        expected = statistics.pstdev(own) if len(own) > 1 else 7.0  # one point has no scale of its own
        assert scale[n] == pytest.approx(expected, rel=1e-9)


def test_global_and_none_are_the_same_for_all():
    assert [a.tolist() for a in Scaler("global", 3.0, 2.0).apply(windows())] == [[3.0] * 5, [2.0] * 5]
    assert [a.tolist() for a in Scaler("none", 3.0, 2.0).apply(windows())] == [[0.0] * 5, [1.0] * 5]


@pytest.mark.parametrize("kind", [kind for kind in SCALINGS if kind != "auto"])
def test_scaling_sees_nothing_from_the_origin_on(kind):
    before = windows()
    after = windows()
    last = {s: int(before.origins[before.series_starts == s].max()) for s in set(before.series_starts.tolist())}
    for start, origin in last.items():
        end = {0: 20, 20: 29, 29: 34}[start]
        after.flat_values[origin:end] = 1e9
    scaler = Scaler(kind, 1.0, 2.0)
    for a, b in zip(scaler.apply(before), scaler.apply(after), strict=True):
        assert np.array_equal(a, b)


def test_global_is_fitted_on_the_histories_of_the_training_windows():
    of = training_windows(series_of(30, 12), L, K)
    own = histories(of, L)
    everything = [value for history in own for value in history]
    scaler = fit_scaler("global", of)
    assert scaler.level == pytest.approx(statistics.fmean(everything), rel=1e-12)
    assert scaler.scale == pytest.approx(statistics.pstdev(everything), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (lambda t, i: np.sin(t), "global"),
        (lambda t, i: np.sin(t) + 100 * i, "window"),
        (lambda t, i: np.sin(t) * 10.0**i, "window"),
        (lambda t, i: np.sin(t) + t, "window"),
    ],
)
def test_auto_tells_one_footing_from_many(value, chosen):
    assert fit_scaler("auto", training_windows(series_of(60, 60, 60, value=value), 12, K)).kind == chosen


def test_a_large_level_does_not_eat_the_digits():
    small = series_of(40)
    big = series_of(40, value=lambda t, i: small.flat_values + 2.0**30)  # exact in float64 but for the last 2^-22
    for kind in ("window", "series"):
        scaler = Scaler(kind, 0.0, 1.0)
        _, expected = scaler.apply(training_windows(small, L, K))
        _, found = scaler.apply(training_windows(big, L, K))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("constant", [0.1, -1 / 3, 0.0, 1e12, 1e-12])
@pytest.mark.parametrize("scaling", ["auto", "global", "series", "window"])
def test_a_constant_series_is_forecast_exactly(constant, scaling):
    for anchor in ("level", "last"):
        model = Forecaster(K, scaling=scaling, anchor=anchor, **TINY).fit(
            frame(40, value=lambda t, i: 0 * t + constant)
        )
        assert forecasts(model).tolist() == [constant] * K
        assert model.scaler_.scale >= abs(constant) > 0 or model.scaler_.scale == 1.0


def test_a_constant_series_unscaled_is_forecast_to_float32():
    model = Forecaster(K, scaling="none", anchor="last", **TINY).fit(frame(40, value=lambda t, i: 0 * t + 0.1))
    np.testing.assert_allclose(forecasts(model), 0.1, rtol=1e-7)


def test_a_constant_series_among_others_and_one_that_begins_to_move():
    df = frame(60, 60, 60, value=lambda t, i: [np.sin(t), 0 * t + 4.0, np.where(t < 50, 2.0, 2.0 + t)][i])
    model = Forecaster(K, **TINY).fit(df)
    assert np.isfinite(forecasts(model)).all()
    assert model.history_.stopped == "epochs"


def test_a_model_of_a_constant_series_forecasts_one_that_moves():
    for scaling in ("auto", "global", "window", "series"):
        model = Forecaster(K, scaling=scaling, **TINY).fit(frame(40, value=lambda t, i: 0 * t + 0.1))
        moving = forecasts(model, frame(40, value=lambda t, i: 0.1 + 0.01 * np.sin(t)))
        assert np.abs(moving - 0.1).max() < 0.1, scaling


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
@pytest.mark.parametrize("magnitude", [1e12, 1e-12, 1e-150])
def test_any_magnitude_is_the_same_problem(strategy, magnitude):
    def fitted(size: float) -> np.ndarray:
        df = frame(50, value=lambda t, i: size * (np.sin(t) + 0.05 * t))
        return forecasts(Forecaster(K, strategy=strategy, scaling="window", **TINY).fit(df))

    np.testing.assert_allclose(fitted(magnitude) / magnitude, fitted(1.0), rtol=1e-4)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
@pytest.mark.parametrize("scaling", ["window", "series"])
def test_forecasts_follow_the_units_of_the_history(strategy, scaling):
    df = frame(50, 30)
    model = Forecaster(K, strategy=strategy, scaling=scaling, season_length=4, **TINY).fit(df)
    other = df.with_columns(y=df["y"] * 1000 + 5)
    np.testing.assert_allclose(forecasts(model, other), forecasts(model, df) * 1000 + 5, rtol=1e-5)


def test_what_counts_as_constant_is_rounding_alone():
    level, scale = Scaler("window", 0.0, 9.0).apply(training_windows(counting(20), L, K))
    assert (scale < 2).all()
    of = training_windows(series_of(20, value=lambda t, i: 1.0 + 1e-10 * t), L, K)
    assert (Scaler("window", 0.0, 9.0).apply(of)[1] < 1e-8).all()
    of = training_windows(series_of(20, value=lambda t, i: 1.0 + 1e-16 * t), L, K)
    assert (Scaler("window", 0.0, 9.0).apply(of)[1] == 9.0).all()
    assert level.shape == scale.shape


def test_a_window_that_shows_nothing_stands_at_the_last_value_before_it():
    values = series_of(30, 30, value=lambda t, i: 1e5 + t)
    values.flat_values[[*range(10, 28), *range(30, 38)]] = np.nan
    of = windows_at(values, np.array([0, 0, 1]), np.array([20, 9, 5]), L, K)
    level, scale = Scaler("window", 0.0, 7.0).apply(of)
    assert level.tolist() == [1e5 + 9, pytest.approx(1e5 + 5.5), 0.0]  # the last: not a value of another series
    assert scale[[0, 2]].tolist() == [7.0, 7.0]
    assert Scaler("mean", 0.0, 7.0).apply(of)[1][[0, 2]].tolist() == [1e5 + 9, 7.0]
