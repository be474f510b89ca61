"""What a net reads beside the values of a series: the calendar, holidays, covariates, and which series it is.

Axes in names: N rows of all series, S series, K steps of the horizon, F numbers a step known for the future, P past
numbers a step, Q static numbers, C static categories, W windows, L steps of history.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.covariates import Covariates
from throughtime.data.series.frames import SeriesSet
from throughtime.data.times.calendar import CYCLES, calendar_features, calendar_names
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.holidays import Holidays
from throughtime.tasks.forecast.holiday_inputs import HolidayInputs
from throughtime.tasks.forecast.standard import Standard
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_LEAST_TURNS = 2  # a cycle that the data show less than twice cannot be told from a trend

_NONE = Standard()


@dataclass(frozen=True)
class Inputs:
    """Which of these a net reads, and how they are scaled; fitted on the training series.

    Attributes:
        calendar: names of calendar features, each read as the sine and cosine of its angle.
        columns: names of the covariates and vocabularies of the categories, without rows; None where there are none.
        ids: series with an embedding, in the order of their numbers from 1; empty: none.
        holidays: None: none.
    """

    calendar: tuple[str, ...] = ()
    columns: Covariates | None = None
    past: Standard = _NONE
    future: Standard = _NONE
    static: Standard = _NONE
    ids: tuple[str | int, ...] = ()
    holidays: HolidayInputs | None = None

    @classmethod
    def fit(
        cls,
        series: SeriesSet,
        calendar: bool,
        embedded: bool,
        input_size: int,
        holidays: Holidays | None = None,
        who: str = "Forecaster.fit",
    ) -> "Inputs":
        """What these series give to windows of so many steps."""
        known = series.covariates
        found = cls(
            calendar=choose_calendar(series, input_size) if calendar else (),
            ids=(*series.ids,) if embedded else (),
            holidays=None if holidays is None else HolidayInputs.fit(series, holidays, who),
        )
        if known is None:
            return found
        return replace(
            found,
            columns=Covariates.from_json(known.to_json()),
            past=Standard.of(known.past),
            future=Standard.of(known.future),
            static=Standard.of(known.static_numeric),
        )

    @property
    def reads(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.calendar or self.columns is not None or self.ids or self.holidays is not None)

    @property
    def sizes(self) -> dict[str, Any]:
        """The fields of a `Design` that follow."""
        found: dict[str, Any] = {"n_series": len(self.ids), "future": 2 * len(self.calendar)}
        if self.holidays is not None:
            found["future"] += 1 + len(self.holidays.kinds)
        if self.columns is not None:
            found["past"] = len(self.columns.past_names)
            found["future"] += len(self.columns.future_names)
            found["static"] = len(self.columns.static_numeric_names)
            found["categories"] = tuple(len(each) + 1 for each in self.columns.categories)
        return found

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "calendar": list(self.calendar),
            "columns": None if self.columns is None else self.columns.to_json(),
            **{name: getattr(self, name)._asdict() for name in ("past", "future", "static")},
            "ids": list(self.ids),
            **({} if self.holidays is None else {"holidays": self.holidays.to_json()}),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Inputs":
        """The reverse; ValueError (DataError among them) where the parts do not fit together."""
        columns = None if fields["columns"] is None else Covariates.from_json(fields["columns"])
        calendar, ids = tuple(fields["calendar"]), tuple(fields["ids"])
        scales = {}
        for name, of in (("past", "past_names"), ("future", "future_names"), ("static", "static_numeric_names")):
            many = 0 if columns is None else len(getattr(columns, of))
            scales[name] = Standard.from_json(fields[name], name, many)
        if not all(name in CYCLES for name in calendar):
            raise ValueError(f"inputs: calendar {calendar!r}")
        if not (all(type(i) is str for i in ids) or all(type(i) is int for i in ids)):
            raise ValueError("inputs: ids that are neither all text nor all whole numbers")
        holidays = HolidayInputs.from_json(fields["holidays"]) if "holidays" in fields else None
        return cls(calendar, columns, ids=ids, holidays=holidays, **scales)

    def of(self, series: SeriesSet, horizon: int, beyond: Array | None = None) -> "Known":
        """These for the series and `horizon` steps past the end of each.

        Args:
            beyond: (S, K, F) known-future columns of those steps, NaN where they are not known; None: they will not be
                looked at.
        """
        known, S = series.covariates, len(series)
        parts: list[NDArray[Any]] = []
        # Each series with its horizon after it.
        rows = np.arange(len(series.flat_values)) + np.repeat(np.arange(S) * horizon, series.lengths)
        later = (series.offsets[1:, None] + np.arange(S)[:, None] * horizon + np.arange(horizon)).astype(np.int64)
        if self.calendar or self.holidays is not None:
            stamps = np.empty(len(rows) + later.size, dtype=series.flat_times.dtype)
            stamps[rows] = series.flat_times
            stamps[later] = series.future_times(horizon)
            if self.calendar:
                parts.append(self._angles(stamps, series.frequency))
            if self.holidays is not None:
                parts.append(self.holidays.scale.apply(self.holidays.counted(stamps, series.frequency)))
        if known is not None and known.future_names:
            future = np.zeros((len(rows) + S * horizon, len(known.future_names)), dtype=np.float32)
            future[rows] = self.future.apply(known.future)
            if beyond is not None:
                future[later] = self.future.apply(beyond)
            parts.append(future)
        return Known(
            horizon=horizon,
            series=self.numbers(series) if self.ids else None,
            past=self.past.apply(known.past) if known is not None and known.past_names else None,
            future=np.concatenate(parts, axis=1) if parts else None,
            static=self.static.apply(known.static_numeric) if known and known.static_numeric_names else None,
            categories=known.static_categories if known and known.static_category_names else None,
        )

    def numbers(self, series: SeriesSet) -> Index:
        """(S,) the number of each series among those with an embedding, 0 for one that has none; 1 is also "1"."""
        place = {str(name): number for number, name in enumerate(self.ids, start=1)}
        return np.array([place.get(str(name), 0) for name in series.ids], dtype=np.int64)

    def _angles(self, stamps: NDArray[Any], frequency: Frequency) -> NDArray[np.float32]:
        values, names = calendar_features(stamps, frequency)
        chosen = [names.index(name) for name in self.calendar]
        places = np.array([CYCLES[name][1] for name in self.calendar])
        # [-0.5, 0.5] spans the first place to the last; a whole turn is one place more.
        angle = 2 * np.pi * (values[:, chosen] + 0.5) * (places - 1) / places
        return np.concatenate((np.sin(angle), np.cos(angle)), axis=1).astype(np.float32)


def choose_calendar(series: SeriesSet, input_size: int) -> tuple[str, ...]:
    """The calendar features whose cycle the longest series shows twice or more; but for daily series, none that a
    window shows whole: that tells by itself, and better, by its values. (Days differ by where they meet: a holiday in
    the middle of a week is another one than on a Sunday.)
    """
    longest = int(np.argmax(series.lengths))
    if series.frequency.is_integer or series.lengths[longest] < 2:
        return ()
    times = series.times(longest).astype("datetime64[us]").astype(np.int64)
    span = int(times[-1] - times[0])
    daily = series.frequency.unit in ("days", "business days")
    shown = 0 if daily else input_size * span // (len(times) - 1)
    cycles = {name: CYCLES[name][0] for name in calendar_names(series.frequency)}
    return tuple(name for name, cycle in cycles.items() if shown < cycle <= span // _LEAST_TURNS)


@dataclass(frozen=True)
class Known:
    """The inputs of a set of series, and where windows find theirs.

    Attributes:
        series: (S,) numbers; past: (N, P); future: (N + S K, F), each series followed by its horizon; static: (S, Q);
            categories: (S, C). None where a net reads none.
    """

    horizon: int
    series: Index | None = None
    past: NDArray[np.float32] | None = None
    future: NDArray[np.float32] | None = None
    static: NDArray[np.float32] | None = None
    categories: Index | None = None

    def take(self, windows: Windows) -> dict[str, NDArray[Any] | None]:
        """The windows' own: series (W,), past (W, L, P), future (W, L + K, F), static (W, Q), categories (W, C)."""
        which = windows.series
        found: dict[str, NDArray[Any] | None] = {
            "series": None if self.series is None else self.series[which],
            "past": None,
            "future": None,
            "static": None if self.static is None else self.static[which],
            "categories": None if self.categories is None else self.categories[which],
        }
        starts = windows.series_starts[:, None]
        if self.past is not None:
            index = windows.origins[:, None] + np.arange(-windows.input_size, 0)
            found["past"] = np.where((index >= starts)[..., None], self.past[np.maximum(index, starts)], 0.0)
        if self.future is not None:
            index = windows.origins[:, None] + np.arange(-windows.input_size, windows.horizon)
            found["future"] = self.future[np.maximum(index, starts) + which[:, None] * self.horizon]
        return found
