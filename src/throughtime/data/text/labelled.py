"""Labelled texts in files: JSON Lines, CSV, TSV and plain text, also compressed.

.jsonl, .ndjson    an object a line with a text and a label, or a list of labels
.csv, .tsv         with a header: a column of texts and one of labels, a text a row
any other ending   lines of a text each, without labels

The field of the text is called `text`, `sentence`, `review`, `content` or `document`, that of the label `label`,
`labels`, `class`, `category`, `sentiment`, `stars` or `rating`, in any case, unless others are named.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from throughtime.data.text.files import check_text_file, numbered_lines
from throughtime.data.text.records import Record, kind_of, records
from throughtime.errors import DataError

__all__ = ["LABEL_FIELDS", "TEXT_FIELDS", "LabelledText", "read_labelled", "read_unlabelled"]

TEXT_FIELDS = ("text", "sentence", "review", "content", "document")
LABEL_FIELDS = ("label", "labels", "class", "category", "sentiment", "stars", "rating")


class LabelledText(NamedTuple):
    """A text, its label, and the line on which its record begins, counted from 1."""

    text: str
    label: Any
    """Text, a number, or a list of them; None where none was asked for."""
    line: int


def read_labelled(
    path: str | os.PathLike[str],
    *,
    text_field: str | None = None,
    label_field: str | None = None,
    label_separator: str | None = None,
) -> Iterator[LabelledText]:
    """The texts of a file with their labels, one after another, so that it may be larger than memory.

    Args:
        text_field: the field or column of the text; None: found by its name.
        label_field: that of the label; None: likewise.
        label_separator: what stands between the labels of a text, of which there may then be several or none; None: a
            text has one, unless the file gives a list.

    Raises:
        DataError: what `records` says of files; plain text, which has no labels; a field that is not there, or that
            holds something else. The message names the line.
    """
    file = Path(path)
    check_text_file(file)
    if not kind_of(file):
        raise DataError(
            f"{file}: expected labelled texts in a file that ends in .jsonl, .csv or .tsv (and .gz, .xz, .bz2), got "
            "plain text; write a table with a column text and a column label"
        )
    text_name: str | None = None
    label_name: str | None = None
    for record in records(file):
        where = f"{file}: line {record.line}"
        if text_name is None or label_name is None or text_name not in record.fields or label_name not in record.fields:
            text_name = _name(record, text_field, TEXT_FIELDS, "text", where)
            label_name = _name(record, label_field, LABEL_FIELDS, "label", where)
        label = record.fields[label_name]
        if label_separator is not None and isinstance(label, str):
            label = [part.strip() for part in label.split(label_separator) if part.strip()]
        _check_label(label, where, label_name)
        yield LabelledText(_text(record.fields[text_name], where, text_name), label, record.line)


def read_unlabelled(path: str | os.PathLike[str], *, text_field: str | None = None) -> Iterator[LabelledText]:
    """The texts of a file, labelled or not: records as `read_labelled`, or the lines of plain text, empty ones too.

    Raises:
        DataError: as `read_labelled`; a text field for plain text.
    """
    file = Path(path)
    check_text_file(file)
    if not kind_of(file):
        if text_field is not None:
            raise DataError(f"{file}: expected no field of the text in plain text, got {text_field!r}; leave it out")
        return (LabelledText(line, None, number) for number, line in numbered_lines(file))
    return _texts(file, text_field)


def _texts(file: Path, text_field: str | None) -> Iterator[LabelledText]:
    name: str | None = None
    for record in records(file):
        where = f"{file}: line {record.line}"
        if name is None or name not in record.fields:
            name = _name(record, text_field, TEXT_FIELDS, "text", where)
        yield LabelledText(_text(record.fields[name], where, name), None, record.line)


def _name(record: Record, wanted: str | None, known: Sequence[str], what: str, where: str) -> str:
    """The field that holds it."""
    by = {name.strip().lower(): name for name in record.fields}
    if wanted is not None:
        found = wanted if wanted in record.fields else None
    else:
        found = next((by[name] for name in known if name in by), None)
    if found is None:
        there = ", ".join(map(repr, record.fields)) or "none"
        expected = repr(wanted) if wanted is not None else f"of the {what} ({', '.join(known)})"
        raise DataError(f"{where}: expected a field {expected}, got {there}; name the one that holds the {what}")
    return found


def _text(value: Any, where: str, name: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: expected text under {name!r}, got {value!r:.60}; correct it")
    return value


def _check_label(value: Any, where: str, name: str) -> None:
    """A label, or a list of them."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | int | float) or one == "":
            raise DataError(f"{where}: expected a label under {name!r}, got {one!r:.60}; give text or a number")
