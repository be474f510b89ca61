"""Forecasting as something to tune: which options vary, around what the default came to, and what decides.

The end of every series is held out, as `n_windows` origins that decide between options and, where the series are long
enough, `n_later` origins behind them that decide nothing: they tell what the choice is worth on what comes next. Every
trial learns from what lies before the first of them all, with the same seed and the same windows.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.tasks.forecast.evaluation import MODEL
from throughtime.tasks.forecast.forecaster import Forecaster
from throughtime.tasks.forecast.held_out import HeldOut
from throughtime.tasks.forecast.outputs import Distribution, output_named
from throughtime.tasks.tuning_records import Between, Choice, Dimension, Tried
from throughtime.training import Callback, TrainingStart

_MOST_WINDOWS = 6
_POINT_LOSSES = ("mae", "mse", "huber")


class ForecastSearch:
    """Series, and the options of a `Forecaster` that stay as they are; the others vary.

    Args:
        df: long frame of series.
        horizon: steps ahead.
        n_windows: origins a series that decide; None: with those behind them, as many as leave two thirds of the
            shortest series to learn from, at least 1 and at most 6.
        n_later: origins behind them that decide nothing; None: a third of all where there is room for three or more.
        step_size: steps between origins; None: the horizon.
        options: of `Forecaster`: they stay.

    MASE decides (MAE where no series has a scale); where the forecaster gives a distribution, WQL.

    Raises:
        ArgumentError: an option that `Forecaster` does not have, or out of its range.
        DataError: the frame cannot be used, or a series is too short for the windows.
    """

    task = "forecast"

    def __init__(
        self,
        df: Any,
        horizon: int,
        *,
        n_windows: int | None = None,
        n_later: int | None = None,
        step_size: int | None = None,
        **options: Any,
    ) -> None:
        who = "ForecastSearch"
        if n_later is not None and (isinstance(n_later, bool) or not isinstance(n_later, int) or n_later < 0):
            raise ArgumentError(f"{who}: expected n_later to be a whole number from 0, got {n_later!r}; pass one")
        self._held_out = HeldOut(df, horizon, step_size, options, who=who, advice="pass these")
        self._series, self.step_size = self._held_out.series, self._held_out.step_size
        both = self._held_out.most_windows(_MOST_WINDOWS)
        self.n_later = both // 3 if n_later is None else n_later
        self.n_windows = max(both - self.n_later, 1) if n_windows is None else n_windows
        self._held_out.length(self.n_windows)  # checks it
        if n_later is None and int(self._series.lengths.min()) <= self._held_out.length(self.n_windows + self.n_later):
            self.n_later = 0
        self._seen = self._held_out.before(self.n_windows + self.n_later)
        behind = self.n_later * self.step_size
        self._deciding = self._series.cut(behind) if behind else self._series
        loss = self._held_out.loss
        self._by_distribution = loss != "auto" and isinstance(output_named(loss), Distribution)
        self._epochs: dict[str, int] = {}

    @property
    def origins(self) -> str:
        """What decides, and what comes behind it, in words."""
        later = f", {self.n_later} more behind them" if self.n_later else ""
        return f"{self._held_out.origins(self.n_windows)}{later}"

    def question(self) -> Mapping[str, Any]:
        """Data, windows, and every option that stays."""
        # What stays is what was given; a default may be another one in a later version, whose trials do not compare.
        stay = {"windows": self.n_windows, "later": self.n_later, "stay": sorted(self._held_out.options)}
        return {**stay, **self._held_out.question()}

    def forecaster(self, options: Mapping[str, Any]) -> Forecaster:
        """A new forecaster with these options in place of the default ones."""
        return self._held_out.forecaster(**options)

    def fit(
        self,
        options: Mapping[str, Any],
        *,
        share: float = 1.0,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Tried:
        """Train on what lies before the first origin, and measure; not trained again on everything, for speed."""
        forecaster = self.forecaster({"refit": False, **options})
        if share < 1.0:
            forecaster.set_params(epochs=max(1, round(share * self._planned(forecaster))))
        forecaster.fit(self._seen, callbacks=callbacks, max_seconds=max_seconds)
        training = forecaster.history_
        if training.stopped == "interrupted":
            raise KeyboardInterrupt
        found = forecaster.evaluate(self._deciding, n_windows=self.n_windows, step_size=self.step_size)
        metric = "WQL" if self._by_distribution else found.decisive_metric
        later: dict[str, float] = {}
        if self.n_later and share == 1.0:
            behind = forecaster.evaluate(self._series, n_windows=self.n_later, step_size=self.step_size)
            later = {"model" if name == MODEL else name: row[metric] for name, row in behind.metrics.items()}
        return Tried(
            error=float(found.metrics[MODEL][metric]),
            metric=metric,
            later=later,
            values=_values(forecaster),
            seconds=training.seconds,
            parameters=forecaster.n_parameters_,
            whole=training.stopped != "budget",
        )

    def space(self, default: Mapping[str, Any]) -> Mapping[str, Dimension]:
        """Around the default's values. What was given stays, and so does the cell: `compare` tells cells apart."""
        H, L = default["hidden_size"], default["input_size"]
        loss, rate = default["loss"], default["learning_rate"]
        most = int(np.median(self._seen.lengths)) - self._held_out.horizon
        every: dict[str, Dimension | None] = {
            "strategy": Choice(("direct", "sequence")),
            "hidden_size": _either(max(H // 2, 1), H, 2 * H),
            "num_layers": _either(1, 2, default["num_layers"]),
            "dropout": Between(0.0, max(0.5, default["dropout"])),
            "input_size": _either(L, *(size for size in (L // 2, 2 * L) if 2 <= size <= most)),
            "linear": Choice((False, True)),
            "loss": Choice(_POINT_LOSSES) if loss in _POINT_LOSSES else None,
            "learning_rate": Between(rate / 4, rate * 4, log=True),
        }
        return {
            name: dimension
            for name, dimension in every.items()
            if dimension is not None and name not in self._held_out.options and dimension.holds(default[name])
        }

    def _planned(self, forecaster: Forecaster) -> int:
        """The epochs that a fit with these options would take."""
        key = repr(sorted(forecaster.get_params().items()))
        if key not in self._epochs:
            listener = _Plan()
            with suppress(_Planned):
                forecaster.fit(self._seen, callbacks=(listener,))
            self._epochs[key] = listener.epochs
        return self._epochs[key]


def _either(*values: int) -> Choice | None:
    """A choice between different values; None where there is one alone."""
    different = tuple(sorted({*values}))
    return Choice(different) if len(different) > 1 else None


def _values(forecaster: Forecaster) -> dict[str, Any]:
    """What the options that may vary came to."""
    found = {**forecaster.get_params(), **forecaster.recipe_, "input_size": forecaster.input_size_}
    names = ("strategy", "hidden_size", "num_layers", "dropout", "input_size", "linear", "loss", "learning_rate")
    return {name: found[name] for name in names}


class _Planned(Exception):
    """Ends a fit before its first step."""


class _Plan(Callback):
    """Hears how many epochs are planned, and lets it be."""

    epochs = 1

    def on_start(self, start: TrainingStart) -> None:
        self.epochs = start.config.epochs
        raise _Planned
