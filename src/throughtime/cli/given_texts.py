"""Texts as a command is given them: arguments, the lines of standard input, or a file."""

import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from throughtime.errors import ArgumentError, DataError

__all__ = ["STDIN", "Remembered", "is_file", "texts_of"]

Text = TypeVar("Text")

STDIN = "-"
_FILE = re.compile(r"\S+\.(txt|jsonl?|csv|tsv|parquet|conllu?|bio)(\.(gz|xz|bz2))?", re.IGNORECASE)


class Remembered(Generic[Text]):
    """Texts on their way to a model, each kept until it is answered: `for answer in model.stream(texts)`."""

    def __init__(self, texts: Iterable[Text]) -> None:
        self._texts = iter(texts)
        self._asked: deque[Text] = deque()

    def __iter__(self) -> Iterator[Text]:
        for text in self._texts:
            self._asked.append(text)
            yield text

    def answered(self) -> Text:
        """The first text that has not been asked for here."""
        return self._asked.popleft()


def texts_of(
    words: list[str], read: Callable[[str], Iterator[Text]], at_once: int
) -> tuple[Iterator[str] | Iterator[Text], int]:
    """What a command is to answer: the words, or the file they name, or standard input where they are "-".

    Args:
        read: the texts of a file.
        at_once: texts a model reads before it answers the first.

    Returns:
        The texts; and `at_once`, which is 1 for standard input, where somebody may be waiting.

    Raises:
        ArgumentError: a word that UTF-8 cannot hold, or a file that is not there.
    """
    if words == [STDIN]:
        return stdin_lines(), 1
    if len(words) == 1:
        if is_file(words[0]):
            return read(words[0]), at_once
        if _FILE.fullmatch(words[0]):
            raise ArgumentError(
                f"predict: expected a text or a file that is there, got {words[0]!r}, which is none; check the path, "
                "or pass the text on standard input"
            )
    return iter(encodable(words)), at_once


def is_file(word: str) -> bool:
    """Whether a word is the name of a file that is there."""
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero in it: a text
        return False


def stdin_lines() -> Iterator[str]:
    """The lines of standard input, as they come.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    for number, raw in enumerate(sys.stdin.buffer, start=1):
        try:
            yield raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input: line {number}: expected UTF-8, got the byte 0x{raw[error.start]:02x} at byte "
                f"{error.start} of the line; convert it to UTF-8"
            ) from error


def encodable(words: Sequence[str]) -> list[str]:
    """The words, each of which UTF-8 can hold.

    Raises:
        ArgumentError: one that it cannot.
    """
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ArgumentError(
                f"predict: expected text in UTF-8, got {word[:40]!r}, whose character {error.start} is none; convert it"
            ) from error
    return list(words)
