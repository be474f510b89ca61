"""A data set under its protocol: where training ends, what is forecast from which origins, what is measured.

NumPy and Polars alone, so that peers in an environment of their own run under the same protocol.

Axes in names: S series, N windows, K steps of the horizon. Windows stand series by series, origins ascending.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.quality.forecasting import figures, simple
from benchmarks.quality.forecasting.panels import Panel

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Pasts = list[Array]
Measures = Callable[[Array, Array, Pasts], dict[str, float]]  # F (N, K), Y (N, K), pasts


@dataclass(frozen=True)
class Published:
    """What a set is measured by, what this project asks, and the figures of others."""

    measure: str
    target: float | None
    others: Mapping[str, float]
    stretch: float | None = None


@dataclass(frozen=True)
class Task:
    """A data set under its protocol.

    Attributes:
        season: m, for the simple methods and the scale of MASE.
        train_ends: (S,) points of each series that training may see.
        validation_ends: (S,) where the published validation rows after them end; None where a protocol has none.
        validation_past: training rows before those that the first windows of validation show as history.
        first_origins: (S,) the first origin that is judged.
        n_windows: origins a series, `step` apart.
        options: what the Forecaster must be told about the columns of this set, and nothing else.
        levels: of the intervals whose coverage is asked for, in percent.
        measures: from forecasts, actual values and the pasts of the windows to figures by name.
    """

    name: str
    panel: Panel
    horizon: int
    season: int
    train_ends: Index
    first_origins: Index
    measures: Measures = field(repr=False)
    published: Published
    validation_ends: Index | None = None
    validation_past: int = 0
    n_windows: int = 1
    step: int = 1
    naive_season: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    levels: tuple[int, ...] = ()

    def origins(self, first: int, count: int) -> Index:
        """(S, count): origins `first` to `first + count` of every series."""
        return self.first_origins[:, None] + self.step * np.arange(first, first + count)

    def targets(self, first: int, count: int) -> Array:
        """(N, K), the actual values of a block of windows."""
        found = [
            values[origins_n[:, None] + np.arange(self.horizon)]
            for values, origins_n in zip(self.panel.values, self.origins(first, count), strict=True)
        ]
        return np.concatenate(found)

    def pasts(self, first: int, count: int) -> Pasts:
        """What precedes each origin of a block, without copies."""
        blocks = zip(self.panel.values, self.origins(first, count), strict=True)
        return [values[:origin] for values, origins_n in blocks for origin in origins_n]

    def blocks(self, windows: int) -> Iterator[tuple[int, int]]:
        """(first, count) of blocks of origins with about so many windows in all."""
        count = max(1, windows // len(self.panel))
        for first in range(0, self.n_windows, count):
            yield first, min(count, self.n_windows - first)

    def train_frame(self) -> pl.DataFrame:
        """What training may see."""
        return self.panel.frame(0, self.train_ends.tolist())

    def validation_frame(self) -> pl.DataFrame | None:
        """The rows that a protocol keeps for validation, and the past of the first of them."""
        if self.validation_ends is None:
            return None
        begin = np.maximum(self.train_ends - self.validation_past, 0)
        return self.panel.frame(begin.tolist(), self.validation_ends.tolist())

    def simple_forecasts(self, first: int, count: int) -> dict[str, Array]:
        """The naive forecast and the seasonal one for a block of windows."""
        pasts, m = self.pasts(first, count), self.naive_season or self.season
        found = {"naive": np.array([simple.naive(past, self.horizon) for past in pasts])}
        if m > 1:
            found["seasonal naive"] = np.array([simple.seasonal_naive(past, self.horizon, m) for past in pasts])
        return found

    def score(self, forecast: Callable[[int, int], Array], windows: int = 4096) -> dict[str, float]:
        """Every figure of a forecaster that gives (N, K) for the block (first, count)."""
        sums: dict[str, float] = {}
        for first, count in self.blocks(windows):
            found = self.measures(forecast(first, count), self.targets(first, count), self.pasts(first, count))
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value * count / self.n_windows
        return sums

    def simple_figures(self) -> dict[str, dict[str, float]]:
        """The figures of the simple methods."""
        names = list(self.simple_forecasts(0, 1))
        return {name: self.score(lambda *block, name=name: self.simple_forecasts(*block)[name]) for name in names}

    def unscored(self) -> dict[str, list[str]]:
        """Series that no MASE can be given for, by reason: they are listed, not dropped."""
        scale_S = figures.scales(self.pasts(0, 1), self.season)
        nothing_S = np.array([np.isnan(values).all() for values in self.targets(0, 1)])
        return {
            "no value to compare with": [i for i, none in zip(self.panel.ids, nothing_S, strict=True) if none],
            "no finite scale": [
                i for i, s, none in zip(self.panel.ids, scale_S, nothing_S, strict=True) if np.isnan(s) and not none
            ],
        }


def made_small(task: Task, series: int = 12, points: int = 600, windows: int = 3) -> Task:
    """A few series, their last points and the first windows: for a look at whether everything runs."""
    which = np.unique(np.linspace(0, len(task.panel) - 1, series).astype(np.int64))
    cut_S = np.maximum(task.train_ends[which] - points, 0)
    panel = task.panel.subset(which.tolist()).without(cut_S.tolist())
    validation = None if task.validation_ends is None else task.validation_ends[which] - cut_S
    return replace(
        task,
        panel=panel,
        train_ends=task.train_ends[which] - cut_S,
        first_origins=task.first_origins[which] - cut_S,
        validation_ends=validation,
        n_windows=min(windows, task.n_windows),
    )
