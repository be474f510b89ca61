"""What one plot panel shows: the end of a series, forecasts of it, and what then happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError

__all__ = ["Panel", "choose_series"]


@dataclass(frozen=True)
class Panel:
    """One series with one or more forecasts from the same origin, which is the last of `times`.

    Attributes:
        name: of the series.
        times: of the history, int64 or datetime64.
        values: of the history.
        forecast_times: the steps after the origin.
        forecasts: by label, in the order of the legend.
        actual: what was observed at `forecast_times`, where that is known.
        note: why this series is shown, such as "hardest".
        bands: intervals around the forecast: their level in percent to (low, high).

    **Shapes:** `times` and `values` (T,), T ≥ 1; `forecast_times`, every forecast, `actual` and both sides of a band
    (h,), h ≥ 1. A missing value is NaN, and a gap in its line.

    Raises:
        ArgumentError: shapes that do not fit together, or nothing to draw.
    """

    name: str
    times: NDArray[Any]
    values: NDArray[np.floating[Any]]
    forecast_times: NDArray[Any]
    forecasts: Mapping[str, NDArray[np.floating[Any]]]
    actual: NDArray[np.floating[Any]] | None = None
    note: str = ""
    bands: Mapping[float, tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or self.times.shape != self.values.shape or not self.times.size:
            raise ArgumentError(
                f"Panel: expected times and values of one shape (T,) with T >= 1, got {self.times.shape} and "
                f"{self.values.shape} in {self.name!r}; pass one time a value"
            )
        shape = self.forecast_times.shape
        if len(shape) != 1 or shape == (0,) or not self.forecasts:
            raise ArgumentError(
                f"Panel: expected forecast_times of shape (h,) with h >= 1 and one forecast or more, got {shape} and "
                f"{len(self.forecasts)} forecasts in {self.name!r}; pass one time a step, and a forecast"
            )
        drawn = dict(self.forecasts) if self.actual is None else {**self.forecasts, "actual": self.actual}
        for level, (low, high) in self.bands.items():
            if not 0.0 < level < 100.0:
                raise ArgumentError(
                    f"Panel: expected levels between 0 and 100 percent, got {level:g} in {self.name!r}; pass percent, "
                    "as 80"
                )
            drawn |= {f"{level:g} % low": low, f"{level:g} % high": high}
        for label, line in drawn.items():
            if line.shape != shape:
                raise ArgumentError(
                    f"Panel: expected {label!r} of shape {shape} as forecast_times, got {line.shape} in {self.name!r}; "
                    "pass one value a step"
                )

    @property
    def horizon(self) -> int:
        """How many steps are forecast."""
        return int(self.forecast_times.size)

    def recent(self, season_length: int = 1) -> "Panel":
        """The same panel with as much history as helps to judge the forecast.

        Four horizons or three seasons (a season only up to four horizons, so that a short forecast stays visible), and
        24 points at least.
        """
        n = max(4 * self.horizon, 3 * min(season_length, 4 * self.horizon), 24)
        return replace(self, times=self.times[-n:], values=self.values[-n:])


def choose_series(errors: Sequence[float] | NDArray[np.floating[Any]], limit: int = 6) -> list[tuple[int, str]]:
    """Which of many series to draw: half of them the hardest, half of them typical.

    Args:
        errors: one comparable error a series, such as MASE; NaN where it is not defined, never taken for hardest.
        limit: the most panels to draw.

    Returns:
        (index, why) in drawing order; `why` is "" where all series are drawn.

    Raises:
        ArgumentError: `limit` < 1.

    >>> choose_series([1.0, 9.0, 2.1, 3.0, 2.0], limit=2)
    [(1, 'hardest'), (2, 'typical')]
    """
    if limit < 1:
        raise ArgumentError(f"choose_series: expected limit >= 1, got {limit}; pass 6 or so")
    array = np.asarray(errors, dtype=np.float64)
    if array.size <= limit:
        return [(index, "") for index in range(array.size)]
    by_error = np.argsort(-np.nan_to_num(array, nan=-np.inf), kind="stable")
    n_hard = (limit + 1) // 2
    hardest = [int(index) for index in by_error[:n_hard]]
    rest = by_error[n_hard:]
    middle = np.median(np.nan_to_num(array[np.isfinite(array)])) if np.isfinite(array).any() else 0.0
    distance = np.nan_to_num(np.abs(array[rest] - middle), nan=np.inf)
    typical = [int(index) for index in rest[np.argsort(distance, kind="stable")[: limit - n_hard]]]
    return [(index, "hardest") for index in hardest] + [(index, "typical") for index in sorted(typical)]
