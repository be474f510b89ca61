"""Notices: what is marked is what the words say, and the same name is a person here and a place there."""

from collections import Counter, defaultdict

import pytest

from throughtime.datasets import NOTICE_LABELS, notices
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.tasks.tag.schemes import misfits, spans


def test_tags_are_bio_and_labels_as_said() -> None:
    found = notices(500, seed=1)
    assert {len(tokens) - len(tags) for tokens, tags in found} == {0}
    assert [misfit for _, tags in found for misfit in misfits(tags, "BIO")] == []
    counts = Counter(piece.label for _, tags in found for piece in spans(tags))
    assert tuple(sorted(counts)) == NOTICE_LABELS
    assert min(counts.values()) > 100
    months = {tokens[i] for tokens, tags in found for i, tag in enumerate(tags) if tag.endswith("DATE")}
    assert {"May", "Tuesday"} <= months
    assert not {"Rail", "Judge"} & months


def test_a_name_is_a_person_or_a_place_by_what_stands_around_it() -> None:
    """Questions differ in their first word alone, seven words and more before the name."""
    labels = defaultdict(set)
    for tokens, tags in notices(4000, seed=2):
        for token, tag in zip(tokens, tags, strict=True):
            if tag != "O":
                labels[token].add(tag[2:])
        if tokens[:3] in (["Who", "was", "it"], ["Where", "was", "it"]):
            assert tags[-2] == ("B-PER" if tokens[0] == "Who" else "B-PLACE")
            assert len(tokens) >= 13
    both = [token for token, found in labels.items() if {"PER", "PLACE"} <= found]
    assert len(both) > 300


def test_the_seed_decides() -> None:
    assert notices(30, seed=1) == notices(30, seed=1) != notices(30, seed=2)
    assert notices(60, seed=1)[:30] == notices(30, seed=1)
    assert notices(0, seed=1) == []
    with pytest.raises(ArgumentError, match=r"notices: .* -1"):
        notices(-1, seed=0)
    with pytest.raises(ArgumentTypeError, match=r"notices: .*'a'"):
        notices(1, seed="a")  # type: ignore[arg-type]
