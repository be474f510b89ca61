"""Long frames (one row a series and time stamp) of pandas, Polars and Arrow, checked once for all that follows."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.clock import format_time
from throughtime.data.columns import Place, read_ids, read_times, read_values
from throughtime.data.frequency import Frequency
from throughtime.data.inference import check_regular, find_frequency
from throughtime.data.series import FrameKind, SeriesSet, build_frame
from throughtime.errors import ArgumentTypeError, DataError

if TYPE_CHECKING:
    from narwhals import DataFrame

__all__ = ["ID_COLUMN", "SeriesSet", "build_frame", "read_series"]

ID_COLUMN = "unique_id"
_ONLY_SERIES = "series"


def read_series(
    frame: Any,
    *,
    id_col: str | None = ID_COLUMN,
    time_col: str = "ds",
    target_col: str = "y",
    freq: str | int | Frequency | None = None,
    min_length: int = 1,
    who: str = "read_series",
    place: Place | None = None,
) -> SeriesSet:
    """Read series from a long frame.

    Rows may come in any order; other columns are left alone. Times are dates, datetimes (zone-aware ones right across
    clock changes), integers, or ISO 8601 text. Without `id_col` (None, or the default name where the frame has no such
    column and no time stamp occurs twice) the frame is one series named "series".

    Args:
        freq: name, integer step or Frequency that every series must keep; None finds it from all series.
        min_length: the fewest values that each series needs.
        who: who speaks in the messages: a file's name, for instance.
        place: names row i in a message; the default counts rows from 0.

    Raises:
        ArgumentTypeError: not a frame of a known library, or `freq` of a wrong type.
        ArgumentError: `freq` is unknown.
        DataError: a column is missing; the frame is empty; an id, a stamp or a value is missing or unreadable; a series
            has two rows for one stamp, unequal steps, gaps, or fewer than `min_length` values.

    >>> import polars as pl
    >>> read_series(pl.DataFrame({"ds": ["2020-01", "2020-02", "2020-03"], "y": [1.0, 2.0, 3.0]}))
    SeriesSet(1 series, 3 values, freq MS, 2020-01-01 to 2020-03-01)
    """
    named = place or _row
    table = _open(frame, who)
    has_ids = _check_columns(table, id_col, time_col, target_col, who)
    if len(table) == 0:
        raise DataError(
            f"{who}: expected one row or more, got an empty frame; give rows of {time_col} and {target_col}"
        )
    ids: list[str] | list[int]
    if has_ids:
        codes, ids = read_ids(table[str(id_col)], who, named)
    else:
        codes, ids = np.zeros(len(table), dtype=np.int64), [_ONLY_SERIES]
    stamps = read_times(table[time_col], who, named)

    def describe(row: int) -> str:
        stamp = format_time(stamps.values[row], stamps.time_zone)
        return f"{named(row)}, series {ids[int(codes[row])]!r}, {time_col} {stamp}"

    values, times = read_values(table[target_col], who, describe), stamps.values
    order = _sorting(codes, times)
    codes, times, values = codes[order], times[order], values[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    same = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    if same.size:
        _raise_duplicate(int(same[0]), times, stamps.time_zone, order, ids[int(codes[same[0]])], has_ids, who, named)
    _check_lengths(np.diff(offsets), ids, min_length, who)
    frequency = find_frequency(times, offsets, stamps.time_zone, freq, who)
    check_regular(times, offsets, frequency, lambda series: repr(ids[series]), who, time_col)
    kind = FrameKind(
        backend=table.implementation,
        id_dtype=table[str(id_col)].dtype if has_ids else None,
        time_dtype=table[time_col].dtype,
        text_form=stamps.text_form,
    )
    return SeriesSet(
        ids,
        values,
        times,
        offsets,
        frequency,
        id_col=id_col or ID_COLUMN,
        time_col=time_col,
        target_col=target_col,
        kind=kind,
    )


def _row(row: int) -> str:
    return f"row {row} (counted from 0)"


def _open(frame: Any, who: str) -> "DataFrame[Any]":
    nw = require("narwhals", extra="frames")
    try:
        table: DataFrame[Any] = nw.from_native(frame, eager_only=True)
        _ = table.columns
    except TypeError as error:
        kind = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__qualname__}"
        hint = "; call .collect() first" if kind == "polars.LazyFrame" else ""
        raise ArgumentTypeError(f"{who}: expected a pandas, Polars or Arrow table, got {kind}{hint}") from error
    except nw.exceptions.DuplicateError as error:
        raise DataError(
            f"{who}: expected column names that differ, got {[str(name) for name in frame.columns]}"
        ) from error
    return table


def _check_columns(table: "DataFrame[Any]", id_col: str | None, time_col: str, target_col: str, who: str) -> bool:
    """Check that the columns are there; whether there is one of ids."""
    optional = id_col is None or (id_col == ID_COLUMN and id_col not in table.columns)
    wanted = [time_col, target_col] if optional else [str(id_col), time_col, target_col]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        index_names = getattr(getattr(table.to_native(), "index", None), "names", ())
        hint = (
            "move the index into columns with .reset_index()"
            if missing[0] in index_names
            else "rename, or name the column"
        )
        raise DataError(
            f"{who}: expected a column {missing[0]!r}, got the columns "
            f"{', '.join(map(repr, table.columns)) or '(none)'}; {hint}"
        )
    repeated = [name for name in wanted if wanted.count(name) > 1]
    if repeated:
        raise DataError(f"{who}: expected three different columns, got {repeated[0]!r} named twice")
    return not optional


def _sorting(codes: NDArray[np.int64], times: NDArray[Any]) -> NDArray[np.int64]:
    """The stable order by series, then time; the usual frame has it already."""
    step = np.diff(codes)
    if bool(((step > 0) | ((step == 0) & (times[1:] >= times[:-1]))).all()):
        return np.arange(codes.size)
    return np.lexsort((times, codes))


def _raise_duplicate(
    first: int,
    times: NDArray[Any],
    time_zone: str | None,
    order: NDArray[np.int64],
    series: str | int,
    has_ids: bool,
    who: str,
    place: Place,
) -> None:
    rows = f"{place(int(order[first]))} and {place(int(order[first + 1]))}"
    stamp = format_time(times[first], time_zone)
    if not has_ids:
        raise DataError(
            f"{who}: expected a column {ID_COLUMN!r}, as {stamp} occurs twice, at {rows}; name the column of "
            "series ids, or keep one row for each time stamp"
        )
    raise DataError(
        f"{who}: expected one row for each series and time stamp, got two for series {series!r} at {stamp}: {rows}; "
        "drop or add up the duplicates"
    )


def _check_lengths(lengths: NDArray[np.int64], ids: list[str] | list[int], min_length: int, who: str) -> None:
    short = np.flatnonzero(lengths < min_length)
    if short.size:
        others = "" if short.size == 1 else f" ({short.size} series are too short)"
        raise DataError(
            f"{who}: expected {min_length} or more values in every series, got {int(lengths[short[0]])} in series "
            f"{ids[int(short[0])]!r}{others}; give a longer history or leave the series out"
        )
