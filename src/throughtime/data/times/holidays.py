"""Holidays, given by whoever knows them: every country, shop and school has its own. Axes: H kinds of holiday."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import to_wall
from throughtime.data.times.frequency import Frequency
from throughtime.errors import ArgumentTypeError, DataError

__all__ = ["Holidays", "holiday_dates", "holiday_features"]

Times = NDArray[Any]
Features = NDArray[np.float64]
Holidays = Mapping[str, Iterable[Any]] | Iterable[Any]

_DAY = 86_400_000_000


def holiday_dates(holidays: Holidays, who: str = "holidays") -> dict[str, tuple[str, ...]]:
    """Holidays in one form: dates as 2024-12-25, ascending and each once, by name.

    Args:
        holidays: dates by name, or dates alone (named "holiday"): text as 2024-12-25, date, datetime or datetime64, in
            any order.

    Raises:
        ArgumentTypeError: neither dates by name nor dates.
        DataError: a date that cannot be read, or a name without one.

    >>> holiday_dates({"New Year": ["2025-01-01", "2024-01-01"]})
    {'New Year': ('2024-01-01', '2025-01-01')}
    """
    if isinstance(holidays, str | bytes) or not isinstance(holidays, Iterable):
        raise ArgumentTypeError(
            f"{who}: expected dates by name, or a list of dates, got {type(holidays).__qualname__}: {holidays!r}; pass "
            "{'Christmas': ['2024-12-25']} or ['2024-12-25']"
        )
    named = holidays if isinstance(holidays, Mapping) else {"holiday": holidays}
    found = {}
    for name, dates in named.items():
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{who}: expected names of holidays as text, got {name!r}; name them")
        days = np.unique(_dates(name, dates, who))
        if not len(days):
            raise DataError(f"{who}: expected a date or more for {name!r}, got none; give its dates, or leave it out")
        found[name] = tuple(str(day) for day in days)
    return found


def holiday_features(
    times: Times, frequency: Frequency, holidays: Holidays, who: str = "holidays"
) -> tuple[Features, tuple[str, ...]]:
    """How many days of each holiday lie in each step.

    A step is the day of its stamp, where steps are a day or shorter; else the days from its stamp until the next one,
    or, for steps at the end of a month, quarter or year, the days since the one before.

    Args:
        times: (...) datetime64 (UTC where the frequency has a zone).
        holidays: as in `holiday_dates`.

    Returns:
        (..., H) float64, and the H names.

    Raises:
        ArgumentTypeError: holidays that are neither dates by name nor dates.
        DataError: a date that cannot be read, or stamps that are integers.
    """
    named = holiday_dates(holidays, who)
    if frequency.is_integer and named:
        raise DataError(f"{who}: expected dates in the time column, got integers; give dates, or leave holidays out")
    features = np.zeros((*times.shape, len(named)))
    first, end = _days(times, frequency)
    for column, dates in enumerate(named.values()):
        days = np.array(dates, dtype="datetime64[D]")
        features[..., column] = np.searchsorted(days, end) - np.searchsorted(days, first)
    return features, tuple(named)


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


def _dates(name: str, dates: Any, who: str) -> Times:
    if isinstance(dates, str | bytes) or not isinstance(dates, Iterable):
        raise ArgumentTypeError(
            f"{who}: expected the dates of {name!r} in a list, got {type(dates).__qualname__}: {dates!r}; pass a "
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
                f"{who}: expected dates such as 2024-12-25 for {name!r}, got {date!r} ({error}); rewrite the date"
            ) from error
    return np.array(found, dtype="datetime64[D]")
