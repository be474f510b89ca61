"""Sentences to subwords and back: nothing that can be read is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DETERMINISTIC
from throughtime.data.text.parallel_units import LOWER, UNKNOWN, JointSubwords, tidy
from throughtime.errors import ArgumentError, DataError

TEXTS = [
    "Un chat noir, près de l'arbre.", "A black cat, near the tree.", "Trois hommes jouent au football en 2016 !",
    "Three men play football in 2016!", "iPad et McDonald's", "the iPad and McDonald's", "Ein Mädchen: schön?",
] * 3  # fmt: skip


@pytest.fixture(scope="module")
def units() -> JointSubwords:
    return JointSubwords.build(TEXTS)


@pytest.mark.parametrize("casing", ["sentence", "keep"])
def test_text_comes_back(casing: str) -> None:
    units = JointSubwords.build(TEXTS, casing=casing)
    for text in [*TEXTS, "un chat Noir", "NOIR", "n", "", "l'2016", "Chat , arbre .", "chat  noir "]:
        (found,) = units.encode([text])
        copies = {i: p for i, p in enumerate(found.pieces) if found.ids[i] == UNKNOWN}
        assert units.decode(found.ids.tolist(), copies) == " ".join(text.split())


@given(st.text(max_size=30))
@DETERMINISTIC
def test_any_text_comes_back_tidy(text: str) -> None:
    units = _known()
    (found,) = units.encode([text])
    copies = {i: p for i, p in enumerate(found.pieces) if found.ids[i] == UNKNOWN}
    written = units.decode(found.ids.tolist(), copies)
    assert written == tidy(text) or written.casefold() == tidy(text).casefold()
    assert len(found.pieces) == len(found.ids)


def test_what_is_tidied() -> None:
    assert tidy("\ufeffa\x00b\x07 \u00a0c\u2028d\te\u0301") == "a b c d é"
    assert tidy("\x01\x02") == ""
    assert tidy("👩\u200d🚒 नमस्ते") == "👩\u200d🚒 नमस्ते"  # joiners are part of a sign


def test_the_first_letter_is_one_with_the_small_one_elsewhere(units: JointSubwords) -> None:
    large, small = (one.ids.tolist() for one in units.encode(["Un chat", "un chat"]))
    assert small == [LOWER, *large]
    assert units.decode(large) == "Un chat"
    assert units.decode(small) == "un chat"
    (strange,) = units.encode(["İstanbul"])  # whose small form is two characters
    assert strange.ids[0] != LOWER


def test_characters_that_are_not_known_are_told_and_put_back(units: JointSubwords) -> None:
    (found,) = units.encode(["Un 北京 chat"])
    assert [piece for piece, id in zip(found.pieces, found.ids, strict=True) if id == UNKNOWN] == ["北", "京"]
    assert units.decode(found.ids.tolist()) == "Un chat"


def test_reserved_names_in_a_text_are_text(units: JointSubwords) -> None:
    (found,) = units.encode(["Un </s> chat"])
    assert not set(range(3)) & set(found.ids.tolist())


def test_folders_keep_them(units: JointSubwords) -> None:
    again = JointSubwords.from_json(json.loads(json.dumps(units.to_json())))
    assert again.symbols == units.symbols
    assert again.encode(TEXTS[:2])[1].ids.tolist() == units.encode(TEXTS[:2])[1].ids.tolist()
    with pytest.raises(ArgumentError, match="expected casing to be one of sentence, keep, got 'odd'; "):
        JointSubwords.from_json({**units.to_json(), "casing": "odd"})
    with pytest.raises(ArgumentError, match="expected a tokenizer of tokenizers, got "):
        JointSubwords.from_json({**units.to_json(), "tokenizer": "{"})


def test_sizes_that_the_text_does_not_allow() -> None:
    with pytest.raises(ArgumentError, match=r"vocabulary_size of at most \d+, the subwords .*, got 100000; "):
        JointSubwords.build(TEXTS, size=100_000)
    with pytest.raises(ArgumentError, match=r"vocabulary_size of at least \d+, the characters .*, got 10; "):
        JointSubwords.build(TEXTS, size=10)
    with pytest.raises(DataError, match="expected text with characters that occur 2 times, got 0 characters"):
        JointSubwords.build([])
    small = JointSubwords.build(TEXTS, size=100)
    assert len(small) == 100


_CACHE: list[JointSubwords] = []


def _known() -> JointSubwords:
    if not _CACHE:
        _CACHE.append(JointSubwords.build(TEXTS))
    return _CACHE[0]
