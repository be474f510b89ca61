"""Tag schemes: every pair of schemes round-trips, and the constraints are exactly the tags that round-trip."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import ArgumentError
from throughtime.tasks.tag.schemes import (
    SCHEMES,
    Misfit,
    Span,
    constraints,
    continues,
    convert,
    detect,
    misfits,
    spans,
    split_tag,
    tag_names,
    tags_of,
)

WRITTEN = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-PER"],
    "BIO": ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "B-PER"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC", "S-PER"],
    "BMES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC", "S-PER"],
}
PIECES = [Span(0, 2, "PER"), Span(2, 3, "PER"), Span(4, 5, "LOC"), Span(5, 6, "PER")]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sentence_by_hand(scheme: str) -> None:
    assert spans(WRITTEN[scheme]) == PIECES
    assert tags_of(PIECES, 6, scheme) == WRITTEN[scheme]
    for other in SCHEMES:
        assert convert(WRITTEN[scheme], other) == WRITTEN[other]


@st.composite
def pieces(draw: st.DrawFn) -> tuple[list[Span], int]:
    sizes = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from("XY")), max_size=5))
    made, at = [], 0
    for gap, size, label in sizes:
        made.append(Span(at + gap, at + gap + size, label))
        at += gap + size
    return made, at + draw(st.integers(0, 2))


@given(pieces(), st.sampled_from(SCHEMES))
def test_pieces_come_back(made: tuple[list[Span], int], scheme: str) -> None:
    found, length = made
    tags = tags_of(found, length, scheme)
    assert spans(tags) == found
    assert list(misfits(tags, scheme)) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_constraints_allow_exactly_what_the_scheme_writes(scheme: str) -> None:
    """Of all tag sequences of up to four tokens, those without a misfit."""
    names = tag_names(["X", "Y"], scheme)
    allowed = constraints(names, scheme)
    for length in (1, 2, 3, 4) if len(names) < 6 else (1, 2, 3):
        every = list(itertools.product(range(len(names)), repeat=length))
        possible = allowed.possible(torch.tensor(every).T).tolist()
        assert possible == [not any(misfits([names[k] for k in tags], scheme)) for tags in every]
        assert any(possible)
        assert not all(possible)


def test_detect() -> None:
    assert detect([["O", "I-A"], ["I-A", "B-A"]]) == "IOB1"
    assert detect([["O", "B-A"], ["B-A", "I-A"]]) == "BIO"
    assert detect([["O", "B-A", "I-A", "E-A"]]) == "BIOES"
    assert detect([["B-A", "M-A", "E-A"]]) == "BMES"
    assert detect([["O"], []]) == "BIO"
    # one slip does not make it another scheme
    assert detect([["B-A", "O", "B-A", "O"], ["O", "I-A"]]) == "BIO"


def test_the_repair_rule() -> None:
    assert list(misfits(["O", "I-A", "I-B"], "BIO")) == [Misfit(1, "I-A", "B-A"), Misfit(2, "I-B", "B-B")]
    assert spans(["E-A", "E-A", "I-A", "B-A"]) == [Span(0, 1, "A"), Span(1, 2, "A"), Span(2, 3, "A"), Span(3, 4, "A")]
    assert [m.read_as for m in misfits(["B-A", "O", "M-A"], "BMES")] == ["S-A", "S-A"]


def test_what_would_make_a_piece_longer() -> None:
    names = tag_names(["X", "Y"], "BIO")
    assert names == ["O", "B-X", "I-X", "B-Y", "I-Y"]
    assert continues(names, "BIO") == [-1, 2, 2, 4, 4]
    assert continues(tag_names(["X"], "BIOES"), "BIOES") == [-1] * 5


def test_a_label_may_hold_hyphens() -> None:
    assert split_tag("B-creative-work") == ("B", "creative-work")


@pytest.mark.parametrize("tag", ["PER", "B-", "X-PER", "", "b-PER", "I_PER"])
def test_no_tag(tag: str) -> None:
    with pytest.raises(ArgumentError, match=f"got '{tag}'"):
        split_tag(tag)


def test_bad_pieces() -> None:
    with pytest.raises(ArgumentError, match=r"got \(1, 3, 'X'\) after \(0, 2, 'X'\)"):
        tags_of([Span(0, 2, "X"), Span(1, 3, "X")], 4, "BIO")
    with pytest.raises(ArgumentError, match=r"within 2 tokens, got \(1, 3, 'X'\)"):
        tags_of([Span(1, 3, "X")], 2, "BIO")
    with pytest.raises(ArgumentError, match=r"got 'BILOU'"):
        tags_of([], 2, "BILOU")
