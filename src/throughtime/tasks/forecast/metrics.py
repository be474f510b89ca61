"""The measures of forecasts, each formula once. F forecast, Y what came (NaN where nobody measured it), e = F − Y.

    MSE       mean of e²
    MAE       mean of |e|
    sMAPE     mean of 200 |e| / (|F| + |Y|) in percent, 0 where both are 0
    MASE      mean of |e| / s, s the mean |change over a season| before the first origin of the series
    RMSSE     mean over windows of sqrt(mean of e² over the horizon) / r, r² the mean squared such change
    WQL       sum of 2 max(q (Y − F_q), (q − 1) (Y − F_q)) over sum of |Y|, mean over the levels q; of a point, sum |e|
    OWA       half of sMAPE over Naive2's, and half of MASE over Naive2's
    coverage  the share of values inside an interval, in percent

Each is a sum over a sum, so that it reads for all values, for each step of the horizon, and for each series alike.
MASE and RMSSE leave out series that have no scale.

Axes in names: N windows, K steps of the horizon, S series.

**Source** MASE [Hyndman2006]; OWA and Naive2 [Makridakis2020]; RMSSE [Makridakis2022], differs from it by the season.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

METRICS = ("MSE", "MAE", "sMAPE", "MASE", "RMSSE", "WQL", "OWA")


class Scales(NamedTuple):
    """What one season's change is: the scales of each window's series, (N,), NaN where there is none."""

    absolute: Array
    squared: Array


class Parts(NamedTuple):
    """A measure before its division: what is summed above and below, both (N, K), or (N, 1) for whole windows."""

    above: Array
    below: Array


Reduce = Callable[[Array], Array]


def season_scales(windows: Windows, season_length: int) -> Scales:
    """The scales of MASE and RMSSE, from what lies before the first origin of each window's series.

    NaN where that past never changes over a season, or holds no two values a season apart.
    """
    m, values = season_length, windows.flat_values
    starts_S, series_N = np.unique(windows.series_starts, return_inverse=True)
    first_S = np.full(len(starts_S), np.iinfo(np.int64).max)
    np.minimum.at(first_S, series_N, windows.origins)
    change = np.zeros(len(values) + 1)  # one more, since a segment may begin at the end
    change[m : len(values)] = np.abs(values[m:] - values[:-m])
    known = np.isfinite(change)
    change = np.where(known, change, 0.0)
    inside = starts_S + m < first_S

    def total(terms: Array) -> Array:
        borders = np.stack((np.minimum(starts_S + m, first_S), first_S), axis=1).reshape(-1)
        return np.where(inside, np.add.reduceat(terms, borders)[::2], 0.0)

    count = total(known.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute, squared = total(change) / count, total(change**2) / count
    largest = np.maximum.reduceat(
        np.append(np.where(np.isfinite(values), np.abs(values), 0.0), 0.0),
        np.stack((starts_S, first_S), axis=1).reshape(-1),
    )[::2]
    flat = ~(absolute > 1e-12 * largest)
    absolute[flat], squared[flat] = np.nan, np.nan
    return Scales(absolute[series_N], np.sqrt(squared)[series_N])


def parts(
    forecast_NK: Array, target_NK: Array, scales: Scales, quantiles: Mapping[float, Array] | None = None
) -> dict[str, Parts]:
    """Every measure but OWA, undivided.

    Args:
        quantiles: level → (N, K), for WQL; None: the point stands for every quantile.
    """
    known = np.isfinite(target_NK)
    target = np.where(known, target_NK, 0.0)
    off = np.where(known, np.abs(forecast_NK - target), 0.0)
    size = np.where(known, np.abs(forecast_NK) + np.abs(target), 0.0)
    one = known.astype(np.float64)
    scaled = known & np.isfinite(scales.absolute)[:, None]
    unit_N1 = np.where(np.isfinite(scales.absolute), scales.absolute, 1.0)[:, None]
    root_N1 = np.where(np.isfinite(scales.squared), scales.squared, 1.0)[:, None]
    loss = off
    if quantiles:
        loss = np.where(known, np.mean([pinball(q, f, target) for q, f in quantiles.items()], axis=0), 0.0)
    return {
        "MSE": Parts(off**2, one),
        "MAE": Parts(off, one),
        "sMAPE": Parts(np.divide(200 * off, size, out=np.zeros_like(off), where=size > 0), one),
        "MASE": Parts(np.where(scaled, off / unit_N1, 0.0), scaled.astype(np.float64)),
        "RMSSE": Parts(np.where(scaled, off / root_N1, 0.0), scaled.astype(np.float64)),
        "WQL": Parts(loss, np.abs(target)),
    }


def pinball(q: float, forecast: Array, target: Array) -> Array:
    """Twice the pinball loss, which at q = 1/2 is the absolute error."""
    return 2.0 * np.maximum(q * (target - forecast), (q - 1.0) * (target - forecast))


def inside(low_NK: Array, high_NK: Array, target_NK: Array) -> Parts:
    """Coverage, undivided."""
    known = np.isfinite(target_NK)
    with np.errstate(invalid="ignore"):
        held = (low_NK <= target_NK) & (target_NK <= high_NK)
    return Parts(np.where(held & known, 100.0, 0.0), known.astype(np.float64))


def over_all(found: Mapping[str, Parts]) -> dict[str, float]:
    """Each measure over every window and step."""
    whole = {**found, "RMSSE": _roots(found["RMSSE"])} if "RMSSE" in found else found
    return {name: float(_divided(part, lambda x: x.sum())) for name, part in whole.items()}


def by_horizon(found: Mapping[str, Parts]) -> dict[str, Array]:
    """Each measure step by step: (K,)."""
    return {name: _divided(part, lambda x: x.sum(axis=0)) for name, part in found.items()}


def by_series(found: Mapping[str, Parts], series_N: NDArray[np.int64], S: int) -> dict[str, Array]:
    """Each measure series by series: (S,), NaN for a series without one."""

    def added(x: Array) -> Array:
        return np.asarray(np.bincount(series_N, weights=x.sum(axis=1), minlength=S), dtype=np.float64)

    whole = {**found, "RMSSE": _roots(found["RMSSE"])} if "RMSSE" in found else found
    return {name: _divided(part, added) for name, part in whole.items()}


def overall_weighted_average(
    smape: ArrayLike, mase: ArrayLike, smape_naive2: ArrayLike, mase_naive2: ArrayLike
) -> Array:
    """OWA; NaN where Naive2 makes no error to compare with."""
    below = [np.where(np.equal(naive2, 0), np.nan, naive2) for naive2 in (smape_naive2, mase_naive2)]
    return np.asarray((np.asarray(smape) / below[0] + np.asarray(mase) / below[1]) / 2)


def _roots(part: Parts) -> Parts:
    """From |e| / r of each step to the root of their mean square in each window: (N, 1)."""
    count = part.below.sum(axis=1, keepdims=True)
    mean = (part.above**2).sum(axis=1, keepdims=True) / np.maximum(count, 1.0)
    return Parts(np.sqrt(mean), (count > 0).astype(np.float64))


def _divided(part: Parts, reduce: Reduce) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        above, below = np.asarray(reduce(part.above)), np.asarray(reduce(part.below))
        return np.where(below > 0, above / below, np.nan)
