"""Subwords that two languages share, and how a sentence becomes their ids and text again.

A sentence is brought to one form first (`tidy`), which loses nothing that is read: other spellings of the same letters,
blanks and control characters. Its first letter is made small, which is undone when text is written. A character that is
not in the vocabulary is an id of its own, so that a translator can copy it.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import ArgumentError, DataError

__all__ = ["BEGIN", "CASINGS", "END", "LOWER", "PAD", "SPECIAL", "UNKNOWN", "Encoded", "JointSubwords", "tidy"]

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<lower>")
PAD, BEGIN, END, UNKNOWN, LOWER = range(len(SPECIAL))
CASINGS = ("sentence", "keep")
DEFAULT_SIZE = 4000
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # stands for a blank, as in SentencePiece
_LEAST_PAIR = 2  # times that two pieces stand together before they become one
Ids = NDArray[np.int32]


class Encoded(NamedTuple):
    """A sentence as ids, and what each of them stands for in it."""

    ids: Ids
    pieces: list[str]
    """With the character itself where the id is UNKNOWN."""


def tidy(text: str) -> str:
    r"""A sentence in one form: composed letters, one blank between words, none around, no control characters.

    >>> tidy("  cafe\u0301\t noir\x00 ")
    'café noir'
    """
    text = unicodedata.normalize("NFC", text).replace(_BLANK, "_")
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text if sign != "\ufeff")
    return " ".join(text.split())


class JointSubwords:
    """Frequent sequences of characters of both languages (byte-pair encoding by the tokenizers library).

    A blank belongs to the word after it, a sign of punctuation and a digit stand alone.

    Args:
        tokenizer: of the tokenizers library.
        casing: "sentence": the first letter of a sentence is made small, one that was small already is marked; "keep".

    **Source** [Sennrich2016].
    """

    def __init__(self, tokenizer: Any, casing: str) -> None:
        self._tokenizer = tokenizer
        self.casing = casing
        known = tokenizer.get_vocab()
        self.symbols = sorted(known, key=known.__getitem__)
        if tuple(self.symbols[: len(SPECIAL)]) != SPECIAL or sorted(known.values()) != list(range(len(known))):
            raise ArgumentError(
                f"JointSubwords: expected {SPECIAL} as the first of {len(known)} ids, got "
                f"{tuple(self.symbols[: len(SPECIAL)])}; learn the subwords anew"
            )

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def build(
        cls, texts: "Iterable[str]", *, size: int | None = None, min_count: int = 2, casing: str = "sentence",
        who: str = "JointSubwords",
    ) -> "JointSubwords":  # fmt: skip
        """Learn subwords from sentences of both languages, which are read twice.

        Args:
            texts: gives them anew at each iteration.
            size: how many; None: 4,000, or as many as the text has.
            min_count: characters that are rarer are unknown.

        Raises:
            MissingExtraError: tokenizers is not installed.
            ArgumentError: a size larger than the text has subwords, or smaller than its characters.
            DataError: no text.
        """
        tokenizers = require("tokenizers", extra="text")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tidy(text))
        del counts[" "]
        letters = sorted(sign for sign, count in counts.items() if count >= min_count)
        if not letters:
            raise DataError(
                f"{who}: expected text with characters that occur {min_count} times, got {len(counts)} characters of "
                "none; give more sentences, or a smaller min_count"
            )
        # The first letter made small may be one that the text has in no other place.
        letters = sorted({*letters, *(sign.lower() for sign in letters if len(sign.lower()) == 1), _BLANK})
        least = len(letters) + len(SPECIAL)
        if size is not None and size < least:
            raise ArgumentError(
                f"{who}: expected vocabulary_size of at least {least}, the characters of the text and {len(SPECIAL)} "
                f"more, got {size}; give more, or a larger min_count"
            )
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=SPECIAL[UNKNOWN]))
        split = tokenizers.pre_tokenizers
        tokenizer.pre_tokenizer = split.Sequence(
            [split.Metaspace(_BLANK), split.Punctuation("isolated"), split.Digits(individual_digits=True)]
        )
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=max(least, DEFAULT_SIZE) if size is None else size,
            special_tokens=list(SPECIAL),
            initial_alphabet=letters,
            limit_alphabet=len(letters),
            min_frequency=_LEAST_PAIR,
            show_progress=False,
        )
        tokenizer.train_from_iterator((_folded(tidy(text), casing)[0] for text in texts), trainer)
        # A sentence that spells a reserved symbol out is text.
        tokenizer.encode_special_tokens = True
        found = cls(tokenizer, casing)
        if size is not None and len(found) < size:
            raise ArgumentError(
                f"{who}: expected vocabulary_size of at most {len(found)}, the subwords that the text has, got {size}; "
                "give less, or None for all of them up to 4000"
            )
        return found

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """The ids of sentences, without END."""
        forms = [_folded(tidy(text), self.casing) for text in texts]
        found = []
        for encoding, (form, small) in zip(
            self._tokenizer.encode_batch([form for form, _ in forms]), forms, strict=True
        ):
            ids, pieces = encoding.ids, encoding.tokens
            if UNKNOWN in ids:
                spans = encoding.offsets
                pieces = [form[slice(*spans[i])] if id == UNKNOWN else pieces[i] for i, id in enumerate(ids)]
            if small:
                ids, pieces = [LOWER, *ids], ["", *pieces]
            found.append(Encoded(np.array(ids, dtype=np.int32), list(pieces)))
        return found

    def pairs(self, pairs: Iterable[tuple[str, str]], at_once: int = 1024) -> Iterator[tuple[Ids, Ids]]:
        """The ids of pairs of sentences, as many at once as are encoded together."""
        waiting: list[str] = []
        for source, target in pairs:
            waiting += [source, target]
            if len(waiting) >= 2 * at_once:
                yield from self._two_by_two(waiting)
                waiting = []
        yield from self._two_by_two(waiting)

    def _two_by_two(self, texts: list[str]) -> Iterator[tuple[Ids, Ids]]:
        found = [one.ids for one in self.encode(texts)]
        yield from zip(found[::2], found[1::2], strict=True)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What each id stands for; LOWER for nothing."""
        return ["" if id == LOWER else self.symbols[id] for id in ids]

    def decode(self, ids: Sequence[int], copies: Mapping[int, str] | None = None) -> str:
        """The text of these ids.

        Args:
            copies: what stands for an unknown, by its place; without one it is left out.
        """
        known = {} if copies is None else copies
        words = [
            known.get(place, "") if id == UNKNOWN else self.symbols[id]
            for place, id in enumerate(ids)
            if id >= len(SPECIAL) or id == UNKNOWN
        ]
        text = " ".join("".join(words).replace(_BLANK, " ").split())
        if self.casing == "sentence" and text and not (len(ids) and ids[0] == LOWER):
            text = text[0].upper() + text[1:] if len(text[0].upper()) == 1 else text
        return text

    def to_json(self) -> dict[str, Any]:
        """What a model folder keeps."""
        return {"casing": self.casing, "tokenizer": self._tokenizer.to_str()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "JointSubwords":
        """The reverse of `to_json`; what does not fit raises ValueError, KeyError or TypeError."""
        if fields["casing"] not in CASINGS:
            raise ArgumentError(
                f"JointSubwords: expected casing to be one of {', '.join(CASINGS)}, got {fields['casing']!r:.40}; copy "
                "the model folder again"
            )
        tokenizers = require("tokenizers", extra="text")
        try:
            tokenizer = tokenizers.Tokenizer.from_str(fields["tokenizer"])
        except Exception as error:  # the library raises the bare class
            raise ArgumentError(
                f"JointSubwords: expected a tokenizer of tokenizers, got {error}; copy the model folder again"
            ) from error
        tokenizer.encode_special_tokens = True
        return cls(tokenizer, fields["casing"])


def _folded(text: str, casing: str) -> tuple[str, bool]:
    """A sentence with a small first letter, and whether it had one."""
    if casing != "sentence" or not text:
        return text, False
    first = text[0]
    small = first.lower()
    if small != first:
        # Where the large letter could not be found again it stays, and is written as it stands.
        return (small + text[1:], False) if small.upper() == first else (text, False)
    return text, len(first.upper()) == 1 and first.upper() != first
