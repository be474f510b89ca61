"""Records in files, one after another: JSON Lines, CSV and TSV, also compressed.

The ending of a name says what a file holds: `.jsonl` and `.ndjson` a JSON object a line, `.csv` and `.tsv` a table with
a header, each also followed by `.gz`, `.xz` or `.bz2`. CSV has its fields parted by the commonest of comma, semicolon
and tab in its header, and quotes as spreadsheets write them; in TSV a quote is a sign like any other, so that each line
is a row. UTF-8.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from throughtime.data.text.files import check_text_file, numbered_lines
from throughtime.errors import DataError

__all__ = ["Record", "kind_of", "records"]

_COMPRESSED = (".gz", ".xz", ".bz2")
_KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_MOST_FIELD = 2**27  # characters in a field of CSV: a quote that is never closed ends there


class Record(NamedTuple):
    """One record."""

    fields: dict[str, Any]
    """By name, in the order of the file; of a table always text. Empty for an empty line of a table."""
    line: int
    """Where it begins, counted from 1."""


def kind_of(path: str | os.PathLike[str]) -> str:
    """ "jsonl", "csv" or "tsv" by the ending of the name; "" for any other.

    >>> kind_of("a/train.CSV.gz"), kind_of("train.conll")
    ('csv', '')
    """
    name = Path(path).name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return _KINDS.get(Path(name).suffix, "")


def records(path: str | os.PathLike[str], *, blank_lines: bool = False) -> Iterator[Record]:
    """The records of a file, one after another, so that it may be larger than memory.

    Args:
        blank_lines: empty lines of a table come as records without fields; else they are passed over.

    Raises:
        DataError: no file, another ending, bytes that are not UTF-8, damaged compression, a line that is no JSON
            object, a repeated column, a row with another number of fields than the header, a quote that is not closed,
            nothing in the file. The message names the line.
    """
    file = Path(path)
    check_text_file(file)
    kind = kind_of(file)
    if not kind:
        raise DataError(
            f"{file}: expected a name ending in {', '.join(_KINDS)} (and .gz, .xz, .bz2), got {file.name!r}; rename it"
        )
    return _objects(file) if kind == "jsonl" else _rows(file, kind, blank_lines)


def _objects(file: Path) -> Iterator[Record]:
    found = False
    for number, line in numbered_lines(file):
        if not line.strip():
            continue
        found, where = True, f"{file}: line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: expected a JSON object, got {line[:40]!r} ({error}); correct it") from error
        if not isinstance(fields, dict):
            raise DataError(f'{where}: expected a JSON object, got {line[:40]!r}; write {{"text": ...}}')
        yield Record(fields, number)
    if not found:
        raise DataError(f"{file}: expected a JSON object on each line, got none; give a file with records")


def _rows(file: Path, kind: str, blank_lines: bool) -> Iterator[Record]:
    lines = _Lines(file)
    header = next((line for line in lines if line.strip()), "")
    if not header:
        raise DataError(f"{file}: expected a header and rows, got an empty file; give a table")
    separator = "\t" if kind == "tsv" else max(",;\t", key=header.count)
    how: dict[str, Any] = {"delimiter": separator, "strict": True}
    if kind == "tsv":
        how |= {"quoting": csv.QUOTE_NONE}
    names = next(csv.reader([header], **how))
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{file}: expected column names that differ, got {repeated!r} twice; rename one")
    limit = csv.field_size_limit(_MOST_FIELD)  # the module keeps one limit for everybody
    try:
        lines.begin()
        for row in csv.reader(lines, **how):
            begun = lines.begin()
            if not row:
                if blank_lines:
                    yield Record({}, begun)
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{file}: line {begun}: expected {len(names)} fields as in the header, got {len(row)} "
                    f"({separator.join(row)[:60]!r}); put a text with {separator!r} in it into quotes"
                )
            yield Record(dict(zip(names, row, strict=True)), begun)
    except csv.Error as error:
        raise DataError(
            f"{file}: line {lines.begun}: expected a row of {len(names)} fields, got one that cannot be read "
            f"({error}); close its quotes"
        ) from error
    finally:
        csv.field_size_limit(limit)


class _Lines:
    """The lines of a file, and the number of the one with which the row that was read last began."""

    def __init__(self, file: Path) -> None:
        self._lines = numbered_lines(file)
        self._number = 0
        self.begun = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self._number = number
            yield line + "\n"

    def begin(self) -> int:
        """The line on which the last row began; the next one begins after it."""
        begun, self.begun = self.begun, self._number + 1
        return begun
