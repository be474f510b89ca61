"""Raw text as a classifier reads it: tokens for n-grams, ids for the net, and where in the text each stands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.text.files import TextPiece
from throughtime.data.text.tokens import Token, Tokenizer
from throughtime.data.text.units import Characters, TextUnits, Words, build_units, units_from_json
from throughtime.errors import ArgumentTypeError, DataError

_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[[\p{{L}}\p{{M}}\p{{N}}_]&&[^{_ALONE}]]+"
RULE = "|".join(
    (
        r"</?[A-Za-z][^<>]{0,200}>",  # markup
        r"https?://\S+",
        r"(?:\p{L}\.){2,}",  # U.S.
        r"\p{N}+(?:[.,:/]\p{N}+)+",  # 3.5, 12:30, 7/10
        rf"[@#]?{_WORD}(?:-{_WORD})*",
        r"['\x{2019}]\p{L}+",  # 's
        r"\X",  # any other sign, and those of scripts that put no blanks between words
    )
)
"""What a token is, in the syntax of Oniguruma: tasks/tag's words, with markup whole, and signs of Chinese and its like
one by one."""

_MARKUP = re.compile(r"</?([A-Za-z][\w-]*)[^<>]*>")
_SUBWORDS = 8000  # where no size is given
_SURROGATE = re.compile("[\ud800-\udfff]")
Ids = NDArray[np.int32]


class ReadText(NamedTuple):
    """A text, read."""

    tokens: list[str]
    """For n-grams: lower case where the model wants it so."""
    places: list[Token]
    """The same as they stand in the text."""
    ids: Ids
    """For the net."""


class TextReader:
    """From texts to tokens and ids, by one rule that stays with the model.

    Args:
        lower: letters become lower-case ones.
        longest: ids of a text that the net reads; of a longer one its beginning and its end, half of them each.
        units: None while they are to be learned.
    """

    def __init__(self, lower: bool, longest: int, units: TextUnits | None = None) -> None:
        self.lower = lower
        self.longest = longest
        self._units = units
        self._tokenizer = Tokenizer(RULE)

    @property
    def units(self) -> TextUnits:
        """What ids mean."""
        assert self._units is not None
        return self._units

    @units.setter
    def units(self, units: TextUnits) -> None:
        self._units = units

    def places(self, text: str) -> list[Token]:
        """The tokens of a text as they stand in it."""
        return self._tokenizer(clean(text))

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text as n-grams have them; none has a blank in it."""
        return [self._form(token.text) for token in self.places(text)]

    def prepared(self, text: str, unit: str) -> str:
        """The text as the units are learned from it: words with a blank between them, else as it stands."""
        return " ".join(self.tokens(text)) if unit == "word" else self._plain(text)

    def learn(self, unit: str, prepared: Sequence[str], *, size: int, min_count: int, who: str) -> None:
        """Units of prepared texts, at most `size` of them.

        Raises:
            DataError: hardly any text.
        """
        kept, count, _ = self.sizes(unit, prepared, size, min_count)
        self._units = build_units(unit, _pieces(prepared), size=kept, min_count=count, who=who)

    @staticmethod
    def sizes(unit: str, prepared: Sequence[str], size: int, min_count: int) -> tuple[int | None, int, int]:
        """The `size` and the `min_count` for `build_units`, which wants a size that is there: None for all there are.

        Where everything is rarer than `min_count`, rare units are kept. The third number is how many there will be.
        """
        if unit == "subword":
            return (size if size < _SUBWORDS else None), 1, min(size, _SUBWORDS)
        counts = (Words if unit == "word" else Characters).count(_pieces(prepared))
        enough = sum(count >= min_count for count in counts.values())
        return (size if size < len(counts) else None), (min_count if enough else 1), min(size, enough or len(counts))

    def ids(self, prepared: str) -> Ids:
        """What the net reads of a prepared text."""
        return self.cut(self.units.encode(prepared).astype(np.int32))

    def cut(self, ids: Ids) -> Ids:
        """The ids that the net reads of a text's."""
        return ids if len(ids) <= self.longest else ids[self.kept(len(ids))]

    def kept(self, length: int) -> NDArray[np.int64]:
        """Which ids of a text of so many are read."""
        places = np.arange(length)
        if length <= self.longest:
            return places
        first = self.longest - self.longest // 2
        return np.concatenate((places[:first], places[length - self.longest // 2 :]))

    def read(self, text: str) -> ReadText:
        """Tokens with their places, and ids."""
        places = self.places(text)
        tokens = [self._form(token.text) for token in places]
        prepared = " ".join(tokens) if isinstance(self.units, Words) else self._plain(text)
        return ReadText(tokens, places, self.ids(prepared))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in the text each id stands that the net reads: [start, end)."""
        if isinstance(self.units, Words):
            found = [(token.start, token.end) for token in self.places(text)]
        elif self.units.name == "character":
            found = [(at, at + 1) for at in range(len(text))]
        else:
            write, found, begin, end = self.units.writer(), [], 0, 0
            for id in self.units.encode(self._plain(text)).tolist():
                end += len(write(id))
                found.append((begin, max(end, begin)))
                begin = end
        return [found[at] for at in self.kept(len(found)).tolist()]

    def _plain(self, text: str) -> str:
        """The same number of characters, lower where one is one."""
        text = clean(text)
        if not self.lower:
            return text
        low = text.lower()
        return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)

    def _form(self, token: str) -> str:
        if token.startswith("<") and (markup := _MARKUP.fullmatch(token)):
            return f"<{markup[1].lower()}>"
        return token.lower() if self.lower else token

    def to_json(self) -> dict[str, Any]:
        """What a model folder keeps."""
        return {"lower": self.lower, "longest": self.longest, "units": self.units.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "TextReader":
        """The reverse; what does not fit raises ValueError, LookupError or TypeError."""
        lower, longest = fields["lower"], fields["longest"]
        if type(lower) is not bool or type(longest) is not int or longest < 1:
            raise ValueError(f"lower or longest: {lower!r}, {longest!r}")
        return cls(lower, longest, units_from_json(fields["units"]))


def clean(text: str) -> str:
    """Halves of surrogate pairs, which UTF-8 cannot hold, as replacement characters."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _pieces(prepared: Iterable[str]) -> list[TextPiece]:
    return [TextPiece(text, True) for text in prepared]


def check_texts(texts: Any, who: str, *, least: int = 1) -> list[str]:
    """A list of texts.

    Raises:
        DataError: fewer than `least`.
        ArgumentTypeError: something else.
    """
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
        raise ArgumentTypeError(f"{who}: expected a list of texts, got {texts!r:.60}; put texts in a list")
    found = list(texts)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise ArgumentTypeError(f"{who}: expected texts, got {text!r:.60} as number {number}; pass str")
    if len(found) < least:
        raise DataError(f"{who}: expected texts, got none; give at least {least}")
    return found
