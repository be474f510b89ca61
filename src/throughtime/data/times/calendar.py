"""What the calendar says about time stamps: the place in the day, the week, the month and the year.

Steps are counted on the wall clock where the stamps have a time zone. Axes: C calendar features.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import to_wall
from throughtime.data.times.frequency import Frequency, weekday

__all__ = ["CYCLES", "calendar_features", "calendar_names"]

Times = NDArray[Any]
Features = NDArray[np.float64]

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000

# Of each feature: the microseconds of a whole turn, and how many places it counts, from 0.
CYCLES = {
    "second of minute": (_MINUTE, 60),
    "minute of hour": (_HOUR, 60),
    "hour of day": (_DAY, 24),
    "day of week": (7 * _DAY, 7),
    "day of month": (30 * _DAY, 31),
    "day of year": (365 * _DAY, 366),
    "week of year": (364 * _DAY, 53),
    "month of year": (365 * _DAY, 12),
}


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
        features[..., column] = _counted(name, wall, day) / (CYCLES[name][1] - 1) - 0.5
    return features, names


def _counted(name: str, wall: Times, day: Times) -> NDArray[np.int64]:
    """The feature as a count from 0."""
    if name in ("second of minute", "minute of hour", "hour of day"):
        within = (wall - day).astype(np.int64)
        size = {"second of minute": 1_000_000, "minute of hour": _MINUTE, "hour of day": _HOUR}[name]
        return np.asarray(within // size % CYCLES[name][1])
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
