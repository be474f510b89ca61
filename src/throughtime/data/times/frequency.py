"""The step between two time stamps of a series, and calendar arithmetic with it."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.data.times.clock import to_utc, to_wall
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["WEEKDAYS", "Frequency", "fixed_step", "parse_alias"]

Times = NDArray[Any]

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
UNITS = ("integer", "microseconds", "days", "business days", "months")

_MICROSECONDS = {"h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_DAY = 86_400_000_000
_FIXED_ALIASES = {"h": "h", "H": "h", "min": "min", "T": "min", "s": "s", "S": "s", "ms": "ms", "us": "us"}
_MONTH_ALIASES = {  # alias: (months, day of the month; 31 is the last day of any month)
    "MS": (1, 1), "ME": (1, 31), "M": (1, 31),
    "QS": (3, 1), "QE": (3, 31), "Q": (3, 31),
    "YS": (12, 1), "YE": (12, 31), "Y": (12, 31), "AS": (12, 1), "A": (12, 31),
}  # fmt: skip
_A_YEAR = {  # steps of 1; of integers, so few that twice as many fit into 64 bits
    "integer": 2**49, "microseconds": 365 * _DAY, "days": 365, "business days": 260, "months": 12,
}  # fmt: skip
_MOST_YEARS = 8000
_MOST_STEPS = 1_000_000
_KNOWN = (
    "an integer, 's', 'min', 'h', 'D', 'B', 'W', 'MS', 'ME', 'QS', 'QE', 'YS' or 'YE', with a count such as '15min'"
)


@dataclass(frozen=True)
class Frequency:
    """The step between two time stamps.

    The names are those of pandas: `h`, `15min`, `D`, `B` (Monday to Friday), `W-SUN`, `MS` and `ME` (first and last day
    of a month), `QS`, `QE`, `YS`, `YE`. `M-15` is monthly on the 15th, `24h` is 24 hours where `D` is a calendar day,
    which a clock change can make longer or shorter. The step of integer time is written as its number.

    Attributes:
        name: the name above.
        unit: what `step` counts: integer, microseconds, days, business days or months.
        step: how many units lie between two stamps.
        anchor: months: the day of the month, clipped to the month's length (31 is the last day); weeks: 0 for Monday to
            6.
        time_zone: zone in which days and months are counted; None for naive times.
        time_of_day: microseconds after midnight, in zone-aware days, business days and months.
    """

    name: str
    unit: str
    step: int
    anchor: int | None = None
    time_zone: str | None = None
    time_of_day: int | None = None

    @property
    def is_integer(self) -> bool:
        """Whether time is counted in integers rather than dates."""
        return self.unit == "integer"

    @property
    def within_day(self) -> bool:
        """Whether stamps lie between midnights: a step is not whole days of 24 hours."""
        return self.unit == "microseconds" and self.step % _DAY > 0

    @property
    def within_minute(self) -> bool:
        """Whether stamps lie between whole minutes."""
        return self.unit == "microseconds" and self.step % _MICROSECONDS["min"] > 0

    @property
    def season_length(self) -> int:
        """Steps in the season that data of this step usually has; 1 where none is usual.

        Steps that divide a day, from one minute up: a day (1440 by the minute, 96 by 15 minutes, 24 by the hour); steps
        under a minute that divide an hour: an hour; other hours that divide a week: a week; D 7; B 5; W 52; months 12
        and quarters 4 (any step that divides a year); years and integers 1.
        """
        if self.unit == "microseconds":
            spans = (_DAY, 7 * _DAY) if self.step >= _MICROSECONDS["min"] else (_MICROSECONDS["h"], _DAY)
            return next((span // self.step for span in spans if span % self.step == 0 and span > self.step), 1)
        if self.unit == "days":
            return {1: 7, 7: 52}.get(self.step, 1)
        if self.unit == "business days":
            return 5 if self.step == 1 else 1
        if self.unit == "months":
            return 12 // self.step if 12 % self.step == 0 else 1
        return 1

    def shift(self, times: ArrayLike, count: ArrayLike) -> Times:
        """The stamps `count` steps after `times` (before them where negative); the two broadcast."""
        start, steps = np.asarray(times), np.asarray(count, dtype=np.int64) * self.step
        if self.unit == "integer":
            return np.asarray(start + steps)
        start = start.astype("datetime64[us]")
        if self.unit == "microseconds":
            return np.asarray(start + steps.astype("timedelta64[us]"))
        wall = to_wall(start, self.time_zone)
        day = wall.astype("datetime64[D]")
        time_of_day = wall - day if self.time_of_day is None else np.timedelta64(self.time_of_day, "us")
        if self.unit == "days":
            day = day + steps.astype("timedelta64[D]")
        elif self.unit == "business days":
            day = np.asarray(np.busday_offset(day, steps, roll="forward"))
        else:
            day = day_of_month(day.astype("datetime64[M]") + steps.astype("timedelta64[M]"), self.anchor or 1)
        return to_utc(np.asarray(day.astype("datetime64[us]") + time_of_day), self.time_zone)

    def steps_between(self, start: ArrayLike, times: ArrayLike) -> NDArray[np.int64]:
        """How many steps lead from `start` to `times`, rounded down; the two broadcast.

        A stamp is on the grid of `start` where `shift(start, steps)` gives it back.
        """
        begin, end = np.asarray(start), np.asarray(times)
        if self.unit == "integer":
            return np.asarray((end - begin) // self.step, dtype=np.int64)
        if self.unit == "microseconds":
            microseconds = (end.astype("datetime64[us]") - begin.astype("datetime64[us]")).astype(np.int64)
            return np.asarray(microseconds // self.step)
        first, last = (to_wall(each.astype("datetime64[us]"), self.time_zone) for each in (begin, end))
        if self.unit == "days":
            units = last.astype("datetime64[D]") - first.astype("datetime64[D]")
        elif self.unit == "business days":
            units = np.busday_count(first.astype("datetime64[D]"), last.astype("datetime64[D]"))
        else:
            units = last.astype("datetime64[M]") - first.astype("datetime64[M]")
        return np.asarray(units.astype(np.int64) // self.step)

    def future(self, last_time: ArrayLike, n: int) -> Times:
        """The `n` stamps after `last_time`.

        Shapes:
            last_time: () gives (n,); (S,), one of each series, gives (S, n).

        Raises:
            ArgumentError: they would lie beyond what calendars and 64 bits can count.
        """
        if n * self.step > _MOST_YEARS * _A_YEAR[self.unit]:
            raise ArgumentError(
                f"horizon: expected steps that end within {_MOST_YEARS} years, got {n} of {self.name}; pass fewer, or "
                "a shorter freq"
            )
        return self.shift(np.asarray(last_time)[..., None], np.arange(1, n + 1))

    def on_grid(self, times: Times) -> NDArray[np.bool_]:
        """Which stamps this frequency can visit at all: the right weekday or day of the month."""
        if self.unit in ("integer", "microseconds"):
            return np.ones(times.shape, dtype=bool)
        day = to_wall(times, self.time_zone).astype("datetime64[D]")
        if self.unit == "business days":
            return np.asarray(np.is_busday(day))
        if self.unit == "months":
            return np.asarray(day == day_of_month(day.astype("datetime64[M]"), self.anchor or 1))
        return np.ones(times.shape, dtype=bool) if self.anchor is None else np.asarray(weekday(day) == self.anchor)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Frequency":
        """The frequency that `to_json` wrote.

        Raises:
            DataError: a field is missing, unknown or of a wrong type or value.
        """
        optional = {name: fields.get(name) for name in ("anchor", "time_of_day")} if isinstance(fields, Mapping) else {}
        if (
            not isinstance(fields, Mapping)
            or set(fields) != {field.name for field in dataclasses.fields(cls)}
            or not isinstance(fields["name"], str)
            or fields["unit"] not in UNITS
            or not (type(fields["step"]) is int and fields["step"] >= 1)
            or not isinstance(fields["time_zone"], str | None)
            or any(value is not None and type(value) is not int for value in optional.values())
        ):
            raise DataError(
                f"Frequency.from_json: expected the fields that to_json writes, got {fields!r}; pass what it wrote"
            )
        return cls(**fields)


def day_of_month(month: Times, day: int) -> Times:
    """Day `day` of each month (datetime64[M]), clipped to the month's length."""
    first = month.astype("datetime64[D]")
    length = ((month + np.timedelta64(1, "M")).astype("datetime64[D]") - first).astype(np.int64)
    return np.asarray(first + (np.minimum(length, day) - 1).astype("timedelta64[D]"))


def weekday(day: Times) -> Times:
    """0 for Monday to 6 for Sunday (1970-01-01 was a Thursday)."""
    return np.asarray((day.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def month_step(months: int, day: int) -> Frequency:
    """A step of whole months on one day of the month, under its usual name."""
    ending = {1: "S", 31: "E"}.get(day)
    if ending is None:
        return Frequency(f"M-{day}" if months == 1 else f"{months}M-{day}", "months", months, day)
    count, letter = next((months // size, name) for size, name in ((12, "Y"), (3, "Q"), (1, "M")) if months % size == 0)
    return Frequency(f"{'' if count == 1 else count}{letter}{ending}", "months", months, day)


def fixed_step(microseconds: int) -> Frequency:
    """A step of fixed duration, named in its largest whole unit up to hours."""
    name, size = next((name, size) for name, size in _MICROSECONDS.items() if microseconds % size == 0)
    count = microseconds // size
    return Frequency(f"{'' if count == 1 else count}{name}", "microseconds", microseconds)


def day_step(days: int, anchor: int | None = None) -> Frequency:
    """A step of whole calendar days; weeks carry the weekday that all stamps share, if there is one."""
    if days % 7:
        return Frequency(f"{'' if days == 1 else days}D", "days", days)
    weeks = days // 7
    suffix = "" if anchor is None else f"-{WEEKDAYS[anchor]}"
    return Frequency(f"{'' if weeks == 1 else weeks}W{suffix}", "days", days, anchor)


def parse_alias(freq: object) -> Frequency:
    """The frequency that a user named: an integer, or an alias of pandas such as "15min", "D" or "W-MON".

    A bare "W" has no weekday: the data decides.

    Raises:
        ArgumentTypeError: neither text nor an integer.
        ArgumentError: an unknown name, or a step that is not positive.
    """
    if isinstance(freq, bool) or not isinstance(freq, str | int | np.integer):
        raise ArgumentTypeError(f"freq: expected {_KNOWN}, got {type(freq).__name__}: {freq!r}; pass one of these")
    match = re.fullmatch(r"([0-9]+)?([A-Za-z]+)?(?:-([A-Z0-9]{1,3}))?", str(freq).strip())
    count = int(match[1] or 1) if match else 0
    if match is None or count < 1 or not (match[1] or match[2]):
        raise ArgumentError(f"freq: expected {_KNOWN}, got {freq!r}; pass one of these")
    if count > _MOST_STEPS:
        raise ArgumentError(f"freq: expected a count up to {_MOST_STEPS}, got {freq!r:.60}; pass a larger unit")
    alias, suffix = match[2], match[3]
    if alias == "M" and suffix is not None and suffix.isdigit() and 1 <= int(suffix) <= 31:
        return month_step(count, int(suffix))
    if alias == "W" and (suffix is None or suffix in WEEKDAYS):
        return day_step(7 * count, None if suffix is None else WEEKDAYS.index(suffix))
    if suffix is None:
        if alias is None:
            return Frequency(str(count), "integer", count)
        if alias in _FIXED_ALIASES:
            return fixed_step(count * _MICROSECONDS[_FIXED_ALIASES[alias]])
        if alias in _MONTH_ALIASES:
            months, day = _MONTH_ALIASES[alias]
            return month_step(count * months, day)
        if alias in ("D", "d"):
            return day_step(count)
        if alias in ("B", "b"):
            return Frequency(f"{'' if count == 1 else count}B", "business days", count)
    raise ArgumentError(f"freq: expected {_KNOWN}, got {freq!r}; pass one of these")
