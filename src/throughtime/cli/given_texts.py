"""Texts as a command is given them: arguments, the lines of standard input, or a file."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from throughtime.errors import ArgumentError, DataError

__all__ = ["STDIN", "encodable", "is_file", "stdin_lines"]

STDIN = "-"


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
