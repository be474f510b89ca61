"""Sentences with their translations from lists and files, and each way to give them wrong."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from throughtime.data.text.parallel import ParallelFiles, ParallelTexts, read_pairs
from throughtime.errors import ArgumentTypeError, DataError

PAIRS = [("un chat", "a cat"), ("deux", "two"), ("", "nothing"), ("l'œuf : œufs", "egg; eggs")]


def pairs(given: object) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in given]  # type: ignore[attr-defined]


def test_every_format_gives_the_same_pairs(tmp_path: Path) -> None:
    first, second = tmp_path / "a.fr", tmp_path / "a.en.gz"
    first.write_text("\n".join(source for source, _ in PAIRS) + "\n", encoding="utf-8")
    second.write_bytes(gzip.compress("\n".join(target for _, target in PAIRS).encode()))
    tsv, csv, jsonl, bare = (tmp_path / name for name in ("a.tsv", "a.csv", "a.jsonl.xz", "a.txt"))
    tsv.write_text("".join(f"{a}\t{b}\n" for a, b in [("src", "tgt"), *PAIRS]), encoding="utf-8")
    csv.write_text("".join(f'"{a}","{b}"\n' for a, b in [("Source", "Target"), *PAIRS]), encoding="utf-8")
    records = [{"translation": {"fr": a, "en": b}} for a, b in PAIRS]
    jsonl.write_bytes(lzma.compress("\n".join(map(json.dumps, records)).encode()))
    bare.write_text("".join(f"{b}\tx\t{a}\n" for a, b in PAIRS), encoding="utf-8")
    found = [
        ParallelTexts(*map(list, zip(*PAIRS, strict=True))),
        ParallelFiles(first, second),
        ParallelFiles(tsv),
        ParallelFiles(csv),
        ParallelFiles(jsonl, source_field="fr", target_field="en"),
        ParallelFiles(bare, source_field="3", target_field=1),
    ]
    for each in found:
        assert pairs(each) == PAIRS
        assert pairs(each) == PAIRS  # anew
    assert [pair.place for pair in found[1]] == ["line 1", "line 2", "line 3", "line 4"]


@pytest.mark.parametrize(("source", "target"), [(3, 5), (5, 3), (0, 2), (1, 0)])
def test_files_of_unequal_length_are_refused_with_both_counts(tmp_path: Path, source: int, target: int) -> None:
    first, second = tmp_path / "s", tmp_path / "t"
    first.write_text("a\n" * source)
    second.write_text("b\n" * target)
    with pytest.raises(DataError, match=f"expected as many lines as {second}, got {source} and {target}; "):
        list(ParallelFiles(first, second))


def test_lists_of_unequal_length_are_refused_with_both_counts() -> None:
    with pytest.raises(DataError, match="expected a translation for each of the 2 sentences, got 1; "):
        ParallelTexts(["a", "b"], ["c"])


def test_what_a_file_lacks_is_named(tmp_path: Path) -> None:
    tsv, bare = tmp_path / "a.tsv", tmp_path / "a.txt"
    tsv.write_text("fr\ten\na\tb\n")
    bare.write_text("one\n")
    with pytest.raises(DataError, match=r"line 2: expected a field of the sentence \(source, src\), got 'fr', 'en'; "):
        list(ParallelFiles(tsv))
    with pytest.raises(DataError, match="line 2: expected a field 'de', got 'fr', 'en'; "):
        list(ParallelFiles(tsv, source_field="fr", target_field="de"))
    with pytest.raises(DataError, match=r"expected a second file with the translations.*, got 'a\.txt' alone; "):
        list(ParallelFiles(bare))
    with pytest.raises(DataError, match="line 1: expected a column 2, got 1 columns; "):
        list(ParallelFiles(bare, source_field=1, target_field=2))
    with pytest.raises(DataError, match=r"two names of fields or two numbers of columns, got \(1, 'en'\); "):
        ParallelFiles(bare, source_field=1, target_field="en")
    with pytest.raises(DataError, match=r"expected no fields of two files.*, got \('fr', None\); "):
        ParallelFiles(bare, tsv, source_field="fr")
    with pytest.raises(DataError, match="expected a file to read, got none"):
        ParallelFiles(tmp_path / "none", bare)
    (tmp_path / "n.jsonl").write_text('{"source": "a", "target": 3}\n')
    with pytest.raises(DataError, match="line 1: expected text under 'target', got 3; "):
        list(ParallelFiles(tmp_path / "n.jsonl"))


def test_what_is_no_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match="fit: expected a list of sentences, got 'abc'; "):
        read_pairs("abc", "def", "fit")
    with pytest.raises(ArgumentTypeError, match="fit: expected a translation for each sentence, got none; "):
        read_pairs(["a"], None, "fit")
    with pytest.raises(ArgumentTypeError, match="fit: expected sentences, got 3 as number 1; "):
        read_pairs(["a", 3], ["a", "b"], "fit")
    with pytest.raises(DataError, match=r"fit: sentence 0: expected text that UTF-8 can hold, got '\\ud800' at 1; "):
        read_pairs(["a\ud800"], ["b"], "fit")
    (tmp_path / "a").write_text("x\n")
    with pytest.raises(ArgumentTypeError, match=r"targets' file beside a path, got \['a'\]; "):
        read_pairs(tmp_path / "a", ["a"], "fit")
    with pytest.raises(ArgumentTypeError, match="expected no targets beside ParallelTexts, got list; "):
        read_pairs(ParallelTexts(["a"], ["b"]), ["c"], "fit")
