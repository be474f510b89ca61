"""From the columns of a long frame to a set of series.

N rows of all series.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.columns import Place, read_values
from throughtime.data.series.covariates import Covariates, check_known, column_names
from throughtime.data.series.grid import is_whole, lay_out
from throughtime.data.series.native import Frame
from throughtime.data.series.output import FrameKind
from throughtime.data.series.rows import ID_COLUMN, Rows, check_columns, count_rows, read_rows
from throughtime.data.series.sentinels import warn_of_sentinels
from throughtime.data.series.series import SeriesSet
from throughtime.data.series.statics import read_statics
from throughtime.data.times.clock import clock_change_hint, format_time
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.inference import check_regular, find_frequency
from throughtime.errors import ArgumentError, DataError

__all__ = ["MISSING", "Parsed", "Reading", "assemble", "parse"]

Values = NDArray[np.float64]

MISSING = ("refuse", "keep", "keep-all")


@dataclass(frozen=True)
class Reading:
    """How to read: the arguments of `read_series`, and what follows from them.

    Raises:
        ArgumentError, ArgumentTypeError: see `read_series`.
    """

    id_col: str | None = ID_COLUMN
    time_col: str = "ds"
    target_col: str = "y"
    freq: str | int | Frequency | None = None
    min_length: int = 1
    missing: str = "refuse"
    past: str | Sequence[str] = ()
    future: str | Sequence[str] = ()
    static: str | Sequence[str] = ()
    fitted: Covariates | None = None
    who: str = "read_series"
    place: Place = count_rows
    past_names: tuple[str, ...] = field(init=False)
    future_names: tuple[str, ...] = field(init=False)
    static_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        who, fitted = self.who, self.fitted
        if self.missing not in MISSING:
            raise ArgumentError(
                f"{who}: expected missing to be one of {', '.join(MISSING)}, got {self.missing!r}; choose one"
            )
        named = {role: column_names(who, role, getattr(self, role)) for role in ("past", "future", "static")}
        if fitted is not None and any(named.values()):
            raise ArgumentError(
                f"{who}: expected fitted, or past, future and static, got both: fitted and {named}; leave one out"
            )
        for role, names in named.items():
            known = names if fitted is None else getattr(fitted, f"{role}_names")
            object.__setattr__(self, f"{role}_names", known)

    @property
    def keep(self) -> bool:
        """Whether missing values become NaN."""
        return self.missing != "refuse"

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns beside the values."""
        return self.past_names + self.future_names + self.static_names


@dataclass(frozen=True)
class Parsed:
    """The columns of a frame as arrays, in its own order of rows.

    Attributes:
        rows: which series and which time each row belongs to.
        values: (N,) the target.
        past, future: (N,) for each column.
        statics: a frame with the static columns.
        static_rows: the row of each row of `statics`; None: it has all of them.
        has_ids: whether there is a column of ids.
        kind: what the frame was.
    """

    rows: Rows
    values: Values
    past: list[Values]
    future: list[Values]
    statics: Frame
    has_ids: bool
    kind: FrameKind
    static_rows: NDArray[np.int64] | None = None


def parse(frame: Frame, reading: Reading) -> Parsed:
    """Read and check every column by itself.

    Raises:
        DataError: a column is missing, or holds what cannot be read; the frame is empty.
    """
    who, time_col, target_col = reading.who, reading.time_col, reading.target_col
    has_ids = check_columns(frame, reading.id_col, (time_col, target_col, *reading.covariates), who)
    if len(frame) == 0:
        raise DataError(
            f"{who}: expected one row or more, got an empty frame; give rows of {time_col} and {target_col}"
        )
    rows = read_rows(frame, reading.id_col if has_ids else None, time_col, who, reading.place)
    values = read_values(frame, target_col, who, rows.describe, missing=reading.keep)
    past, future = (
        [read_values(frame, name, who, rows.describe, missing=True, flags=True) for name in names]
        for names in (reading.past_names, reading.future_names)
    )
    kind = FrameKind(
        backend=frame.backend,
        id_dtype=frame.dtype(str(reading.id_col)) if has_ids else None,
        time_dtype=frame.dtype(time_col),
        text_form=rows.stamps.text_form,
    )
    return Parsed(rows, values, past, future, frame, has_ids, kind)


def assemble(parsed: Parsed, reading: Reading) -> SeriesSet:
    """Sort the rows into series of one frequency, lay gaps out, and check what holds between rows.

    Raises:
        DataError: see `read_series`.
    """
    who, keep, rows = reading.who, reading.keep, parsed.rows
    codes, ids, values, times, zone = rows.codes, rows.ids, parsed.values, rows.stamps.values, rows.stamps.time_zone
    statics = None
    if reading.covariates:
        chosen = parsed.static_rows
        static_codes = codes if chosen is None else codes[chosen]
        describe = rows.describe if chosen is None else lambda row: rows.describe(int(chosen[row]))
        statics = read_statics(parsed.statics, reading.static_names, reading.fitted, static_codes, ids, who, describe)
    order = _sorting(codes, times)
    if order is not None:
        codes, times, values = codes[order], times[order], values[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    same = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    if same.size:
        _raise_duplicate(int(same[0]), times, order, parsed, who, reading.place)
    if reading.min_length > 1:
        observed = np.bincount(codes[~np.isnan(values)], minlength=len(ids)) if keep else np.diff(offsets)
        _check_lengths(observed, ids, reading.min_length, who)
    frequency = find_frequency(times, offsets, zone, reading.freq, who)
    grid = None
    if not keep:
        check_regular(times, offsets, frequency, lambda series: repr(ids[series]), who, reading.time_col)
    elif not is_whole(values, times, offsets, frequency):
        grid = lay_out(
            values,
            times,
            offsets,
            frequency,
            ids=ids,
            who=who,
            time_col=reading.time_col,
            target_col=reading.target_col,
            stated=isinstance(reading.freq, str | int),
            ends=reading.missing == "keep-all",
        )
        values, times, offsets = grid.spread(values), grid.times, grid.offsets
    warn_of_sentinels({reading.target_col: values}, who)
    covariates = None
    if statics is not None:
        blocks = []
        for block in (parsed.past, parsed.future):
            columns = np.stack(block, axis=1) if block else np.zeros((len(codes), 0))
            columns = columns if order is None else columns[order]
            blocks.append(columns if grid is None else grid.spread(columns))
        past, future = blocks
        covariates = replace(
            statics, past_names=reading.past_names, past=past, future_names=reading.future_names, future=future
        )
        named = zip(reading.past_names + reading.future_names, (*past.T, *future.T), strict=True)
        warn_of_sentinels(dict(named), who)
        if reading.missing != "keep-all":
            check_known(covariates, times, offsets, ids, frequency.time_zone, who, fitted=reading.fitted is not None)
    return SeriesSet(
        ids,
        values,
        times,
        offsets,
        frequency,
        id_col=reading.id_col or ID_COLUMN,
        time_col=reading.time_col,
        target_col=reading.target_col,
        kind=parsed.kind,
        covariates=covariates,
    )


def _sorting(codes: NDArray[np.int64], times: NDArray[Any]) -> NDArray[np.int64] | None:
    """The stable order by series, then time; None where the frame has it already, as the usual one."""
    step = np.diff(codes)
    if bool(((step > 0) | ((step == 0) & (times[1:] >= times[:-1]))).all()):
        return None
    return np.lexsort((times, codes))


def _raise_duplicate(
    first: int, times: NDArray[Any], order: NDArray[np.int64] | None, parsed: Parsed, who: str, place: Place
) -> None:
    pair = [row if order is None else int(order[row]) for row in (first, first + 1)]
    rows = " and ".join(map(place, pair))
    zone = parsed.rows.stamps.time_zone
    stamp, hint = format_time(times[first], zone), clock_change_hint(times[first], zone)
    if not parsed.has_ids:
        raise DataError(
            f"{who}: expected a column {ID_COLUMN!r}, or each time stamp once, got {stamp} twice, at {rows}; name the "
            f"column of series ids, or keep one row for each time stamp{hint}"
        )
    raise DataError(
        f"{who}: expected one row for each series and time stamp, got two for series "
        f"{parsed.rows.ids[int(parsed.rows.codes[pair[0]])]!r} at {stamp}: {rows}; drop or add up the duplicates{hint}"
    )


def _check_lengths(lengths: NDArray[np.int64], ids: list[str] | list[int], min_length: int, who: str) -> None:
    short = np.flatnonzero(lengths < min_length)
    if short.size:
        others = "" if short.size == 1 else f" ({short.size} series are too short)"
        raise DataError(
            f"{who}: expected {min_length} or more values in every series, got {int(lengths[short[0]])} in series "
            f"{ids[int(short[0])]!r}{others}; give a longer history or leave the series out"
        )
