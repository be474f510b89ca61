"""The symbols that a net tells: characters, words or subwords, and the blank, which is number 0.

The units are those of texts (`throughtime.data.text.units`), whose END, number 0, is never said: the blank.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from throughtime.data.text.files import TextPiece
from throughtime.data.text.units import UNITS, TextUnits, build_units
from throughtime.errors import DataError

__all__ = ["BLANK", "SpokenWord", "check_spelled", "learn_units", "plain", "spoken_words"]

BLANK = 0
_FEW_WORDS, _OFTEN = 60, 8  # words that are symbols by themselves: so few, each heard so often on average


class SpokenWord(NamedTuple):
    """A word, and which symbols of a sequence it is made of: from `first` up to `last`, that one included."""

    text: str
    first: int
    last: int


def plain(text: str, *, lower: bool) -> str:
    """A transcript with one blank between words, and without capitals where that is asked for."""
    text = " ".join(text.split())
    return text.lower() if lower else text


def learn_units(unit: str, texts: Sequence[str], *, alphabet: str | None, size: int | None, who: str) -> TextUnits:
    """The units of transcripts.

    Args:
        unit: one of `UNITS`, or "auto": words where there are few and each is frequent, else characters.
        alphabet: all characters that may occur; None: those that do.
        size: how many symbols at most.

    Raises:
        DataError: transcripts without text, or with a character that is not in the alphabet.
        ArgumentError: a `size` that the transcripts have no symbols for.
    """
    words = [word for text in texts for word in text.split()]
    if not words:
        raise DataError(f"{who}: expected transcripts with words, got {len(texts)} empty ones; give what is said")
    if unit == "auto":
        few = len({*words}) <= _FEW_WORDS and len(words) >= _OFTEN * len({*words})
        unit = "word" if few and alphabet is None else "character"
    assert unit in UNITS
    if alphabet is not None:
        # Each character of the alphabet has its number, whether it occurs or not.
        texts = [*texts, *alphabet]
    pieces = [TextPiece(text, True) for text in texts]
    if unit == "word" and len({*words}) == 1:
        pieces.append(TextPiece("<other>", True))  # units want two
    return build_units(unit, pieces, size=size, who=who)


def check_spelled(units: TextUnits, text: str, who: str, alphabet: str | None = None) -> None:
    """Refuse a transcript that cannot be told.

    Raises:
        DataError: a character or a word that the units do not have.
    """
    if alphabet is not None:
        odd = next((c for c in text if c not in alphabet and c != " "), None)
        if odd is not None:
            raise DataError(
                f"{who}: expected the characters {alphabet!r:.60}, got {odd!r} in {text!r:.60}; correct the transcript "
                "or add it to the alphabet"
            )
    unseen = units.unseen(text)
    if unseen is not None:
        raise DataError(
            f"{who}: expected {units.name}s of the training transcripts, got {unseen[0]!r} in {text!r:.60}; correct "
            "it, or train with it"
        )


def spoken_words(units: TextUnits, ids: Sequence[int]) -> list[SpokenWord]:
    """The words that symbols spell, and where each lies in them."""
    write: Any = units.writer()
    found: list[SpokenWord] = []
    letters, first, last = "", 0, 0

    def end() -> None:
        if letters:
            found.append(SpokenWord(letters, first, last))

    for at, id in enumerate(ids):
        added = write(int(id))
        if units.name == "word":
            found.append(SpokenWord(added.strip(), at, at))
            continue
        for place, part in enumerate(added.split(" ")):
            if place:
                end()
                letters = ""
            if part:
                first = first if letters else at
                letters, last = letters + part, at
    end()
    return found
