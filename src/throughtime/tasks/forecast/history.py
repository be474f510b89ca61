"""Series that go on: what was observed since, joined to what was known, and forecasts taken for history.

Axes in names: S series, K steps.
"""

import dataclasses
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.frames import SeriesSet, read_series
from throughtime.data.series.output import FrameKind
from throughtime.errors import DataError
from throughtime.tasks.forecast.windows import SEASONS_BACK

Array = NDArray[np.float64]

_OLDER = "\0older"  # ends no column's name
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # as str(int) writes it, within int64


def joined(old: SeriesSet, new: SeriesSet, who: str) -> SeriesSet:
    """Both, the newer value where both have one; steps between them that nobody gave are missing values.

    A frame with missing rows was laid out on a grid: what is missing in the newer one takes nothing away. Where there
    are known-future columns, rows from before `old` begins are left out: their steps up to there may have been let go.

    Raises:
        DataError: the two do not lie on one grid of time, or their ids cannot be told to be the same or not; or a step
            has no known-future columns.
    """
    pl = require("polars", extra="frames")
    new = dataclasses.replace(new, ids=_ids_like(old, new, who))
    known = old.covariates
    beside = () if known is None else (*known.past_names, *known.future_names)
    keys, values = [old.id_col, old.time_col], [old.target_col, *beside]
    first, second = (_plain(each).to_frame().with_columns(pl.col(values).fill_nan(None)) for each in (old, new))
    both = second.join(first.select(keys + values), on=keys, how="left", suffix=_OLDER, maintain_order="left")
    second = both.select(
        *keys, *(pl.coalesce(name, name + _OLDER) for name in values), *first.columns[2 + len(values) :]
    )
    if known is not None and known.future_names:
        begin = first.group_by(old.id_col).agg(pl.col(old.time_col).min().alias(old.time_col + _OLDER))
        second = second.join(begin, on=old.id_col, how="left", maintain_order="left").filter(
            (pl.col(old.time_col) >= pl.col(old.time_col + _OLDER)).fill_null(value=True)
        )
    table = pl.concat([first, second.select(first.columns)]).unique(subset=keys, keep="last", maintain_order=True)
    found = read_series(
        table,
        id_col=old.id_col,
        time_col=old.time_col,
        target_col=old.target_col,
        freq=old.frequency,
        missing="keep",
        fitted=known,
        who=who,
    )
    return dataclasses.replace(found, kind=old.kind)


def _ids_like(old: SeriesSet, new: SeriesSet, who: str) -> Any:
    """The newer ids of the type of the old ones: 1 and "1" are the same series."""
    if type(old.ids[0]) is type(new.ids[0]):
        return new.ids
    if isinstance(old.ids[0], str):
        return [str(name) for name in new.ids]
    other = next((name for name in new.ids if not _WHOLE.fullmatch(str(name))), None)
    if other is not None:
        raise DataError(
            f"{who}: expected whole numbers in {old.id_col} as in the training data, got {other!r}; give numbers, or "
            "fit with ids as text"
        )
    return [int(name) for name in new.ids]


def _plain(series: SeriesSet) -> SeriesSet:
    """To become a Polars frame with one type of time, however dates were written."""
    nw = require("narwhals", extra="frames")
    stamps = None if series.frequency.is_integer else nw.Datetime("us", series.frequency.time_zone)
    return dataclasses.replace(series, kind=FrameKind(backend="polars", time_dtype=stamps))


def kept(series: SeriesSet, n: int, season_length: int) -> SeriesSet:
    """The last n steps of each series, and before them what `fill_gaps` reads to fill theirs."""
    back = SEASONS_BACK * season_length if season_length > 1 else 0
    missing = np.isnan(series.flat_values)
    if not missing.any():  # an update may bring some
        return series.tail(n + back)
    starts, ends = series.offsets[:-1], series.offsets[1:]
    first = np.maximum(ends - n, starts)
    observed = np.maximum.accumulate(np.where(missing, 0, np.arange(len(missing))))
    return series.tail(ends - np.maximum(np.minimum(first - back, observed[first]), starts))


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
