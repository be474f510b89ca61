"""The baselines: what they are, and that they are no straw men."""

import numpy as np
import pytest
import torch

from throughtime.data.text.conll import TaggedSentence
from throughtime.tasks.tag.baselines import Baselines, LinearTagger, MostFrequentTag, token_features
from throughtime.tasks.tag.schemes import constraints, tag_names

NAMES = tag_names(["LOC", "PER"], "BIOES")
RULES = constraints(NAMES, "BIOES")


def test_the_most_frequent_tag_is_counted_and_the_unseen_gets_none() -> None:
    frequent = MostFrequentTag.count([["a", "b", "a"], ["a", "c", "\ud800"]], [[2, 0, 1], [2, 3, 3]])
    assert frequent.tags == {"a": 2, "c": 3}, "O and what no file can hold are left out"
    assert frequent.predict([["a", "b", "z", "c"], []]) == [[2, 0, 0, 3], []]
    assert MostFrequentTag.count([["a", "a"]], [[3, 1]]).tags == {"a": 1}


def test_features_see_two_neighbours_and_no_other_sentence() -> None:
    sentence = ["w0", "w1", "w2", "w3", "w4", "w5", "w6"]
    whole = token_features([["x", "y"], sentence, ["z"]], 15)
    assert whole.shape[0] == 10
    assert whole.min() >= 0
    assert whole.max() < 2**15
    np.testing.assert_array_equal(whole[2:9], token_features([sentence], 15))
    for changed in range(7):
        other = token_features([[*sentence[:changed], "new", *sentence[changed + 1 :]]], 15)
        differ = (other != whole[2:9]).any(1)
        assert differ.tolist() == [abs(t - changed) <= 2 for t in range(7)]


def test_a_word_before_is_another_feature_than_the_same_word_after() -> None:
    before, after = token_features([["a", "x"]], 15)[1], token_features([["x", "a"]], 15)[0]
    assert len(set(before) & set(after)) <= len(before) - 4


def test_it_learns_from_affixes_and_neighbours_what_a_table_cannot() -> None:
    g = np.random.default_rng(0)

    def sentences(n: int) -> tuple[list[list[str]], list[list[int]]]:
        tokens, tags = [], []
        for _ in range(n):
            stem = "".join(g.choice(list("abcdefgh"), 5))
            kind = g.integers(3)
            word, tag = [(stem + "ville", "S-LOC"), (stem, "S-PER"), (stem, "O")][kind]
            tokens.append([("in", "Mr", "the")[kind], word, "."])
            tags.append([0, NAMES.index(tag), 0])
        return tokens, tags

    tokens, tags = sentences(600)
    linear = LinearTagger.fit(tokens, tags, len(NAMES), 0)
    later, want = sentences(100)
    assert np.mean([a == b for a, b in zip(linear.predict(later, RULES), want, strict=True)]) > 0.97
    frequent = MostFrequentTag.count(tokens, tags).predict(later)
    assert np.mean([a == b for a, b in zip(frequent, want, strict=True)]) < 0.5
    again = LinearTagger.fit(tokens, tags, len(NAMES), 0)
    assert torch.equal(linear.weight_FK, again.weight_FK)
    assert linear.predict([[], ["in", "Aville"], []], RULES)[0] == []
    assert linear.predict([], RULES) == []
    assert linear.predict([[]], RULES) == [[]]


def test_both_come_back_from_their_folder_and_what_does_not_fit_is_refused() -> None:
    sentences = [TaggedSentence(["Ann", "ran"], []), TaggedSentence(["in", "Rome"], [])]
    both = Baselines.fit(sentences, [[8, 0], [0, 4]], len(NAMES), 0)
    tokens = [["Ann", "in", "Rome"], ["x"]]
    fields, tensors = both.to_json(), both.tensors()
    again = Baselines.from_folder(tensors, fields, len(NAMES))
    assert again.predict(tokens, RULES) == both.predict(tokens, RULES)
    assert both.predict(tokens, RULES)["most frequent tag"] == [[8, 0, 4], [0]]
    assert tensors["linear.weight"].dtype == np.float16
    for array, marks in ((tensors["linear.weight"][:-1], fields), (tensors["linear.weight"][:, 1:], fields)):
        with pytest.raises(ValueError, match=r"linear.weight: shape"):
            Baselines.from_folder({"linear.weight": array}, marks, len(NAMES))
    with pytest.raises(ValueError, match="a tag that is not in"):
        Baselines.from_folder(tensors, {"frequent": {"a": 9}}, len(NAMES))


def test_many_tags_get_fewer_buckets() -> None:
    few = LinearTagger.fit([["a"]], [[1]], 5, 0)
    many = LinearTagger.fit([["a"]], [[1]], 200, 0)
    assert len(few.weight_FK) == 2**15
    assert len(many.weight_FK) == 2**12
