"""Long frames (one row a series and time stamp) of pandas, Polars and Arrow, checked once for all that follows."""

from collections.abc import Sequence
from typing import Any

from throughtime.data.series.assembly import Reading, assemble, parse
from throughtime.data.series.columns import Place
from throughtime.data.series.covariates import Covariates
from throughtime.data.series.output import build_frame
from throughtime.data.series.rows import ID_COLUMN, count_rows, open_frame
from throughtime.data.series.series import SeriesSet
from throughtime.data.times.frequency import Frequency

__all__ = ["ID_COLUMN", "SeriesSet", "build_frame", "read_series"]


def read_series(
    frame: Any,
    *,
    id_col: str | None = ID_COLUMN,
    time_col: str = "ds",
    target_col: str = "y",
    freq: str | int | Frequency | None = None,
    min_length: int = 1,
    missing: str = "refuse",
    past: str | Sequence[str] = (),
    future: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    fitted: Covariates | None = None,
    who: str = "read_series",
    place: Place | None = None,
) -> SeriesSet:
    """Read series from a long frame.

    Rows may come in any order; other columns are left alone. Times are dates, datetimes (zone-aware ones right across
    clock changes), integers, or ISO 8601 text. Without `id_col` (None, or the default name where the frame has no such
    column and no time stamp occurs twice) the frame is one series named "series".

    Args:
        freq: name, integer step or Frequency that every series must keep; None finds it from all series.
        min_length: the fewest values that each series needs.
        missing: "refuse" names the first value or row that is missing; "keep" makes them NaN, so that the steps stay
            regular, and leaves out steps before the first and after the last value of a series; "keep-all", for
            rows that others are to complete, leaves out nothing, and known-future columns may lack values, too.
        past: columns of numbers known up to the present; they may have gaps.
        future: columns of numbers (or true and false) known for the future too: a value in every row.
        static: columns with one value a series: numbers (or true and false), or labels.
        fitted: the covariates of the training data, in place of `past`, `future` and `static`: the same columns, and
            labels numbered as there (one that is not there is unknown, and a warning says so).
        who: who speaks in the messages: a file's name, for instance.
        place: names row i in a message; the default counts rows from 0.

    Raises:
        ArgumentTypeError: not a frame of a known library, or `freq` of a wrong type.
        ArgumentError: `freq` or `missing` is unknown; a column is named twice.
        DataError: a column is missing; the frame is empty; an id, a stamp or a value is missing or unreadable; a series
            has two rows for one stamp, unequal steps, gaps, or fewer than `min_length` values; a covariate is not a
            number, lacks a value where it needs one, or changes within a series where it is static.

    >>> import polars as pl
    >>> read_series(pl.DataFrame({"ds": ["2020-01", "2020-02", "2020-03"], "y": [1.0, 2.0, 3.0]}))
    SeriesSet(1 series, 3 values, freq MS, 2020-01-01 to 2020-03-01)
    """
    reading = Reading(
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        freq=freq,
        min_length=min_length,
        missing=missing,
        past=past,
        future=future,
        static=static,
        fitted=fitted,
        who=who,
        place=place or count_rows,
    )
    return assemble(parse(open_frame(frame, who), reading), reading)
