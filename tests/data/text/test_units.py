"""Characters, words and subwords: text to ids and back."""

from collections import Counter

import pytest

from throughtime.data import Texts, Vocabulary
from throughtime.data.text.files import TextPiece
from throughtime.data.text.units import END, UNKNOWN, build_units, units_from_json
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

TEXT = "der Hund \n\n der Zwölfkämpfer 漢字 𝄞 lief . \n der Hund\n"


def pieces_of(text: str, size: int) -> list[TextPiece]:
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    return [*(TextPiece(part, False) for part in parts), TextPiece("", True)]


@pytest.mark.parametrize("unit", ["character", "word", "subword"])
@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_ids_do_not_depend_on_where_text_was_cut(unit: str, size: int) -> None:
    units = build_units(unit, Texts([TEXT]), size=280 if unit == "subword" else None, min_count=1)
    whole = units.encode(TEXT).tolist()
    cut = [i for piece in units.pieces(pieces_of(TEXT, size)) for i in units.encode(piece.text).tolist()]
    assert cut == whole
    assert (
        units.to_json() == build_units(unit, pieces_of(TEXT, size), size=280 if unit == "subword" else None).to_json()
    )


def test_one_long_line_of_words_is_never_held_as_a_whole() -> None:
    units = build_units("word", Texts(["a b"]))
    line = "ab cde \u2003f" * 50
    found = [piece.text for piece in units.pieces(pieces_of(line, 6))]
    assert "".join(found) == line
    assert max(map(len, found)) <= 6 + len("fab")


@pytest.mark.parametrize("unit", ["character", "subword"])
def test_text_comes_back_as_it_was(unit: str) -> None:
    units = build_units(unit, Texts([TEXT]), size=280 if unit == "subword" else None)
    assert units.decode(units.encode(TEXT)) == TEXT
    again = units_from_json(units.to_json())
    assert again.encode(TEXT).tolist() == units.encode(TEXT).tolist()


def test_words_come_back_with_single_blanks() -> None:
    units = build_units("word", Texts([TEXT]))
    assert units.decode(units.encode(TEXT)) == "der Hund\n\nder Zwölfkämpfer 漢字 𝄞 lief .\nder Hund\n"
    assert units.vocabulary.symbols[:4] == (END, UNKNOWN, "\n", "der")
    assert units_from_json(units.to_json()).decode(units.encode("der Hund")) == "der Hund"


def test_any_text_can_be_written_in_subwords_and_reserved_symbols_are_text_there() -> None:
    units = build_units("subword", Texts(["abc abd"]), size=260)
    for text in ("ganz neu: 漢𝄞", f"a{END}b{UNKNOWN}c"):
        ids = units.encode(text).tolist()
        assert units.decode(ids) == text
        assert units.end not in ids
        assert units.unknown not in ids


def test_counts_are_those_of_the_text() -> None:
    units = build_units("character", pieces_of(TEXT, 7))
    counts = Counter(TEXT)
    assert set(units.vocabulary.symbols[2:]) == set(counts)
    ranks = [counts[symbol] for symbol in units.vocabulary.symbols[2:]]
    assert ranks == sorted(ranks, reverse=True)


def test_the_rare_and_the_unseen_are_unknown() -> None:
    units = build_units("word", Texts(["a a b b c"]), min_count=2)
    assert units.encode("a c d").tolist() == [units.vocabulary["a"], units.unknown, units.unknown]
    assert units.unseen("b a\n c a") == ("\n", 3)
    assert units.unseen("b a c") == ("c", 4)
    letters = build_units("character", Texts(["aab"]))
    assert letters.unseen("abba, c") == (",", 4)
    assert letters.unseen("abba") is None
    assert letters.encode("a?").tolist() == [letters.vocabulary["a"], letters.unknown]


@pytest.mark.parametrize(
    ("unit", "text", "options", "error", "message"),
    [
        ("character", "", {}, DataError, "at least 2 different characters, got none"),
        ("word", " \t ", {}, DataError, "at least 2 different words, got none"),
        ("character", "aaaa", {}, DataError, "at least 2 different characters, got 'a' alone"),
        ("word", "ha ha", {}, DataError, "at least 2 different words, got 'ha' alone"),
        ("character", "abc", {"size": 4}, ArgumentError, "vocabulary_size of at most 3, .* got 4"),
        ("word", "a b", {"size": 30}, ArgumentError, "vocabulary_size of at most 2, .* got 30"),
        ("subword", "abc abc", {"size": 5000}, ArgumentError, "vocabulary_size of at most 26., .* got 5000"),
        ("subword", "abc abc", {"size": 100}, ArgumentError, "at least 258 subwords, .* got 100"),
        ("word", "a b", {"min_count": 3}, DataError, r"a word that occurs 3 times \(min_count\), got at most 1"),
    ],
)
def test_text_that_gives_no_vocabulary_is_refused(unit, text, options, error, message) -> None:
    with pytest.raises(error, match=message):
        build_units(unit, Texts([text]), **options)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unit": "letter", "symbols": [END, UNKNOWN, "a"], "unknown": UNKNOWN}, "got 'letter'; copy"),
        ({"unit": "character", "symbols": ["a", "b"], "unknown": "a"}, r"got \('a', 'b'\); copy"),
        ({"unit": "character", "symbols": [END, UNKNOWN, "ab"], "unknown": UNKNOWN}, "got 'ab'; copy"),
        ({"unit": "subword", "tokenizer": "{}"}, "a tokenizer of tokenizers, got .*; copy"),
    ],
)
def test_a_wrong_vocabulary_is_refused(fields, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        units_from_json(fields)


def test_a_vocabulary_checks_its_symbols() -> None:
    with pytest.raises(ArgumentError, match="expected each symbol once, got 'a' again"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ArgumentTypeError, match="expected text as symbols, got 3"):
        Vocabulary(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"unknown to be one of the symbols, got '\?'"):
        Vocabulary(["a"], unknown="?")
    with pytest.raises(ArgumentError, match="expected symbols that are known, got 'z'"):
        Vocabulary(["a"]).ids(["a", "z"])
    assert list(Vocabulary.build({"a": 1, "b": 3}, size=1)) == ["b"]
