"""From the rows of a table to recordings.

Axes in names: T time, C channels.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.recording import Recording, check_times
from throughtime.data.sensors.columns import Columns, Found
from throughtime.data.tables.csv_text import BOM, parse_csv
from throughtime.data.tables.files import Table, is_parquet, open_file, read_table
from throughtime.errors import DataError

__all__ = ["header", "read_rows", "read_samples", "rows_or_samples", "texts_of", "unit_of"]

# Seconds since 1970 are below the last of these until the year 5138; each one before is a thousand times finer.
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


def rows_or_samples(path: Path, columns: Columns) -> list[Recording]:
    """The recordings of a table: a sequence in each row where it has no header or its columns are numbered by step.

    Raises:
        DataError: as `read_rows` and `read_samples`.
    """
    if not is_parquet(path) and header(path) is None:
        return read_rows(path, columns)
    table = read_table(path)
    if columns.per_step is not None:
        return _sequences(table, columns)
    return read_samples(table, columns)


def header(path: Path) -> list[str] | None:
    """The names in the first line of a CSV file; None where it has nothing but numbers."""
    with open_file(path) as (_, stream):
        line = stream.readline().decode("utf-8-sig", "replace").strip()
    fields = [field.strip('" ') for field in line.split(max(",;\t", key=line.count))]
    try:
        [float(field) for field in fields]
    except ValueError:
        return fields
    return None


def read_rows(path: Path, columns: Columns) -> list[Recording]:
    """A file without a header: in each row a label, then the values of step after step.

    A row that is whole steps without a label, of more than one value each, has none.

    Raises:
        DataError: no `per_step`, another number of values than whole steps, a field that is no number.
    """
    if columns.per_step is None:
        raise DataError(
            f"{path}: expected to know how many values a step has, since this file has no header, got none; say so "
            "with per_step (--per-step 2 for x and y)"
        )
    with open_file(path) as (file, stream):
        content = stream.read()
    first = content.partition(b"\n")[0].decode("utf-8", "replace")
    fields = first.count(max(",;\t", key=first.count)) + 1
    separator = max(",;\t", key=first.count)
    first_name = "v" if columns.per_step > 1 and fields % columns.per_step == 0 else "label"
    names = separator.join([first_name, *(f"v{i}" for i in range(fields - 1))]).encode() + b"\n"
    frame, lines = parse_csv(names + content.removeprefix(BOM), file, lines_before=-1)
    return _sequences(Table(frame, file, lines), Columns(per_step=columns.per_step))


def _sequences(table: Table, columns: Columns) -> list[Recording]:
    """A sequence in each row."""
    who, C = str(table.path), columns.per_step
    found = Found.among(table.frame.columns, columns, who)
    assert C is not None
    values_NV = _numbers(table, found.channels)
    if C < 1 or values_NV.shape[1] % C:
        raise DataError(
            f"{who}: expected a multiple of {C} values in each row, got {values_NV.shape[1]}; say how many a step has"
        )
    label, group = (texts_of(table, name) for name in (found.label, found.group))
    names = tuple("xyz"[:C]) if C in (2, 3) else tuple(f"channel {i}" for i in range(C))
    return [
        Recording(
            row.reshape(-1, C), f"{who}: {table.place(i)}", label=None if label is None else label[i],
            group=None if group is None else group[i], channels=names,
        )
        for i, row in enumerate(values_NV)
    ]  # fmt: skip


def read_samples(table: Table, columns: Columns) -> list[Recording]:
    """A sample in each row; recordings are told apart by their own column, where there is one.

    A label that changes within a recording is one of every sample, else it is one of the whole; where any recording
    has several, all are labelled sample by sample.

    Raises:
        DataError: a column that is not there or holds something else, a sample without a label, times that go back.
    """
    who = str(table.path)
    found = Found.among(table.frame.columns, columns, who)
    if not found.channels:
        raise DataError(f"{who}: expected columns of values, got {', '.join(table.frame.columns)}; name the channels")
    values_TC = _numbers(table, found.channels)
    times_T = None if found.time is None else _seconds(table, found.time)
    labels_T, groups_T, names_T = (texts_of(table, name) for name in (found.label, found.group, found.recording))
    if labels_T is not None:
        empty = np.flatnonzero(labels_T == "")
        if empty.size:
            raise DataError(
                f"{who}: expected a label on every sample, got none on {table.place(int(empty[0]))}; fill it or leave "
                "the sample out"
            )
    parts = _parts(names_T, len(values_TC))
    recordings = []
    for name, rows in parts:
        if times_T is not None:
            check_times(times_T[rows], who, lambda i, rows=rows: table.place(int(rows[i])))
        group = None
        if groups_T is not None:
            group = groups_T[rows[0]]
            other = np.flatnonzero(groups_T[rows] != group)
            if other.size:
                raise DataError(
                    f"{who}: expected one {found.group} in a recording, got {group!r} and "
                    f"{groups_T[rows[other[0]]]!r} on {table.place(int(rows[other[0]]))}; name the recordings' column"
                )
        recordings.append(
            Recording(
                values_TC[rows], who if name is None else f"{who}: {name}",
                None if times_T is None else times_T[rows] - times_T[rows[0]],
                labels=None if labels_T is None else labels_T[rows], group=group, channels=found.channels,
            )
        )  # fmt: skip
    return recordings


def _parts(names_T: NDArray[Any] | None, samples: int) -> list[tuple[str | None, NDArray[np.int64]]]:
    if names_T is None:
        return [(None, np.arange(samples))]
    _, first, number_T = np.unique(names_T, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    return [(str(names_T[first[k]]), np.flatnonzero(number_T == k)) for k in order]


def texts_of(table: Table, name: str | None) -> NDArray[Any] | None:
    """A column as text; numbers as they are written."""
    if name is None:
        return None
    pl = require("polars", extra="frames")
    return np.asarray(table.frame[name].cast(pl.String).fill_null("").str.strip_chars().to_list(), dtype=object)


def _numbers(table: Table, names: tuple[str, ...]) -> NDArray[np.float32]:
    """(T, C); an empty field, NaN and the like are NaN."""
    pl = require("polars", extra="frames")
    columns = []
    for name in names:
        column: Any = table.frame[name]
        if column.dtype == pl.String:
            text = column.str.strip_chars()
            gap = text.is_null() | text.str.to_lowercase().is_in(["", "nan", "na", "null", "none"])
            number = text.cast(pl.Float64, strict=False)
            wrong = (number.is_null() & ~gap).arg_true()
            if len(wrong):
                at = int(wrong[0])
                raise DataError(
                    f"{table.path}: expected a number under {name!r}, got {text[at]!r} on {table.place(at)}; correct "
                    "it, or name the channels so that this column is none"
                )
            column = number
        elif not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            raise DataError(
                f"{table.path}: expected numbers under {name!r}, got {column.dtype}; name the channels so that this "
                "column is none"
            )
        values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        columns.append(np.where(np.isfinite(values), values, np.nan).astype(np.float32))
    return np.stack(columns, axis=1) if columns else np.zeros((table.frame.height, 0), np.float32)


def _seconds(table: Table, name: str) -> NDArray[np.float64]:
    """Times in seconds."""
    pl = require("polars", extra="frames")
    column: Any = table.frame[name]
    if column.dtype == pl.String:
        number = column.str.strip_chars().cast(pl.Float64, strict=False)
        if number.null_count() > column.null_count():
            try:
                stamps = column.str.to_datetime(strict=False, time_unit="us")
            except pl.exceptions.ComputeError:  # of a column in which nothing looks like a time
                stamps = pl.Series([None] * len(column), dtype=pl.Datetime("us"))
            if stamps.null_count() > column.null_count():
                at = int((stamps.is_null() & number.is_null() & column.is_not_null()).arg_true()[0])
                raise DataError(
                    f"{table.path}: expected a time under {name!r}, got {column[at]!r} on {table.place(at)}; give "
                    "seconds or ISO dates"
                )
            column = stamps
        else:
            column = number
    if column.dtype.is_temporal():
        return np.asarray(column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).to_numpy() * 1e-6)
    times = np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return times * unit_of(float(np.nanmax(np.abs(times), initial=0.0)))


def unit_of(time: float) -> float:
    """Seconds that a number of a time stands for: 1, or less where it is too large for seconds since 1970.

    >>> unit_of(1657533977813)
    0.001
    """
    return next((unit for least, unit in _EPOCHS if abs(time) >= least), 1.0)
