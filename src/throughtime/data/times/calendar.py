"""What the calendar says about time stamps: the place in the day, the week, the month and the year, and holidays.

Steps are counted on the wall clock where the stamps have a time zone. Axes: C calendar features, H holidays.
"""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import to_wall
from throughtime.data.times.frequency import Frequency, weekday
from throughtime.errors import ArgumentTypeError, DataError

__all__ = ["calendar_features", "calendar_names", "holiday_features"]

Times = NDArray[Any]
Features = NDArray[np.float64]

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
# The last value of each, the first being 0: what is divided by, so that a feature spans [-0.5, 0.5].
_LAST = {
    "second of minute": 59, "minute of hour": 59, "hour of day": 23, "day of week": 6, "day of month": 30,
    "day of year": 365, "week of year": 52, "month of year": 11,
}  # fmt: skip

Holidays = Mapping[str, Iterable[Any]] | Iterable[Any]


def calendar_names(frequency: Frequency) -> tuple[str, ...]:
    """The calendar features that differ from step to step at this frequency; none for integers and years.

    Under a minute: second of minute; under an hour: minute of hour; within days: hour of day; up to a week: day of
    week; up to a week and a bit: day of month and day of year; weeks: day of month and week of year; months and
    quarters: month of year.
    """
    unit, step = frequency.unit, frequency.step
    if unit == "months":
        return () if step % 12 == 0 else ("month of year",)
    if unit == "days" and step % 7 == 0:
        return ("day of month", "week of year")
    days = ("day of week", "day of month", "day of year")
    if unit in ("days", "business days"):
        return days
    if unit == "integer":
        return ()
    clock = (("second of minute", _MINUTE), ("minute of hour", _HOUR), ("hour of day", _DAY))
    # A whole multiple of the longer unit always meets it at the same place.
    return (*(name for name, span in clock if step % span), *days)


def calendar_features(times: Times, frequency: Frequency) -> tuple[Features, tuple[str, ...]]:
    """The calendar features of stamps, each scaled to [-0.5, 0.5], and their names (see `calendar_names`).

    Args:
        times: (...) int64 or datetime64 (UTC where the frequency has a zone).

    Returns:
        (..., C) float64, and the C names.
    """
    names = calendar_names(frequency)
    features = np.empty((*times.shape, len(names)))
    if not names:
        return features, names
    wall = to_wall(times.astype("datetime64[us]"), frequency.time_zone)
    day = wall.astype("datetime64[D]")
    for column, name in enumerate(names):
        features[..., column] = _counted(name, wall, day) / _LAST[name] - 0.5
    return features, names


def _counted(name: str, wall: Times, day: Times) -> NDArray[np.int64]:
    """The feature as a count from 0."""
    if name in ("second of minute", "minute of hour", "hour of day"):
        within = (wall - day).astype(np.int64)
        size = {"second of minute": 1_000_000, "minute of hour": _MINUTE, "hour of day": _HOUR}[name]
        return np.asarray(within // size % (_LAST[name] + 1))
    if name == "day of week":
        return weekday(day)
    if name == "day of month":
        return np.asarray((day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64))
    if name == "month of year":
        return np.asarray(day.astype("datetime64[M]").astype(np.int64) % 12)
    if name == "week of year":  # ISO 8601: a week belongs to the year of its Thursday
        day = day + (3 - weekday(day)).astype("timedelta64[D]")
    of_year = (day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    return np.asarray(of_year // 7 if name == "week of year" else of_year)


def holiday_features(times: Times, frequency: Frequency, holidays: Holidays) -> tuple[Features, tuple[str, ...]]:
    """How many days of each holiday lie in each step.

    A step is the day of its stamp, where steps are a day or shorter; else the days from its stamp until the next one,
    or, for steps at the end of a month, quarter or year, the days since the one before.

    Args:
        times: (...) datetime64 (UTC where the frequency has a zone).
        holidays: dates by name, or dates alone (named "holiday"): text as 2024-12-25, date, datetime or datetime64, in
            any order.

    Returns:
        (..., H) float64, and the H names.

    Raises:
        ArgumentTypeError: holidays that are neither dates by name nor dates.
        DataError: a date that cannot be read, or stamps that are integers.
    """
    if not isinstance(holidays, Mapping):
        holidays = {"holiday": holidays}
    if frequency.is_integer and holidays:
        raise DataError("holidays: expected dates in the time column, got integers; give dates, or leave holidays out")
    names = tuple(holidays)
    features = np.zeros((*times.shape, len(names)))
    first, end = _days(times, frequency)
    for column, (name, dates) in enumerate(holidays.items()):
        days = np.unique(_dates(name, dates))
        features[..., column] = np.searchsorted(days, end) - np.searchsorted(days, first)
    return features, names


def _days(times: Times, frequency: Frequency) -> tuple[Times, Times]:
    """The first day of each step, and the day after its last."""
    one = np.timedelta64(1, "D")
    stamps = times.astype("datetime64[us]")
    day = to_wall(stamps, frequency.time_zone).astype("datetime64[D]")
    if frequency.unit == "months" and frequency.anchor == 31:
        before = to_wall(frequency.shift(stamps, -1), frequency.time_zone).astype("datetime64[D]")
        return before + one, day + one
    if frequency.unit == "microseconds" and frequency.step <= _DAY:
        return day, day + one
    after = to_wall(frequency.shift(stamps, 1), frequency.time_zone).astype("datetime64[D]")
    return day, np.maximum(after, day + one)


def _dates(name: str, dates: Any) -> Times:
    if isinstance(dates, str | bytes) or not isinstance(dates, Iterable):
        raise ArgumentTypeError(
            f"holidays: expected the dates of {name!r} in a list, got {type(dates).__qualname__}: {dates!r}; pass a "
            "list of dates"
        )
    found = []
    for date in dates:
        try:
            if isinstance(date, str):
                found.append(np.datetime64(datetime.date.fromisoformat(date), "D"))
            elif isinstance(date, datetime.datetime):
                found.append(np.datetime64(date.date(), "D"))
            elif isinstance(date, datetime.date | np.datetime64):
                found.append(np.datetime64(date).astype("datetime64[D]"))
            else:
                raise TypeError(f"of type {type(date).__qualname__}")
            if np.isnat(found[-1]):
                raise ValueError("not a time")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"holidays: expected dates such as 2024-12-25 for {name!r}, got {date!r} ({error}); rewrite the date"
            ) from error
    return np.array(found, dtype="datetime64[D]")
