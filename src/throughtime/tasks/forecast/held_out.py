"""Series whose end is held out to judge forecasters by: what comparing cells and tuning options have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from throughtime.data.series.frames import SeriesSet
from throughtime.errors import ArgumentError
from throughtime.tasks.forecast.backtest import check_rolling, refuse_short
from throughtime.tasks.forecast.forecaster import Forecaster
from throughtime.tasks.forecast.reading import read
from throughtime.training import fingerprint


class HeldOut:
    """The series, read once, and the options of a `Forecaster` that stay as they are.

    Args:
        df: long frame of series, or series.
        step_size: steps between origins; None: the horizon.
        options: of `Forecaster`.
        others: options that are chosen elsewhere, and may not be given.
        advice: ends the message about an option that is not known.
        who: who speaks in the messages.

    Raises:
        ArgumentError: an option that `Forecaster` does not have, that is chosen elsewhere, or out of its range.
        DataError: the frame cannot be used.
    """

    def __init__(
        self,
        df: Any,
        horizon: int,
        step_size: int | None,
        options: Mapping[str, Any],
        *,
        others: Sequence[str] = (),
        advice: str,
        who: str,
    ) -> None:
        known = [name for name in Forecaster._parameter_names() if name not in ("horizon", *others)]
        for name in options:
            if name not in known:
                raise ArgumentError(f"{who}: expected options among {', '.join(known)}, got {name!r}; {advice}")
        self.horizon = horizon
        self.options: dict[str, Any] = {"horizon": horizon, **options}
        self.who = who
        bare = self.forecaster()
        bare._check_parameters()
        self.loss = bare.loss
        self.series: SeriesSet = read(bare, df, who, bare.freq)
        self.step_size = check_rolling(horizon, 1, step_size, who)

    def forecaster(self, **options: Any) -> Forecaster:
        """A new forecaster, with these options besides, or in place of those that stay."""
        return Forecaster(**{**self.options, **options})

    def most_windows(self, at_most: int) -> int:
        """As many origins as leave two thirds of the shortest series to learn from: from 1 to so many."""
        spare = int(self.series.lengths.min()) // 3 - self.horizon
        return min(max(spare // self.step_size + 1, 1), at_most)

    def length(self, windows: int) -> int:
        """Steps at the end of a series that so many origins forecast."""
        check_rolling(self.horizon, windows, self.step_size, self.who)
        return self.horizon + (windows - 1) * self.step_size

    def before(self, windows: int) -> SeriesSet:
        """What precedes the first of so many origins.

        Raises:
            DataError: nothing does, in some series.
        """
        held_out = self.length(windows)
        refuse_short(self.series, held_out + 1, self.horizon, windows, self.who)
        return self.series.cut(held_out)

    def origins(self, windows: int) -> str:
        """So many, in words."""
        many = f"{windows} origin{'s' * (windows > 1)} in each of {len(self.series)} series"
        return f"{self.horizon} steps ahead, {many}"

    def question(self) -> dict[str, Any]:
        """A fingerprint of the data, the step, and every option of the forecaster, ready for JSON."""
        series, known = self.series, self.series.covariates
        beside = () if known is None else (known.past, known.future, known.static_numeric, known.static_categories)
        chosen = self.forecaster().configuration()
        return {
            "data": fingerprint(series.flat_values, series.flat_times.astype(np.int64), series.offsets, *beside),
            "step": self.step_size,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()},
        }
