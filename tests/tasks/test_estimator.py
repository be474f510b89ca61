"""scikit-learn's manners."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from tests.tasks.forecast.series import TINY, frame
from throughtime import Forecaster
from throughtime.errors import ArgumentError, NotFittedError
from throughtime.tasks import Estimator


class Odd:
    """Equal to nothing, truthy to nobody: what `__init__` may not look at."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("looked at")

    def __bool__(self) -> bool:
        raise AssertionError("looked at")

    __hash__ = None


def test_init_stores_every_argument_untouched():
    names = [name for name in inspect.signature(Forecaster.__init__).parameters if name != "self"]
    given = {name: Odd() for name in names}
    model = Forecaster(**given)
    assert all(getattr(model, name) is given[name] for name in names)
    assert set(vars(model)) == set(names)
    assert all(model.get_params()[name] is given[name] for name in names)


def test_clone_is_equal_and_not_fitted():
    model = Forecaster(3, strategy="direct", cell="lstm", seed=4, **TINY).fit(frame(30))
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "model_")
    check_is_fitted(model)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(twin)


def test_set_params_takes_what_get_params_gives():
    model = Forecaster(3)
    assert model.set_params(**Forecaster(5, cell="rnn").get_params()) is model
    assert (model.horizon, model.cell) == (5, "rnn")
    with pytest.raises(ArgumentError, match="got 'hidden'; pass one of these"):
        model.set_params(hidden=3)


def test_repr_shows_what_is_not_the_default_and_evaluates_to_its_equal():
    model = Forecaster(3, strategy="sequence", learning_rate=0.1)
    assert repr(model) == "Forecaster(horizon=3, strategy='sequence', learning_rate=0.1)"
    assert eval(repr(model)).get_params() == model.get_params()


def test_fitted_attributes_end_in_an_underscore():
    model = Forecaster(3, **TINY)
    before = set(vars(model))
    assert model.fit(frame(30)) is model
    assert all(name.endswith("_") for name in set(vars(model)) - before)
    assert {name: value for name, value in model.get_params().items() if value is None}.keys() == {
        "dropout", "input_size", "segment_size", "logarithms", "holidays", "learning_rate", "patience", "freq",
        "season_length",
    }, "fit wrote into a parameter"  # fmt: skip


@pytest.mark.parametrize("method", ["predict", "evaluate", "score", "save", "summary"])
def test_what_needs_a_fit_says_so(method, tmp_path):
    arguments = {"evaluate": [frame(30)], "score": [frame(30)], "save": [tmp_path / "m"]}.get(method, [])
    with pytest.raises(NotFittedError, match="expected a fitted model, got one never fitted; call fit first"):
        getattr(Forecaster(3), method)(*arguments)
    assert not list(tmp_path.iterdir())


def test_the_base_leaves_storing_to_its_subclasses():
    with pytest.raises(AssertionError):
        Estimator()._to_folder()


def pandas_series() -> pd.DataFrame:
    stamps = pd.date_range("2020-01-01", periods=60, freq="D")
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": np.sin(np.arange(60) / 3.0) + np.arange(60) * 0.01})


def test_grid_search_over_time():
    search = GridSearchCV(
        Forecaster(3, **TINY),
        {"strategy": ["direct", "sequence"], "hidden_size": [3, 4]},
        cv=TimeSeriesSplit(n_splits=2, test_size=12),
        error_score="raise",
    )
    search.fit(pandas_series())
    assert set(search.best_params_) == {"strategy", "hidden_size"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert (search.cv_results_["mean_test_score"] < 0).all()
    assert list(search.predict(pandas_series())["ds"]) == list(pd.date_range("2020-03-01", periods=3, freq="D"))


def test_score_is_minus_mase():
    df = frame(40)
    model = Forecaster(3, **TINY).fit(df)
    assert model.score(df) == -model.evaluate(df).metrics["throughtime"]["MASE"]
    constant = frame(40, value=lambda t, i: 0 * t + 1.0)
    assert Forecaster(3, **TINY).fit(constant).score(constant) == 0.0


def test_a_pipeline_with_a_transformer_before_it():
    def doubled(df: pd.DataFrame) -> pd.DataFrame:
        return df.assign(y=df["y"] * 2)

    plain = Forecaster(3, scaling="window", **TINY).fit(pandas_series()).predict()
    line = Pipeline([("double", FunctionTransformer(doubled)), ("model", Forecaster(3, scaling="window", **TINY))])
    found = line.fit(pandas_series()).predict(pandas_series())
    np.testing.assert_allclose(found["forecast"], 2 * plain["forecast"], rtol=1e-5)
    assert line.set_params(model__horizon=4).fit(pandas_series()).predict(pandas_series()).shape == (4, 3)
    assert np.isfinite(line.score(pandas_series()))
