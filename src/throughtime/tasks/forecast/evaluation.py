"""Errors of forecasts by model, by step of the horizon and by series, with honest baselines beside the model.

Axes in names: N windows, K steps of the horizon, S series.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet
from throughtime.tasks.forecast import metrics
from throughtime.tasks.forecast.metrics import METRICS
from throughtime.tasks.forecast.naive2 import naive2
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]
Quantiles = Mapping[float, Array]

MODEL = "throughtime"
_MOST_NAMES = 5  # of series without a scale, in the sentence; all stand in `unscaled`
_NAIVE2 = "naive2"
_ROUNDING = 1e-5  # of an error: what two ways to the same float32 forecasts may differ by

__all__ = ["METRICS", "MODEL", "Evaluation", "IntervalScore", "evaluate"]


@dataclass(frozen=True)
class IntervalScore:
    """How often the intervals of a level held what came, in percent, and how wide they were.

    Attributes:
        coverage: over every window and step.
        by_horizon: (K,).
        by_series: (S,).
        width: the mean, in the series' units.
    """

    level: float
    coverage: float
    by_horizon: Array
    by_series: Array
    width: float


@dataclass(frozen=True)
class Evaluation:
    """What `Forecaster.evaluate` found.

    Attributes:
        metrics: model → metric → figure over every window and step; values that nobody measured are left out. The
            metrics are MSE, MAE, sMAPE, MASE, RMSSE, WQL and OWA, defined in `throughtime.tasks.forecast.metrics`.
        by_horizon: model → metric → (K,).
        by_series: model → metric → (S,), in the order of `series`.
        series: the ids.
        forecasts: a frame: id, time, cutoff (the last time seen), the actual value, and a column for each model.
        intervals: one for each level that was asked for.
        n_windows: origins a series.
        unscaled: ids of the series left out of MASE, RMSSE and OWA, since their past does not change over a season or
            is shorter than one.
        seen_windows: windows that reach into what the model was trained on.
        refitted: whether a fresh copy of the model was fitted before every origin.
    """

    metrics: dict[str, dict[str, float]]
    by_horizon: dict[str, dict[str, Array]]
    forecasts: Any = field(repr=False)
    n_series: int
    n_windows: int
    horizon: int
    season_length: int
    unscaled: tuple[str | int, ...] = ()
    seen_windows: int = 0
    by_series: dict[str, dict[str, Array]] = field(default_factory=dict, repr=False)
    series: tuple[str | int, ...] = field(default=(), repr=False)
    intervals: tuple[IntervalScore, ...] = ()
    refitted: bool = False

    @property
    def models(self) -> list[str]:
        """The model first, then the baselines."""
        return list(self.metrics)

    @property
    def without_scale(self) -> int:
        """How many series have no scale."""
        return len(self.unscaled)

    @property
    def decisive_metric(self) -> str:
        """MASE, or MAE where no series has a scale."""
        return "MASE" if np.isfinite(self.metrics[MODEL]["MASE"]) else "MAE"

    @property
    def beats_baselines(self) -> bool:
        """Whether the model's error is below every baseline's by more than rounding."""
        return not self._better_baselines()

    def _better_baselines(self) -> list[str]:
        metric = self.decisive_metric
        mine = self.metrics[MODEL][metric]
        return [name for name in self.models[1:] if self.metrics[name][metric] <= mine * (1 + _ROUNDING)]

    @property
    def sentence(self) -> str:
        """In plain words, whether the model was worth it."""
        metric, better = self.decisive_metric, self._better_baselines()
        mine = self.metrics[MODEL][metric]
        if better:
            best = min(better, key=lambda name: self.metrics[name][metric])
            text = (
                f"The model does not beat {_listed(better)}: {metric} {mine:.3f} against "
                f"{self.metrics[best][metric]:.3f} for {best}."
            )
        else:
            best = min(self.models[1:], key=lambda name: self.metrics[name][metric])
            against = self.metrics[best][metric]
            text = f"The model beats every baseline: {metric} {mine:.3f} against {against:.3f} for {best}."
        if self.intervals:
            held = " and ".join(f"{s.coverage:.1f} % in its {s.level:g} % intervals" for s in self.intervals)
            text += f" Of the values, {held}."
        if self.seen_windows:
            text += f" {self.seen_windows} of the windows reach into its training data, which flatters it."
        if self.unscaled:
            names = ", ".join(str(name) for name in self.unscaled[:_MOST_NAMES])
            names += f" and {len(self.unscaled) - _MOST_NAMES} more" if len(self.unscaled) > _MOST_NAMES else ""
            text += f" {len(self.unscaled)} series have no scale and are left out of MASE: {names}."
        return text

    def as_dict(self) -> dict[str, Any]:
        """Everything but the forecasts, ready for JSON; a figure that does not exist is None."""

        def clean(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        def listed(table: dict[str, dict[str, Array]]) -> dict[str, dict[str, list[float | None]]]:
            return {m: {k: [clean(v) for v in values] for k, values in row.items()} for m, row in table.items()}

        return {
            "metrics": {m: {k: clean(v) for k, v in row.items()} for m, row in self.metrics.items()},
            "by_horizon": listed(self.by_horizon),
            "by_series": listed(self.by_series),
            "series": list(self.series),
            "intervals": [
                {
                    "level": score.level,
                    "coverage": clean(score.coverage),
                    "by_horizon": [clean(v) for v in score.by_horizon],
                    "by_series": [clean(v) for v in score.by_series],
                    "width": clean(score.width),
                }
                for score in self.intervals
            ],
            "n_series": self.n_series,
            "n_windows": self.n_windows,
            "horizon": self.horizon,
            "season_length": self.season_length,
            "without_scale": self.without_scale,
            "unscaled": list(self.unscaled),
            "seen_windows": self.seen_windows,
            "refitted": self.refitted,
            "beats_baselines": self.beats_baselines,
            "sentence": self.sentence,
        }


def evaluate(
    windows: Windows,
    forecasts: Mapping[str, Array],
    frame: Any,
    *,
    series: SeriesSet,
    n_windows: int,
    season_length: int,
    seen_windows: int,
    quantiles: Quantiles | None = None,
    intervals: Mapping[float, tuple[Array, Array]] | None = None,
    refitted: bool = False,
) -> Evaluation:
    """Set forecasts (model → (N, K)) beside what came.

    Args:
        quantiles: the model's, level in (0, 1) → (N, K), for WQL.
        intervals: the model's, level in percent → lower and upper end, both (N, K).
    """
    target_NK, S = windows.targets(), len(series)
    scales = metrics.season_scales(windows, season_length)
    parts = {
        model: metrics.parts(forecast_NK, target_NK, scales, quantiles if model == MODEL else None)
        for model, forecast_NK in {**forecasts, _NAIVE2: naive2(windows, season_length)}.items()
    }
    overall = {model: metrics.over_all(found) for model, found in parts.items()}
    by_horizon = {model: metrics.by_horizon(found) for model, found in parts.items()}
    by_series = {model: metrics.by_series(found, windows.series, S) for model, found in parts.items()}
    return Evaluation(
        metrics={m: {k: float(v) for k, v in row.items()} for m, row in _with_owa(overall).items()},
        by_horizon=_with_owa(by_horizon),
        forecasts=frame,
        n_series=S,
        n_windows=n_windows,
        horizon=windows.horizon,
        season_length=season_length,
        unscaled=tuple(series.ids[i] for i in np.unique(windows.series[~np.isfinite(scales.absolute)])),
        seen_windows=seen_windows,
        by_series=_with_owa(by_series),
        series=tuple(series.ids),
        intervals=tuple(
            _interval(level, low_NK, high_NK, target_NK, windows.series, S)
            for level, (low_NK, high_NK) in (intervals or {}).items()
        ),
        refitted=refitted,
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _with_owa(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """OWA beside the other measures; Naive2 is asked for nothing else."""
    naive2 = tables[_NAIVE2]
    against = (naive2["sMAPE"], naive2["MASE"])
    return {
        model: {**row, "OWA": metrics.overall_weighted_average(row["sMAPE"], row["MASE"], *against)}
        for model, row in tables.items()
        if model != _NAIVE2
    }


def _interval(
    level: float, low_NK: Array, high_NK: Array, target_NK: Array, series_N: NDArray[np.int64], S: int
) -> IntervalScore:
    found = {"coverage": metrics.inside(low_NK, high_NK, target_NK)}
    return IntervalScore(
        level=level,
        coverage=metrics.over_all(found)["coverage"],
        by_horizon=metrics.by_horizon(found)["coverage"],
        by_series=metrics.by_series(found, series_N, S)["coverage"],
        width=float(np.mean(high_NK - low_NK)),
    )
