"""Texts in files: what is read, and where a fault stands."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest

from throughtime.data import TextFiles, Texts
from throughtime.data.text import files as reader
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError


def whole(files) -> list[str]:
    """The texts, put together again."""
    texts, parts = [], []
    for piece in files:
        parts.append(piece.text)
        if piece.ends:
            texts.append("".join(parts))
            parts = []
    assert parts == []
    return texts


OPENERS = {"": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@pytest.mark.parametrize("ending", OPENERS)
def test_plain_text_is_one_text_however_it_is_packed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    with OPENERS[ending](path, "wb") as file:
        file.write("\ufeffzwölf\r\nBoxkämpfer\n".encode())
    assert whole(TextFiles(path)) == ["zwölf\nBoxkämpfer\n"]
    assert whole(TextFiles([path, path])) == ["zwölf\nBoxkämpfer\n"] * 2


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_no_character_is_lost_where_blocks_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(reader, "_BLOCK", block)
    text = "aé漢𝄞\r\nz\n\nend"
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    assert whole(TextFiles(path)) == ["aé漢𝄞\nz\n\nend"]
    assert whole(TextFiles(path, lines=True)) == ["aé漢𝄞", "z", "end"]


def test_records_bring_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    records = [{"name": "Anna", "kind": 1}, {"name": "two\nlines", "kind": "b"}]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(map(json.dumps, records)) + "\n\n")
    files = TextFiles(path, text_field="name", label_field="kind")
    assert [(p.text, p.label) for p in files] == [("Anna", "1"), ("two\nlines", "b")]
    assert files.labelled
    assert not TextFiles(path, text_field="name").labelled


@pytest.mark.parametrize("block", [3, 2**20])
@pytest.mark.parametrize(
    ("content", "byte", "place", "line"),
    [
        (b"good\nb\xffd", "0xff", 6, 2),
        (b"caf\xe9 au lait", "0xe9", 3, 1),
        (b"\xef\xbb\xbfa\n\n\x80", "0x80", 6, 3),
        (b"abc\xe6\xbc", "0xe6", 3, 1),
    ],
)
def test_a_byte_that_is_not_utf8_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, content: bytes, byte: str, place: int, line: int
) -> None:
    monkeypatch.setattr(reader, "_BLOCK", block)
    path = tmp_path / "latin.txt"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"latin.txt: expected UTF-8, got the byte {byte} at byte {place} \(line {line}\)"
    ):
        whole(TextFiles(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: expected a JSON object, got '\{'"),
        ("[1]", r"line 2: expected a JSON object, got '\[1\]'"),
        ('{"body": "x"}', "line 2: expected a field 'text', got 'body'"),
        ('{"text": 3}', "line 2: expected text under 'text', got 3"),
        ('{"text": "x", "label": null}', "line 2: expected a label under 'label', got None"),
        ('{"text": "x\\ud800", "label": 1}', r"line 2: expected text that UTF-8 can hold, got '\\ud800' at 1"),
    ],
)
def test_a_wrong_record_is_found(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "fine", "label": 1}}\n{line}\n')
    with pytest.raises(DataError, match=message):
        whole(TextFiles(path, label_field="label"))


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2"])
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_compression_is_refused(tmp_path: Path, ending: str, cut: bool) -> None:
    path = tmp_path / f"a.txt{ending}"
    with OPENERS[ending](path, "wb") as file:
        file.write(b"text " * 1000)
    raw = path.read_bytes()
    path.write_bytes(raw[:-12] if cut else b"no such thing")
    with pytest.raises(DataError, match=f"a.txt{ending}: expected a whole compressed file"):
        whole(TextFiles(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.txt: expected a file to read, got none"):
        TextFiles(tmp_path / "gone.txt")
    with pytest.raises(DataError, match="expected a file, got a folder"):
        TextFiles(tmp_path)
    with pytest.raises(ArgumentError, match="expected one or more files, got none"):
        TextFiles([])
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(
        ArgumentError, match=r"a.txt: expected JSON Lines for labels in the field 'kind', got plain text"
    ):
        TextFiles(tmp_path / "a.txt", label_field="kind")


def test_texts_in_memory_are_checked() -> None:
    with pytest.raises(ArgumentTypeError, match="expected a list of texts, got one text 'abc'"):
        Texts("abc")
    with pytest.raises(ArgumentTypeError, match="expected texts, got 7 as number 1"):
        Texts(["a", 7])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="expected a label for each of the 2 texts, got 1"):
        Texts(["a", "b"], ["x"])
    with pytest.raises(DataError, match=r"text 0: expected text that UTF-8 can hold, got '\\udfff' at 2"):
        Texts(["ab\udfff"])
