"""Tagged sentences as they are given: read, refused, repaired, cut."""

import logging
from pathlib import Path

import numpy as np
import pytest

from throughtime.data.text.conll import TaggedSentence, read_conll
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.tag.sentences import LONGEST, cut, held_out, read_sentences, shortened

PAIRS = [(["Ann", "ran"], ["B-PER", "O"]), (["in", "New", "York"], ["O", "B-LOC", "I-LOC"])]


def test_pairs_and_files_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("".join("".join(f"{a} {b}\n" for a, b in zip(*pair, strict=True)) + "\n" for pair in PAIRS))
    from_file, from_list = read_sentences(path, "T"), read_sentences(PAIRS, "T")
    assert [s[:2] for s in from_file.sentences] == [s[:2] for s in from_list.sentences] == PAIRS
    assert from_file.scheme == from_list.scheme == "BIO"
    arrays = [(np.array(tokens), tuple(tags)) for tokens, tags in PAIRS]
    assert [s[:2] for s in read_sentences(iter(arrays), "T").sentences] == PAIRS
    assert len(read_sentences([*PAIRS, ([], [])], "T").sentences) == 2, "a sentence of nothing is passed over"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (7, ArgumentTypeError, "pairs .tokens, tags. or a path, got 7"),
        (["Ann"], ArgumentTypeError, "sentence 0 .counted from 0.: expected a pair .tokens, tags., got 'Ann'"),
        ([PAIRS[0], ("a", "O")], ArgumentTypeError, "sentence 1 .*tokens as a list of text, got 'a'"),
        ([(["a"], None)], ArgumentTypeError, "tags as a list of text, got None"),
        ([(["a", 3], ["O", "O"])], ArgumentTypeError, r"got \['a', 3\]"),
        ([(["a"], ["O", "O"])], DataError, "a tag for each of 1 tokens, got 2"),
        ([(["a", ""], ["O", "O"])], DataError, "not empty, got '' as number 1"),
        ([], DataError, "tagged sentences, got none"),
        ([PAIRS[0], (["a"], ["PER"])], DataError, "T: sentence 1 .counted from 0.: .*got 'PER'"),
        ("no such file", DataError, "no such file: expected a file to read"),
        ("a\0b", DataError, "a\0b: expected a file to read"),
    ],
)
def test_what_is_no_tagged_sentence_is_refused(given, error, message: str) -> None:
    with pytest.raises(error, match=message):
        read_sentences(given, "T")


def test_a_file_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    for content, message in (
        (b"a O\nb \xff\n", "byte 0xff at byte 6 .line 2"),
        (b"a O\n\nb O\nc\n", "line 4: expected 2 columns as in the first line, got 1"),
        (b"a O\n\nb X-PER\n", "sentence at line 3.*'X-PER'"),
        (b"", "expected tagged sentences, got none"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_sentences(path, "T")


def test_impossible_tags_are_repaired_and_said_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a B-X\nb I-X\n\nc O\nd I-Y\ne B-Y\n")
    with caplog.at_level(logging.WARNING, logger="throughtime.tasks"):
        given = read_sentences(path, "T")
    assert (given.scheme, given.repaired) == ("BIO", 1)
    assert "line 5: I-Y read as B-Y" in caplog.text
    with pytest.raises(DataError, match=r"possible in BIO, got 1 that are not .first, .*line 5: I-Y read as B-Y"):
        read_sentences(path, "T", "BIO")
    with pytest.raises(ArgumentError, match="got 'BOI'"):
        read_sentences(path, "T", "BOI")


def test_a_tenth_is_held_out_by_the_seed() -> None:
    sentences = [TaggedSentence([str(i)], ["O"]) for i in range(40)]
    training, held = held_out(sentences, 3)
    assert (len(training), len(held)) == (36, 4)
    assert sorted(training + held, key=lambda s: int(s.tokens[0])) == sentences
    assert held_out(sentences, 3) == (training, held)
    assert held_out(sentences, 4)[1] != held
    assert [len(part) for part in held_out(sentences[:2], 0)] == [1, 1]
    with pytest.raises(DataError, match=r"at least 2 sentences.*got 1"):
        held_out(sentences[:1], 0)


@pytest.mark.parametrize("ends", [(), (500,), (511,), (512,), (100,), (127, 128), (300, 700, 1100)])
@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 1300])
def test_parts_of_a_long_text_are_short_whole_and_end_where_sentences_end(ends, length: int) -> None:
    tokens = ["." if t in ends else "w" for t in range(length)]
    parts = cut(tokens)
    assert [t for part in parts for t in range(length)[part]] == list(range(length))
    assert all(part.stop - part.start <= LONGEST for part in parts)
    assert all(part.stop > part.start for part in parts) or length == 0
    for part in parts[:-1]:
        window = tokens[part.start + LONGEST // 4 + 1 : part.start + LONGEST]
        assert tokens[part.stop - 1] == "." or "." not in window


def test_a_long_sentence_keeps_its_tags() -> None:
    tokens = ["w"] * 700 + ["."] + ["w"] * 500
    tags = ["O"] * 100 + ["B-X"] + ["O"] * 1100
    parts = shortened([TaggedSentence(tokens, tags, 5)])
    assert [len(part.tokens) for part in parts] == [512, 189, 500]
    assert [tag for part in parts for tag in part.tags] == tags


def test_what_a_reader_gives_is_taken_as_its_file_is(tmp_path: Path) -> None:
    """An empty cell among columns, which a broken character leaves behind, is a token without characters."""
    path = tmp_path / "a.conll"
    path.write_text("a\tO\n\tO\nRome\tB-LOC\n")
    (given,) = read_sentences(path, "fit").sentences
    assert given.tokens == ["a", "", "Rome"]
    assert read_sentences(read_conll(path), "fit").sentences[0][:2] == given[:2]
