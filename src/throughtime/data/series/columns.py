"""Columns of ids, text and numbers, checked and turned into arrays."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.native import Frame
from throughtime.errors import DataError

if TYPE_CHECKING:
    import polars
    from narwhals import Series

__all__ = ["Place", "as_text", "is_text", "kind_of", "more", "number", "read_ids", "read_values"]

Place = Callable[[int], str]

_MISSING_TEXT = ("", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "?")


def as_text(column: "Series[Any]") -> "polars.Series":
    """A column of text as a Polars series (pandas needs no pyarrow this way)."""
    pl = require("polars", extra="frames")
    nw = require("narwhals", extra="frames")
    native = column.to_native()
    if str(getattr(native, "dtype", "")) == "str" and hasattr(native.array, "__arrow_array__"):
        text: polars.Series = pl.Series(column.name, native.array.__arrow_array__())
    elif column.implementation.is_pandas_like():
        missing = column.is_null().to_list()
        values = [None if gone else str(value) for value, gone in zip(column.to_list(), missing, strict=True)]
        text = pl.Series(column.name, values, dtype=pl.String)
    else:
        text = column.cast(nw.String).to_polars().alias(column.name)
    return text


def read_ids(frame: Frame, name: str, who: str, place: Place) -> tuple[NDArray[np.int64], list[str] | list[int]]:
    """Number the series by first appearance: the number of each row's series, and the ids.

    Raises:
        DataError: an id is missing, or is neither text nor an integer.
    """
    runs = frame.runs(name)
    if runs is not None:
        ids_in_order, starts = runs
        return np.repeat(np.arange(len(starts)), np.diff(starts, append=len(frame))), ids_in_order
    pl = require("polars", extra="frames")
    column = frame[name]
    missing = np.flatnonzero(column.is_null().to_numpy())
    if missing.size:
        raise DataError(
            f"{who}: expected an id in every row of {column.name}, got none at "
            f"{place(int(missing[0]))}{more(missing)}; fill the ids or drop the rows"
        )
    if column.dtype.is_integer():
        ids = pl.Series("id", column.to_numpy().astype(np.int64))
    elif is_text(column):
        ids = as_text(column).alias("id")
    else:
        raise DataError(
            f"{who}: expected text or integers in {column.name}, got type {kind_of(column)}; convert the column to text"
        )
    codes, known = number(ids)
    return codes, known.to_list()


def read_values(
    frame: Frame, name: str, who: str, describe: Place, *, missing: bool = False, flags: bool = False
) -> NDArray[np.float64]:
    """A column of numbers as float64.

    Args:
        describe: row, series and stamp of row i, for the message.
        missing: whether null, NaN and text that stands for no value (empty, "NA", "null", ...) are NaN in the result;
            else they are refused.
        flags: whether True and False are 1 and 0; else they are refused.

    Raises:
        DataError: a value is not a number, infinite, or missing where it may not be; or the column is not one of
            numbers.
    """
    plain = frame.numbers(name)
    values, raw = (plain, None) if plain is not None else _numbers(frame[name], who, flags)
    finite = np.isfinite(values)
    if finite.all():
        return np.ascontiguousarray(values)
    wrong = np.flatnonzero(~finite)
    if missing:
        if raw is None:
            wrong = np.flatnonzero(np.isinf(values))
        else:
            wrong = wrong[[not _means_missing(raw[int(row)]) for row in wrong]]
            values[~finite] = np.where(np.isin(np.flatnonzero(~finite), wrong), values[~finite], np.nan)
        if not wrong.size:
            return np.ascontiguousarray(values)
    row = int(wrong[0])
    value = values[row] if raw is None else raw[row]
    commas = isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9][0-9.' ]*,[0-9.,]+\s*", value)
    advice = "write numbers as 1000.5" if commas else "fill in a number or drop the series"
    gone = value is None or (isinstance(value, float) and value != value)
    got = "a missing value (NaN or null)" if gone else repr(float(value) if isinstance(value, float) else value)
    raise DataError(
        f"{who}: expected a finite number in every row of {name}, got {got} at {describe(row)}{more(wrong)}; {advice}"
    )


def _numbers(column: "Series[Any]", who: str, flags: bool) -> tuple[NDArray[np.float64], Any]:
    """The numbers, NaN where there is none, and what stood there in a column of text or objects."""
    nw = require("narwhals", extra="frames")
    pl = require("polars", extra="frames")
    if column.dtype.is_numeric() or (flags and column.dtype == nw.Boolean):
        return column.cast(nw.Float64).to_numpy().astype(np.float64), None
    if is_text(column):
        text = as_text(column)
        plain = text.str.strip_chars()
        if flags:
            plain = plain.str.replace("(?i)^true$", "1").str.replace("(?i)^false$", "0")
        return plain.cast(pl.Float64, strict=False).to_numpy().astype(np.float64), text
    if column.dtype == nw.Object:
        raw = column.to_list()
        return np.array([_number(value, flags) for value in raw], dtype=np.float64), raw
    raise DataError(
        f"{who}: expected numbers in {column.name}, got type {kind_of(column)}; convert the column to numbers"
    )


def _means_missing(value: object) -> bool:
    """What other programs write for no value."""
    if isinstance(value, str):
        return value.strip().casefold() in _MISSING_TEXT
    return value is None or str(value) in ("nan", "NaT", "<NA>")


def number(column: "polars.Series") -> tuple[NDArray[np.int64], "polars.Series"]:
    """The number of each row's value by first appearance, and the different values."""
    known = column.alias("value").unique(maintain_order=True)
    numbers = known.to_frame().with_row_index("number")
    rows = column.alias("value").to_frame().with_row_index("row")
    found = rows.join(numbers, on="value", how="left").sort("row")["number"]
    return found.to_numpy().astype(np.int64), known


def more(rows: NDArray[Any]) -> str:
    """How many rows share the trouble of the first."""
    return "" if rows.size == 1 else f" (and in {rows.size - 1} more row{'s' if rows.size > 2 else ''})"


def _number(value: Any, flags: bool) -> float:
    try:
        return float("nan") if isinstance(value, bool) and not flags else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def is_text(column: "Series[Any]") -> bool:
    nw = require("narwhals", extra="frames")
    if column.dtype in (nw.String, nw.Categorical, nw.Enum):
        return True
    return bool(column.dtype == nw.Object and all(isinstance(value, str) for value in column.to_list()))


def kind_of(column: "Series[Any]") -> str:
    native = column.to_native()
    return str(getattr(native, "dtype", None) or getattr(native, "type", column.dtype))
