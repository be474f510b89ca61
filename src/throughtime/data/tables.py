"""Tables in files: CSV (also .gz) and Parquet in, CSV, JSON and Parquet out."""

import csv
import gzip
import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._atomic import check_writable, replacing
from throughtime._extras import require
from throughtime.data.frames import ID_COLUMN, read_series
from throughtime.data.frequency import Frequency
from throughtime.data.series import SeriesSet
from throughtime.errors import ArgumentTypeError, DataError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["Table", "check_table_target", "check_writable", "read_series_file", "read_table", "write_table"]

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_QUOTE, _LINE_FEED, _RETURN = ord('"'), ord("\n"), ord("\r")


@dataclass(frozen=True)
class Table:
    """A table from a file.

    Attributes:
        frame: Polars; from CSV every column is text, so that a wrong value can be shown as it stands in the file.
        path: the file.
        lines: (rows,) line of the file on which each row starts, the first line being 1; None for Parquet.
    """

    frame: "DataFrame"
    path: Path
    lines: NDArray[np.int64] | None = None

    def place(self, row: int) -> str:
        """Where a row (from 0) stands in the file, for a message."""
        return f"row {row} (counted from 0)" if self.lines is None else f"line {int(self.lines[row])}"


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table with a header: `.csv` or `.csv.gz` (UTF-8; comma, semicolon or tab) or `.parquet`.

    Raises:
        DataError: no such file, a folder, another ending, an empty file, a header alone, bytes that are not UTF-8, a
            damaged gzip or Parquet file, a line with too many or too few fields, a quote that is not closed, a repeated
            column.
    """
    file = Path(path)
    name = file.name.lower()
    try:
        if file.is_dir():
            raise DataError(f"{file}: expected a file, got a folder; give a file in it")
        if not name.endswith((".csv", ".csv.gz", ".parquet")):
            raise DataError(f"{file}: expected a file ending in .csv, .csv.gz or .parquet; convert it to one of them")
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: expected a file to read, got none; check the path") from error
    except OSError as error:
        raise DataError(f"{file}: expected a file to read, got {error.strerror}; check the path") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(file)!r}: expected a path, got {error}; check the path") from error
    if name.endswith(".parquet"):
        return Table(_read_parquet(content, file), file)
    return _read_csv(_unzip(content, file), file)


def read_series_file(
    path: str | os.PathLike[str],
    *,
    id_col: str | None = ID_COLUMN,
    time_col: str = "ds",
    target_col: str = "y",
    freq: str | int | Frequency | None = None,
    min_length: int = 1,
) -> SeriesSet:
    """`read_series` of a file; messages name the file and the line.

    Raises:
        DataError, ArgumentError, ArgumentTypeError: as `read_table` and `read_series`.
    """
    table = read_table(path)
    return read_series(
        table.frame,
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        freq=freq,
        min_length=min_length,
        who=str(table.path),
        place=table.place,
    )


def check_table_target(path: str | os.PathLike[str]) -> None:
    """Check before long work that `write_table` can write here.

    Raises:
        DataError: an ending other than .csv, .json and .parquet, or a place that cannot be written to.
    """
    if Path(path).suffix.lower() not in (".csv", ".json", ".parquet"):
        raise DataError(f"{path}: expected a path ending in .csv, .json or .parquet; rename the output")
    check_writable(path)


def write_table(frame: Any, path: str | os.PathLike[str]) -> None:
    """Write a pandas, Polars or Arrow frame as .csv, .json (a list of records) or .parquet, whole or not at all.

    Times are written in ISO 8601, those at midnight throughout as dates. NaN is an empty field in CSV and null in JSON.

    Raises:
        ArgumentTypeError: not a frame.
        DataError: as `check_table_target`.
    """
    nw = require("narwhals", extra="frames")
    check_table_target(path)
    try:
        table: DataFrame = nw.from_native(frame, eager_only=True).to_polars()
    except TypeError as error:
        raise ArgumentTypeError(
            f"write_table: expected a pandas, Polars or Arrow table, got {type(frame).__qualname__}"
        ) from error
    target = Path(path)
    try:
        with replacing(target) as temporary:
            if target.suffix.lower() == ".parquet":
                table.write_parquet(temporary)
            elif target.suffix.lower() == ".json":
                _plain(table).write_json(temporary)
            else:
                _plain(table).write_csv(temporary)
    except OSError as error:
        raise DataError(f"{target}: expected to write a file, got {error.strerror}; give another path") from error


def _plain(table: "DataFrame") -> "DataFrame":
    """Times as ISO text and NaN as null."""
    pl = require("polars", extra="frames")
    columns: list[Any] = []
    column: Any
    for column in table.get_columns():
        if column.dtype.is_float():
            column = column.fill_nan(None)
        elif column.dtype == pl.Datetime:
            zone = "%:z" if column.dtype.time_zone is not None else ""
            dates = not zone and (column.dt.truncate("1d") == column).all()
            column = column.dt.strftime("%Y-%m-%d" if dates else f"%Y-%m-%dT%H:%M:%S%.f{zone}")
        columns.append(column)
    plain: DataFrame = pl.DataFrame(columns)
    return plain


def _read_parquet(content: bytes, file: Path) -> "DataFrame":
    pl = require("polars", extra="frames")
    try:
        frame: DataFrame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file}: expected a Parquet file, got {len(content)} bytes that are not ({reason})") from error
    return frame


def _unzip(content: bytes, file: Path) -> bytes:
    zipped = content.startswith(_GZIP_MAGIC)
    if not zipped:
        if file.name.lower().endswith(".gz") and content:
            raise DataError(
                f"{file}: expected gzip data, got something else; drop .gz from the name if it is plain CSV"
            )
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{file}: expected a whole gzip file, got a damaged or truncated one; copy it again") from error


def _read_csv(content: bytes, file: Path) -> Table:
    pl = require("polars", extra="frames")
    content = content.removeprefix(_BOM)
    _check_text(content, file)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    starts, ends = _records(content, file)
    if starts.size == 0:
        raise DataError(f"{file}: expected a header and rows, got an empty file; give a table")
    header = content[starts[0] : ends[0]].decode()
    separator = max(",;\t", key=header.count)
    names = next(csv.reader(io.StringIO(header, newline=""), delimiter=separator))
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{file}: expected column names that differ, got {repeated!r} twice; rename one")
    if starts.size == 1:
        raise DataError(f"{file}: expected rows below the header, got none; give a table with rows")
    data = np.frombuffer(content, dtype=np.uint8)
    breaks = np.flatnonzero(data == _LINE_FEED)
    lines = np.searchsorted(breaks, starts) + 1
    _check_fields(data, starts, ends, ord(separator), len(names), lines, file)
    blank_free = b"\n".join(content[start:end] for start, end in zip(starts, ends, strict=True))
    try:
        frame = pl.read_csv(io.BytesIO(blank_free), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{file}: expected a CSV file, got {str(error).partition(chr(10))[0]}; check its quotes"
        ) from error
    if frame.height != starts.size - 1:
        raise DataError(f"{file}: expected {starts.size - 1} rows, got {frame.height}; check the quotes of the file")
    return Table(frame, file, lines[1:])


def _check_text(content: bytes, file: Path) -> None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{file}: expected UTF-8 text, got UTF-16; save the file as UTF-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}: expected UTF-8 text, got byte 0x{content[error.start]:02x} on line {line}; save the file as UTF-8"
        ) from error
    zero = content.find(b"\0")
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise DataError(f"{file}: expected text, got a zero byte on line {line}; give a CSV file")


def _quoted(data: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Which bytes lie inside quotes (doubled quotes leave and enter at once); None where the file has no quotes."""
    quotes = data == _QUOTE
    return np.logical_xor.accumulate(quotes) if quotes.any() else None


def _records(content: bytes, file: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each record that is not blank; a line feed in quotes does not end a record."""
    data = np.frombuffer(content, dtype=np.uint8)
    feeds = data == _LINE_FEED
    inside = _quoted(data)
    if inside is not None:
        if inside[-1]:
            opened = int(np.flatnonzero(~inside)[-1]) + 1 if not inside.all() else 0
            line = content.count(b"\n", 0, opened) + 1
            raise DataError(
                f"{file}: expected every quote to be closed, got one opened on line {line} that is not; close it"
            )
        feeds &= ~inside
    ends = np.flatnonzero(feeds)
    if data.size and (ends.size == 0 or ends[-1] != data.size - 1):
        ends = np.append(ends, data.size)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64) if ends.size else ends
    returns = (ends > starts) & (data[np.maximum(ends - 1, 0)] == _RETURN) if ends.size else np.zeros(0, dtype=bool)
    ends = ends - returns
    filled = ends > starts
    return starts[filled], ends[filled]


def _check_fields(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    separator: int,
    wanted: int,
    lines: NDArray[np.int64],
    file: Path,
) -> None:
    marks = data == separator
    inside = _quoted(data)
    if inside is not None:
        marks &= ~inside
        before = np.concatenate([[_LINE_FEED], data[:-1]])
        stray = np.flatnonzero((data == _QUOTE) & inside & ~np.isin(before, (separator, _LINE_FEED, _QUOTE)))
        if stray.size:
            line = int(lines[np.searchsorted(starts, stray[0], side="right") - 1])
            raise DataError(
                f"{file}: expected quotes around whole fields, got one inside a field on line {line}; "
                "quote the field and double the quote in it"
            )
    positions = np.flatnonzero(marks)
    fields = np.searchsorted(positions, ends) - np.searchsorted(positions, starts) + 1
    wrong = np.flatnonzero(fields != wanted)
    if wrong.size:
        first = int(wrong[0])
        others = "" if wrong.size == 1 else f" (and {wrong.size - 1} more such lines)"
        raise DataError(
            f"{file}: expected {wanted} fields on line {int(lines[first])} as in the header, got "
            f"{int(fields[first])}{others}; complete the line, or quote fields that hold the separator"
        )
