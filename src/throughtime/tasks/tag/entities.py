"""What a tagger gives back: labelled pieces of text, with their places."""

from collections.abc import Sequence
from typing import NamedTuple

from throughtime.data.text.tokens import Token
from throughtime.tasks.tag.decoding import Found


class Entity(NamedTuple):
    """A labelled piece of a text.

    `text[start:end]` of the text that was given is the piece; of a token list, it is that of the tokens joined by
    blanks.
    """

    text: str
    label: str
    start: int
    """The first character, counted from 0."""
    end: int
    """One past the last character."""
    first: int
    """The first token."""
    last: int
    """The last token, itself in the piece."""
    probability: float
    """That this piece, with just these tokens and this label, is right."""


def entities(text: str, tokens: Sequence[Token], found: Found) -> list[Entity]:
    """The pieces found in a text, in order."""
    made = []
    for piece, probability in zip(found.pieces, found.probabilities, strict=True):
        start, end = tokens[piece.start].start, tokens[piece.end - 1].end
        made.append(Entity(text[start:end], piece.label, start, end, piece.start, piece.end - 1, probability))
    return made


def joined(tokens: Sequence[str]) -> tuple[str, list[Token]]:
    """Tokens as a text with a blank between them, and where each stands in it."""
    places, at = [], 0
    for token in tokens:
        places.append(Token(token, at, at + len(token)))
        at += len(token) + 1
    return " ".join(tokens), places
