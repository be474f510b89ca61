"""Errors of forecasts by model and horizon, with honest baselines beside the model.

Axes in names: N windows, K steps of the horizon, S series.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.frames import SeriesSet
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

MODEL = "throughtime"
METRICS = ("MSE", "MAE", "sMAPE", "MASE")


@dataclass(frozen=True)
class Evaluation:
    """What `Forecaster.evaluate` found.

    Attributes:
        metrics: model → metric → mean over windows and horizon. MSE and MAE are in the series' units (squared for MSE),
            sMAPE in percent (2|F − Y| / (|Y| + |F|), 0 where both are 0), MASE in units of the mean absolute change
            over a season in what lies before the first origin of the series.
        by_horizon: model → metric → (K,).
        forecasts: a frame: id, time, cutoff (the last time seen), the actual value, and a column for each model.
        n_windows: origins a series.
        without_scale: series left out of MASE, since their past is constant or shorter than a season.
        seen_windows: windows that reach into what the model was trained on.
    """

    metrics: dict[str, dict[str, float]]
    by_horizon: dict[str, dict[str, Array]]
    forecasts: Any = field(repr=False)
    n_series: int
    n_windows: int
    horizon: int
    season_length: int
    without_scale: int = 0
    seen_windows: int = 0

    @property
    def models(self) -> list[str]:
        """The model first, then the baselines."""
        return list(self.metrics)

    @property
    def decisive_metric(self) -> str:
        """MASE, or MAE where no series has a scale."""
        return "MASE" if np.isfinite(self.metrics[MODEL]["MASE"]) else "MAE"

    @property
    def beats_baselines(self) -> bool:
        """Whether the model's error is below every baseline's."""
        return not self._better_baselines()

    def _better_baselines(self) -> list[str]:
        metric = self.decisive_metric
        mine = self.metrics[MODEL][metric]
        return [name for name in self.models[1:] if self.metrics[name][metric] <= mine]

    @property
    def sentence(self) -> str:
        """In plain words, whether the model was worth it."""
        metric, better = self.decisive_metric, self._better_baselines()
        mine = self.metrics[MODEL][metric]
        if better:
            best = min(better, key=lambda name: self.metrics[name][metric])
            text = (
                f"The model does not beat {' and '.join(better)}: {metric} {mine:.3f} against "
                f"{self.metrics[best][metric]:.3f} for {best}."
            )
        else:
            best = min(self.models[1:], key=lambda name: self.metrics[name][metric])
            against = self.metrics[best][metric]
            text = f"The model beats every baseline: {metric} {mine:.3f} against {against:.3f} for {best}."
        if self.seen_windows:
            text += f" {self.seen_windows} of the windows reach into its training data, which flatters it."
        if self.without_scale:
            text += f" {self.without_scale} series have no scale and are left out of MASE."
        return text

    def as_dict(self) -> dict[str, Any]:
        """Everything but the forecasts, ready for JSON; a figure that does not exist is None."""

        def clean(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        return {
            "metrics": {m: {k: clean(v) for k, v in row.items()} for m, row in self.metrics.items()},
            "by_horizon": {
                m: {k: [clean(v) for v in values] for k, values in row.items()} for m, row in self.by_horizon.items()
            },
            "n_series": self.n_series,
            "n_windows": self.n_windows,
            "horizon": self.horizon,
            "season_length": self.season_length,
            "without_scale": self.without_scale,
            "seen_windows": self.seen_windows,
            "beats_baselines": self.beats_baselines,
            "sentence": self.sentence,
        }


def mase_scales(windows: Windows, season_length: int) -> Array:
    """The seasonal naive's mean absolute one-step error before the first origin of each window's series: (N,).

    NaN where it is zero or there is no full season before the origin.
    """
    scales = np.full(len(windows), np.nan)
    for start in np.unique(windows.series_starts):
        mine = windows.series_starts == start
        past = windows.flat_values[start : windows.origins[mine].min()]
        if len(past) > season_length:
            scale = float(np.mean(np.abs(past[season_length:] - past[:-season_length])))
            scales[mine] = scale if scale > 1e-12 * float(np.abs(past).max()) else np.nan
    return scales


def errors(forecast_NK: Array, target_NK: Array, scale_N: Array) -> dict[str, Array]:
    """Each metric by horizon, (K,)."""
    off = np.abs(forecast_NK - target_NK)
    size = np.abs(forecast_NK) + np.abs(target_NK)
    relative = np.divide(2 * off, size, out=np.zeros_like(off), where=size > 0)
    scaled = off[np.isfinite(scale_N)] / scale_N[np.isfinite(scale_N), None]
    return {
        "MSE": np.mean(off**2, axis=0),
        "MAE": np.mean(off, axis=0),
        "sMAPE": 100 * np.mean(relative, axis=0),
        "MASE": np.mean(scaled, axis=0) if len(scaled) else np.full(off.shape[1], np.nan),
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
) -> Evaluation:
    """Set forecasts (model → (N, K)) beside what came."""
    target_NK = windows.targets()
    scale_N = mase_scales(windows, season_length)
    by_horizon = {model: errors(forecast_NK, target_NK, scale_N) for model, forecast_NK in forecasts.items()}
    return Evaluation(
        metrics={model: {name: float(np.mean(v)) for name, v in row.items()} for model, row in by_horizon.items()},
        by_horizon=by_horizon,
        forecasts=frame,
        n_series=len(series),
        n_windows=n_windows,
        horizon=windows.horizon,
        season_length=season_length,
        without_scale=len(np.unique(windows.series[~np.isfinite(scale_N)])),
        seen_windows=seen_windows,
    )
