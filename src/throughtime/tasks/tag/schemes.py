"""Tag schemes: how the tags of tokens say where a piece of text with a label begins and ends.

    IOB1    I-X inside, and B-X only where a piece follows another of the same label
    BIO     B-X first, I-X after it
    BIOES   B-X first, I-X inside, E-X last, S-X alone
    BMES    BIOES with the letter M for I

`O` is outside. In a tag, all that comes after the first hyphen is the label.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from throughtime.errors import ArgumentError
from throughtime.nn import TagConstraints

SCHEMES = ("IOB1", "BIO", "BIOES", "BMES")
OUTSIDE = "O"

# The letters of each scheme, in the senses of BIOES.
_LETTERS = {"IOB1": "BIII", "BIO": "BIIB", "BIOES": "BIES", "BMES": "BMES"}


class Span(NamedTuple):
    """A labelled piece of a token list: tokens `start` to `end`, the end not included."""

    start: int
    end: int
    label: str


class Misfit(NamedTuple):
    """A tag that a scheme does not allow where it stands, and what the repair rule reads in its place."""

    position: int
    tag: str
    read_as: str


def split_tag(tag: str) -> tuple[str, str]:
    """Letter and label of a tag: ("B", "PER") of "B-PER", ("O", "") of "O".

    Raises:
        ArgumentError: the tag is neither O nor a letter of a scheme, a hyphen and a label.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    letter, hyphen, label = tag.partition("-")
    if letter not in ("B", "I", "M", "E", "S") or not hyphen or not label:
        raise ArgumentError(
            f"tags: expected O, or a letter of B, I, M, E, S with a hyphen and a label (B-PER), got {tag!r}; "
            "write tags in IOB1, BIO, BIOES or BMES"
        )
    return letter, label


def spans(tags: Sequence[str]) -> list[Span]:
    """The labelled pieces of a tag sequence in any scheme, impossible ones too.

    The repair rule is conlleval's: a piece begins at B and S, and at any other letter that does not continue one of the
    same label; it ends after E and S, and where the next tag does not continue it.
    """
    found: list[Span] = []
    begun, open_label = 0, ""  # of the piece that is open; no label: none is
    for position, tag in enumerate(tags):
        letter, label = split_tag(tag)
        if open_label and (label != open_label or letter in ("B", "S")):
            found.append(Span(begun, position, open_label))
            open_label = ""
        if label and not open_label:
            begun, open_label = position, label
        if letter in ("E", "S"):
            found.append(Span(begun, position + 1, label))
            open_label = ""
    if open_label:
        found.append(Span(begun, len(tags), open_label))
    return found


def tags_of(pieces: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of `length` tokens with these pieces, in a scheme.

    Raises:
        ArgumentError: pieces that overlap, are empty or reach beyond the tokens; an unknown scheme.
    """
    first, inside, last, single = tuple(_letters(scheme))
    tags = [OUTSIDE] * length
    before = Span(0, 0, "")
    for piece in sorted(pieces):
        if not before.end <= piece.start < piece.end <= length:
            raise ArgumentError(
                f"tags: expected pieces that follow one another within {length} tokens, got {tuple(piece)} after "
                f"{tuple(before)}; drop one of two that overlap"
            )
        if scheme == "IOB1":
            touches = before.end == piece.start and before.label == piece.label
            first = single = "B" if touches else "I"
        letters = [single] if piece.end - piece.start == 1 else [first, *inside * (piece.end - piece.start - 2), last]
        tags[piece.start : piece.end] = [f"{letter}-{piece.label}" for letter in letters]
        before = piece
    return tags


def convert(tags: Sequence[str], scheme: str) -> list[str]:
    """The same pieces in another scheme."""
    return tags_of(spans(tags), len(tags), scheme)


def misfits(tags: Sequence[str], scheme: str) -> Iterator[Misfit]:
    """Where tags are not what the scheme would write for the pieces that the repair rule reads."""
    for position, (tag, right) in enumerate(zip(tags, convert(tags, scheme), strict=True)):
        if tag != right:
            yield Misfit(position, tag, right)


def detect(sentences: Iterable[Sequence[str]]) -> str:
    """The scheme that tag sequences are written in.

    E and S tell BIOES, M tells BMES; between BIO and IOB1 the one with fewer misfits is taken, BIO where nothing tells.

    >>> detect([["I-LOC", "I-LOC", "O"]]), detect([["B-LOC", "I-LOC", "O"]]), detect([["S-LOC"]])
    ('IOB1', 'BIO', 'BIOES')
    """
    read = list(sentences)
    letters = {split_tag(tag)[0] for tags in read for tag in tags}
    if "M" in letters:
        return "BMES"
    if letters & {"E", "S"}:
        return "BIOES"
    return min(("BIO", "IOB1"), key=lambda scheme: sum(1 for tags in read for _ in misfits(tags, scheme)))


def tag_names(labels: Sequence[str], scheme: str) -> list[str]:
    """Every tag that a scheme has for these labels, O first."""
    letters = list(dict.fromkeys(_letters(scheme)))
    return [OUTSIDE, *(f"{letter}-{label}" for label in labels for letter in letters)]


def constraints(names: Sequence[str], scheme: str) -> TagConstraints:
    """Which tags may begin, follow one another and end, for tags with these names.

    In IOB1 a B may only come right after a piece of its own label; in BIO an I only inside one; in BIOES and BMES what
    B opens, E closes.
    """
    _letters(scheme)
    split = [split_tag(name) for name in names]
    return TagConstraints(
        [[_may_follow(scheme, before, after) for after in split] for before in split],
        [_may_follow(scheme, (OUTSIDE, ""), after) for after in split],
        [_may_follow(scheme, before, (OUTSIDE, "")) for before in split],
    )


def continues(names: Sequence[str], scheme: str) -> list[int]:
    """For each tag, the number of the tag that would make a piece ending with it longer; −1 where none would.

    In BIO that is I-X after B-X and I-X. After E and S, and after O, none does; B and an inner letter of BIOES end
    nothing.
    """
    if scheme in ("BIOES", "BMES"):
        return [-1] * len(names)
    number = {name: index for index, name in enumerate(names)}
    split = [split_tag(name) for name in names]
    return [number.get(f"I-{label}", -1) if label else -1 for _, label in split]


def _may_follow(scheme: str, before: tuple[str, str], after: tuple[str, str]) -> bool:
    (letter, label), (next_letter, next_label) = before, after
    if scheme in ("BIOES", "BMES"):
        is_open = letter in ("B", "I", "M")
        goes_on = next_letter in ("I", "M", "E")
        return is_open == goes_on and (not is_open or label == next_label)
    inner = letter != OUTSIDE and label == next_label
    if scheme == "BIO":
        return next_letter != "I" or inner
    return next_letter != "B" or inner


def _letters(scheme: str) -> str:
    if scheme not in SCHEMES:
        raise ArgumentError(f"tags: expected a scheme of {', '.join(SCHEMES)}, got {scheme!r}; pass one of these")
    return _LETTERS[scheme]
