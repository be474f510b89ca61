"""Tagged sentences in columns: a token a line, its tag last, an empty line between sentences.

Columns are parted by a tab, or else by blanks; a file may have any number of them, the same on every line. `-DOCSTART-`
lines and comments before a sentence (`# text = ...`) are no tokens.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from throughtime._atomic import check_writable, replacing
from throughtime.data.text.files import check_text_file, numbered_lines
from throughtime.errors import DataError

__all__ = ["TaggedSentence", "read_conll", "write_conll"]


class TaggedSentence(NamedTuple):
    """Tokens with a tag each."""

    tokens: list[str]
    tags: list[str]
    line: int = 0
    """Where its first token stands in the file, counted from 1; 0 where there is no file."""
    one_line: bool = False
    """Whether the whole sentence stands on that line; else each token has its own."""

    def line_of(self, position: int) -> int:
        """Where the token at this position stands."""
        return self.line if self.one_line else self.line + position


def read_conll(
    path: str | os.PathLike[str], *, token_column: int = 0, tag_column: int | None = -1
) -> Iterator[TaggedSentence]:
    """The sentences of a file, one after another, so that it may be larger than memory; `.gz`, `.xz`, `.bz2` too.

    Args:
        token_column: where the token stands, counted from 0.
        tag_column: where the tag stands, −1 being the last; None: the file has no tags, and each is O.

    Raises:
        DataError: no file, bytes that are not UTF-8, a line with another number of columns than the first, a column
            that is not there, no sentence at all. The message names the line.
    """
    file = Path(path)
    check_text_file(file)
    return _sentences(file, token_column, tag_column)


def _sentences(file: Path, token_column: int, tag_column: int | None) -> Iterator[TaggedSentence]:
    width = 0
    begun_at, found = 0, False
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in numbered_lines(file):
        # A line of nothing but blanks ends a sentence, too.
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or fields[0] == "-DOCSTART-":
            if tokens:
                yield TaggedSentence(tokens, tags, begun_at)
                tokens, tags = [], []
            continue
        if not tokens and line.startswith("# ") and " = " in line:
            continue
        if not width:
            width = len(fields)
            _check_columns(file, number, width, token_column, tag_column)
        if len(fields) != width:
            raise DataError(
                f"{file}: line {number}: expected {width} columns as in the first line, got {len(fields)} "
                f"({line[:60]!r}); part columns by tabs or blanks alone, sentences by an empty line"
            )
        if not tokens:
            begun_at, found = number, True
        tokens.append(fields[token_column])
        tags.append("O" if tag_column is None else fields[tag_column].strip())
    if tokens:
        yield TaggedSentence(tokens, tags, begun_at)
    if not found:
        raise DataError(f"{file}: expected tagged sentences, got none; write a token and its tag on each line")


def _check_columns(file: Path, line: int, width: int, token_column: int, tag_column: int | None) -> None:
    if tag_column is not None and width < 2:
        raise DataError(
            f"{file}: line {line}: expected a token and a tag, got one column; write a token, a tab and its tag"
        )
    for name, column in (("token_column", token_column), ("tag_column", tag_column)):
        if column is not None and not -width <= column < width:
            raise DataError(
                f"{file}: line {line}: expected a column {column} ({name}), got {width} columns; "
                f"pass one in [{-width}, {width})"
            )


def write_conll(path: str | os.PathLike[str], sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Write tokens and tags as two columns with a tab between, whole or not at all.

    Raises:
        DataError: a place that cannot be written to.
    """
    check_writable(path)
    with replacing(Path(path)) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for tokens, tags in sentences:
            file.writelines(f"{token}\t{tag}\n" for token, tag in zip(tokens, tags, strict=True))
            file.write("\n")
