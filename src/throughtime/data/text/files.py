"""Texts in files: plain text and JSON Lines, also compressed, read in pieces, so that a file may be larger than memory.

A text is what begins anew: a file of plain text, one of its lines where lines are asked for, a record of JSON Lines.
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["TextFiles", "TextPiece", "Texts", "check_encodable", "check_text_file", "numbered_lines"]

_BLOCK = 2**20  # bytes read at a time
_BOM = codecs.BOM_UTF8
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_RECORDS = (".jsonl", ".ndjson")


class TextPiece(NamedTuple):
    """A part of a text, as long as is convenient to hold."""

    text: str
    ends: bool
    """Whether the text ends with it."""
    label: str | None = None
    """That of the text; the same in each of its pieces."""


class Texts:
    """Texts that are in memory, with a label each or none.

    Raises:
        ArgumentTypeError: something is no text.
        ArgumentError: no text, another number of labels, or text that UTF-8 cannot hold.

    >>> [piece.text for piece in Texts(["one", "two"])]
    ['one', 'two']
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[Any] | None = None, who: str = "Texts") -> None:
        if isinstance(texts, str):
            raise ArgumentTypeError(f"{who}: expected a list of texts, got one text {texts[:40]!r}; put it in a list")
        self.texts = list(texts)
        for i, text in enumerate(self.texts):
            if not isinstance(text, str):
                raise ArgumentTypeError(f"{who}: expected texts, got {text!r} as number {i}; pass str")
            check_encodable(text, f"{who}: text {i}")
        self.labels = None if labels is None else [str(label) for label in labels]
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise ArgumentError(
                f"{who}: expected a label for each of the {len(self.texts)} texts, got {len(self.labels)}; "
                "pass as many labels as texts"
            )

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.labels is not None

    def __iter__(self) -> Iterator[TextPiece]:
        labels = [None] * len(self.texts) if self.labels is None else self.labels
        for text, label in zip(self.texts, labels, strict=True):
            yield TextPiece(text, True, label)


class TextFiles:
    """Texts in files: `.jsonl` and `.ndjson` hold a JSON object a line, any other name plain text; each may also end in
    `.gz`, `.xz` or `.bz2`. UTF-8; line ends become "\\n", a byte order mark is dropped. Read anew at each iteration.

    Args:
        paths: one or more.
        lines: each line of plain text is a text of its own; empty ones are passed over.
        text_field: where a record of JSON Lines keeps its text.
        label_field: where it keeps its label, text or a number; None: there are no labels.

    Raises:
        ArgumentError: no path, or a `label_field` for plain text.
        DataError: a file is missing; while reading, with the place: bytes that are not UTF-8, damaged compression, a
            line that is no JSON object or lacks a field.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        lines: bool = False,
        text_field: str = "text",
        label_field: str | None = None,
    ) -> None:
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        if not given:
            raise ArgumentError("TextFiles: expected one or more files, got none; give a path")
        self.paths = [Path(path) for path in given]
        self.lines = lines
        self.text_field = text_field
        self.label_field = label_field
        for path in self.paths:
            check_text_file(path)
            if label_field is not None and not _holds_records(path):
                raise ArgumentError(
                    f"{path}: expected JSON Lines for labels in the field {label_field!r}, got plain text; "
                    "write a .jsonl file, or leave the labels out"
                )

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.label_field is not None

    def __iter__(self) -> Iterator[TextPiece]:
        for path in self.paths:
            if _holds_records(path):
                yield from self._records(path)
            elif self.lines:
                yield from (TextPiece(line, True) for _, line in numbered_lines(path) if line)
            else:
                for block in _blocks(path):
                    yield TextPiece(block, False)
                yield TextPiece("", True)

    def _records(self, path: Path) -> Iterator[TextPiece]:
        for number, line in numbered_lines(path):
            if not line.strip():
                continue
            where = f"{path}: line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: expected a JSON object, got {line[:40]!r} ({error}); correct it") from error
            if not isinstance(record, dict):
                raise DataError(
                    f"{where}: expected a JSON object, got {line[:40]!r}; write {{{self.text_field!r}: ...}}"
                )
            text = self._field(record, self.text_field, where)
            if not isinstance(text, str):
                raise DataError(f"{where}: expected text under {self.text_field!r}, got {text!r}; correct it")
            check_encodable(text, where)
            label = None
            if self.label_field is not None:
                label = self._field(record, self.label_field, where)
                if not isinstance(label, str | int | float):
                    raise DataError(f"{where}: expected a label under {self.label_field!r}, got {label!r}; correct it")
                label = str(label)
            yield TextPiece(text, True, label)

    @staticmethod
    def _field(record: dict[str, Any], name: str, where: str) -> Any:
        if name not in record:
            fields = ", ".join(map(repr, record)) or "none"
            raise DataError(f"{where}: expected a field {name!r}, got {fields}; name another field")
        return record[name]


def _holds_records(path: Path) -> bool:
    name = path.name.lower()
    for ending in _OPENERS:
        name = name.removesuffix(ending)
    return name.endswith(_RECORDS)


def check_text_file(path: Path) -> None:
    """Refuse what is no file.

    Raises:
        DataError: nothing there, a folder, or no path at all.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path}: expected a file, got a folder; give the files in it")
        if not path.exists():
            raise DataError(f"{path}: expected a file to read, got none; check the path")
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(path)!r}: expected a path, got {error}; check the path") from error


def check_encodable(text: str, where: str) -> None:
    """Half of a surrogate pair can stand in a str and in JSON, but not in a file.

    Raises:
        DataError: there is one.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: expected text that UTF-8 can hold, got {text[error.start]!r} at {error.start}; remove it"
        ) from error


def _blocks(path: Path) -> Iterator[str]:
    """The text of a file in pieces of about a million characters.

    Raises:
        DataError: what `TextFiles` says of bytes and compression.
    """
    opener = _OPENERS.get(path.suffix.lower(), open)
    bytes_before = newlines = 0
    utf8 = codecs.getincrementaldecoder("utf-8")()
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    try:
        with opener(path, "rb") as file:
            last = False
            while not last:
                raw = _read(file, path)
                last = not raw
                if bytes_before == 0 and raw.startswith(_BOM):
                    raw, bytes_before = raw[len(_BOM) :], len(_BOM)
                pending = len(utf8.getstate()[0])
                try:
                    block = decoder.decode(raw, final=last)
                except UnicodeDecodeError as error:
                    found = error.object[error.start]
                    place = bytes_before - pending + error.start
                    line = newlines + error.object[: error.start].count(b"\n") + 1
                    raise DataError(
                        f"{path}: expected UTF-8, got the byte 0x{found:02x} at byte {place} (line {line}), counted "
                        "from 0 and 1; convert the file to UTF-8"
                    ) from error
                bytes_before += len(raw)
                newlines += block.count("\n")
                if block:
                    yield block
    except OSError as error:
        raise DataError(f"{path}: expected a file to read, got {error.strerror or error}; check it") from error


def _read(file: IO[bytes], path: Path) -> bytes:
    try:
        return file.read(_BLOCK)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
        raise DataError(f"{path}: expected a whole compressed file, got {error}; copy it again") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number, counted from 1, without its end."""
    rest, number = "", 0
    for block in _blocks(path):
        *whole, rest = (rest + block).split("\n")
        for line in whole:
            number += 1
            yield number, line
    if rest:
        yield number + 1, rest
