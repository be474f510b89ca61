"""Tables in files: CSV (also .gz) and Parquet in, CSV, JSON and Parquet out."""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from throughtime._atomic import check_writable, replacing
from throughtime._extras import require
from throughtime.data.series.columns import Place
from throughtime.data.series.rows import count_rows
from throughtime.data.tables.csv_text import parse_csv
from throughtime.errors import ArgumentTypeError, DataError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["Table", "check_table_target", "check_writable", "is_parquet", "open_file", "read_table", "write_table"]

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Table:
    """A table from a file.

    Attributes:
        frame: Polars; from CSV every column is text, so that a wrong value can be shown as it stands in the file.
        path: the file.
        lines: (rows,) line of the file on which each row starts, the first line being 1; None for Parquet.
        first_row: the number in the file of the first row.
    """

    frame: "DataFrame"
    path: Path
    lines: NDArray[np.int64] | None = None
    first_row: int = 0

    def place(self, row: int) -> str:
        """Where a row (from 0) stands in the file, for a message."""
        return count_rows(self.first_row + row) if self.lines is None else f"line {int(self.lines[row])}"

    def short_place(self) -> Place:
        """The same, for as long as the table is forgotten: without an array where each row is one line."""
        lines, first = self.lines, self.first_row
        if lines is None:
            return lambda row: count_rows(first + row)
        if (np.diff(lines) == 1).all():
            start = int(lines[0])
            return lambda row: f"line {start + row}"
        return lambda row: f"line {int(lines[row])}"


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table with a header: `.csv` or `.csv.gz` (UTF-8; comma, semicolon or tab) or `.parquet`.

    Raises:
        DataError: no such file, a folder, another ending, an empty file, a header alone, bytes that are not UTF-8, a
            damaged gzip or Parquet file, a line with too many or too few fields, a quote that is not closed, a repeated
            column.
    """
    with open_file(path) as (file, stream):
        content = stream.read()
    if is_parquet(file):
        return Table(_read_parquet(content, file), file)
    frame, lines = parse_csv(content, file)
    return Table(frame, file, lines)


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[tuple[Path, BinaryIO]]:
    """The path and the bytes of a table, out of gzip where they are in it.

    Raises:
        DataError: no such file, a folder, another ending, damaged gzip data.
    """
    file = Path(path)
    name = file.name.lower()
    try:
        if file.is_dir():
            raise DataError(f"{file}: expected a file, got a folder; give a file in it")
        if not name.endswith((".csv", ".csv.gz", ".parquet")):
            raise DataError(
                f"{file}: expected a file ending in .csv, .csv.gz or .parquet, got {file.name!r}; convert it to one of "
                "them"
            )
        with file.open("rb") as raw:
            start = raw.read(len(_GZIP_MAGIC))
            raw.seek(0)
            if start == _GZIP_MAGIC and not is_parquet(file):
                with gzip.open(raw) as unzipped:
                    yield file, cast(BinaryIO, unzipped)
            elif start and name.endswith(".gz"):
                raise DataError(
                    f"{file}: expected gzip data, got something else; drop .gz from the name if it is plain CSV"
                )
            else:
                yield file, raw
    except FileNotFoundError as error:
        raise DataError(f"{file}: expected a file to read, got none; check the path") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file}: expected a whole gzip file, got a damaged or truncated one; copy it again") from error
    except OSError as error:
        raise DataError(f"{file}: expected a file to read, got {error.strerror}; check the path") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(file)!r}: expected a path, got {error}; check the path") from error


def is_parquet(file: Path) -> bool:
    """Whether the name says Parquet."""
    return file.name.lower().endswith(".parquet")


def check_table_target(path: str | os.PathLike[str], reads: Iterable[str | os.PathLike[str] | None] = ()) -> None:
    """Check before long work that `write_table` can write here.

    Args:
        path: the file to write.
        reads: files and folders that the same work reads, which writing must not change.

    Raises:
        DataError: an ending other than .csv, .json and .parquet, a place that cannot be written to, one of `reads` or
            a place within it.
    """
    target = Path(path).resolve()
    for source in reads:
        if source is not None and target.is_relative_to(Path(source).resolve()):
            raise DataError(f"{path}: expected a path that is not read as well, got {source}; give another output")
    if Path(path).suffix.lower() not in (".csv", ".json", ".parquet"):
        raise DataError(
            f"{path}: expected a path ending in .csv, .json or .parquet, got {Path(path).name!r}; rename the output"
        )
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
            f"write_table: expected a pandas, Polars or Arrow table, got {type(frame).__qualname__}; convert it to one"
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
        raise DataError(
            f"{target}: expected to write a file, got: {error.strerror or error}; give another path"
        ) from error


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
        raise DataError(
            f"{file}: expected a Parquet file, got {len(content)} bytes that are not ({reason}); write the file again"
        ) from error
    return frame
