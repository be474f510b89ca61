"""What a fitted forecaster sees, and what it must not see."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.tasks.forecast.series import UNSCALED, forecasts, frame
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.tasks.forecast.batches import WindowSource
from throughtime.tasks.forecast.strategies import STRATEGIES
from throughtime.tasks.forecast.windows import training_windows

K = 4


@pytest.fixture(scope="module", params=sorted(STRATEGIES))
def strategy(request):
    return request.param


@pytest.fixture(scope="module", params=["global", "none", "window", "series"])
def fitted(request, strategy):
    model = Forecaster(
        K,
        strategy=strategy,
        scaling=request.param,
        hidden_size=6,
        num_layers=2,
        epochs=3,
        season_length=5,
        input_size=9,
    )
    return model.fit(frame(60, 50))


def test_every_step_of_a_trained_forecast_depends_on_the_last_value(fitted):
    series = read_series(frame(60, 50))
    batch = WindowSource(training_windows(series, 9, K), UNSCALED).batch(torch.arange(5))
    batch.values.requires_grad_()
    found = fitted.model_(batch)
    for k in range(K):
        (gradient,) = torch.autograd.grad(found[:, k].sum(), batch.values, retain_graph=True)
        assert (gradient[:, 8] != 0).all(), f"step {k + 1} does not see x_T"
        assert (gradient[:, 9:] == 0).all(), f"step {k + 1} sees the future"


def test_a_changed_last_value_changes_every_step(fitted):
    df = frame(60)
    changed = df.with_columns(y=pl.when(pl.col("ds") == 59).then(pl.col("y") + 0.5).otherwise(pl.col("y")))
    assert (forecasts(fitted, changed) != forecasts(fitted, df)).all()


def test_a_changed_value_before_the_window_changes_nothing(fitted):
    df = frame(60)
    # `series` scales by the whole past; the longest look back of the others is the window.
    changed = df.with_columns(y=pl.when(pl.col("ds") < 51).then(pl.col("y") + 9.0).otherwise(pl.col("y")))
    same = (forecasts(fitted, changed) == forecasts(fitted, df)).all()
    assert same == (fitted.scaling != "series")


def test_continuing_is_forecasting_the_training_frame(fitted):
    assert np.array_equal(forecasts(fitted), forecasts(fitted, frame(60, 50)))


def spoilt(df: pl.DataFrame, from_time: int) -> pl.DataFrame:
    return df.with_columns(y=pl.when(pl.col("ds") >= from_time).then(-50.0 + pl.col("ds")).otherwise(pl.col("y")))


def test_what_comes_after_an_origin_changes_no_forecast_of_an_evaluation(fitted):
    df = frame(60)
    before = fitted.evaluate(df, n_windows=3, step_size=2).forecasts
    for origin in (52, 54, 56):
        after = fitted.evaluate(spoilt(df, origin), n_windows=3, step_size=2).forecasts
        columns = ["forecast", "naive", "seasonal_naive", "linear"]
        known = before["cutoff"] < origin
        assert known.sum() == K * ((origin - 52) // 2 + 1)
        assert before.filter(known).select(columns).equals(after.filter(known).select(columns))
        assert not before.filter(~known).select(columns).equals(after.filter(~known).select(columns)) or known.all()


def test_what_comes_after_an_origin_changes_no_forecast_of_a_cross_validation(strategy):
    model = Forecaster(K, strategy=strategy, hidden_size=4, num_layers=1, epochs=1)
    df = frame(60, 40)
    before = model.cross_validation(df, n_windows=3, step_size=2)
    last = df.with_columns(last=pl.col("ds").max().over("unique_id"))
    for back in (0, 1, 2):  # windows before the end, counted from the last
        changed = last.with_columns(
            y=pl.when(pl.col("ds") > pl.col("last") - K - 2 * back).then(-9.0).otherwise(pl.col("y"))
        ).drop("last")
        after = model.cross_validation(changed, n_windows=3, step_size=2)
        for one in ("s0", "s1"):
            rows = before["unique_id"] == one
            first = K * (3 - back)  # windows whose origin lies at or before the change
            assert before.filter(rows)["forecast"][:first].equals(after.filter(rows)["forecast"][:first])


def test_cross_validation_trains_on_nothing_from_the_first_cutoff_on():
    df = frame(60)
    model = Forecaster(K, hidden_size=4, num_layers=1, epochs=2)
    found = model.cross_validation(df, n_windows=2, step_size=3)
    by_hand = Forecaster(K, hidden_size=4, num_layers=1, epochs=2).fit(df.head(60 - K - 3))
    # A linear layer differs in its last bits with the rows of its batch.
    np.testing.assert_allclose(found["forecast"][:K], forecasts(by_hand), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["forecast"][K:], forecasts(by_hand, df.head(60 - K)), rtol=1e-5, atol=1e-6)
    assert not model._fitted


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_rule_that_can_be_known_is_learnt(name):
    """Targets one step off, or a horizon in the wrong order, are further from the cycle than what is allowed here."""
    cycle = np.array([0.0, 1.0, 3.0, -2.0, -4.0])
    df = frame(70, value=lambda t, i: cycle[t % 5])
    model = Forecaster(
        K, strategy=name, anchor="level", input_size=6, hidden_size=8, num_layers=1, epochs=20, learning_rate=0.04,
        batch_size=16,
    ).fit(df)  # fmt: skip
    for n in (70, 68, 41):
        off = {
            shift: forecasts(model, df.head(n)) - cycle[np.arange(n + shift, n + K + shift) % 5] for shift in range(5)
        }
        error = {shift: float(np.sqrt(np.mean(value**2))) for shift, value in off.items()}
        assert error[0] < 0.8
        assert min(error[shift] for shift in range(1, 5)) > 1.2


def test_a_ramp_goes_on():
    df = frame(60, value=lambda t, i: 2.0 * t)
    model = Forecaster(
        K,
        strategy="direct",
        scaling="window",
        input_size=6,
        hidden_size=4,
        num_layers=1,
        epochs=40,
        batch_size=8,
        learning_rate=0.02,
    ).fit(df)
    np.testing.assert_allclose(forecasts(model), 2.0 * np.arange(60, 60 + K), atol=0.9)
