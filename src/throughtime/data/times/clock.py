"""Time stamps as NumPy arrays: wall clock and UTC, and how a stamp is written in a message.

Inside throughtime a time is int64 (integer time) or datetime64[us]. Zone-aware times are held as UTC instants beside
the name of their zone, so that they sort and subtract; calendar arithmetic goes through the wall clock of the zone.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import DataError

__all__ = ["clock_change_hint", "format_time", "to_utc", "to_wall"]

Times = NDArray[Any]

_MONTHS = (3, 4, 9, 10, 11)  # in which clocks are changed
_ONE_HOUR = np.timedelta64(3600, "s")


def _zone_name(time_zone: str) -> str:
    # pandas writes a fixed offset as "UTC+01:00", Polars reads it as "+01:00".
    return re.sub(r"^UTC(?=[+-])", "", time_zone)


def to_wall(times: Times, time_zone: str | None) -> Times:
    """Wall-clock time (datetime64[us]) of UTC instants; naive times come back as they are.

    Raises:
        DataError: the time zone is unknown.
    """
    if time_zone is None:
        return times
    pl = require("polars", extra="frames")
    utc = pl.Series(times.ravel().astype("datetime64[us]")).dt.replace_time_zone("UTC")
    try:
        wall = utc.dt.convert_time_zone(_zone_name(time_zone)).dt.replace_time_zone(None)
    except pl.exceptions.ComputeError as error:
        raise DataError(
            f"time zone: expected a name of the IANA database such as 'Europe/Berlin', got {time_zone!r}; "
            "convert the time column to a known zone"
        ) from error
    return np.asarray(wall.to_numpy(), dtype="datetime64[us]").reshape(times.shape)


def to_utc(wall: Times, time_zone: str | None) -> Times:
    """UTC instants of wall-clock times; naive times come back as they are.

    A wall time that a clock change skips is taken one hour later, one that occurs twice is the first of the two.
    """
    if time_zone is None:
        return wall
    pl = require("polars", extra="frames")
    flat = wall.ravel().astype("datetime64[us]")
    local = pl.Series(flat).dt.replace_time_zone(_zone_name(time_zone), ambiguous="earliest", non_existent="null")
    utc = np.array(local.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy(), dtype="datetime64[us]")
    skipped = np.isnat(utc)
    if skipped.any():
        utc[skipped] = to_utc(flat[skipped] + _ONE_HOUR, time_zone)
    return utc.reshape(wall.shape)


def format_time(time: Any, time_zone: str | None = None) -> str:
    """A time stamp for a message: `7`, `2020-03-01`, `2020-03-01 10:30`, `2020-03-01 10:30+01:00`."""
    if not isinstance(time, np.datetime64):
        return str(int(time))
    utc = np.array([time], dtype="datetime64[us]")
    wall = to_wall(utc, time_zone)
    text = str(wall[0]).replace("T", " ")
    for ending in (".000000", ":00"):
        text = text.removesuffix(ending)
    if time_zone is None:
        return text.removesuffix(" 00:00")
    minutes = int((wall - utc)[0] // np.timedelta64(60, "s"))
    sign = "-" if minutes < 0 else "+"
    return f"{text}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def clock_change_hint(time: Any, time_zone: str | None) -> str:
    """Advice for a message about a stamp twice or missing, where it lies in an hour in which clocks are changed.

    That is early on a Sunday in most countries that change them, and only times without a zone can stumble over it.
    """
    if time_zone is not None or not isinstance(time, np.datetime64):
        return ""
    day = time.astype("datetime64[D]")
    is_sunday = (int(day.astype(np.int64)) + 3) % 7 == 6
    hour = (time.astype("datetime64[us]") - day) / _ONE_HOUR
    if not is_sunday or not 1 <= hour < 4 or int(day.astype("datetime64[M]").astype(np.int64)) % 12 + 1 not in _MONTHS:
        return ""
    return "; if the clock was changed then, give the times with their UTC offset or as a column with a time zone"
