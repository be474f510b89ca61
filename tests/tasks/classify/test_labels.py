"""Labels: found, ordered, decided, and parted."""

import numpy as np
import pytest
import torch

from throughtime.errors import ArgumentTypeError, DataError
from throughtime.tasks.classify.labels import Labels, class_weights, folds


def test_labels_are_found_in_their_order() -> None:
    assert Labels.find(["b", "a", "b"], "auto", "t").names == ["a", "b"]
    assert Labels.find([10, 9, np.int64(2)], "auto", "t").names == [2, 9, 10]
    assert Labels.find(["10", "9", "2"], "one", "t").names == ["10", "2", "9"]
    assert Labels.find(["10", "9", "2"], "ordered", "t").names == ["2", "9", "10"]
    several = Labels.find([["b"], [], ("a", "b")], "auto", "t")
    assert (several.names, several.kind) == (["a", "b"], "several")


def test_a_scale_is_decided_by_its_median() -> None:
    p = torch.tensor([[0.4, 0.0, 0.15, 0.3, 0.15], [0.0, 0.6, 0.0, 0.0, 0.4]])
    stars = Labels([1, 2, 3, 4, 5], "ordered")
    assert stars.named(stars.decide(p)) == [3, 2]
    one = Labels([1, 2, 3, 4, 5], "one")
    assert one.named(one.decide(p)) == [1, 2]
    # The median has the least expected distance of all.
    values = torch.arange(1.0, 6)
    distance = (p.unsqueeze(1) * (values.view(1, 5, 1) - values).abs()).sum(2)
    assert torch.equal(distance.argmin(1) + 1, torch.tensor([3, 2]))


def test_labels_of_a_file_are_those_of_python() -> None:
    labels = Labels([1, 2.5], "one")
    targets, unseen = labels.read(["1", "2.5", "3"], 3, "t", strict=False)
    assert targets.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert unseen == {"3": 1}


def test_parts_have_their_share_of_each_label() -> None:
    targets = torch.nn.functional.one_hot(torch.tensor([0] * 80 + [1] * 20))
    parts = folds(targets, 10, 0, several=False)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert {int(targets[part, 1].sum()) for part in parts} == {2}
    assert not np.array_equal(parts[0], folds(targets, 10, 1, several=False)[0])
    with pytest.raises(DataError, match=r"at least 2 texts, .*got 1"):
        folds(targets[:1], 2, 0, several=False)


def test_balanced_weights_make_labels_count_alike() -> None:
    targets = torch.nn.functional.one_hot(torch.tensor([0] * 6 + [1] * 2))
    weights = class_weights("balanced", Labels(["a", "b"], "one"), targets, "t")
    assert weights is not None
    assert (targets.sum(0) * weights).tolist() == [4.0, 4.0]


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(DataError, match="ordered labels to be numbers, got 'good'"):
        Labels.find(["1", "good"], "ordered", "t")
    with pytest.raises(ArgumentTypeError, match=r"one label a text, got \['a'\] as number 1"):
        Labels.find(["b", ["a"]], "one", "t")
    with pytest.raises(DataError, match="at most 1000 labels, got 1001"):
        Labels.find([str(i) for i in range(1001)], "one", "t")
    with pytest.raises(ArgumentTypeError, match="expected labels in a list, got 'ab'"):
        Labels.find("ab", "one", "t")
