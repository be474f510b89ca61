"""Seeds, Ctrl-C, and what the training config makes of the options."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.tasks.forecast.series import TINY, forecasts, frame, series_of
from throughtime import Forecaster
from throughtime.data import read_series
from throughtime.datasets import waves_frame
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.forecast import fitting, plan, recipe
from throughtime.tasks.forecast.windows import Windows, windows_at
from throughtime.training import Callback, TrainingResult, train

K = 3


@pytest.mark.parametrize("strategy", ["recursive", "direct", "sequence"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(strategy):
    df = frame(40, 30)
    # With an anchor of its own: beside "auto" a lone net may be left out for least squares, which have no seed.
    options = {"strategy": strategy, "hidden_size": 4, "num_layers": 2, "dropout": 0.3, "epochs": 2, "anchor": "last"}
    first = Forecaster(K, seed=5, **options).fit(df)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  the global state is what is disturbed
    again = Forecaster(K, seed=5, **options).fit(df)
    assert forecasts(first).tobytes() == forecasts(again).tobytes()
    assert [r.train_loss for r in first.history_.history] == [r.train_loss for r in again.history_.history]
    assert forecasts(Forecaster(K, seed=6, **options).fit(df)).tobytes() != forecasts(first).tobytes()


def test_fitting_again_begins_anew():
    df = frame(40)
    model = Forecaster(K, **TINY).fit(df)
    once = forecasts(model)
    assert forecasts(model.fit(df)).tobytes() == once.tobytes()


def test_global_random_states_are_left_alone(tmp_path):
    df = frame(40)
    torch.manual_seed(1)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = Forecaster(K, hidden_size=4, num_layers=2, dropout=0.5, epochs=1).fit(df)
    model.evaluate(df)
    model.cross_validation(df, 1)
    model.save(tmp_path / "m")
    Forecaster.load(tmp_path / "m").predict()
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002


class CtrlC(Callback):
    """Interrupts at the n-th step."""

    def __init__(self, n: int) -> None:
        self.left = n

    def on_step(self, record) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("step", "best"), [(1, None), (4, 1)])
def test_ctrl_c_keeps_a_model_that_can_be_used(step, best, tmp_path):
    df = frame(60)
    model = Forecaster(K, input_size=6, hidden_size=4, num_layers=1, epochs=50, batch_size=32)
    model.fit(df, callbacks=[CtrlC(step)])
    assert model.history_.stopped == "interrupted"
    assert model.history_.best_epoch == best
    assert np.isfinite(forecasts(model)).all()
    assert model.evaluate(df).metrics["throughtime"]["MAE"] > 0
    assert "best epoch" in model.summary()
    model.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(model).tobytes()


def trainings(monkeypatch: pytest.MonkeyPatch, ctrl_c_in: int = 0) -> list[TrainingResult]:
    """Every training that a fit makes; one of them, counted from 1, is interrupted at its third step."""
    ended: list[TrainingResult] = []

    def heard(*args, **options):
        args = list(args)
        if len(ended) + 1 == ctrl_c_in:
            args[5:] = [(CtrlC(3),)]
        ended.append(train(*args, **options))
        return ended[-1]

    monkeypatch.setattr(fitting, "train", heard)
    return ended


# Two nets, then two on everything, then two that never saw some of the series.
@pytest.mark.parametrize(("at", "nets", "refitted"), [(1, 1, False), (2, 1, False), (3, 2, False), (5, 2, True)])
def test_ctrl_c_ends_all_that_would_follow(at, nets, refitted, monkeypatch, tmp_path):
    ended = trainings(monkeypatch, ctrl_c_in=at)
    df = frame(*[4 * K] * 80)
    model = Forecaster(K, ensemble=2, anchor="level", input_size=4, **{**TINY, "refit": True}).fit(df)
    assert len(ended) == at
    assert model.history_.stopped == "interrupted"
    assert model.history_.message == ended[-1].message
    assert (len(model.model_.members), model.refitted_) == (nets, refitted)
    assert model.history_.seconds == pytest.approx(sum(one.seconds for one in ended))
    model.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(model).tobytes()


def test_an_ensemble_ended_early_is_the_nets_that_had_ended(monkeypatch, tmp_path):
    trainings(monkeypatch, ctrl_c_in=3)
    few = Forecaster(K, ensemble=3, seed=4, anchor="last", **TINY).fit(frame(60))
    monkeypatch.undo()
    two = Forecaster(K, ensemble=2, seed=4, anchor="last", **TINY).fit(frame(60))
    assert forecasts(few).tobytes() == forecasts(two).tobytes()
    assert "2 nets of " in few.summary()
    few.save(tmp_path / "m")
    assert forecasts(Forecaster.load(tmp_path / "m")).tobytes() == forecasts(few).tobytes()
    spent = Forecaster(K, ensemble=3, anchor="last", **TINY).fit(frame(60), max_seconds=1e-3)
    assert (spent.history_.stopped, len(spent.model_.members)) == ("budget", 1)


def test_the_seconds_are_those_of_every_training(monkeypatch):
    ended = trainings(monkeypatch)
    model = Forecaster(K, ensemble=2, **{**TINY, "refit": True}).fit(frame(60, 60))
    assert len(ended) >= 4
    assert model.history_.stopped == "epochs"
    assert model.history_.seconds == pytest.approx(sum(one.seconds for one in ended))


def test_the_linear_baseline_sees_what_the_net_saw():
    df = frame(60, 60)
    changed = df.with_columns(y=pl.when(pl.col("ds") >= 58).then(pl.col("y") + 0.5).otherwise(pl.col("y")))
    weights = {}
    for refit in (False, True):
        options = {**TINY, "refit": refit, "scaling": "none", "logarithms": False, "anchor": "last", "input_size": 6}
        weights[refit] = [Forecaster(K, **options).fit(one).linear_.weight for one in (df, changed)]
    assert np.array_equal(*weights[False])
    assert not np.array_equal(*weights[True])


def test_a_fit_that_fails_leaves_the_model_before_it():
    model = Forecaster(K, **TINY).fit(frame(40))
    before = forecasts(model)
    with pytest.raises(ValueError, match="at least 8 points"):
        model.fit(frame(7))
    assert forecasts(model).tobytes() == before.tobytes()


def test_callbacks_hear_of_every_step():
    seen = []

    class Listener(Callback):
        def on_step(self, record) -> None:
            seen.append(record.global_step)

    model = Forecaster(K, **TINY).fit(frame(60), callbacks=[Listener()])
    assert seen == list(range(1, model.history_.steps + 1))
    assert len(model.history_.history) == 2


def chosen(n_windows: int, **options) -> recipe.Recipe:
    """The recipe for so many windows of one step."""
    return recipe.choose(Forecaster(K, **options), windows_of(n_windows), series_of(40))


def windows_of(many: int) -> Windows:
    """The same window so many times."""
    return windows_at(series_of(40), np.zeros(many, dtype=np.int64), np.full(many, 9), 4, K)


def test_epochs_left_open_follow_from_the_number_of_windows():
    for many in (10, 3000, 60_000):
        made = chosen(many)
        config = made.config(many)
        steps = config.epochs * -(-many // made.batch_size)
        assert config.epochs == 120 if steps < made.steps else steps < made.steps + many // made.batch_size + 1
    assert made.most_windows < 2**40 < chosen(10, epochs=2).most_windows


def test_the_options_reach_the_training():
    config = chosen(10, epochs=7, batch_size=5, learning_rate=0.1, patience=2, seed=8).config(10)
    assert (config.epochs, config.batch_size, config.learning_rate, config.patience, config.seed) == (7, 5, 0.1, 2, 8)


def test_clean_series_are_learnt_by_the_mean_and_for_long_and_noisy_ones_by_the_median():
    noisy, clean = chosen(3000), recipe.choose(Forecaster(K), windows_of(3000), series_of(40), clean=True)
    assert (noisy.loss, clean.loss) == ("mae", "huber")
    assert clean.steps > 5 * noisy.steps
    assert clean.dropout == 0.0 < noisy.dropout
    assert recipe.choose_loss("mse", clean=True) == "mse"
    waves = read_series(waves_frame(400, seed=0))
    assert plan.is_clean(waves, 3, 1)
    assert not plan.is_clean(
        series_of(*[200] * 30, value=lambda t, i: np.random.default_rng(i).normal(size=len(t))), 3, 1
    )
    model = Forecaster(3, **{**TINY, "epochs": 1}).fit(waves_frame(400, seed=0))
    assert model.loss_ == "huber"
    assert "loss huber" in model.summary()


def test_training_again_on_everything_goes_on_for_as_long_as_was_best():
    df = frame(60, 60)
    options = {**TINY, "epochs": 6}
    once, again = Forecaster(K, **options).fit(df), Forecaster(K, **{**options, "refit": True}).fit(df)
    assert (once.refitted_, again.refitted_) == (False, True)
    assert once.metrics_["validation_loss"] == again.metrics_["validation_loss"]
    assert forecasts(once).tobytes() != forecasts(again).tobytes()
    assert "trained again on everything" in again.summary()
    given = Forecaster(K, **{**options, "refit": True}).fit(df, frame(20))
    assert not given.refitted_  # nothing was held back from the training frame


def test_an_ensemble_is_the_mean_of_nets_that_differ_by_their_seeds():
    df = frame(60)
    several = Forecaster(K, ensemble=3, seed=4, **TINY).fit(df)
    alone = [Forecaster(K, seed=4 + number, **TINY).fit(df) for number in range(3)]
    np.testing.assert_allclose(forecasts(several), np.mean([forecasts(m) for m in alone], axis=0), rtol=1e-5, atol=1e-6)
    assert several.n_parameters_ == 3 * alone[0].n_parameters_


def test_the_loss_is_the_one_asked_for():
    df = frame(60)
    mse, mae = (Forecaster(K, loss=loss, scaling="none", anchor="last", **TINY).fit(df) for loss in ("mse", "mae"))
    held = slice(60 - 6 - K + 1, None)
    assert held.start == 52
    for model, power in ((mse, 2), (mae, 1)):
        found = model.evaluate(df, n_windows=4, step_size=1).forecasts
        off = (found["forecast"] - found["y"]).abs().to_numpy() ** power
        assert model.history_.best_loss == pytest.approx(off.mean(), rel=1e-5)
    assert forecasts(mse).tolist() != forecasts(mae).tolist()


def test_patience_ends_early():
    df = frame(60, value=lambda t, i: np.random.default_rng(7).normal(size=len(t)))
    model = Forecaster(K, hidden_size=4, num_layers=1, epochs=60, patience=2, learning_rate=0.05).fit(df)
    assert model.history_.stopped == "patience"
    assert len(model.history_.history) < 60


def test_the_number_of_threads_is_left_alone():
    threads = torch.get_num_threads()
    Forecaster(K, **TINY).fit(frame(40)).predict()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("option", "value"), [("scaling", "global"), ("scaling", "window"), ("logarithms", True)])
def test_counts_refuse_what_they_would_not_heed(option, value):
    with pytest.raises(ArgumentError, match=f"{option}.*negative-binomial.*got '?{value}"):
        Forecaster(K, loss="negative-binomial", **{**TINY, option: value}).fit(frame(40))


def test_counts_are_asked_of_the_validation_frame_too():
    counts = frame(40, value=lambda t, i: t % 5)
    with pytest.raises(DataError, match=r"validation: expected counts .* got 0\.5"):
        Forecaster(K, loss="negative-binomial", **TINY).fit(counts, frame(20, value=lambda t, i: 0.5 + t))
