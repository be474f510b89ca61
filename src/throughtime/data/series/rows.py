"""The rows of a long frame: which series and which time each belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.columns import Place, read_ids
from throughtime.data.series.native import Frame, adapt
from throughtime.data.series.stamps import TimeColumn, read_times
from throughtime.data.times.clock import format_time
from throughtime.errors import ArgumentTypeError, DataError

__all__ = ["ID_COLUMN", "ONLY_SERIES", "Rows", "check_columns", "count_rows", "open_frame", "read_rows"]

ID_COLUMN = "unique_id"
ONLY_SERIES = "series"


@dataclass(frozen=True)
class Rows:
    """What the id and the time column say.

    Attributes:
        codes: the series of each row, by its number in `ids`.
        ids: the series, in the order in which they first appear.
        stamps: the time of each row.
        describe: row, series and time of row i, for a message.
    """

    codes: NDArray[np.int64]
    ids: list[str] | list[int]
    stamps: TimeColumn
    describe: Place


def read_rows(frame: Frame, id_col: str | None, time_col: str, who: str, place: Place) -> Rows:
    """Read the id column (None: one series) and the time column.

    Raises:
        DataError: an id or a stamp is missing or unreadable.
    """
    ids: list[str] | list[int]
    if id_col is not None:
        codes, ids = read_ids(frame, id_col, who, place)
    else:
        codes, ids = np.zeros(len(frame), dtype=np.int64), [ONLY_SERIES]
    stamps = read_times(frame, time_col, who, place)

    def describe(row: int) -> str:
        stamp = format_time(stamps.values[row], stamps.time_zone)
        return f"{place(row)}, series {ids[int(codes[row])]!r}, {time_col} {stamp}"

    return Rows(codes, ids, stamps, describe)


def count_rows(row: int) -> str:
    """Where a row stands, for a message."""
    return f"row {row} (counted from 0)"


def open_frame(frame: Any, who: str) -> Frame:
    """A frame of any library.

    Raises:
        ArgumentTypeError: not a frame.
        DataError: two columns of one name.
    """
    nw = require("narwhals", extra="frames")
    try:
        return adapt(frame)
    except TypeError as error:
        kind = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__qualname__}"
        way = "call .collect() first" if kind == "polars.LazyFrame" else "convert it to one"
        raise ArgumentTypeError(f"{who}: expected a pandas, Polars or Arrow table, got {kind}; {way}") from error
    except nw.exceptions.DuplicateError as error:
        names = [str(name) for name in getattr(frame, "column_names", frame.columns)]
        raise DataError(f"{who}: expected column names that differ, got {names}; rename one") from error


def check_columns(frame: Frame, id_col: str | None, others: Sequence[str], who: str) -> bool:
    """Check that columns are there and differ; whether there is one of ids.

    Raises:
        DataError: a column is not there, or is named twice.
    """
    optional = id_col is None or (id_col == ID_COLUMN and id_col not in frame.columns)
    wanted = list(others) if optional else [str(id_col), *others]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        index_names = getattr(getattr(frame.native, "index", None), "names", ())
        hint = (
            "move the index into columns with .reset_index()"
            if missing[0] in index_names
            else "rename, or name the column"
        )
        raise DataError(
            f"{who}: expected a column {missing[0]!r}, got the columns "
            f"{', '.join(map(repr, frame.columns)) or '(none)'}; {hint}"
        )
    repeated = [name for name in wanted if wanted.count(name) > 1]
    if repeated:
        raise DataError(f"{who}: expected columns that differ, got {repeated[0]!r} named twice; name it once")
    return not optional
