"""Windows over many series of unequal length, without copying them: index arithmetic on one flat array.

A missing value is NaN. Windows that would show nothing, or have nothing to be compared with, are left out of training.

Axes in names: N windows, L steps of history, K steps of the horizon.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SEASONS_BACK = 4  # how far `fill_gaps` looks for a value of the same season
_MOST_NUMBERS = 2_000_000  # of stretches side by side: 16 MB


@dataclass(frozen=True)
class Windows:
    """Windows given by their origins: history before the origin, the horizon from it on.

    Attributes:
        flat_values: all series end to end.
        series: (N,) the series of each window.
        series_starts: (N,) where that series begins in `flat_values`.
        origins: (N,) the position in `flat_values` of the first value to forecast.
        input_size: L, the longest history that a window shows; fewer where the series began later.
        horizon: K.
    """

    flat_values: Array
    series: Index
    series_starts: Index
    origins: Index
    input_size: int
    horizon: int

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Index | slice) -> "Windows":
        return Windows(
            self.flat_values,
            self.series[index],
            self.series_starts[index],
            self.origins[index],
            self.input_size,
            self.horizon,
        )

    @cached_property
    def lengths(self) -> Index:
        """(N,) how many steps of history each window has."""
        return np.asarray(np.minimum(self.origins - self.series_starts, self.input_size))

    def history(self) -> tuple[Array, NDArray[np.bool_]]:
        """The histories (N, L), aligned at their ends, and where a value was observed; 0 elsewhere."""
        index_NL = self.origins[:, None] + np.arange(-self.input_size, 0)
        inside_NL = index_NL >= self.series_starts[:, None]
        values_NL = self.flat_values[np.maximum(index_NL, self.series_starts[:, None])]
        valid_NL = inside_NL & np.isfinite(values_NL)
        return np.where(valid_NL, values_NL, 0.0), valid_NL

    def targets(self) -> Array:
        """The values to forecast (N, K)."""
        return np.asarray(self.flat_values[self.origins[:, None] + np.arange(self.horizon)])


def windows_at(series: SeriesSet, which: Index, origins: Index, input_size: int, horizon: int) -> Windows:
    """Windows at given origins (positions within their series) of given series."""
    starts = series.offsets[:-1][which].astype(np.int64)
    return Windows(series.flat_values, which, starts, starts + origins, input_size, horizon)


def end_windows(series: SeriesSet, input_size: int, horizon: int) -> Windows:
    """One window a series with its origin just past the end: what the next forecast sees. It has no targets."""
    which = np.arange(len(series), dtype=np.int64)
    return windows_at(series, which, series.lengths.astype(np.int64), input_size, horizon)


def rolling_windows(series: SeriesSet, n_windows: int, step: int, input_size: int, horizon: int) -> Windows:
    """The last `n_windows` origins of every series, `step` apart, each with its whole horizon inside the data."""
    which = np.repeat(np.arange(len(series), dtype=np.int64), n_windows)
    back = np.tile(np.arange(n_windows - 1, -1, -1, dtype=np.int64) * step, len(series))
    return windows_at(series, which, series.lengths[which].astype(np.int64) - horizon - back, input_size, horizon)


def training_windows(
    series: SeriesSet,
    input_size: int,
    horizon: int,
    *,
    first: Index | None = None,
    last: Index | None = None,
    least: int | None = None,
) -> Windows:
    """Every window whose horizon lies inside [first, last) of its series (default: the whole series).

    A window shows a whole history, or `least` steps of it where that is given. A series that is too short for one
    gives one window, with all the history it has.
    """
    lengths = series.lengths.astype(np.int64)
    end = (lengths if last is None else last) - horizon
    # A window shows at least one value.
    shown = input_size if least is None else min(least, input_size)
    begin = np.maximum(np.minimum(shown, end), 1 if first is None else np.maximum(first, 1))
    counts = np.maximum(end - begin + 1, 0)
    which = np.repeat(np.arange(len(series), dtype=np.int64), counts)
    within = np.arange(len(which), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    windows = windows_at(series, which, begin[which] + within, input_size, horizon)
    gone = np.isnan(series.flat_values)
    if not gone.any():
        return windows
    observed = np.concatenate(([0], np.cumsum(~gone)))
    seen = observed[windows.origins] - observed[windows.origins - windows.lengths]
    asked = observed[windows.origins + horizon] - observed[windows.origins]
    return windows[np.flatnonzero((seen > 0) & (asked > 0))]


def fill_gaps(flat_values: Array, offsets: Index, season_length: int) -> Array:
    """What a net reads where a value is missing, and what anchors stand on.

    A net trained on series with gaps is told beside it that the value is missing; one trained without takes it for
    observed. The value a season before, up to four of them; else the last value observed; else, before the first, the
    first.
    """
    gaps = np.flatnonzero(np.isnan(flat_values))
    if not len(gaps):
        return flat_values
    starts = offsets[np.searchsorted(offsets, gaps, side="right") - 1]
    filled = flat_values.copy()
    known = np.where(np.isnan(flat_values), -1, np.arange(len(flat_values)))
    last = np.maximum.accumulate(known)[gaps]
    ahead = np.where(known < 0, len(known), known)
    following = np.minimum.accumulate(ahead[::-1])[::-1][gaps]
    source = np.where(last >= starts, last, following)
    if season_length > 1:
        for back in range(SEASONS_BACK, 0, -1):
            place = gaps - back * season_length
            usable = (place >= starts) & (known[np.maximum(place, 0)] >= 0)
            source = np.where(usable, place, source)
    # A series without any value has none to give.
    ends = offsets[np.searchsorted(offsets, gaps, side="right")]
    filled[gaps] = np.where(source < ends, flat_values[np.minimum(source, len(known) - 1)], 0.0)
    return filled


def side_by_side(flat_values: Array, starts_N: Index, lengths_N: Index) -> Iterator[tuple[Index, Array]]:
    """Stretches of a flat array as rows, NaN behind their ends, those of like length together.

    Yields:
        The numbers of some stretches, the longest last, and their values, (some, longest): each stretch comes once.

    >>> for numbers, rows in side_by_side(np.arange(5.0), np.array([0, 3]), np.array([3, 2])):
    ...     print(numbers, rows.tolist())
    [1 0] [[3.0, 4.0, nan], [0.0, 1.0, 2.0]]
    """
    order = np.argsort(lengths_N, kind="stable")
    while len(order):
        longest = np.maximum(lengths_N[order], 1)
        count = max(1, int(np.searchsorted(np.arange(1, len(order) + 1) * longest, _MOST_NUMBERS)))
        chosen, order = order[:count], order[count:]
        step = np.arange(int(lengths_N[chosen[-1]]))
        there = step < lengths_N[chosen, None]
        position = np.where(there, starts_N[chosen, None] + step, 0)
        yield chosen, np.where(there, flat_values[position], np.nan)
