"""The holidays that a net reads. Axes in names: N rows of all series."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet
from throughtime.data.times.clock import format_time
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.holidays import Holidays, holiday_dates, holiday_features
from throughtime.errors import DataError
from throughtime.tasks.forecast.standard import Standard

_logger = logging.getLogger("throughtime.tasks")

Array = NDArray[np.float64]

# Two days in two years deviate by 0.05: standardised by that, each would be a 19 among ones.
_LEAST_DEVIATION = 0.2


@dataclass(frozen=True)
class HolidayInputs:
    """Which holidays a net reads: whether a day is any of them, and, where there are several kinds, which.

    Attributes:
        dates: by name, as `holiday_dates` has them; later ones may be added to those of the training.
        kinds: the names that the training data show; one that they do not is a holiday like any other.
        scale: of their columns, the first being that of all.
    """

    dates: dict[str, tuple[str, ...]]
    kinds: tuple[str, ...]
    scale: Standard

    @classmethod
    def fit(cls, series: SeriesSet, dates: Holidays, who: str) -> "HolidayInputs | None":
        """What the training series show of them; None, and a warning, where they show none.

        Raises:
            DataError: time is counted in whole numbers.
        """
        named = holiday_dates(dates, who)
        if not named:
            return None
        days, names = holiday_features(series.flat_times, series.frequency, named, who)
        if not days.any():
            times = series.flat_times
            first, last = (format_time(t, series.frequency.time_zone) for t in (times.min(), times.max()))
            _logger.warning(
                "%s: expected holidays in the training data, %s to %s, got none: the model does not know them",
                who, first, last,
            )  # fmt: skip
            return None
        kinds = tuple(name for name, seen in zip(names, np.atleast_1d(days.any(axis=0)), strict=True) if seen)
        bare = cls(named, kinds if len(named) > 1 else (), Standard())
        scale = Standard.of(bare.counted(series.flat_times, series.frequency))
        return replace(bare, scale=scale._replace(deviation=tuple(max(d, _LEAST_DEVIATION) for d in scale.deviation)))

    def counted(self, times: NDArray[Any], frequency: Frequency) -> Array:
        """Days of any holiday in each step, then of each kind: (N, 1 + kinds)."""
        every = {day for days in self.dates.values() for day in days}
        any_N1, _ = holiday_features(times, frequency, every)
        each_NH, _ = holiday_features(times, frequency, {name: self.dates[name] for name in self.kinds})
        return np.concatenate((any_N1, each_NH), axis=1)

    def with_dates(self, later: Holidays, who: str) -> "HolidayInputs":
        """With further dates of the same names.

        Raises:
            DataError: a name that the training did not have.
        """
        named = holiday_dates(later, who)
        new = next((name for name in named if name not in self.dates), None)
        if new is not None:
            raise DataError(
                f"{who}: expected holidays among {', '.join(map(repr, self.dates))}, as in training, got {new!r}; call "
                "it one of these, or fit with it"
            )
        dates = {name: tuple(sorted({*days, *named.get(name, ())})) for name, days in self.dates.items()}
        return replace(self, dates=dates)

    @property
    def last(self) -> str:
        """The last date of all."""
        return max(day for days in self.dates.values() for day in days)

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        dates = {name: list(days) for name, days in self.dates.items()}
        return {"dates": dates, "kinds": list(self.kinds), "scale": self.scale._asdict()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "HolidayInputs":
        """The reverse; ValueError (DataError among them) where the parts do not fit together."""
        dates, kinds = holiday_dates(dict(fields["dates"]), "inputs"), tuple(fields["kinds"])
        if not dates or not set(kinds) <= set(dates):
            raise ValueError(f"inputs: holidays {kinds!r} among {sorted(dates)!r}")
        return cls(dates, kinds, Standard.from_json(fields["scale"], "holidays", 1 + len(kinds)))
