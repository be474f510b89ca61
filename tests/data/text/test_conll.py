"""Tagged sentences in columns."""

import gzip
import lzma
from pathlib import Path

import pytest

from throughtime.data.text.conll import TaggedSentence, read_conll, write_conll
from throughtime.errors import DataError

TEXT = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n \n# text = x\n# NN B-NP O\n"
READ = [TaggedSentence(["EU", "rejects"], ["I-ORG", "O"], 3), TaggedSentence(["#"], ["O"], 8)]


@pytest.mark.parametrize("name", ["a.conll", "a.txt.gz", "a.xz"])
def test_columns(tmp_path: Path, name: str) -> None:
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(Path(name).suffix, open)
    with opener(tmp_path / name, "wb") as file:  # type: ignore[operator]
        file.write(TEXT.replace("\n", "\r\n").encode())
    assert list(read_conll(tmp_path / name)) == READ
    assert next(read_conll(tmp_path / name, tag_column=1)).tags == ["NNP", "VBZ"]
    assert next(read_conll(tmp_path / name, tag_column=None)).tags == ["O", "O"]


def test_a_token_may_hold_blanks_where_tabs_part(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("New York\tB-LOC\n\u3000\tO\n")
    assert list(read_conll(tmp_path / "a")) == [TaggedSentence(["New York", "\u3000"], ["B-LOC", "O"], 1)]


def test_written_and_read(tmp_path: Path) -> None:
    write_conll(tmp_path / "b", [(s.tokens, s.tags) for s in READ])
    assert [s[:2] for s in read_conll(tmp_path / "b")] == [s[:2] for s in READ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb\n", r"line 2: expected 2 columns as in the first line, got 1 \('b'\)"),
        ("a O\n\nb X O\n", r"line 3: expected 2 columns .*, got 3 \('b X O'\)"),
        ("word\n", r"line 1: expected a token and a tag, got one column"),
        ("\n \n", r"expected tagged sentences, got none"),
        ("", r"expected tagged sentences, got none"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad").write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_conll(tmp_path / "bad"))


def test_bad_columns_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\n")
    with pytest.raises(DataError, match=r"line 1: expected a column 2 \(token_column\), got 2 columns"):
        list(read_conll(tmp_path / "a", token_column=2))
    (tmp_path / "a").write_bytes(b"a O\n\xff O\n")
    with pytest.raises(DataError, match=r"expected UTF-8, got the byte 0xff .*line 2"):
        list(read_conll(tmp_path / "a"))
    with pytest.raises(DataError, match=r"expected a file to read, got none"):
        read_conll(tmp_path / "none")
