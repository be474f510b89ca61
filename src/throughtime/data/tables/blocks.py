"""Large tables in pieces, each checked as a whole file is, so that a file may be larger than memory."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from throughtime._extras import require
from throughtime.data.tables.csv_text import BOM, choose, find_records, parse_csv, quoted
from throughtime.data.tables.files import Table, is_parquet, open_file
from throughtime.errors import DataError

__all__ = ["read_blocks"]

# Checking and parsing a piece of CSV takes about ten times its size; a piece of Parquet is this many rows.
BLOCK_BYTES, BLOCK_ROWS = 16 << 20, 1 << 20


def read_blocks(path: str | os.PathLike[str], columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Table]:
    """The rows of a file in order, some at a time; where all `columns` are there, with these and the optional alone.

    Raises:
        DataError: as `read_table`, when the piece is reached.
    """
    with open_file(path) as (file, stream):
        if not is_parquet(file):
            yield from _csv_blocks(stream, file, columns, optional)
            return
    yield from _parquet_blocks(file, columns, optional)


def _csv_blocks(stream: BinaryIO, file: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Table]:
    header, rest = b"", b""
    line = 1  # of the file, where `rest` begins
    old_breaks: bool | None = None  # carriage returns alone, as in old files of the Mac
    while True:
        piece = stream.read(BLOCK_BYTES)
        if old_breaks is None:
            piece = piece.removeprefix(BOM)
            old_breaks = b"\n" not in piece
        content = rest + (piece.replace(b"\r", b"\n") if old_breaks else piece)
        end = _end_of_records(content) if piece else len(content)
        block, rest = content[:end], content[end:]
        if not header:
            starts, ends = find_records(block, file) if block else (np.zeros(0), np.zeros(0))
            if starts.size < 2 and piece:
                rest = content  # no row below the header yet
                continue
            frame, lines = parse_csv(block, file, columns, optional)
            yield Table(frame, file, lines)
            header = block[int(starts[0]) : int(ends[0])] + b"\n"
        elif block.strip(b"\r\n"):
            frame, lines = parse_csv(header + block, file, columns, optional, line - 1 - header.count(b"\n"))
            yield Table(frame, file, lines)
        line += block.count(b"\n")
        if not piece:
            return


def _end_of_records(content: bytes) -> int:
    """Where the last whole record ends."""
    inside = quoted(content)
    if inside is None:
        return content.rfind(b"\n") + 1
    whole = np.flatnonzero((np.frombuffer(content, dtype=np.uint8) == ord("\n")) & ~inside)
    return int(whole[-1]) + 1 if whole.size else 0


def _parquet_blocks(file: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Table]:
    pl = require("polars", extra="frames")
    try:
        scan = pl.scan_parquet(file)
        names = scan.collect_schema().names()
        height = scan.select(pl.len()).collect().item()
        chosen = choose(names, columns, optional)
        if chosen is not None:
            scan = scan.select(chosen)
        for first in range(0, max(height, 1), BLOCK_ROWS):
            yield Table(scan.slice(first, BLOCK_ROWS).collect(), file, first_row=first)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        size = file.stat().st_size
        raise DataError(
            f"{file}: expected a Parquet file, got {size} bytes that are not ({reason}); write the file again"
        ) from error
