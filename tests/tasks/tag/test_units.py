"""Tokens as numbers, and numbers in batches."""

import numpy as np
import pytest
import torch

from throughtime.tasks.tag.batches import TagSource
from throughtime.tasks.tag.units import CASINGS, LONGEST_TOKEN, Forms, TagUnits, casing_of, word_form

SENTENCES = [["Ann", "saw", "3", "cats"], ["Ann", "ran"], ["B-52s"]]


@pytest.mark.parametrize(
    ("token", "casing"),
    [
        ("cat", "lower"), ("Cat", "title"), ("CAT", "upper"), ("A", "title"), ("cAt", "mixed"), ("iPhone", "mixed"),
        ("B-52s", "digits"), ("3", "digits"), ("...", "other"), ("国", "other"), ("", "other"), ("Éva", "title"),
    ],
)  # fmt: skip
def test_casing(token: str, casing: str) -> None:
    assert CASINGS[casing_of(token)] == casing


def test_words_are_lower_case_without_digits_and_unseen_ones_unknown() -> None:
    assert word_form("B-52s") == "b-00s"
    units = TagUnits.build(SENTENCES)
    assert units.word_of("ANN") == units.word_of("ann") > 1
    assert units.word_of("b-77S") == units.word_of("B-52s")
    assert units.word_of("nobody") == 1
    assert units.letters_of("Añ").tolist() == [units.letters["A"], 1]
    assert units.letters_of("").tolist() == []


def test_of_a_long_token_both_ends_are_read() -> None:
    units = TagUnits.build([["a" * 30 + "b" * 30]])
    letters = units.letters_of("a" * 500 + "b" * 500)
    assert len(letters) == LONGEST_TOKEN
    assert letters.tolist() == [units.letters["a"]] * 20 + [units.letters["b"]] * 20


def test_pairs_are_read_where_tokens_are_characters() -> None:
    assert TagUnits.build(SENTENCES).pairs is None
    units = TagUnits.build([list("中国人"), list("中国")])
    assert units.pairs is not None
    assert list(units.pairs) == ["<padding>", "<unk>", "中\n国"], "what occurs once is left out"
    ids = units.encode(list("中国"), Forms(units))
    assert ids.pairs.tolist() == [2, 1]


def test_half_a_surrogate_pair_stays_unknown_so_that_a_folder_can_hold_the_rest() -> None:
    units = TagUnits.build([["a", "\ud800b"], ["a"]])
    assert units.word_of("\ud800b") == 1
    "".join([*units.words, *units.letters]).encode("utf-8")


def test_units_come_back_from_json() -> None:
    for sentences in (SENTENCES, [list("中国人")] * 2):
        units = TagUnits.build(sentences)
        again = TagUnits.from_json(units.to_json())
        assert again.to_json() == units.to_json()
        assert (again.pairs is None) == (units.pairs is None)
    with pytest.raises(ValueError, match="words or letters are missing"):
        TagUnits.from_json(TagUnits.build(SENTENCES).to_json() | {"letters": None})


def test_a_batch_holds_each_form_once_and_each_token_finds_its_own() -> None:
    units = TagUnits.build(SENTENCES)
    source = TagSource.of(SENTENCES, units, [[1, 0, 0, 2], [1, 0], [3]])
    assert source.lengths.tolist() == [4, 2, 1]
    batch = source.batch(torch.tensor([1, 0]))
    assert batch.lengths.tolist() == [2, 4]
    assert batch.words.shape == (4, 2)
    assert batch.letters.shape == (4, 5), "Ann once"
    for column, sentence in ((0, SENTENCES[1]), (1, SENTENCES[0])):
        for t, token in enumerate(sentence):
            form = int(batch.forms[t, column])
            letters = batch.letters[: int(batch.letter_lengths[form]), form].numpy()
            np.testing.assert_array_equal(letters, units.letters_of(token))
            assert int(batch.casings[form]) == casing_of(token)
            assert int(batch.words[t, column]) == units.word_of(token)
    assert batch.words[2:, 0].tolist() == [0, 0]
    assert batch.tags is not None
    assert batch.tags.T.tolist() == [[1, 0, 0, 0], [1, 0, 0, 2]]


def test_the_fingerprint_sees_a_changed_tag() -> None:
    units = TagUnits.build(SENTENCES)
    one = TagSource.of(SENTENCES, units, [[1, 0, 0, 2], [1, 0], [3]])
    same = TagSource.of(SENTENCES, units, [[1, 0, 0, 2], [1, 0], [3]])
    other = TagSource.of(SENTENCES, units, [[1, 0, 0, 2], [1, 1], [3]])
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
