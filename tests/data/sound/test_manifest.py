"""Tables and folders of clips."""

import pytest

from throughtime.data.sound import read_manifest
from throughtime.errors import ArgumentError, DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "path,text\nsub/a.wav,yes please\nb.wav,no\n"),
        ("c.tsv", "Transcript\taudio\nyes please\tsub/a.wav\nno\tb.wav\n"),
        ("c.jsonl", '{"audio_filepath": "sub/a.wav", "text": "yes please"}\n{"path": "b.wav", "sentence": "no"}\n'),
    ],
)
def test_tables(tmp_path, name, content):
    touch(tmp_path, "sub/a.wav", "b.wav")
    (tmp_path / name).write_text(content)
    found = read_manifest(tmp_path / name)
    assert [(clip.path.relative_to(tmp_path).as_posix(), clip.text) for clip in found] == [
        ("sub/a.wav", "yes please"), ("b.wav", "no"),
    ]  # fmt: skip


def test_every_missing_file_is_named(tmp_path):
    touch(tmp_path, "b.wav")
    (tmp_path / "c.csv").write_text("path,text\na.wav,one\nb.wav,two\nd.wav,three\n")
    with pytest.raises(DataError, match=r"each of the 3 rows, got 2 paths without one: .*a\.wav, .*d\.wav; correct"):
        read_manifest(tmp_path / "c.csv")


def test_a_folder_by_its_names(tmp_path):
    touch(tmp_path, "7_theo_3.flac", "turn_left_ann_12.wav", "readme.txt", "odd.wav")
    found = read_manifest(tmp_path, "{text}_{speaker}_{index}")
    assert [clip.text for clip in found] == ["7", "turn"], "the shortest text that fits"
    assert read_manifest(tmp_path, "{text}_ann_{index}")[0].text == "turn left"


@pytest.mark.parametrize(
    ("content", "pattern", "kind", "message"),
    [
        ("path,text\n", None, DataError, "expected rows of paths and texts, got none"),
        ("path,words\na,b\n", None, DataError, "line 2: expected a text in a field text, got 'path', 'words'"),
        ("path,text\n,b\n", None, DataError, "line 2: expected a path in a field path, got ''"),
        ("path,text\na,b\n", "{text}", ArgumentError, "expected a folder for the pattern '{text}', got a file"),
    ],
)
def test_wrong_tables(tmp_path, content, pattern, kind, message):
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(kind, match=message):
        read_manifest(tmp_path / "c.csv", pattern)


def test_wrong_folders(tmp_path):
    touch(tmp_path, "a.wav", "c.txt")
    with pytest.raises(DataError, match="expected a pattern of the file names beside a folder, got none"):
        read_manifest(tmp_path)
    with pytest.raises(ArgumentError, match=r"expected .text. in it, and each name once, got '.speaker.'"):
        read_manifest(tmp_path, "{speaker}")
    with pytest.raises(DataError, match=r"named like \{text\}_\{index\}, got 1 files, such as 'a\.wav'"):
        read_manifest(tmp_path, "{text}_{index}")
    with pytest.raises(DataError, match=r"expected a table of paths and texts .* got 'c.txt'"):
        read_manifest(tmp_path / "c.txt")
