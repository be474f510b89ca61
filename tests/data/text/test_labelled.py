"""Labelled texts from files of every kind: the same whatever they are written in, streamed, and refused by line."""

import gzip
import itertools
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from throughtime.data.text.labelled import read_labelled, read_unlabelled
from throughtime.errors import DataError

TEXTS = ['A "fine", long\nfilm', "schlecht; sehr", "映画\t好"]
LABELS = ["good", "bad", "good"]


def write(path: Path, content: str) -> Path:
    raw = content.encode()
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "wb") as file:
        file.write(raw)
    return path


def jsonl(**names: str) -> str:
    text, label = names.get("text", "text"), names.get("label", "label")
    return "\n".join(json.dumps({text: t, label: n}) for t, n in zip(TEXTS, LABELS, strict=True))


def test_the_same_texts_come_from_every_kind_of_file(tmp_path: Path) -> None:
    quoted = "".join('"{}",{}\n'.format(t.replace('"', '""'), n) for t, n in zip(TEXTS, LABELS, strict=True))
    for path in (
        write(tmp_path / "a.jsonl", jsonl()),
        write(tmp_path / "b.ndjson.xz", jsonl(text="Review", label="SENTIMENT")),
        write(tmp_path / "c.csv.gz", "\ufefftext,label\n" + quoted),
    ):
        found = list(read_labelled(path))
        assert [(row.text, row.label) for row in found] == list(zip(TEXTS, LABELS, strict=True))
    assert [row.line for row in found] == [2, 4, 5]
    tsv = write(tmp_path / "d.tsv", 'stars\tsentence\n5\t"fine\n1\tpoor\n')
    assert [(row.text, row.label) for row in read_labelled(tsv)] == [('"fine', "5"), ("poor", "1")]
    assert [row.text for row in read_unlabelled(tsv)] == ['"fine', "poor"]


def test_fields_can_be_named_and_labels_parted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,what,kinds\n1,first,a|b\n2,second,\n")
    with pytest.raises(DataError, match=r"a.csv: line 2: expected a field of the text \(.*got 'id', 'what', 'kinds'"):
        list(read_labelled(path))
    with pytest.raises(DataError, match="line 3: expected a label under 'kinds', got ''"):
        list(read_labelled(path, text_field="what", label_field="kinds"))
    listed = write(tmp_path / "b.jsonl", '{"text": "x", "label": ["a", 2]}\n{"text": "y", "label": []}')
    assert [row.label for row in read_labelled(listed)] == [["a", 2], []]
    parted = list(read_labelled(path, text_field="what", label_field="kinds", label_separator="|"))
    assert [row.label for row in parted] == [["a", "b"], []]


def test_lines_of_plain_text_are_texts_without_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt.gz", "one\n\nthree")
    assert [row.text for row in read_unlabelled(path)] == ["one", "", "three"]
    with pytest.raises(DataError, match=r"expected labelled texts in a file that ends in \.jsonl"):
        list(read_labelled(path))
    with pytest.raises(DataError, match="no field of the text in plain text, got 'text'"):
        read_unlabelled(path, text_field="text")


def test_a_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "x", "label": 1}\n' * 3 + "broken\n")
    assert len(list(itertools.islice(read_labelled(path), 3))) == 3
    with pytest.raises(DataError, match=r"a.jsonl: line 4: expected a JSON object, got 'broken'"):
        list(read_labelled(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": 3, "label": "a"}', "line 1: expected text under 'text', got 3"),
        ('{"text": "x", "label": null}', "line 1: expected a label under 'label', got None"),
        ('{"text": "x", "label": {"a": 1}}', "line 1: expected a label under 'label', got {'a': 1}"),
        ('{"text": "x"}', r"line 1: expected a field of the label \(label, labels, .*got 'text'"),
        ('{"text": "x", "label": 1}\n{"txt": "y", "label": 1}', "line 2: expected a field of the text"),
    ],
)
def test_records_that_cannot_be_used_are_refused(content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        list(read_labelled(write(tmp_path / "a.jsonl", content)))


def test_bytes_that_are_not_utf_8_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nfine,a\nna\xefve,b\n")
    with pytest.raises(DataError, match=r"expected UTF-8, got the byte 0xef at byte 20 \(line 3\)"):
        list(read_labelled(path))
