"""Tokens as numbers: words, their characters, their casing, and pairs of neighbours.

word     the lower-case token with every digit as 0; rare ones and unseen ones are UNKNOWN
letters  the token's characters as they stand
casing   one of `CASINGS`
pair     a token and the next one, where tokens are single characters
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.text.vocabulary import Vocabulary

PADDING, UNKNOWN = "<padding>", "<unk>"
_RESERVED = (PADDING, UNKNOWN)
CASINGS = ("lower", "title", "upper", "mixed", "digits", "other")
LONGEST_TOKEN = 40  # characters that are read of a token: its first and its last 20
_DIGIT = re.compile(r"\d")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR_COUNT = 2  # a pair that occurs once teaches nothing
Ids = NDArray[np.int64]


class SentenceIds(NamedTuple):
    """One sentence."""

    words: Ids
    """(T,) numbers in the word vocabulary."""
    pairs: Ids
    """(T,) numbers in the pair vocabulary; (0,) where there is none."""
    forms: Ids
    """(T,) the number of each token among the distinct tokens of a `Forms`."""


class Forms:
    """The distinct tokens of many sentences, with their letters and casing: each is read once."""

    def __init__(self, units: "TagUnits") -> None:
        self._units = units
        self._numbers: dict[str, int] = {}
        self.letters: list[Ids] = []
        self.casings: list[int] = []
        self.words: list[int] = []

    def __len__(self) -> int:
        return len(self.letters)

    def number(self, token: str) -> int:
        """The token's number, a new one where it is new."""
        found = self._numbers.get(token)
        if found is None:
            found = self._numbers[token] = len(self.letters)
            self.letters.append(self._units.letters_of(token))
            self.casings.append(casing_of(token))
            self.words.append(self._units.word_of(token))
        return found


class TagUnits:
    """The vocabularies of a tagger.

    Args:
        words: of `word_form`s.
        letters: of characters.
        pairs: of neighbouring tokens, or None.
    """

    def __init__(self, words: Vocabulary, letters: Vocabulary, pairs: Vocabulary | None) -> None:
        self.words = words
        self.letters = letters
        self.pairs = pairs

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]]) -> "TagUnits":
        """The vocabularies of these sentences. Pairs are kept where most tokens are single characters.

        Tokens with half of a surrogate pair, which no file can hold, stay unknown.
        """
        read = [[token for token in sentence if not has_surrogate(token)] for sentence in sentences]
        tokens = Counter(token for sentence in read for token in sentence)
        words: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        for token, count in tokens.items():
            words[word_form(token)] += count
            for letter in token:
                letters[letter] += count
        single = sum(count for token, count in tokens.items() if len(token) == 1)
        pairs = None
        if 2 * single > tokens.total():
            counts = Counter(pair for sentence in read for pair in _pairs(sentence))
            pairs = Vocabulary.build(counts, reserved=_RESERVED, unknown=UNKNOWN, min_count=_PAIR_COUNT)
        return cls(
            Vocabulary.build(words, reserved=_RESERVED, unknown=UNKNOWN),
            Vocabulary.build(letters, reserved=_RESERVED, unknown=UNKNOWN),
            pairs,
        )

    def with_words(self, forms: Iterable[str]) -> "TagUnits":
        """The same vocabularies with more words behind those that are there."""
        more = [form for form in dict.fromkeys(forms) if form not in self.words]
        return TagUnits(Vocabulary([*self.words, *more], unknown=UNKNOWN), self.letters, self.pairs)

    def word_of(self, token: str) -> int:
        """The number of a token's word."""
        return self.words.ids((word_form(token),))[0]

    def letters_of(self, token: str) -> Ids:
        """The numbers of a token's characters, of its first and last where there are more than `LONGEST_TOKEN`."""
        if len(token) > LONGEST_TOKEN:
            token = token[: LONGEST_TOKEN // 2] + token[-LONGEST_TOKEN // 2 :]
        return np.array(self.letters.ids(token), dtype=np.int64)

    def encode(self, sentence: Sequence[str], forms: Forms) -> SentenceIds:
        """The numbers of a sentence; its distinct tokens are entered in `forms`."""
        numbers = np.array([forms.number(token) for token in sentence], dtype=np.int64)
        words = np.array([forms.words[number] for number in numbers], dtype=np.int64)
        pairs = [] if self.pairs is None else self.pairs.ids(_pairs(sentence))
        return SentenceIds(words, np.array(pairs, dtype=np.int64), numbers)

    def to_json(self) -> dict[str, Any]:
        """What a model folder keeps."""
        return {
            "words": self.words.to_json(),
            "letters": self.letters.to_json(),
            "pairs": None if self.pairs is None else self.pairs.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "TagUnits":
        """The reverse of `to_json`; what does not fit raises ValueError, KeyError or TypeError."""
        read = {name: None if value is None else Vocabulary.from_json(value) for name, value in fields.items()}
        words, letters = read["words"], read["letters"]
        if words is None or letters is None:
            raise ValueError("units: words or letters are missing")
        return cls(words, letters, read["pairs"])


def has_surrogate(token: str) -> bool:
    """Whether half of a surrogate pair is in it, which no file in UTF-8 can hold."""
    return _SURROGATE.search(token) is not None


def word_form(token: str) -> str:
    """What a token is looked up by: lower case, each digit as 0.

    >>> word_form("B-52s")
    'b-00s'
    """
    return _DIGIT.sub("0", token.lower())


def casing_of(token: str) -> int:
    """The number of a token's casing in `CASINGS`."""
    if any(letter.isdigit() for letter in token):
        return CASINGS.index("digits")
    if token.islower():
        return CASINGS.index("lower")
    if token.isupper():
        return CASINGS.index("upper" if len(token) > 1 else "title")
    if token[:1].isupper() and token[1:].islower():
        return CASINGS.index("title")
    return CASINGS.index("mixed" if any(letter.isupper() for letter in token) else "other")


def _pairs(sentence: Sequence[str]) -> list[str]:
    """Each token with the one after it, the last with nothing. No token holds a line end."""
    return [f"{first}\n{second}" for first, second in zip(sentence, [*sentence[1:], ""], strict=True)]
