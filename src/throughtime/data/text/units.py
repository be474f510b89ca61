"""What text is cut into, and how it becomes ids and text again: characters, words, subwords.

Two symbols are not text: END, after each text of many, and UNKNOWN, for what is not in the vocabulary. No word is one
of them: a word has no blank in it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.text.files import TextPiece
from throughtime.data.text.vocabulary import Vocabulary
from throughtime.errors import ArgumentError, DataError

__all__ = ["END", "UNITS", "UNKNOWN", "Characters", "Subwords", "TextUnits", "Words", "build_units", "units_from_json"]

END, UNKNOWN = "<end of text>", "<unk>"
_RESERVED = (END, UNKNOWN)
_WORD = re.compile(r"\n|\S+")
Ids = NDArray[np.int64]


class TextUnits:
    """Text to ids and back.

    A stream of ids does not depend on where the text was cut into pieces.
    """

    name: ClassVar[str]
    vocabulary: Vocabulary

    def __len__(self) -> int:
        """Ids, END and UNKNOWN included."""
        return len(self.vocabulary)

    @property
    def end(self) -> int:
        """The id of END."""
        return self.vocabulary[END]

    @property
    def unknown(self) -> int:
        """The id of UNKNOWN."""
        return self.vocabulary[UNKNOWN]

    def encode(self, text: str) -> Ids:
        """The ids of a text, without an END."""
        raise AssertionError("a subclass says how")

    def unseen(self, text: str) -> tuple[str, int] | None:
        """The first symbol that is not in the vocabulary and the character at which it begins; None where all are."""
        return None

    def pieces(self, pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
        """The same texts, cut where `encode` gives what it gives for the whole: after line ends."""
        return whole_lines(pieces)

    def writer(self) -> Callable[[int], str]:
        """Takes one id after another and gives the text that it adds; END and UNKNOWN add what their names say."""
        raise AssertionError("a subclass says how")

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids."""
        write = self.writer()
        return "".join(write(int(i)) for i in ids)

    def to_json(self) -> dict[str, Any]:
        """What a model folder keeps."""
        return {"unit": self.name, **self.vocabulary.to_json()}


class Characters(TextUnits):
    """Unicode code points, as they stand."""

    name = "character"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        table = np.full(0x110000, self.unknown, dtype=np.int32)
        for i, symbol in enumerate(vocabulary):
            if symbol not in _RESERVED:
                table[ord(symbol)] = i
        self._table = table

    def encode(self, text: str) -> Ids:
        return self._table[_code_points(text)].astype(np.int64)

    def unseen(self, text: str) -> tuple[str, int] | None:
        found = np.flatnonzero(self.encode(text) == self.unknown)
        return (text[found[0]], int(found[0])) if len(found) else None

    def pieces(self, pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
        return iter(pieces)

    def writer(self) -> Callable[[int], str]:
        return self.vocabulary.symbols.__getitem__

    @staticmethod
    def count(pieces: Iterable[TextPiece]) -> Mapping[str, int]:
        """How often each occurs."""
        total = np.zeros(0, dtype=np.int64)
        for piece in pieces:
            found = np.bincount(_code_points(piece.text), minlength=len(total))
            found[: len(total)] += total
            total = found
        return {chr(point): int(total[point]) for point in np.flatnonzero(total)}


class Words(TextUnits):
    """What stands between blanks, and line ends: "the cat sat ." has four, so separate punctuation first.

    Written text has one blank between words and none beside a line end.
    """

    name = "word"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def encode(self, text: str) -> Ids:
        return np.array(self.vocabulary.ids(_WORD.findall(text)), dtype=np.int64)

    def pieces(self, pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
        return whole_words(pieces)

    def unseen(self, text: str) -> tuple[str, int] | None:
        return next(((m.group(), m.start()) for m in _WORD.finditer(text) if m.group() not in self.vocabulary), None)

    def writer(self) -> Callable[[int], str]:
        before = ""

        def write(id: int) -> str:
            nonlocal before
            word = self.vocabulary.symbols[id]
            blank = "" if word == "\n" or before in ("", "\n") else " "
            before = word
            return blank + word

        return write

    @staticmethod
    def count(pieces: Iterable[TextPiece]) -> Mapping[str, int]:
        """How often each occurs."""
        counts: Counter[str] = Counter()
        for piece in whole_words(pieces):
            counts.update(_WORD.findall(piece.text))
        return counts


class Subwords(TextUnits):
    """Frequent sequences of bytes (byte-pair encoding by the tokenizers library): any text can be written in them.

    Each line is encoded by itself, its end included.

    **Source** [Sennrich2016], over bytes.
    """

    name = "subword"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        ids = tokenizer.get_vocab()
        if sorted(ids.values()) != list(range(len(ids))):
            raise ArgumentError(f"Subwords: expected ids from 0 to {len(ids) - 1}, got others; learn the subwords anew")
        self.vocabulary = Vocabulary(sorted(ids, key=ids.__getitem__), unknown=UNKNOWN)

    def encode(self, text: str) -> Ids:
        found = self._tokenizer.encode_batch(text.splitlines(keepends=True))
        return np.array([i for line in found for i in line.ids], dtype=np.int64)

    def writer(self) -> Callable[[int], str]:
        waiting: list[int] = []

        def write(id: int) -> str:
            if id in (self.end, self.unknown):
                waiting.clear()
                return self.vocabulary.symbols[id]
            waiting.append(id)
            text: str = self._tokenizer.decode(waiting, skip_special_tokens=False)
            # A character of several bytes may come in several ids; no more than four are waited for.
            if text.endswith("\N{REPLACEMENT CHARACTER}") and len(waiting) < 4:
                return ""
            waiting.clear()
            return text

        return write

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.name, "tokenizer": self._tokenizer.to_str()}

    @classmethod
    def build(cls, pieces: Iterable[TextPiece], size: int) -> "Subwords":
        """Learn `size` subwords.

        Raises:
            MissingExtraError: tokenizers is not installed.
            ArgumentError: fewer than the 256 bytes.
        """
        tokenizers = require("tokenizers", extra="text")
        least = 256 + len(_RESERVED)
        if size < least:
            raise ArgumentError(
                f"vocabulary_size: expected at least {least} subwords, the bytes and two more, got {size}; give more"
            )
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(_RESERVED),
            initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator((piece.text for piece in whole_lines(pieces)), trainer)
        # A text that spells a reserved symbol out is text.
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)


UNITS = ("character", "word", "subword")


def build_units(
    unit: str, pieces: Iterable[TextPiece], *, size: int | None = None, min_count: int = 1, who: str = "build_units"
) -> TextUnits:
    """The units of a text, from one reading of it.

    Args:
        unit: one of `UNITS`.
        pieces: the texts.
        size: how many symbols at most; None: as many as there are, or 8,000 subwords.
        min_count: rarer characters and words become UNKNOWN.
        who: who speaks in error messages.

    Raises:
        ArgumentError: a `size` larger than the text has symbols, or too small for subwords.
        DataError: no symbol at all, or one only.
        MissingExtraError: subwords without tokenizers.
    """
    if unit == "subword":
        wanted = 8000 if size is None else size
        subwords = Subwords.build(pieces, wanted)
        if size is not None and len(subwords) < size:
            raise _too_large(who, size, len(subwords), unit)
        return subwords
    kind: type[Characters | Words] = Characters if unit == "character" else Words
    counts = kind.count(pieces)
    if len(counts) < 2:
        got = "none" if not counts else f"{next(iter(counts))!r} alone"
        raise DataError(f"{who}: expected text with at least 2 different {unit}s, got {got}; give more text")
    if size is not None and size > len(counts):
        raise _too_large(who, size, len(counts), unit)
    vocabulary = Vocabulary.build(counts, reserved=_RESERVED, unknown=UNKNOWN, size=size, min_count=min_count)
    if len(vocabulary) < len(_RESERVED) + 1:
        raise DataError(
            f"{who}: expected a {unit} that occurs {min_count} times (min_count), got at most {max(counts.values())}; "
            "lower min_count"
        )
    return kind(vocabulary)


def whole_lines(pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
    """The same texts in pieces that are cut after line ends alone: a line stands in memory as a whole."""
    return _cut_again(pieces, lambda text: text.rfind("\n") + 1)


def whole_words(pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
    """The same texts in pieces that are cut after blanks and line ends alone."""
    return _cut_again(pieces, _after_blank)


def _after_blank(text: str) -> int:
    if not text or text[-1].isspace():
        return len(text)
    return len(text) - len(text.rsplit(None, 1)[-1])


def _cut_again(pieces: Iterable[TextPiece], border: Callable[[str], int]) -> Iterator[TextPiece]:
    """Pieces of the same texts; `border` says how much of a piece may be given away, 0 for none of it."""
    rest: list[str] = []
    for piece in pieces:
        cut = len(piece.text) if piece.ends else border(piece.text)
        if piece.ends or cut:
            yield piece._replace(text="".join((*rest, piece.text[:cut])))
            rest = [piece.text[cut:]]
        else:
            rest.append(piece.text)


def _too_large(who: str, size: int, there: int, unit: str) -> ArgumentError:
    return ArgumentError(
        f"{who}: expected vocabulary_size of at most {there}, the different {unit}s in the text, got {size}; "
        "give less, or None for all of them"
    )


def units_from_json(fields: Mapping[str, Any]) -> TextUnits:
    """The reverse of `TextUnits.to_json`; what does not fit raises ValueError, KeyError or TypeError."""
    if fields["unit"] == "subword":
        tokenizers = require("tokenizers", extra="text")
        try:
            tokenizer = tokenizers.Tokenizer.from_str(fields["tokenizer"])
        except Exception as error:  # the library raises the bare class
            raise ArgumentError(
                f"units_from_json: expected a tokenizer of tokenizers, got {error}; copy the model folder again"
            ) from error
        tokenizer.encode_special_tokens = True
        return Subwords(tokenizer)
    vocabulary = Vocabulary.from_json(fields)
    if tuple(vocabulary.symbols[: len(_RESERVED)]) != _RESERVED:
        raise ArgumentError(
            f"units_from_json: expected {_RESERVED} first, got {vocabulary.symbols[:2]}; copy the model folder again"
        )
    if fields["unit"] == "character":
        for symbol in vocabulary.symbols[len(_RESERVED) :]:
            if len(symbol) != 1:
                raise ArgumentError(
                    f"units_from_json: expected characters as symbols, got {symbol!r:.40}; copy the model folder again"
                )
        return Characters(vocabulary)
    if fields["unit"] == "word":
        return Words(vocabulary)
    raise ArgumentError(
        f"units_from_json: expected a unit of {', '.join(UNITS)}, got {fields['unit']!r}; copy the model folder again"
    )


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
