"""Tagged sentences in JSON Lines, CSV and TSV give what columns give, and are refused with their line."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from throughtime.data.text.conll import write_conll
from throughtime.data.text.tagged import read_tagged, read_untagged
from throughtime.errors import DataError

WANT = [(["Ann", "Ives", "saw", '"', "Rome,", "U.S.", "."], ["B-PER", "I-PER", "O", "O", "B-LOC", "B-LOC", "O"]),
        (["Bo", "."], ["B-PER", "O"])]  # fmt: skip


def rows(separator: str, quote: bool) -> list[str]:
    words = [word for tokens, _ in WANT for word in tokens]
    doubled = {word: word.replace('"', '""') for word in words}
    token = {word: f'"{doubled[word]}"' if quote and set(word) & set('",') else word for word in words}
    return [separator.join((str(i), token[t], tag)) for i, s in enumerate(WANT) for t, tag in zip(*s, strict=True)]


FORMS = {
    "a.jsonl": "\n".join(json.dumps({"id": 1, "tokens": t, "tags": g}) for t, g in WANT),
    "a.csv": "\r\n".join(["sentence,token,tag", *rows(",", True)]),
    "b.csv": "Sentence #;Word;Tag\n" + "\n".join(rows(";", True)).replace("0;Ives", ";Ives").replace("1;.", ";."),
    "c.csv": "tokens,tags\n" + "\n".join(f'"{" ".join(t)}",{" ".join(g)}'.replace(' " ', ' "" ') for t, g in WANT),
    "a.tsv": "\n".join(["sentence\ttoken\ttag", *rows("\t", False)]),
    "b.tsv": "token\tlabel\n" + "\n\n".join("\n".join(f"{t}\t{g}" for t, g in zip(*s, strict=True)) for s in WANT),
    "c.tsv": "\n\n".join("\n".join(f"{t}\t{g}" for t, g in zip(*s, strict=True)) for s in WANT),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_every_form_gives_the_same_sentences(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / (name + ending)
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending]
    path.write_bytes(pack(FORMS[name].encode()))
    assert [s[:2] for s in read_tagged(path)] == [tuple(s) for s in WANT]
    write_conll(tmp_path / "again.conll", WANT)
    assert [s[:2] for s in read_tagged(tmp_path / "again.conll")] == [tuple(s) for s in WANT]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('sentence,token,tag,note\n1,a,O,"two\nlines"\n1,b,O,\n2,c,B-X,\n')
    first, second = read_tagged(tmp_path / "a.csv")
    assert (first.line, second.line, second.one_line) == (2, 5, False)
    (tmp_path / "a.jsonl").write_text('\n{"tokens": ["a", "b"], "tags": ["O", "O"]}\n')
    (only,) = read_tagged(tmp_path / "a.jsonl")
    assert [only.line_of(i) for i in (0, 1)] == [2, 2]


def test_texts_with_entities_become_tokens_with_tags(tmp_path: Path) -> None:
    text = "\N{GRINNING FACE} Ann I\u0301ves's  cat\r\nsaw Rome."
    entities = [{"start": 2, "end": 12, "label": "PER", "probability": 0.9}, [24, 28, "LOC"]]
    assert [text[2:12], text[24:28]] == ["Ann I\u0301ves'", "Rome"]
    entities[0]["end"] = 11
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": text, "entities": entities}) + '\n{"text": "", "entities": []}\n')
    (found,) = read_tagged(path)
    pieces = [(t, g) for t, g in zip(found.tokens, found.tags, strict=True) if g != "O"]
    assert pieces == [("Ann", "B-PER"), ("I\u0301ves", "I-PER"), ("Rome", "B-LOC")]
    path.write_text(json.dumps({"text": "在罗马", "entities": [[1, 3, "LOC"]]}))
    assert [s.tags for s in read_tagged(path, rule="characters")] == [["O", "B-LOC", "I-LOC"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "a JSON object on each line, got none"),
        ("a.jsonl", "\n[1]", r"line 2: expected a JSON object, got '\[1\]'"),
        ("a.jsonl", "{", "line 1: expected a JSON object, got '{'"),
        ("a.jsonl", '{"words": []}', "line 1: expected tokens and tags, or text and entities, got 'words'"),
        ("a.jsonl", '{"tokens": ["a"], "tags": [3]}', r"expected tags as a list of text, got \[3\]"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}', "line 1: expected a tag for each of 1 tokens, got 0"),
        ("a.jsonl", '{"tokens": [""], "tags": ["O"]}', "not empty, got '' as number 0"),
        ("a.jsonl", '{"text": "Rome", "entities": [[1, 4, "X"]]}', "of the rule 'words', got 'ome' at 1 in 'Rome'"),
        ("a.jsonl", '{"text": "Rome", "entities": [[0, 9, "X"]]}', "within the 4 characters .*, got 0 to 9"),
        ("a.jsonl", '{"text": "Rome", "entities": ["X"]}', "expected an entity as .*, got 'X'"),
        ("a.jsonl", '{"text": "Rome", "entities": [[0, 4, "X"], [0, 4, "Y"]]}', "not overlap, got 'Rome' at 0"),
        ("a.csv", "", "a header and rows, got an empty file"),
        ("a.csv", "a,b\n1,2\n", "columns token and tag, got 'a', 'b'; name the columns"),
        ("a.csv", "token,token\n", "column names that differ, got 'token' twice"),
        ("a.csv", "token,tag\na,O\nb\n", r"line 3: expected 2 fields as in the header, got 1 \('b'\)"),
        ("a.csv", "token,tag\na,\n", "line 2: expected a token and its tag, got 'a' and ''"),
        ("a.csv", 'token,tag\na,O\n"b,O\n', "line 3: expected a row of 2 fields, .*close its quotes"),
        ("a.csv", "tokens,tags\na b,O\n", "line 2: expected a tag for each of 2 tokens, got 1"),
        ("a.tsv", "a\tO\nb\n", "line 2: expected 2 columns as in the first line, got 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_tagged(tmp_path / name))


def test_texts_without_tags(tmp_path: Path) -> None:
    for name, content, want in (
        ("a.txt", "one, two\n\nthree", ["one, two", "", "three"]),
        ("a.jsonl", '{"text": "one"}\n{"tokens": ["a", "b"]}', ["one", ["a", "b"]]),
        ("a.csv", 'id,text\n1,"one, two"\n', ["one, two"]),
        ("a.tsv", 'text\none "two\n', ['one "two']),
    ):
        (tmp_path / name).write_text(content)
        assert list(read_untagged(tmp_path / name)) == want
    (tmp_path / "a.jsonl").write_text('{"body": "one"}')
    with pytest.raises(DataError, match=r"line 1: expected text in a field 'text', .*got 'body'"):
        list(read_untagged(tmp_path / "a.jsonl"))
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud800"}')
    with pytest.raises(DataError, match=r"line 1: expected text that UTF-8 can hold, got '.ud800' at 1"):
        list(read_untagged(tmp_path / "a.jsonl"))
