"""Find the step of a set of series, and say where a series leaves it.

Series lie one after the other in flat arrays, each sorted by time; series i is `offsets[i]:offsets[i + 1]`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import clock_change_hint, format_time, to_wall
from throughtime.data.times.frequency import (
    Frequency,
    day_of_month,
    day_step,
    fixed_step,
    month_step,
    parse_alias,
    weekday,
)
from throughtime.errors import DataError

__all__ = ["check_regular", "find_frequency", "infer_frequency", "is_regular", "own_frequency"]

Times = NDArray[Any]
Offsets = NDArray[np.int64]

_DAY = np.timedelta64(86_400_000_000, "us")


def find_frequency(
    times: Times, offsets: Offsets, time_zone: str | None, freq: object = None, who: str = "freq"
) -> Frequency:
    """The frequency named by `freq` (a name, an integer, a stored Frequency), or the one that the stamps show.

    Raises:
        ArgumentError, ArgumentTypeError: `freq` is not a name of a frequency.
        DataError: integer time with a calendar frequency or the reverse, or nothing to infer from.
    """
    if freq is None:
        return infer_frequency(times, offsets, time_zone, who)
    named = freq if isinstance(freq, Frequency) else parse_alias(freq)
    integer_time = not np.issubdtype(times.dtype, np.datetime64)
    if named.is_integer != integer_time:
        kinds = ("dates", "integers")
        raise DataError(
            f"{who}: expected {kinds[named.is_integer]} in the time column for freq {named.name!r}, "
            f"got {kinds[integer_time]}; convert the column or give another freq"
        )
    if named.unit == "days" and named.step % 7 == 0 and named.anchor is None:
        named = day_step(named.step, _shared_weekday(to_wall(times, time_zone)))
    return _in_zone(named, times, time_zone)


def infer_frequency(times: Times, offsets: Offsets, time_zone: str | None, who: str = "freq") -> Frequency:
    """The most common step of all series, read as a calendar step where the stamps lie on one.

    Months: more than half of the stamps on one day of the month. `B`: single days, with no stamp at a weekend and at
    least one Friday followed by a Monday. Stamps off the step are left for `check_regular` to name.

    Raises:
        DataError: no series has two stamps.
    """
    inner = _followed(offsets)
    if inner.size == 0:
        raise DataError(
            f"{who}: expected a series with two or more time stamps to infer freq from, got none; give freq"
        )
    step = _most_common(times[inner + 1] - times[inner])
    if not np.issubdtype(times.dtype, np.datetime64):
        return Frequency(str(int(step)), "integer", int(step))
    fixed = fixed_step(int(step.astype(np.int64)))
    wall = to_wall(times, time_zone)
    wall_steps = wall[inner + 1] - wall[inner]
    wall_step = _most_common(wall_steps)
    if wall_step % _DAY != np.timedelta64(0, "us"):
        return _in_zone(fixed, times, time_zone)
    day = wall.astype("datetime64[D]")
    days = int(wall_step // _DAY)
    on_day = _month_day(day) if days >= 28 else None
    if on_day is not None:
        month = day.astype("datetime64[M]").astype(np.int64)
        found = month_step(max(1, int(_most_common(month[inner + 1] - month[inner]))), on_day)
    elif days == 1 and np.is_busday(day).all() and bool((wall_steps == 3 * _DAY).any()):
        found = parse_alias("B")
    else:
        found = day_step(days, _shared_weekday(day) if days % 7 == 0 else None)
    # Every 24 hours is not every day where the clock changes: what fits more steps holds, the day where both fit.
    candidates = [_in_zone(found, times, time_zone), _in_zone(fixed, times, time_zone)]
    if time_zone is None:
        return candidates[0]
    return max(candidates, key=lambda each: int((each.shift(times[inner], 1) == times[inner + 1]).sum()))


def is_regular(times: Times, offsets: Offsets, frequency: Frequency) -> bool:
    """Whether every series steps by `frequency` from its first stamp to its last."""
    if frequency.unit in ("integer", "microseconds"):
        apart = np.diff(times).astype(np.int64) != frequency.step
        borders = offsets[1:-1] - 1
        apart[borders[(borders >= 0) & (borders < len(apart))]] = False
        return not apart.any()
    inner = _followed(offsets)
    return bool((frequency.shift(times[inner], 1) == times[inner + 1]).all() and frequency.on_grid(times).all())


def check_regular(
    times: Times, offsets: Offsets, frequency: Frequency, label: Callable[[int], str], who: str, time_col: str
) -> None:
    """Check that every series steps by `frequency` from its first stamp to its last.

    Args:
        label: the name of series i, for the message.

    Raises:
        DataError: names the first series and stamp that leave the step, and the first stamp that is missing.
    """
    inner = _followed(offsets)
    expected = frequency.shift(times[inner], 1)
    wrong = expected != times[inner + 1]
    off_grid = ~frequency.on_grid(times)
    if not wrong.any() and not off_grid.any():
        return
    zone = frequency.time_zone
    if not wrong.any():
        row = int(np.flatnonzero(off_grid)[0])
        series = int(np.searchsorted(offsets, row, side="right")) - 1
        raise DataError(
            f"{who}: expected {time_col} on the grid of freq {frequency.name!r}, got "
            f"{format_time(times[row], zone)} in series {label(series)}; give another freq or move the stamps"
        )
    first = int(np.flatnonzero(wrong)[0])
    row = int(inner[first])
    series = int(np.searchsorted(offsets, row, side="right")) - 1
    here, there, wanted = (format_time(time, zone) for time in (times[row], times[row + 1], expected[first]))
    own = own_frequency(times[offsets[series] : offsets[series + 1]], zone)
    if own is not None and own.name != frequency.name:
        raise DataError(
            f"{who}: expected every series to step by {frequency.name}, got series {label(series)}, which steps by "
            f"{own.name}; forecast it apart or give its freq"
        )
    missing = _missing(times[row], times[row + 1], frequency)
    if missing:
        gaps = "" if wrong.sum() == 1 else f", the first of {int(wrong.sum())} breaks"
        raise DataError(
            f"{who}: expected a row every {frequency.name} step, got none for {wanted} in series {label(series)} "
            f"({missing} missing between {here} and {there}{gaps}); add the rows that are missing{_hint(times)}"
            f"{clock_change_hint(expected[first], zone)}"
        )
    raise DataError(
        f"{who}: expected {wanted} after {here} in series {label(series)} (freq {frequency.name}), got {there}; "
        f"make the steps equal or give freq{_hint(times)}"
    )


def _followed(offsets: Offsets) -> NDArray[np.int64]:
    """Rows that have a later row in their own series."""
    inner = np.ones(int(offsets[-1]), dtype=bool)
    inner[offsets[1:][np.diff(offsets) > 0] - 1] = False
    return np.flatnonzero(inner)


def _most_common(values: NDArray[Any]) -> Any:
    unique, counts = np.unique(values, return_counts=True)
    return unique[np.argmax(counts)]


def _shared_weekday(times: Times) -> int | None:
    days = np.unique(weekday(times))
    return int(days[0]) if days.size == 1 else None


def _month_day(day: Times) -> int | None:
    """The day of the month that more than half of the stamps share; 31 stands for the last."""
    month = day.astype("datetime64[M]")
    number = (day - month.astype("datetime64[D]")).astype(np.int64) + 1
    for candidate in (1, 31, int(_most_common(number)), int(number.max())):
        if np.mean(day == day_of_month(month, candidate)) > 0.5:
            return candidate
    return None


def _in_zone(frequency: Frequency, times: Times, time_zone: str | None) -> Frequency:
    if frequency.unit in ("integer", "microseconds") or time_zone is None:
        return dataclasses.replace(frequency, time_zone=time_zone, time_of_day=None)
    wall = to_wall(times, time_zone)
    time_of_day = int(_most_common((wall - wall.astype("datetime64[D]")).astype(np.int64)))
    return dataclasses.replace(frequency, time_zone=time_zone, time_of_day=time_of_day)


def own_frequency(times: Times, time_zone: str | None) -> Frequency | None:
    """The step of one series where it is regular by itself (three stamps show that)."""
    offsets = np.array([0, times.size])
    if times.size < 3:
        return None
    own = infer_frequency(times, offsets, time_zone)
    return own if bool((own.shift(times[:-1], 1) == times[1:]).all()) else None


def _missing(start: Any, end: Any, frequency: Frequency) -> int:
    """How many stamps lie between two on the step; 0 where `end` cannot be reached from `start`."""
    low, high = 1, 2
    while frequency.shift(start, high) < end:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if frequency.shift(start, middle) < end:
            low = middle + 1
        else:
            high = middle
    return low - 1 if frequency.shift(start, low) == end else 0


def _hint(times: Times) -> str:
    """Integers that all read as YYYYMMDD or YYYYMM are likely dates."""
    if np.issubdtype(times.dtype, np.datetime64):
        return ""
    for low, high, size in ((1000_01_01, 9999_12_31, 100), (1000_01, 9999_12, 1)):
        month = times // size % 100
        if low <= times.min() and times.max() <= high and month.min() >= 1 and month.max() <= 12:
            return f"; if integers such as {times[0]} are dates, convert them to dates or text"
    return ""
