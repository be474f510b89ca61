"""Known-future columns of the steps to forecast.

Axes: S series, K steps of the horizon, F known-future columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.columns import Place, read_values
from throughtime.data.series.rows import check_columns, count_rows, open_frame, read_rows
from throughtime.data.series.series import SeriesSet
from throughtime.data.times.clock import format_time
from throughtime.errors import DataError

__all__ = ["read_future"]


def read_future(
    frame: Any,
    series: SeriesSet,
    horizon: int,
    *,
    spare: int = 0,
    who: str = "read_future",
    place: Place | None = None,
) -> NDArray[np.float64]:
    """The known-future columns of the `horizon` steps after each series, in the order of its `future_names`.

    Rows of other series and of other times are left alone, so that one frame may hold the past and the future. Without
    an id column the rows hold for every series.

    Args:
        frame: the id column, the time column and the known-future columns; not looked at where there are none (F = 0).
        spare: steps after these that the frame may have: NaN where it has them not.
        who: who speaks in the messages.
        place: names row i in a message.

    Returns:
        (S, K + spare, F) float64, finite in the first K steps.

    Raises:
        ArgumentTypeError: not a frame of a known library.
        DataError: no frame though there are known-future columns; a column is missing or not of numbers; a step has two
            rows or none, or a row without a value, named by series and time.
    """
    names = () if series.covariates is None else series.covariates.future_names
    S, K, F = len(series), horizon, len(names)
    if not F:
        return np.zeros((S, K + spare, 0))
    times_SK = series.future_times(K + spare)
    zone = series.frequency.time_zone
    if frame is None:
        last = format_time(series.last_times[0], zone)
        raise DataError(
            f"{who}: expected a frame with {', '.join(names)} for the {K} steps after {last}, got none; give the rows "
            "of the future"
        )
    named = place or count_rows
    table = open_frame(frame, who)
    has_ids = check_columns(table, series.id_col, (series.time_col, *names), who)
    rows = read_rows(table, series.id_col if has_ids else None, series.time_col, who, named)
    times = rows.stamps.values
    if times.dtype.kind != times_SK.dtype.kind:
        kinds = ("integers", "dates") if series.frequency.is_integer else ("dates", "integers")
        raise DataError(
            f"{who}: expected {kinds[0]} in {series.time_col} as in the history, got {kinds[1]}; convert the column"
        )
    if (rows.stamps.time_zone is None) != (zone is None):
        forms = ("a time zone", "no time zone") if zone is not None else ("no time zone", "a time zone")
        raise DataError(
            f"{who}: expected {forms[0]} in {series.time_col} as in the history, got {forms[1]}; convert one of the two"
        )
    values_NF = np.stack([read_values(table, name, who, rows.describe, missing=True, flags=True) for name in names], 1)
    which = _numbers(rows.ids, series.ids)[rows.codes] if has_ids else None
    row_SK = _find(which, times, times_SK, who, series, named)
    found_SKF = values_NF[np.maximum(row_SK, 0)]
    found_SKF[row_SK < 0] = np.nan
    _check_whole(found_SKF[:, :K], row_SK, times_SK, names, series, who)
    return found_SKF


def _numbers(ids: list[str] | list[int], wanted: list[str] | list[int]) -> NDArray[np.int64]:
    """The number in `wanted` of each of `ids`, -1 where it is not there."""
    pl = require("polars", extra="frames")
    if len(ids) and len(wanted) and type(ids[0]) is not type(wanted[0]):
        ids, wanted = list(map(str, ids)), list(map(str, wanted))
    known = pl.DataFrame({"id": wanted, "number": np.arange(len(wanted), dtype=np.int64)})
    found = pl.DataFrame({"id": ids}).join(known, on="id", how="left", maintain_order="left")
    return np.asarray(found["number"].fill_null(-1).to_numpy(), dtype=np.int64)


def _find(
    which: NDArray[np.int64] | None,
    times: NDArray[Any],
    times_SK: NDArray[Any],
    who: str,
    series: SeriesSet,
    place: Place,
) -> NDArray[np.int64]:
    """The row of each step, -1 where there is none."""
    S, K = times_SK.shape
    row_SK = np.full((S, K), -1, dtype=np.int64)
    if which is None:  # the same rows for all series
        order = np.argsort(times, kind="stable")
        at = np.searchsorted(times[order], times_SK)
        inside = at < len(times)
        hit = inside & (times[order][np.minimum(at, len(times) - 1)] == times_SK) if len(times) else inside
        row_SK[hit] = order[at[hit]]
        same = np.flatnonzero(np.diff(times[order].astype(np.int64)) == 0)
        pair = next(((int(order[i]), int(order[i + 1])) for i in same if np.isin(times[order[i]], times_SK)), None)
    else:
        rows = np.flatnonzero(which >= 0)
        first = times_SK[:, 0][which[rows]]
        step = series.frequency.steps_between(first, times[rows])
        inside = (step >= 0) & (step < K)
        rows, step = rows[inside], step[inside]
        exact = times_SK[which[rows], step] == times[rows]
        rows, step = rows[exact], step[exact]
        row_SK[which[rows], step] = rows
        taken = row_SK[which[rows], step] != rows
        pair = None
        if taken.any():
            row = int(rows[np.flatnonzero(taken)[0]])
            pair = (row, int(row_SK[which[row], step[np.flatnonzero(taken)[0]]]))
    if pair is not None:
        stamp = format_time(times[pair[0]], series.frequency.time_zone)
        name = "each time" if which is None else f"series {series.ids[int(which[pair[0]])]!r} and each time"
        raise DataError(
            f"{who}: expected one row for {name}, got two for {stamp}: {place(min(pair))} and {place(max(pair))}; keep "
            "one"
        )
    return row_SK


def _check_whole(
    found_SKF: NDArray[np.float64],
    row_SK: NDArray[np.int64],
    times_SK: NDArray[Any],
    names: tuple[str, ...],
    series: SeriesSet,
    who: str,
) -> None:
    gone = np.isnan(found_SKF)
    if not gone.any():
        return
    s, k, f = (int(each[0]) for each in np.nonzero(gone))
    stamp = format_time(times_SK[s, k], series.frequency.time_zone)
    count = int(gone.any(axis=(1, 2)).sum())
    others = "" if count == 1 else f" ({count} series lack values)"
    K = found_SKF.shape[1]
    if row_SK[s, k] < 0:
        raise DataError(
            f"{who}: expected rows for all {K} steps to forecast of series {series.ids[s]!r}, got none for {stamp}"
            f"{others}; add the row with {', '.join(names)}"
        )
    raise DataError(
        f"{who}: expected a value of {names[f]} in all {K} steps to forecast of series {series.ids[s]!r}, got none for "
        f"{stamp}{others}; fill it in"
    )
