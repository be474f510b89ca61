"""Stretches of one label, with and without the future."""

import numpy as np
import pytest

from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.recognize import grouped_folds
from throughtime.tasks.recognize.segments import Smoother, find_segments, matched, smoothed


def sure(numbers, p=0.9):
    p_TK = np.full((len(numbers), 2), 1 - p)
    p_TK[np.arange(len(numbers)), numbers] = p
    return p_TK


def test_segments_cover_the_recording_and_short_ones_go():
    numbers = [0] * 10 + [1] * 2 + [0] * 8 + [1] * 10
    times = np.arange(30) / 10
    found = find_segments(sure(numbers), times, ["a", "b"], 0.0, 0.0)
    assert [(s.start, s.end, s.label) for s in found] == [
        (0.0, 1.0, "a"), (1.0, 1.2, "b"), (1.2, 2.0, "a"), (2.0, 2.9, "b"),
    ]  # fmt: skip
    longer = find_segments(sure(numbers), times, ["a", "b"], 0.0, 0.5)
    assert [(s.start, s.end, s.label) for s in longer] == [(0.0, 2.0, "a"), (2.0, 2.9, "b")]
    assert longer[0].confidence == pytest.approx((18 * 0.9 + 2 * 0.1) / 20)
    assert [s.label for s in find_segments(sure(numbers), times, ["a", "b"], 0.7, 0.0)] == ["a", "b"]
    assert find_segments(sure([1]), np.zeros(1), ["a", "b"], 1.0, 1.0)[0].label == "b"


def test_smoothing_looks_both_ways_and_the_smoother_does_not():
    p_TK = sure([0] * 10 + [1] * 10)
    times = np.arange(20) / 10
    assert smoothed(p_TK, times, 0.5)[9, 1] > p_TK[9, 1], "what comes is seen"
    for future in (0, 1):
        later = np.concatenate((p_TK[:12], sure([future] * 8)))
        smoother = Smoother(0.3, 0.2)
        told = [smoother.feed(p.copy(), t) for p, t in zip(later, times, strict=True)][:12]
        if future == 0:
            before = told
    assert told == before, "what comes later changes nothing that was said"


def test_the_smoother_changes_its_mind_for_a_reason():
    smoother, times = Smoother(0.0, 0.35), np.arange(12) / 10
    numbers = [0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]
    found = [smoother.feed(p, t)[0] for p, t in zip(sure(numbers), times, strict=True)]
    assert found == [0] * 10 + [1] * 2
    soft = Smoother(0.2, 0.0)
    said = [soft.feed(p.copy(), t)[1] for p, t in zip(sure([0, 1, 1]), times, strict=False)]
    a = 1 - np.exp(-0.5)
    assert said[1] == pytest.approx(0.9 + a * (0.1 - 0.9))


def test_matched_counts_each_true_segment_once():
    true = np.array([0] * 10 + [1] * 10)
    assert matched(true, true) == (2, 2, 2)
    assert matched(true, np.array([0] * 4 + [1] * 2 + [0] * 4 + [1] * 10)) == (1, 4, 2), "pieces of less than half"
    assert matched(true, np.array([0] * 14 + [1] * 6)) == (2, 2, 2)
    assert matched(true, np.array([1] * 10 + [0] * 10)) == (0, 2, 2)


def test_folds_part_no_group_and_share_labels():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20, 300)
    labels = (groups % 4 == 0).astype(int)
    parts = grouped_folds(groups, labels, 5, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    assert sum(len({*groups[part]}) for part in parts) == len({*groups})
    shares = [labels[part].mean() for part in parts]
    assert min(shares) > 0.5 * labels.mean()
    assert max(shares) < 1.7 * labels.mean()
    with pytest.raises(DataError, match="at least 3 groups, got 2"):
        grouped_folds(["a", "b"], [0, 1], 3)
    with pytest.raises(ArgumentError, match="expected 2 labels, got 1"):
        grouped_folds(["a", "b"], [0], 2)
