"""Gaps: rows of series with missing values laid onto the regular grid of their frequency.

Series lie one after the other in flat arrays, each sorted by time; N rows, S series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.times.clock import format_time
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.inference import is_regular, own_frequency
from throughtime.errors import DataError

__all__ = ["Grid", "is_whole", "lay_out"]

Times = NDArray[Any]
Index = NDArray[np.int64]

# Beyond this a wrong `freq` is likelier than a series with so many gaps: steps for each row, and steps in all.
_MOST_STEPS_A_ROW, _MOST_STEPS = 50, 10_000_000


@dataclass(frozen=True)
class Grid:
    """Where rows lie on the regular grid.

    Attributes:
        times: (M,) the stamps of every step from the first to the last value of each series.
        offsets: (S + 1,) series i is `offsets[i]:offsets[i + 1]`.
        rows: the rows that lie between the first and the last value of their series.
        steps: the place of each of `rows` among the M steps.
    """

    times: Times
    offsets: Index
    rows: Index
    steps: Index

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (N, ...) of the rows as values (M, ...) of the steps; NaN where a step has no row."""
        if len(self.rows) == len(self.times):
            return values if len(self.rows) == len(values) else values[self.rows]
        spread = np.full((len(self.times), *values.shape[1:]), np.nan)
        spread[self.steps] = values[self.rows]
        return spread


def is_whole(values: NDArray[np.float64], times: Times, offsets: Index, frequency: Frequency) -> bool:
    """Whether no value and no step is missing."""
    return not np.isnan(values).any() and is_regular(times, offsets, frequency)


def lay_out(
    values: NDArray[np.float64],
    times: Times,
    offsets: Index,
    frequency: Frequency,
    *,
    ids: Sequence[str | int],
    who: str,
    time_col: str,
    target_col: str,
    stated: bool = False,
    ends: bool = False,
) -> Grid:
    """The grid of `frequency` from the first to the last value that is not NaN, for every series.

    Args:
        stated: a person gave `frequency`; otherwise a series that keeps a longer step of its own is refused.
        ends: from the first to the last row instead, whether they have values or not.

    Raises:
        DataError: a series without a value, a stamp off the grid, or a grid far larger than the rows.
    """
    first, last = (offsets[:-1], offsets[1:] - 1) if ends else _observed(values, offsets, ids, who, target_col)
    series = np.repeat(np.arange(len(ids)), np.diff(offsets))
    row = np.arange(len(values))
    rows = np.flatnonzero((row >= first[series]) & (row <= last[series]))
    starts = times[first]
    steps = frequency.steps_between(starts[series[rows]], times[rows])
    off_grid = frequency.shift(starts[series[rows]], steps) != times[rows]
    off_grid |= ~frequency.on_grid(times[rows])
    if off_grid.any():
        at = int(rows[np.flatnonzero(off_grid)[0]])
        _raise_off_grid(at, int(series[at]), times, offsets, starts, frequency, ids, who, time_col)
    if not stated:
        _refuse_another_step(series[rows], steps, times[rows], frequency, ids, who)
    lengths = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(lengths, series[rows], steps + 1)
    if lengths.sum() > max(_MOST_STEPS, _MOST_STEPS_A_ROW * len(values)):
        raise DataError(
            f"{who}: expected a freq that fits the stamps, got {frequency.name!r}, by which {len(values)} rows span "
            f"{int(lengths.sum())} steps; give a longer freq"
        )
    new_offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if len(rows) == new_offsets[-1]:
        return Grid(times[rows], new_offsets, rows, np.arange(len(rows)))
    within = np.arange(new_offsets[-1]) - np.repeat(new_offsets[:-1], lengths)
    grid_times = frequency.shift(np.repeat(starts, lengths), within)
    return Grid(grid_times, new_offsets, rows, new_offsets[series[rows]] + steps)


def _refuse_another_step(
    series: Index, steps: Index, times: Times, frequency: Frequency, ids: Sequence[str | int], who: str
) -> None:
    """DataError for a series without two neighbours on the grid that keeps a longer step: its file is another one."""
    same = series[1:] == series[:-1]
    apart = np.ones(len(ids), dtype=bool)
    apart[series[1:][same & (np.diff(steps) == 1)]] = False
    apart &= np.bincount(series, minlength=len(ids)) > 2
    for number in np.flatnonzero(apart).tolist():
        own = own_frequency(times[series == number], frequency.time_zone)
        if own is not None and own.name != frequency.name:
            _raise_step(who, frequency, ids[number], own)


def _raise_step(who: str, frequency: Frequency, name: str | int, own: Frequency) -> None:
    raise DataError(
        f"{who}: expected every series to step by {frequency.name}, got series {name!r}, which steps by {own.name}; "
        "forecast it apart or give its freq"
    )


def _observed(
    values: NDArray[np.float64], offsets: Index, ids: Sequence[str | int], who: str, target_col: str
) -> tuple[Index, Index]:
    """The rows of the first and the last value of each series."""
    known = np.flatnonzero(~np.isnan(values))
    begin, end = (np.searchsorted(known, border) for border in (offsets[:-1], offsets[1:]))
    empty = np.flatnonzero(begin == end)
    if empty.size:
        others = "" if empty.size == 1 else f" ({empty.size} series have none)"
        raise DataError(
            f"{who}: expected a value of {target_col} in every series, got none in series "
            f"{ids[int(empty[0])]!r}{others}; leave the series out"
        )
    return known[begin], known[end - 1]


def _raise_off_grid(
    row: int,
    series: int,
    times: Times,
    offsets: Index,
    starts: Times,
    frequency: Frequency,
    ids: Sequence[str | int],
    who: str,
    time_col: str,
) -> None:
    zone = frequency.time_zone
    own = own_frequency(times[offsets[series] : offsets[series + 1]], zone)
    if own is not None and own.name != frequency.name:
        _raise_step(who, frequency, ids[series], own)
    raise DataError(
        f"{who}: expected {time_col} on the grid of freq {frequency.name!r} that starts at "
        f"{format_time(starts[series], zone)} in series {ids[series]!r}, got {format_time(times[row], zone)}; "
        "give the freq that all stamps keep, or move the stamps"
    )
