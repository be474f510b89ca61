"""A column of times, checked and turned into an array."""

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.columns import Place, as_text, is_text, kind_of, more, number
from throughtime.data.series.native import Frame
from throughtime.errors import DataError

if TYPE_CHECKING:
    import polars

__all__ = ["TimeColumn", "read_times"]

_ISO = (
    r"^\s*([0-9]{4})-?([0-9]{2})(?:-?([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?"
    r"\s?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?\s*$"
)
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
# How most stamps are written, by length: pattern and strftime form; "_" stands for the blank or T in the middle.
_USUAL = {
    10: (f"^{_DAY}$", "%Y-%m-%d"),
    16: (f"^{_DAY}_[0-9]{{2}}:[0-9]{{2}}$", "%Y-%m-%d_%H:%M"),
    19: (f"^{_DAY}_[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}$", "%Y-%m-%d_%H:%M:%S%.f"),
}
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


def read_times(frame: Frame, name: str, who: str, place: Place) -> TimeColumn:
    """Dates, datetimes, integers, whole numbers or ISO 8601 text as stamps.

    Raises:
        DataError: a stamp is missing or cannot be read, named by row and value.
    """
    plain = frame.stamps(name)
    if plain is not None:
        return TimeColumn(plain, getattr(frame.dtype(name), "time_zone", None))
    nw = require("narwhals", extra="frames")
    pl = require("polars", extra="frames")
    column = frame[name]
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
    if is_text(column):
        return _parse(as_text(column), who, place, keep_form=True)
    raise DataError(
        f"{who}: expected dates, integers or ISO text in {column.name}, got type {kind_of(column)}; convert the "
        "column to dates"
    )


def _parse(column: "polars.Series", who: str, place: Place, *, keep_form: bool) -> TimeColumn:
    """ISO 8601 text; text of digits alone is integer time, unless every row is a date written YYYYMMDD."""
    pl = require("polars", extra="frames")
    usual = _parse_usual(column) if keep_form else None
    if usual is not None:
        return usual
    name = column.name
    # Series share their stamps, so each different text is parsed once.
    codes, text = number(column)
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


def _parse_usual(column: "polars.Series") -> TimeColumn | None:
    """Dates, or dates with hours and minutes or with seconds, all written alike, in one pass; else None."""
    first = column[0]
    pattern, form = _USUAL.get(len(first), ("", ""))
    if not form or first[10:11] not in (" ", "T", ""):
        return None
    pattern, form = (each.replace("_", first[10:11]) for each in (pattern, form))
    if not column.str.contains(pattern).all():
        return None
    stamps = column.str.to_datetime(form.replace("%.f", ""), time_unit="us", strict=False)
    if stamps.null_count():
        return None
    return TimeColumn(np.array(stamps.to_numpy(), dtype="datetime64[us]"), None, form)


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
    hint = ""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{2,4}.*", value):
        mark = value.strip().lstrip("0123456789")[0]
        hint = (
            f", for instance by pandas.to_datetime with format='%d{mark}%m{mark}%Y' where the day comes first, or "
            f"'%m{mark}%d{mark}%Y'"
        )
    return DataError(
        f"{who}: expected an ISO 8601 date such as 2020-03-31 or an integer in every row of {name}, got {value!r} at "
        f"{place(row)}{more(rows)}; rewrite the dates{hint}"
    )
