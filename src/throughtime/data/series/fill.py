"""Filling gaps, on request only.

N values of all series, S series, m the season length.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.series import SeriesSet
from throughtime.errors import ArgumentError, DataError

__all__ = ["FILLS", "fill_missing"]

Values = NDArray[np.float64]
Index = NDArray[np.int64]

FILLS = ("linear", "last", "zero", "mean", "median")


def fill_missing(series: SeriesSet, how: str) -> SeriesSet:
    """The series with every NaN of the target replaced. Covariates stay as they are.

    `linear`, `mean` and `median` look at later values too: fill the history of a backtest after it has been cut off,
    not before.

    Args:
        how: "linear": on the line between the values on both sides; "last": the value before; "zero"; "mean": of the
            series; "median": of the values of the series at the same place of the season (the same weekday in daily
            data), of the whole series where all of these are missing. At the ends of a series "linear" and "last" take
            the nearest value.

    Raises:
        ArgumentError: another `how`.
        DataError: a series without a value, unless `how` is "zero".
    """
    if how not in FILLS:
        raise ArgumentError(f"fill_missing: expected how to be one of {', '.join(FILLS)}, got {how!r}; choose one")
    values = series.flat_values
    missing = np.isnan(values)
    if not missing.any():
        return series
    filled = values.copy()
    if how == "zero":
        filled[missing] = 0.0
        return dataclasses.replace(series, flat_values=filled)
    S = len(series)
    group = np.repeat(np.arange(S), series.lengths)
    counts = np.bincount(group[~missing], minlength=S)
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        raise DataError(
            f"fill_missing: expected a value in every series to fill from, got none in series "
            f"{series.ids[int(empty[0])]!r}; leave the series out or fill with zero"
        )
    gaps, known = np.flatnonzero(missing), np.flatnonzero(~missing)
    if how in ("linear", "last"):
        before, after = _neighbours(gaps, known, group)
        left, right = values[before], values[after]
        share = np.where(after > before, (gaps - before) / np.maximum(after - before, 1), 0.0)
        filled[gaps] = left + share * (right - left) if how == "linear" else left
    elif how == "mean":
        # A sum over the deviations from a value of the series stays exact where the level is large.
        anchor = values[known[np.searchsorted(known, series.offsets[:-1])]]
        mean = np.bincount(group[known], values[known] - anchor[group[known]], minlength=S) / counts
        filled[gaps] = (anchor + mean)[group[gaps]]
    else:
        m = series.frequency.season_length
        place = group * m + (np.arange(len(values)) - series.offsets[:-1][group]) % m
        seasonal = _medians(values[known], place[known], S * m)[place[gaps]]
        filled[gaps] = np.where(np.isnan(seasonal), _medians(values[known], group[known], S)[group[gaps]], seasonal)
    return dataclasses.replace(series, flat_values=filled)


def _neighbours(gaps: Index, known: Index, group: NDArray[Any]) -> tuple[Index, Index]:
    """The known values before and after each gap; at an end of the series the nearest one twice."""
    place = np.searchsorted(known, gaps)
    before, after = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
    has_before = (place > 0) & (group[before] == group[gaps])
    has_after = (place < len(known)) & (group[after] == group[gaps])
    return np.where(has_before, before, after), np.where(has_after, after, before)


def _medians(values: Values, group: Index, size: int) -> Values:
    """The median of each group, NaN where it has no value."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=size)
    first = np.cumsum(counts) - counts
    low, high = first + (counts - 1) // 2, first + counts // 2
    sorted_values = np.append(values[order], np.nan)
    found = (sorted_values[np.minimum(low, len(values))] + sorted_values[np.minimum(high, len(values))]) / 2
    return np.where(counts > 0, found, np.nan)
