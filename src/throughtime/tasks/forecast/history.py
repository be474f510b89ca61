"""Series that go on: what was observed since, joined to what was known, and forecasts taken for history.

Axes in names: S series, K steps.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.frames import SeriesSet, read_series

Array = NDArray[np.float64]


def joined(old: SeriesSet, new: SeriesSet, who: str) -> SeriesSet:
    """Both, the newer value where both have one; steps between them that nobody gave are missing values.

    Raises:
        DataError: the two do not lie on one grid of time.
    """
    nw = require("narwhals", extra="frames")
    first, second = (nw.from_native(_in_polars(each).to_frame(), eager_only=True) for each in (old, new))
    keys = [old.id_col, old.time_col]
    table = nw.concat([first, second.select(first.columns)], how="vertical")
    table = table.unique(subset=keys, keep="last", maintain_order=True)
    known = old.covariates
    found = read_series(
        table.to_native(),
        id_col=old.id_col,
        time_col=old.time_col,
        target_col=old.target_col,
        freq=old.frequency,
        missing="keep",
        fitted=known,
        who=who,
    )
    return dataclasses.replace(found, kind=old.kind)


def _in_polars(series: SeriesSet) -> SeriesSet:
    kind = dataclasses.replace(series.kind, backend="polars", id_dtype=None)
    return dataclasses.replace(series, kind=kind)


def extended(series: SeriesSet, forecast_SK: Array, beyond_SKF: Array) -> SeriesSet:
    """The series with K forecasts after the end of each, as if they had been observed.

    Args:
        beyond_SKF: their known-future columns; past ones are missing.
    """
    S, K = forecast_SK.shape
    rows = np.arange(len(series.flat_values)) + np.repeat(np.arange(S) * K, series.lengths)
    later = series.offsets[1:, None] + np.arange(S)[:, None] * K + np.arange(K)
    values = np.empty(len(rows) + S * K)
    times = np.empty(len(values), dtype=series.flat_times.dtype)
    values[rows], values[later] = series.flat_values, forecast_SK
    times[rows], times[later] = series.flat_times, series.future_times(K)
    offsets = series.offsets + np.arange(S + 1) * K
    known = series.covariates
    if known is not None:
        past, future = (np.full((len(values), part.shape[1]), np.nan) for part in (known.past, known.future))
        past[rows], future[rows], future[later] = known.past, known.future, beyond_SKF
        known = dataclasses.replace(known, past=past, future=future)
    fields: dict[str, Any] = {"flat_values": values, "flat_times": times, "offsets": offsets, "covariates": known}
    return dataclasses.replace(series, **fields)
