"""What a command takes for a text, for a file of texts, and for a slip of the finger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from throughtime.cli.given_texts import Remembered, texts_of
from throughtime.errors import ArgumentError


def lines(file: str) -> Iterator[str]:
    return iter(Path(file).read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", ["none.txt", "folder/none.jsonl", "texts.csv.gz", "a.TSV", "b.conll.xz"])
def test_the_name_of_a_file_that_is_not_there_is_no_text(name: str) -> None:
    with pytest.raises(ArgumentError, match="a text or a file that is there") as refused:
        texts_of([name], lines, 8)
    assert name in str(refused.value)


@pytest.mark.parametrize("words", [["See none.txt for more."], ["good", "none.txt"], ["good.", "bad"], ["12.30"]])
def test_what_is_no_name_of_a_file_is_a_text(words: list[str]) -> None:
    texts, at_once = texts_of(words, lines, 8)
    assert list(texts) == words
    assert at_once == 8


def test_a_file_that_is_there_is_read(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("one\ntwo\n", encoding="utf-8")
    assert list(texts_of([str(file)], lines, 8)[0]) == ["one", "two"]


def test_texts_are_remembered_until_they_are_answered() -> None:
    asked = Remembered(["one", "two", "three"])
    reader = iter(asked)
    assert [next(reader), next(reader)] == ["one", "two"]
    assert asked.answered() == "one"
    assert next(reader) == "three"
    assert [asked.answered(), asked.answered()] == ["two", "three"]
