"""The three columns of a long frame, checked and turned into arrays."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import DataError

if TYPE_CHECKING:
    import polars
    from narwhals import Series

__all__ = ["Place", "TimeColumn", "as_text", "read_ids", "read_times", "read_values"]

Place = Callable[[int], str]

_ISO = (
    r"^\s*([0-9]{4})-?([0-9]{2})(?:-?([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?"
    r"\s?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?\s*$"
)
# Hyphens between all parts of the date or none; a month alone needs its hyphen (ISO 8601).
_ISO_DATE = r"^\s*(?:[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?|[0-9]{8})(?:[T ].*)?$"


@dataclass(frozen=True)
class TimeColumn:
    """A time column as it came: int64, or datetime64[us] (UTC where there is a zone).

    Attributes:
        values: the stamps.
        time_zone: the zone of a zone-aware column; "UTC" where text carried offsets.
        text_form: strftime form of text dates, so that they can be written as they came; None for other columns.
    """

    values: NDArray[Any]
    time_zone: str | None = None
    text_form: str | None = None


def as_text(column: "Series[Any]") -> "polars.Series":
    """A column of text as a Polars series (pandas needs no pyarrow this way)."""
    pl = require("polars", extra="frames")
    nw = require("narwhals", extra="frames")
    if column.implementation.is_pandas_like():
        missing = column.is_null().to_list()
        values = [None if gone else str(value) for value, gone in zip(column.to_list(), missing, strict=True)]
        text: polars.Series = pl.Series(column.name, values, dtype=pl.String)
    else:
        text = column.cast(nw.String).to_polars().alias(column.name)
    return text


def read_ids(column: "Series[Any]", who: str, place: Place) -> tuple[NDArray[np.int64], list[str] | list[int]]:
    """Number the series by first appearance: the number of each row's series, and the ids.

    Raises:
        DataError: an id is missing, or is neither text nor an integer.
    """
    pl = require("polars", extra="frames")
    missing = np.flatnonzero(column.is_null().to_numpy())
    if missing.size:
        raise DataError(
            f"{who}: expected an id in every row of {column.name}, got none at "
            f"{place(int(missing[0]))}{more(missing)}; fill the ids or drop the rows"
        )
    if column.dtype.is_integer():
        ids = pl.Series("id", column.to_numpy().astype(np.int64))
    elif _is_text(column):
        ids = as_text(column).alias("id")
    else:
        raise DataError(
            f"{who}: expected text or integers in {column.name}, got type {_kind(column)}; convert the column to text"
        )
    codes, known = _numbered(ids)
    return codes, known.to_list()


def read_times(column: "Series[Any]", who: str, place: Place) -> TimeColumn:
    """Dates, datetimes, integers, whole numbers or ISO 8601 text as stamps.

    Raises:
        DataError: a stamp is missing or cannot be read, named by row and value.
    """
    nw = require("narwhals", extra="frames")
    pl = require("polars", extra="frames")
    missing = np.flatnonzero(column.is_null().to_numpy())
    if missing.size:
        raise DataError(
            f"{who}: expected a date or an integer in every row of {column.name}, got none at {place(int(missing[0]))}"
            f"{more(missing)}; fill them or drop the rows"
        )
    dtype = column.dtype
    if dtype.is_integer():
        return TimeColumn(column.to_numpy().astype(np.int64))
    if dtype.is_float():
        numbers = column.to_numpy().astype(np.float64)
        wrong = np.flatnonzero(~(np.abs(numbers) < 2.0**53) | (numbers != np.floor(numbers)))
        if wrong.size:
            raise _unreadable(who, column.name, float(numbers[wrong[0]]), int(wrong[0]), place, wrong)
        return TimeColumn(numbers.astype(np.int64))
    if isinstance(dtype, nw.Datetime):
        if dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return TimeColumn(column.to_numpy().astype("datetime64[us]"), dtype.time_zone)
    if dtype == nw.Date:
        return TimeColumn(column.cast(nw.Datetime("us")).to_numpy().astype("datetime64[us]"))
    if dtype == nw.Object and all(isinstance(value, datetime.date) for value in column.to_list()):
        stamps = [value.isoformat() for value in column.to_list()]
        return _parse(pl.Series(column.name, stamps, dtype=pl.String), who, place, keep_form=False)
    if _is_text(column):
        return _parse(as_text(column), who, place, keep_form=True)
    raise DataError(
        f"{who}: expected dates, integers or ISO text in {column.name}, got type {_kind(column)}; convert the "
        "column to dates"
    )


def read_values(column: "Series[Any]", who: str, describe: Place) -> NDArray[np.float64]:
    """The target as float64, every value finite.

    Args:
        describe: row, series and stamp of row i, for the message.

    Raises:
        DataError: a value is missing, not a number, NaN or infinite; or the column is not one of numbers.
    """
    nw = require("narwhals", extra="frames")
    pl = require("polars", extra="frames")
    raw: Any = None
    if column.dtype.is_numeric():
        values = column.cast(nw.Float64).to_numpy().astype(np.float64)
    elif _is_text(column):
        raw = as_text(column)
        values = raw.str.strip_chars().cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    elif column.dtype == nw.Object:
        raw = column.to_list()
        values = np.array([_number(value) for value in raw], dtype=np.float64)
    else:
        raise DataError(
            f"{who}: expected numbers in {column.name}, got type {_kind(column)}; convert the column to numbers"
        )
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        row = int(wrong[0])
        value = values[row] if raw is None else raw[row]
        gone = value is None or (isinstance(value, float) and value != value)
        got = "a missing value (NaN or null)" if gone else repr(float(value) if isinstance(value, float) else value)
        raise DataError(
            f"{who}: expected a finite number in every row of {column.name}, got {got} at "
            f"{describe(row)}{more(wrong)}; "
            "fill in a number or drop the series"
        )
    return np.ascontiguousarray(values)


def _numbered(column: "polars.Series") -> tuple[NDArray[np.int64], "polars.Series"]:
    """The number of each row's value by first appearance, and the different values."""
    known = column.alias("value").unique(maintain_order=True)
    numbers = known.to_frame().with_row_index("number")
    rows = column.alias("value").to_frame().with_row_index("row")
    found = rows.join(numbers, on="value", how="left").sort("row")["number"]
    return found.to_numpy().astype(np.int64), known


def more(rows: NDArray[Any]) -> str:
    """How many rows share the trouble of the first."""
    return "" if rows.size == 1 else f" (and in {rows.size - 1} more row{'s' if rows.size > 2 else ''})"


def _number(value: Any) -> float:
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _is_text(column: "Series[Any]") -> bool:
    nw = require("narwhals", extra="frames")
    if column.dtype in (nw.String, nw.Categorical, nw.Enum):
        return True
    return bool(column.dtype == nw.Object and all(isinstance(value, str) for value in column.to_list()))


def _kind(column: "Series[Any]") -> str:
    native = column.to_native()
    return str(getattr(native, "dtype", None) or getattr(native, "type", column.dtype))


def _parse(column: "polars.Series", who: str, place: Place, *, keep_form: bool) -> TimeColumn:
    """ISO 8601 text; text of digits alone is integer time, unless every row is a date written YYYYMMDD."""
    pl = require("polars", extra="frames")
    name = column.name
    # Series share their stamps, so each different text is parsed once.
    codes, text = _numbered(column)
    if text.str.contains(r"^\s*[+-]?[0-9]{1,18}\s*$").all() and not _basic_dates(text):
        return TimeColumn(text.str.strip_chars().cast(pl.Int64).to_numpy().astype(np.int64)[codes])
    part = text.str.extract_groups(_ISO).struct.unnest()
    part.columns = ["year", "month", "day", "hour", "minute", "second", "fraction", "offset"]
    whole = part.select(
        pl.format(
            "{}-{}-{} {}:{}:{}{}", "year", "month",
            pl.col("day").fill_null("01"), pl.col("hour").fill_null("00"), pl.col("minute").fill_null("00"),
            pl.col("second").fill_null("00"), pl.col("fraction").fill_null(""),
        )
    ).to_series()  # fmt: skip
    stamps = whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    stamps = stamps.set(~text.str.contains(_ISO_DATE), None)
    wrong = np.flatnonzero(stamps.is_null().to_numpy()[codes])
    if wrong.size:
        raise _unreadable(who, name, column[int(wrong[0])], int(wrong[0]), place, wrong)
    zoned = part["offset"].is_not_null().to_numpy()
    if zoned.any() and not zoned.all():
        row = int(np.flatnonzero(~zoned[codes])[0])
        raise DataError(
            f"{who}: expected a UTC offset in every row of {name} or in none, got {column[row]!r} without one at "
            f"{place(row)}; add the offset"
        )
    values = np.array(stamps.to_numpy(), dtype="datetime64[us]")
    if zoned.any():
        offset = pl.col("offset")
        hours, minutes = (offset.str.extract(form).cast(pl.Int64) for form in (r"^.([0-9]{2})", r"([0-9]{2})$"))
        sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
        ahead = part.select((sign * (hours * 60 + minutes)).fill_null(0)).to_series().to_numpy()
        values = values - ahead.astype("timedelta64[m]").astype("timedelta64[us]")
    form = _form(text[0], part) if keep_form else None
    return TimeColumn(values[codes], "UTC" if zoned.any() else None, form)


def _basic_dates(text: "polars.Series") -> bool:
    if not text.str.contains(r"^\s*[0-9]{8}\s*$").all():
        return False
    return bool(text.str.strip_chars().str.to_date("%Y%m%d", strict=False).is_not_null().all())


def _form(first: str, part: "polars.DataFrame") -> str:
    """The shortest strftime form that holds every stamp, with the separators of the first."""
    if part["day"].null_count() == part.height:
        return "%Y-%m"
    day = "%Y-%m-%d" if "-" in first[:6] else "%Y%m%d"
    if part["hour"].null_count() == part.height:
        return day
    clock = "%H:%M" if part["second"].null_count() == part.height else "%H:%M:%S%.f"
    zone = "" if part["offset"].null_count() else "Z"
    return f"{day}{'T' if 'T' in first else ' '}{clock}{zone}"


def _unreadable(who: str, name: str, value: object, row: int, place: Place, rows: NDArray[Any]) -> DataError:
    return DataError(
        f"{who}: expected an ISO 8601 date such as 2020-03-31 or an integer in every row of {name}, got {value!r} at "
        f"{place(row)}{more(rows)}; rewrite the dates"
    )
