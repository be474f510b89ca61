"""Every way to hold the forecaster wrong: one sentence with the value in it."""

import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.tasks.forecast.series import TINY, forecasts, frame
from throughtime import Forecaster
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, ThroughtimeError

K = 3


def refusal(kind: type[ThroughtimeError], act) -> str:
    """The message of what `act` raises: one line, and who speaks first."""
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    assert ": expected " in message
    return message


@pytest.mark.parametrize(
    ("name", "value", "kind", "said"),
    [
        ("horizon", 0, ArgumentError, "horizon > 0, got 0"),
        ("horizon", -4, ArgumentError, "horizon > 0, got -4"),
        ("horizon", 2.5, ArgumentTypeError, "horizon to be an int, got 2.5"),
        ("horizon", True, ArgumentTypeError, "horizon to be an int, got True"),
        ("horizon", None, ArgumentTypeError, "horizon to be an int, got None"),
        ("horizon", "3", ArgumentTypeError, "horizon to be an int, got '3'"),
        ("strategy", "best", ArgumentError, "strategy to be one of recursive, direct, sequence, got 'best'"),
        ("cell", "transformer", ArgumentError, "got 'transformer'"),
        ("cell", None, ArgumentError, "got None"),
        ("scaling", "log", ArgumentError, "scaling to be one of auto, global, series, window, mean, none, got 'log'"),
        ("anchor", "first", ArgumentError, "anchor to be one of auto, level, last, seasonal, smoothed, got 'first'"),
        (
            "loss",
            "mape",
            ArgumentError,
            "loss to be one of auto, mse, mae, huber, quantiles, gaussian, student-t, negative-binomial, got 'mape'",
        ),
        ("hidden_size", 0, ArgumentError, "hidden_size > 0, got 0"),
        ("num_layers", -1, ArgumentError, "num_layers > 0, got -1"),
        ("batch_size", 0, ArgumentError, "batch_size > 0, got 0"),
        ("epochs", 0, ArgumentError, "epochs > 0, got 0"),
        ("epochs", 1.5, ArgumentTypeError, "epochs to be an int, got 1.5"),
        ("input_size", 0, ArgumentError, "input_size > 0, got 0"),
        ("season_length", 0, ArgumentError, "season_length > 0, got 0"),
        ("learning_rate", 0.0, ArgumentError, "Forecaster: expected learning_rate to be finite and above 0, got 0"),
        ("learning_rate", float("nan"), ArgumentError, "learning_rate to be finite and above 0, got nan"),
        ("learning_rate", "fast", ArgumentTypeError, "learning_rate to be a number, got 'fast'"),
        ("patience", 0, ArgumentError, "Forecaster: expected patience > 0, got 0"),
        ("holidays", "2024-12-25", ArgumentTypeError, "dates by name, or a list of dates, got str: '2024-12-25'"),
        ("holidays", ["soon"], DataError, "Forecaster: expected dates such as 2024-12-25 for 'holiday', got 'soon'"),
        ("dropout", 1.0, ArgumentError, r"dropout to be a number in [0, 1), got 1.0"),
        ("dropout", -0.1, ArgumentError, "got -0.1"),
        ("dropout", float("nan"), ArgumentError, "got nan"),
        ("dropout", "half", ArgumentError, "got 'half'"),
        ("seed", -1, ArgumentError, "seed to be a whole number from 0, got -1"),
        ("seed", 0.5, ArgumentError, "seed to be a whole number from 0, got 0.5"),
        ("seed", 2**63, ArgumentError, f"got {2**63}"),
        ("freq", "fortnight", ArgumentError, "got 'fortnight'"),
        ("target_col", "forecast", ArgumentError, "the columns of forecasts, got 'forecast'"),
        ("id_col", "cutoff", ArgumentError, "got 'cutoff'"),
        ("freq", 0.5, ArgumentTypeError, "0.5"),
    ],
)
def test_a_parameter_out_of_its_range(name: str, value: Any, kind: type[ThroughtimeError], said: str) -> None:
    model = Forecaster(**{"horizon": K, **TINY, name: value})
    assert said in refusal(kind, lambda: model.fit(frame(40)))
    assert not hasattr(model, "model_")


def broken(**columns: Any) -> pl.DataFrame:
    return frame(40).with_columns(**columns)


def at(row: int, value: Any, column: str = "y") -> pl.DataFrame:
    df = frame(40)
    values = df[column].to_list()
    values[row] = value
    return df.with_columns(pl.Series(column, values, strict=False))


BAD_FRAMES = {
    "no y": (lambda: frame(40).drop("y"), "expected a column 'y', got the columns 'unique_id', 'ds'"),
    "no ds": (lambda: frame(40).drop("ds"), "expected a column 'ds'"),
    "no rows": (lambda: frame(40).head(0), "got an empty frame"),
    "inf": (lambda: at(9, float("-inf")), "got -inf at row 9"),
    "sentinel": (
        lambda: frame(40).with_columns(
            y=pl.when(pl.col("ds") == 5).then(pl.lit("lots")).otherwise(pl.col("y").cast(pl.String))
        ),
        "got 'lots' at row 5",
    ),
    "duplicate": (lambda: pl.concat([frame(40), frame(40).slice(6, 1)]), "got two for series 's0' at 6"),
    "irregular": (
        lambda: frame(40, 40).with_columns(
            ds=pl.when(pl.col("unique_id") == "s1").then(pl.col("ds") * 3 + 1).otherwise(pl.col("ds") * 2)
        ),
        "'s1'",
    ),
    "nothing observed": (lambda: frame(40).with_columns(y=pl.lit(None, dtype=pl.Float64)), "'s0'"),
    "unparsable": (lambda: broken(ds=pl.Series(["2020-01-01"] * 39 + ["soon"])), "'soon'"),
    "short": (
        lambda: frame(2 * K + 1),
        f"at least {2 * K + 2} points in every series for horizon {K}, got {2 * K + 1}",
    ),
    "one of them short": (lambda: frame(40, K + 1), f"at least {K + 2} points in every series"),
    "ids missing": (lambda: at(3, None, "unique_id"), "got none at row 3"),
}


@pytest.mark.parametrize("name", sorted(BAD_FRAMES))
def test_a_bad_frame_is_refused_by_name_row_and_value(name):
    make, said = BAD_FRAMES[name]
    model = Forecaster(K, **TINY)
    message = refusal(DataError, lambda: model.fit(make()))
    assert said in message
    assert message.startswith("Forecaster.fit")
    assert not hasattr(model, "model_")


@pytest.mark.parametrize("thing", [None, [1.0, 2.0], np.zeros(5), {"y": [1]}, "file.csv", pl.LazyFrame({"y": [1.0]})])
def test_what_is_no_frame(thing):
    kind = type(thing).__name__
    assert kind in refusal(ArgumentTypeError, lambda: Forecaster(K, **TINY).fit(thing))


def test_an_index_in_place_of_a_column_is_named():
    df = frame(40).to_pandas().set_index("ds")
    assert ".reset_index()" in refusal(DataError, lambda: Forecaster(K, **TINY).fit(df))


@pytest.mark.parametrize("points", [1, 2])
def test_a_series_needs_more_than_a_point_or_two(points):
    for horizon in (1, 12):
        message = refusal(DataError, lambda h=horizon: Forecaster(h, freq=1, **TINY).fit(frame(points)))
        assert f"got {points} in series 's0'" in message
        assert f"at least {2 * horizon + 2} points" in message


def test_the_message_names_how_many_are_needed_and_that_is_enough():
    message = refusal(DataError, lambda: Forecaster(5, **TINY).fit(frame(9)))
    needed = int(re.search(r"at least (\d+) points", message)[1])
    assert np.isfinite(forecasts(Forecaster(5, **TINY).fit(frame(needed)))).all()
    message = refusal(DataError, lambda: Forecaster(5, **TINY).fit(frame(30, 3)))
    needed = int(re.search(r"at least (\d+) points", message)[1])
    assert np.isfinite(forecasts(Forecaster(5, **TINY).fit(frame(30, needed)))).all()


@pytest.mark.parametrize("method", ["evaluate", "cross_validation"])
def test_too_few_points_for_the_windows_asked_for(method):
    model = Forecaster(K, **TINY).fit(frame(40))
    said = refusal(DataError, lambda: getattr(model, method)(frame(40, 12), n_windows=4, step_size=3))
    assert f"Forecaster.{method}: expected at least 13 points in every series for 4 windows of 3, got 12" in said
    assert "'s1'" in said


@pytest.mark.parametrize(
    ("n_windows", "step_size", "got"), [(0, None, "0"), (-2, 1, "-2"), (1, 0, "0"), (1.5, 1, "1.5")]
)
def test_windows_that_cannot_be(n_windows, step_size, got):
    model = Forecaster(K, **TINY).fit(frame(40))
    for method in (model.evaluate, model.cross_validation):
        kind = ArgumentTypeError if n_windows == 1.5 else ArgumentError
        said = refusal(kind, lambda m=method: m(frame(40), n_windows=n_windows, step_size=step_size))
        assert said.endswith((f"got {got}; pass a positive number", f"got {got}; pass a whole number"))


def test_a_cross_validation_that_leaves_too_little_to_train_on():
    message = refusal(DataError, lambda: Forecaster(K, **TINY).cross_validation(frame(14), n_windows=2, step_size=4))
    assert "at least 8 points" in message
    assert "got 7 in series 's0'" in message


def test_a_loss_that_overflows_is_explained():
    df = frame(40, value=lambda t, i: 1e30 * np.sin(t))
    message = refusal(DataError, lambda: Forecaster(K, scaling="none", anchor="level", loss="mse", **TINY).fit(df))
    assert "expected a finite loss" in message


def test_a_bad_history_and_a_bad_validation_frame_say_where_they_came_from():
    model = Forecaster(K, **TINY).fit(frame(40))
    assert refusal(DataError, lambda: model.predict(at(3, float("inf")))).startswith("Forecaster.predict")
    assert refusal(DataError, lambda: model.evaluate(at(3, float("inf")))).startswith("Forecaster.evaluate")
    message = refusal(DataError, lambda: Forecaster(K, **TINY).fit(frame(40), at(3, float("inf"))))
    assert message.startswith("Forecaster.fit: validation")


@pytest.mark.parametrize("n", [2, 7, 500])
def test_a_window_longer_than_the_data_and_a_season_longer_than_all_of_it(n):
    df = frame(30, 20)
    model = Forecaster(K, input_size=n, season_length=n, strategy="recursive", **TINY).fit(df)
    assert np.isfinite(forecasts(model)).all()
    assert np.isfinite(forecasts(model, frame(1))).all()


def test_a_save_where_nothing_can_be_written(tmp_path):
    model = Forecaster(K, **TINY).fit(frame(40))
    (tmp_path / "file").write_text("mine")
    assert "got a file" in refusal(DataError, lambda: model.save(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"
    assert str(tmp_path / "no") in refusal(DataError, lambda: model.save(tmp_path / "no" / "m"))


def test_missing_values_of_any_kind_are_the_same_missing_values():
    df = frame(40)
    gone = df.filter(pl.col("ds") != 4)
    pandas = df.to_pandas()
    pandas["y"] = pandas["y"].astype("Float64")
    pandas.loc[4, "y"] = pd.NA
    frames = (gone, pandas, at(4, None), at(4, float("nan")))
    found = [Forecaster(K, **TINY).fit(each) for each in frames]
    assert found[0].design_.missing
    assert len({forecasts(model).tobytes() for model in (found[0], *found[2:])}) == 1
    assert np.asarray(found[1].predict()["forecast"]).tobytes() == forecasts(found[0]).tobytes()
