"""A set of series in flat arrays."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.data.series.covariates import Covariates
from throughtime.data.series.output import FrameKind, build_frame
from throughtime.data.times.clock import format_time
from throughtime.data.times.frequency import Frequency
from throughtime.errors import ArgumentError, DataError

__all__ = ["FrameKind", "SeriesSet", "build_frame"]

Times = NDArray[Any]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Many series of one frequency, one after the other in flat arrays (S series, N values in all).

    Attributes:
        ids: the S ids, in the order in which they first appeared.
        flat_values: (N,) float64, finite; NaN in the gaps where they were kept.
        flat_times: (N,) int64 or datetime64[us] (UTC instants where `frequency.time_zone` is set), ascending in each
            series.
        offsets: (S + 1,) int64: series i is `offsets[i]:offsets[i + 1]`.
        frequency: the step that every series keeps; a gap is a NaN, not a missing stamp.
        id_col, time_col, target_col: names of the columns.
        kind: what kind of frame it came from.
        covariates: the columns beside the target; None where none were named.
    """

    ids: list[str] | list[int]
    flat_values: Values
    flat_times: Times
    offsets: NDArray[np.int64]
    frequency: Frequency
    id_col: str
    time_col: str
    target_col: str
    kind: FrameKind
    covariates: Covariates | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(S,) number of values in each series."""
        return np.diff(self.offsets)

    @property
    def last_times(self) -> Times:
        """(S,) the last stamp of each series."""
        return np.asarray(self.flat_times[self.offsets[1:] - 1])

    def values(self, index: int) -> Values:
        """The values of one series, a view."""
        start, end = self._span(index)
        return self.flat_values[start:end]

    def times(self, index: int) -> Times:
        """The stamps of one series, a view."""
        start, end = self._span(index)
        return np.asarray(self.flat_times[start:end])

    def ids_at(self, index: ArrayLike) -> NDArray[Any]:
        """The ids of several series by number, repeats allowed: the id column of a frame to build."""
        dtype = np.int64 if self.ids and isinstance(self.ids[0], int) else object
        return np.asarray(np.array(self.ids, dtype=dtype)[np.asarray(index)])

    def future_times(self, n: int) -> Times:
        """(S, n): the n stamps after the end of each series."""
        return self.frequency.future(self.last_times, n)

    def subset(self, which: ArrayLike) -> "SeriesSet":
        """Some of the series, by a mask or by their numbers."""
        chosen = np.asarray(which)
        numbers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        return self._take(numbers, self.offsets[:-1][numbers], self.offsets[1:][numbers])

    def tail(self, n: int | NDArray[np.int64]) -> "SeriesSet":
        """The last n values of each series (all of a series that is shorter); n for all alike, or (S,)."""
        _positive("tail", int(np.min(n)), least=1)
        return self._take(np.arange(len(self)), np.maximum(self.offsets[:-1], self.offsets[1:] - n), self.offsets[1:])

    def cut(self, n: int) -> "SeriesSet":
        """Each series without its last n values.

        Raises:
            DataError: nothing would be left of a series.
        """
        _positive("cut", n, least=0)
        short = np.flatnonzero(self.lengths <= n)
        if short.size:
            index = int(short[0])
            raise DataError(
                f"SeriesSet.cut: expected more than {n} values in every series, got {int(self.lengths[index])} "
                f"in series {self.ids[index]!r}; leave out short series or cut less"
            )
        return self._take(np.arange(len(self)), self.offsets[:-1], self.offsets[1:] - n)

    def to_frame(self) -> Any:
        """The series as a long frame of the kind they came from."""
        series = np.repeat(np.arange(len(self)), self.lengths)
        columns = {
            self.id_col: self.ids_at(series),
            self.time_col: self.flat_times,
            self.target_col: self.flat_values,
        }
        known = self.covariates
        if known is not None:
            columns |= {name: known.past[:, number] for number, name in enumerate(known.past_names)}
            columns |= {name: known.future[:, number] for number, name in enumerate(known.future_names)}
            columns |= {name: known.static_numeric[series, i] for i, name in enumerate(known.static_numeric_names)}
            for number, name in enumerate(known.static_category_names):
                columns[name] = np.array(known.labels(number), dtype=object)[series]
        return build_frame(columns, self)

    def __repr__(self) -> str:
        span = ""
        if self.flat_times.size:
            zone = self.frequency.time_zone
            first, last = (format_time(time, zone) for time in (self.flat_times.min(), self.flat_times.max()))
            span = f", {first} to {last}"
        return f"SeriesSet({len(self)} series, {self.flat_values.size} values, freq {self.frequency.name}{span})"

    def _span(self, index: int) -> tuple[int, int]:
        number = range(len(self))[index]
        return int(self.offsets[number]), int(self.offsets[number + 1])

    def _take(self, numbers: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> "SeriesSet":
        lengths = ends - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(starts - offsets[:-1], lengths) + np.arange(int(offsets[-1]))
        return dataclasses.replace(
            self,
            ids=[self.ids[number] for number in numbers],
            flat_values=self.flat_values[rows],
            flat_times=self.flat_times[rows],
            offsets=offsets,
            covariates=None if self.covariates is None else self.covariates.take(numbers, rows),
        )


def _positive(who: str, n: int, *, least: int) -> None:
    if n < least:
        raise ArgumentError(f"SeriesSet.{who}: expected n of {least} or more, got {n}; pass more")
