"""Words' vectors that others trained: the text files of GloVe, word2vec and fastText (`.vec`), also compressed.

A line is a word, a blank, and as many numbers as on every other line, parted by blanks. word2vec and fastText write how
many words and how many numbers before the first of them; GloVe does not.

Axes in names: N words, D numbers of a vector.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.text.files import check_text_file, numbered_lines
from throughtime.errors import DataError

__all__ = ["WordVectors", "read_vectors"]


class WordVectors(NamedTuple):
    """Vectors of some words."""

    words: list[str]
    """The forms they are looked up by, in the order of the file."""
    values: NDArray[np.float32]
    """(N, D)"""


def read_vectors(
    path: str | os.PathLike[str],
    words: Collection[str],
    *,
    form: Callable[[str], str] = str,
    first: int = 0,
    size: int | None = None,
) -> WordVectors:
    """The vectors of words that are needed; no others are kept in memory.

    Args:
        words: the forms that are needed.
        form: what a word of the file is looked up by, such as `str.lower`. Of several words of one form, the one that
            is the form itself is taken, else the first, which is the most frequent in the usual files.
        first: so many words at the beginning of the file are needed, too: data to come will hold them.
        size: D, where only one will do.

    Raises:
        DataError: no file, bytes that are not UTF-8, damaged compression, a line with too few numbers, or with
            something that is no finite number; another width than `size`; fewer words than the first line says; none of
            the words that are needed. The message names the line.
    """
    file = Path(path)
    check_text_file(file)
    needed = set(words)
    rows: dict[str, NDArray[np.float32]] = {}
    exact: set[str] = set()
    D, said, count = 0, None, 0
    for number, line in numbered_lines(file):
        line = line.rstrip()  # fastText ends each line with a blank
        blanks = line.count(" ")
        if not line:
            continue
        if not count and said is None:
            header = line.split(" ") if blanks == 1 else []
            is_header = len(header) == 2 and all(field.isdecimal() for field in header)
            D = int(header[1]) if is_header else blanks
            if D < 1 or (size is not None and size != D):
                raise DataError(
                    f"{file}: line {number}: expected vectors of {size or 'so many'} numbers, got {D}; give other "
                    "vectors, or another size"
                )
            if is_header:
                said = int(header[0])
                continue
        count += 1
        if blanks < D:
            raise DataError(
                f"{file}: line {number}: expected a word and {D} numbers, got {blanks} numbers ({line[:40]!r}); "
                "correct the line or leave it out"
            )
        # A few words of the large GloVe files have blanks in them.
        word = line.partition(" ")[0] if blanks == D else line.rsplit(" ", D)[0]
        key = form(word)
        if key not in needed and count > first:
            continue
        if key not in rows or (key == word and key not in exact):
            rows[key] = _numbers(file, number, line.rsplit(" ", D)[1:])
        if key == word:
            exact.add(key)
    if said is not None and count < said:
        raise DataError(
            f"{file}: expected {said} words as its first line says, got {count}; the file is cut off, copy it again"
        )
    if not needed & rows.keys():
        raise DataError(
            f"{file}: expected vectors for some of the {len(needed)} words of the data, got {count} other words; "
            "give vectors of the language of the data"
        )
    return WordVectors(list(rows), np.stack(list(rows.values())))


def _numbers(file: Path, line: int, fields: list[str]) -> NDArray[np.float32]:
    try:
        values_D = np.array([float(field) for field in fields], dtype=np.float32)
    except ValueError as error:
        raise DataError(
            f"{file}: line {line}: expected {len(fields)} numbers after the word, got {error}; correct the line or "
            "leave it out"
        ) from error
    if not np.isfinite(values_D).all():
        wrong = fields[int(np.flatnonzero(~np.isfinite(values_D))[0])]
        raise DataError(
            f"{file}: line {line}: expected finite numbers, got {wrong!r}; correct it or leave the line out"
        )
    return values_D
