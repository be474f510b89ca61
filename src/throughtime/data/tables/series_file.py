"""Series from files, which may be larger than memory.

N rows of all series.
"""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.series.assembly import Parsed, Reading, assemble, parse
from throughtime.data.series.columns import Place
from throughtime.data.series.covariates import Covariates
from throughtime.data.series.native import adapt
from throughtime.data.series.rows import ID_COLUMN, Rows
from throughtime.data.series.series import SeriesSet
from throughtime.data.series.stamps import TimeColumn
from throughtime.data.tables.blocks import read_blocks
from throughtime.data.tables.files import Table
from throughtime.data.times.clock import format_time
from throughtime.data.times.frequency import Frequency
from throughtime.errors import DataError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["read_series_file"]

# A label of digits such as 007 is no number.
_PLAIN_NUMBER = r"^\s*[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?\s*$"


def read_series_file(
    path: str | os.PathLike[str],
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
) -> SeriesSet:
    """`read_series` of a file (`read_table`); messages name the file and the line.

    The file is read some megabytes at a time, and of each only the columns that are named: it may be larger than
    memory. The series take 16 bytes a row (value and stamp) and 8 for each past and known-future column; while they are
    read and checked, about 80 and 16. Static columns of a CSV file are numbers where all of them are written as such.

    Raises:
        DataError, ArgumentError, ArgumentTypeError: as `read_table` and `read_series`.
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
        who=str(path),
    )
    # Without a column of the default name the file is one series.
    wanted, optional = [time_col, target_col, *reading.covariates], [ID_COLUMN]
    if id_col not in (None, ID_COLUMN):
        wanted.append(str(id_col))
    merged = _Merger(reading)
    for block in read_blocks(path, wanted, optional):
        merged.add(block)
    whole = merged.whole()
    return assemble(whole, dataclasses.replace(reading, place=merged.place))


class _Merger:
    """The columns of one block after another, put together."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.numbers: dict[Any, int] = {}  # of each id
        self.first: Parsed | None = None
        self.forms: list[str | None] = []
        self.columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
        self.statics: list[DataFrame] = []
        self.static_rows: list[Any] = []
        self.first_rows: list[int] = []
        self.places: list[Place] = []
        self.height = 0

    def add(self, block: Table) -> None:
        part = parse(adapt(block.frame), dataclasses.replace(self.reading, place=block.place))
        if self.first is not None:
            self._check_times(self.first.rows.stamps, part.rows.stamps, block)
        numbers = np.array([self.numbers.setdefault(name, len(self.numbers)) for name in part.rows.ids], dtype=np.int64)
        codes = numbers[part.rows.codes]
        if names := self.reading.static_names:
            self._add_statics(block.frame.select(names), codes)
        self.forms.append(part.rows.stamps.text_form)
        arrays = {"codes": codes, "times": part.rows.stamps.values, "values": part.values}
        arrays |= {f"past {number}": column for number, column in enumerate(part.past)}
        arrays |= {f"future {number}": column for number, column in enumerate(part.future)}
        for name, array in arrays.items():
            self.columns[name].append(array)
        self.first_rows.append(self.height)
        self.places.append(block.short_place())
        self.height += len(part.values)
        if self.first is None:
            self.first = dataclasses.replace(part, statics=adapt(block.frame.clear()))

    def _add_statics(self, columns: "DataFrame", codes: NDArray[np.int64]) -> None:
        """Keep one row for each series and what it says: a static column says one thing."""
        # Names of our own, since those of the columns can be any.
        frame = columns.rename(dict(zip(columns.columns, map(str, range(columns.width)), strict=True)))
        frame = frame.with_columns(code=codes).with_row_index("row")
        frame = frame.unique(frame.columns[1:], keep="first", maintain_order=True)
        self.statics.append(columns[frame["row"]])
        self.static_rows.append(frame["row"].to_numpy().astype(np.int64) + self.height)

    def _check_times(self, first: TimeColumn, new: TimeColumn, block: Table) -> None:
        if first.values.dtype.kind == new.values.dtype.kind and first.time_zone == new.time_zone:
            return
        shown = [
            ("integers" if stamps.values.dtype.kind == "i" else "dates")
            + ("" if stamps.time_zone is None else f" with the zone {stamps.time_zone}")
            for stamps in (first, new)
        ]
        raise DataError(
            f"{self.reading.who}: expected one kind of time in {self.reading.time_col}, got {shown[0]} in the rows "
            f"before and {shown[1]} from {block.place(0)} on; write all alike"
        )

    def place(self, row: int) -> str:
        """Where a row of the whole stands."""
        number = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return self.places[number](row - self.first_rows[number])

    def whole(self) -> Parsed:
        """The blocks as one."""
        reading, first = self.reading, self.first
        assert first is not None, "a file without rows has been refused"
        # One column after another, so that no more than one is there twice.
        known = {name: np.concatenate(self.columns.pop(name)) for name in list(self.columns)}
        forms = [form for form in self.forms if form is not None]
        form = max(forms, key=len) if len(forms) == len(self.forms) else None
        stamps = TimeColumn(known["times"], first.rows.stamps.time_zone, form)
        codes = known["codes"]
        ids: Any = list(self.numbers)

        def describe(row: int) -> str:
            stamp = format_time(stamps.values[row], stamps.time_zone)
            return f"{self.place(row)}, series {ids[int(codes[row])]!r}, {reading.time_col} {stamp}"

        return Parsed(
            rows=Rows(codes, ids, stamps, describe),
            values=known["values"],
            past=[known[f"past {number}"] for number in range(len(first.past))],
            future=[known[f"future {number}"] for number in range(len(first.future))],
            statics=adapt(self._statics()) if self.statics else first.statics,
            has_ids=first.has_ids,
            kind=dataclasses.replace(first.kind, text_form=stamps.text_form),
            static_rows=np.concatenate(self.static_rows) if self.statics else None,
        )

    def _statics(self) -> "DataFrame":
        """The static columns; text that is all numbers as numbers, unless a fitted model knows what it is."""
        pl = require("polars", extra="frames")
        frame: DataFrame = pl.concat(self.statics)
        if self.reading.fitted is not None:
            return frame
        for name in frame.columns:
            column = frame[name]
            if column.dtype == pl.String and column.str.contains(_PLAIN_NUMBER).all():
                frame = frame.with_columns(column.str.strip_chars().cast(pl.Float64, strict=False))
        return frame
