"""CSV, checked before it is parsed: text, quotes, and the fields of every line."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import DataError

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["BOM", "choose", "find_records", "parse_csv", "quoted"]

BOM = b"\xef\xbb\xbf"
_QUOTE, _LINE_FEED, _RETURN = ord('"'), ord("\n"), ord("\r")


def choose(names: Sequence[str], columns: Sequence[str], optional: Sequence[str]) -> list[str] | None:
    """Those of `names` that are wanted; None (all) where a column is not there, so that a message can list them."""
    wanted = {*columns, *optional}
    return [name for name in names if name in wanted] if set(columns) <= set(names) else None


def parse_csv(
    content: bytes,
    file: Path,
    columns: Sequence[str] | None = None,
    optional: Sequence[str] = (),
    lines_before: int = 0,
) -> tuple["DataFrame", NDArray[np.int64]]:
    """The rows of a CSV file, or of a piece of one that begins with its header, all as text, and the line of each.

    Args:
        columns, optional: see `choose`; None: all.
        lines_before: what to add to the lines of `content` for those of the file.
    """
    pl = require("polars", extra="frames")
    content = content.removeprefix(BOM)
    _check_text(content, file, lines_before)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    starts, ends = find_records(content, file, lines_before)
    if starts.size == 0:
        raise DataError(f"{file}: expected a header and rows, got an empty file; give a table")
    header = content[starts[0] : ends[0]].decode()
    if re.fullmatch(r"sep=.", header.strip()):
        raise DataError(f"{file}: expected column names in the first line, got {header.strip()!r}; delete that line")
    separator = max(",;\t", key=header.count)
    names = next(csv.reader(io.StringIO(header, newline=""), delimiter=separator))
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{file}: expected column names that differ, got {repeated!r} twice; rename one")
    if starts.size == 1:
        raise DataError(f"{file}: expected rows below the header, got none; give a table with rows")
    data = np.frombuffer(content, dtype=np.uint8)
    breaks = np.flatnonzero(data == _LINE_FEED)
    lines = np.searchsorted(breaks, starts) + 1 + lines_before
    _check_fields(content, starts, ends, ord(separator), len(names), lines, file)
    # Blank lines would be rows of nothing: records that a line break or a return and a line feed do not part.
    after = np.append(starts[1:], data.size) - ends
    after -= (after > 1) & (data[np.minimum(ends, data.size - 1)] == _RETURN)
    blank_free = content
    if starts[0] > 0 or (after > 1).any():
        blank_free = b"\n".join(content[start:end] for start, end in zip(starts, ends, strict=True))
    chosen = None if columns is None else choose(names, columns, optional)
    try:
        frame = pl.read_csv(io.BytesIO(blank_free), separator=separator, infer_schema=False, columns=chosen)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{file}: expected a CSV file, got {str(error).partition(chr(10))[0]}; check its quotes"
        ) from error
    if frame.height != starts.size - 1:
        raise DataError(f"{file}: expected {starts.size - 1} rows, got {frame.height}; check the quotes of the file")
    return frame, lines[1:]


def _check_text(content: bytes, file: Path, lines_before: int) -> None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{file}: expected UTF-8 text, got UTF-16; save the file as UTF-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1 + lines_before
        raise DataError(
            f"{file}: expected UTF-8 text, got byte 0x{content[error.start]:02x} on line {line}; save the file as UTF-8"
        ) from error
    zero = content.find(b"\0")
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1 + lines_before
        raise DataError(f"{file}: expected text, got a zero byte on line {line}; give a CSV file")


def quoted(content: bytes) -> NDArray[np.bool_] | None:
    """Which bytes lie inside quotes (doubled quotes leave and enter at once); None where the file has no quotes."""
    if b'"' not in content:
        return None
    return np.logical_xor.accumulate(np.frombuffer(content, dtype=np.uint8) == _QUOTE)


def find_records(content: bytes, file: Path, lines_before: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each record that is not blank; a line feed in quotes does not end a record."""
    data = np.frombuffer(content, dtype=np.uint8)
    feeds = data == _LINE_FEED
    inside = quoted(content)
    if inside is not None:
        if inside[-1]:
            opened = int(np.flatnonzero(~inside)[-1]) + 1 if not inside.all() else 0
            line = content.count(b"\n", 0, opened) + 1 + lines_before
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
    content: bytes,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    separator: int,
    wanted: int,
    lines: NDArray[np.int64],
    file: Path,
) -> None:
    data = np.frombuffer(content, dtype=np.uint8)
    marks = data == separator
    inside = quoted(content)
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
