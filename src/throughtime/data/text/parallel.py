"""Sentences with their translations: two files line by line, tables and JSON Lines, also compressed, or lists.

SOURCE TARGET        two files of plain text: line n of one is the translation of line n of the other
.jsonl, .ndjson      an object a line; a field "translation" may hold both, by language
.csv, .tsv           with a header; of .tsv and plain text also columns by number, without one
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from throughtime.data.text.files import check_encodable, check_text_file, numbered_lines
from throughtime.data.text.records import kind_of, records
from throughtime.errors import ArgumentTypeError, DataError

__all__ = ["SOURCE_FIELDS", "TARGET_FIELDS", "Pair", "Pairs", "ParallelFiles", "ParallelTexts", "read_pairs"]

SOURCE_FIELDS, TARGET_FIELDS = ("source", "src"), ("target", "tgt", "translation")


class Pair(NamedTuple):
    """A sentence, its translation, and where they stand."""

    source: str
    target: str
    place: str


class ParallelTexts:
    """Sentences that are in memory, with their translations.

    Raises:
        ArgumentTypeError: something is no text.
        DataError: another number of translations, or text that UTF-8 cannot hold.

    >>> [pair.target for pair in ParallelTexts(["un", "deux"], ["one", "two"])]
    ['one', 'two']
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str], who: str = "ParallelTexts") -> None:
        self.sources, self.targets = read_texts(sources, who), read_texts(targets, who)
        if len(self.sources) != len(self.targets):
            raise DataError(
                f"{who}: expected a translation for each of the {len(self.sources)} sentences, got "
                f"{len(self.targets)}; pass one for each"
            )

    def __iter__(self) -> Iterator[Pair]:
        for number, (source, target) in enumerate(zip(self.sources, self.targets, strict=True)):
            yield Pair(source, target, f"pair {number}")


class ParallelFiles:
    """Sentences in files, read anew at each iteration: they may be larger than memory. UTF-8.

    Args:
        source: a file of lines, or one that holds both sides.
        target: the file of the translations; None: `source` holds both.
        source_field: where a file of both keeps the sentence: a field, or the number of a column, counted from 1, of a
            file without a header. None: a field called source or src.
        target_field: likewise; None: target, tgt or translation.

    Raises:
        DataError: a file is missing. While reading: two files of another number of lines (both numbers are said), a
            field that is not there or holds no text, bytes that are not UTF-8, damaged compression.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str] | None = None,
        *,
        source_field: str | int | None = None,
        target_field: str | int | None = None,
    ) -> None:
        self.source = Path(source)
        self.target = None if target is None else Path(target)
        self.fields = (_number(source_field), _number(target_field))
        for path in (self.source, self.target):
            if path is not None:
                check_text_file(path)
        if self.target is not None and self.fields != (None, None):
            raise DataError(
                f"{self.source}: expected no fields of two files, which are read by lines, got {self.fields}; name "
                "fields of one file that holds both sides"
            )
        if isinstance(self.fields[0], int) != isinstance(self.fields[1], int):
            raise DataError(
                f"{self.source}: expected two names of fields or two numbers of columns, got {self.fields}; give two "
                "of a kind"
            )

    def __iter__(self) -> Iterator[Pair]:
        if self.target is not None:
            return _side_by_side(self.source, self.target)
        if isinstance(self.fields[0], int) and isinstance(self.fields[1], int):
            return _columns(self.source, self.fields[0], self.fields[1])
        return _fields(self.source, self.fields[0], self.fields[1])  # type: ignore[arg-type]


Pairs = ParallelTexts | ParallelFiles


def read_pairs(sources: Any, targets: Any, who: str) -> Pairs:
    """Lists of text, two files, a file of both, or what is pairs already.

    Raises:
        ArgumentTypeError: nothing of these.
        DataError: as the classes.
    """
    if isinstance(sources, ParallelTexts | ParallelFiles):
        if targets is not None:
            raise ArgumentTypeError(
                f"{who}: expected no targets beside {type(sources).__name__}, got {type(targets).__name__}; it has its "
                "own"
            )
        return sources
    if isinstance(sources, os.PathLike):
        if targets is not None and not isinstance(targets, os.PathLike):
            raise ArgumentTypeError(
                f"{who}: expected the path of the targets' file beside a path, got {targets!r:.60}; pass two of a kind"
            )
        return ParallelFiles(sources, targets)
    if targets is None:
        raise ArgumentTypeError(
            f"{who}: expected a translation for each sentence, got none; pass targets, or a file that holds both"
        )
    return ParallelTexts(sources, targets, who)


def read_texts(given: Any, who: str) -> list[str]:
    """A list of texts.

    Raises:
        ArgumentTypeError: something else.
        DataError: text that UTF-8 cannot hold.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentTypeError(f"{who}: expected a list of sentences, got {given!r:.60}; put one sentence in a list")
    found = list(given)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise ArgumentTypeError(f"{who}: expected sentences, got {text!r:.60} as number {number}; pass str")
        check_encodable(text, f"{who}: sentence {number}")
    return found


def _number(field: str | int | None) -> str | int | None:
    """A column's number, where it is one."""
    if isinstance(field, str) and field.isdecimal():
        return int(field)
    return field


def _side_by_side(source: Path, target: Path) -> Iterator[Pair]:
    first, second = numbered_lines(source), numbered_lines(target)
    count = 0
    while True:
        one, two = next(first, None), next(second, None)
        if one is None and two is None:
            return
        if one is None or two is None:
            counts = (
                count + (one is not None) + sum(1 for _ in first),
                count + (two is not None) + sum(1 for _ in second),
            )
            raise DataError(
                f"{source}: expected as many lines as {target}, got {counts[0]} and {counts[1]}; line n of one is the "
                "translation of line n of the other"
            )
        count += 1
        yield Pair(one[1], two[1], f"line {count}")


def _columns(path: Path, source: int, target: int) -> Iterator[Pair]:
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        for column in (source, target):
            if not 1 <= column <= len(cells):
                raise DataError(
                    f"{path}: line {number}: expected a column {column}, got {len(cells)} columns; columns are parted "
                    "by tabs and counted from 1"
                )
        yield Pair(cells[source - 1], cells[target - 1], f"line {number}")


def _fields(path: Path, source: str | None, target: str | None) -> Iterator[Pair]:
    if not kind_of(path):
        raise DataError(
            f"{path}: expected a second file with the translations, or .jsonl, .csv or .tsv with both, got "
            f"{path.name!r} alone; give two files, or the numbers of two columns"
        )
    for record in records(path):
        where = f"{path}: line {record.line}"
        fields = record.fields
        if isinstance(fields.get("translation"), Mapping):
            fields = {**fields, **fields["translation"]}
        yield Pair(
            _text(fields, source, SOURCE_FIELDS, "sentence", where),
            _text(fields, target, TARGET_FIELDS, "translation", where),
            f"line {record.line}",
        )


def _text(fields: Mapping[str, Any], wanted: str | None, known: Sequence[str], what: str, where: str) -> str:
    names = {name.strip().lower(): name for name in fields}
    name = wanted if wanted is not None else next((names[name] for name in known if name in names), None)
    if name is None or name not in fields:
        there = ", ".join(map(repr, fields)) or "none"
        expected = repr(wanted) if wanted is not None else f"of the {what} ({', '.join(known)})"
        raise DataError(f"{where}: expected a field {expected}, got {there}; name the one that holds the {what}")
    text = fields[name]
    if not isinstance(text, str):
        raise DataError(f"{where}: expected text under {name!r}, got {text!r:.60}; correct it")
    check_encodable(text, where)
    return text
