"""Tagged sentences as they are given, checked."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from throughtime.data.text.conll import TaggedSentence
from throughtime.data.text.tagged import read_tagged
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.tag.schemes import SCHEMES, detect, misfits

_logger = logging.getLogger("throughtime.tasks")
_HELD_OUT = 0.1
LONGEST = 512  # tokens that are read together
_SENTENCE_ENDS = frozenset(".!?…。！？")


class Given(NamedTuple):
    """Sentences, and how their tags are written."""

    sentences: list[TaggedSentence]
    scheme: str
    repaired: int
    """Tags that the scheme does not allow, read by conlleval's rule."""


def read_sentences(given: Any, who: str, scheme: str = "auto", rule: str = "words") -> Given:
    """Pairs (tokens, tags) or a file (`throughtime.data.text.tagged`).

    Args:
        rule: how raw texts in a file are cut into tokens.
        scheme: one of `SCHEMES`, in which an impossible tag is refused; "auto" finds it and reads such a tag by
            conlleval's rule, which is said once through `logging`.

    Raises:
        ArgumentTypeError: not pairs of lists of text.
        ArgumentError: an unknown scheme.
        DataError: no sentence, another number of tags than tokens, a tag that is none, or impossible in the scheme.
    """
    if scheme not in ("auto", *SCHEMES):
        raise ArgumentError(f"{who}: expected scheme to be auto, {', '.join(SCHEMES)}, got {scheme!r}; pass one")
    path = Path(given) if isinstance(given, str | os.PathLike) else None
    sentences = list(read_tagged(path, rule=rule) if path is not None else _pairs(given, who))
    if not sentences:
        raise DataError(f"{who}: expected tagged sentences, got none; give at least two")
    try:
        found = detect([sentence.tags for sentence in sentences]) if scheme == "auto" else scheme
        repaired, first = 0, ""
        for number, sentence in enumerate(sentences):
            for misfit in misfits(sentence.tags, found):
                repaired += 1
                place = f"sentence {number} (counted from 0), token {misfit.position}"
                if path is not None:
                    place = f"{path}: line {sentence.line_of(misfit.position)}"
                first = first or f"{place}: {misfit.tag} read as {misfit.read_as}"
    except ArgumentError as error:  # a tag that is none
        raise DataError(f"{who}: {_where(sentences, path)}: {error}") from error
    if repaired and scheme != "auto":
        raise DataError(
            f"{who}: expected tags that are possible in {scheme}, got {repaired} that are not (first, {first}); "
            "correct them, or leave the scheme out to have them read so"
        )
    if repaired:
        _logger.warning(
            "%s: %d of the tags are not what %s allows and were read otherwise (%s)", who, repaired, found, first
        )
    return Given(sentences, found, repaired)


def held_out(sentences: Sequence[TaggedSentence], seed: int) -> tuple[list[TaggedSentence], list[TaggedSentence]]:
    """Training and validation sentences: a tenth of them, drawn by the seed, is held out.

    Raises:
        DataError: fewer than two sentences.
    """
    if len(sentences) < 2:
        raise DataError(
            "Tagger.fit: expected at least 2 sentences, one to learn from and one to validate on, got 1; give more"
        )
    count = max(1, round(_HELD_OUT * len(sentences)))
    held = np.zeros(len(sentences), dtype=bool)
    held[np.random.Generator(np.random.PCG64(seed)).permutation(len(sentences))[:count]] = True
    return (
        [sentence for sentence, out in zip(sentences, held, strict=True) if not out],
        [sentence for sentence, out in zip(sentences, held, strict=True) if out],
    )


def is_tokens(value: Any) -> bool:
    """Whether this is a list, a tuple or a one-dimensional array of text."""
    held = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return held and all(isinstance(item, str) for item in value)


def cut(tokens: Sequence[str]) -> list[slice]:
    """The parts in which a long text is read: at most `LONGEST` tokens each, cut after a sentence's end where there is
    one in the last three quarters of them.

    >>> cut(["a"] * 3), len(cut(["a"] * 1025))
    ([slice(0, 3, None)], 3)
    """
    parts, begin = [], 0
    while len(tokens) - begin > LONGEST:
        limit = begin + LONGEST
        ends = (at + 1 for at in range(limit - 1, limit - 3 * LONGEST // 4, -1) if tokens[at] in _SENTENCE_ENDS)
        end = next(ends, limit)
        parts.append(slice(begin, end))
        begin = end
    return [*parts, slice(begin, len(tokens))]


def shortened(sentences: Iterable[TaggedSentence]) -> list[TaggedSentence]:
    """Sentences of at most `LONGEST` tokens each, see `cut`."""
    return [
        TaggedSentence(sentence.tokens[part], sentence.tags[part], sentence.line)
        for sentence in sentences
        for part in cut(sentence.tokens)
    ]


def _pairs(given: Iterable[Any], who: str) -> Iterable[TaggedSentence]:
    try:
        rows = list(given)
    except TypeError as error:
        raise ArgumentTypeError(f"{who}: expected pairs (tokens, tags) or a path, got {given!r}; pass these") from error
    for number, row in enumerate(rows):
        place = f"{who}: sentence {number} (counted from 0)"
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) not in (2, 3, 4):
            raise ArgumentTypeError(f"{place}: expected a pair (tokens, tags), got {row!r}; pass two lists")
        tokens, tags = row[0], row[1]
        for name, value in (("tokens", tokens), ("tags", tags)):
            if not is_tokens(value):
                raise ArgumentTypeError(
                    f"{place}: expected {name} as a list of text, got {value!r}; pass a list of str"
                )
        if len(tokens) != len(tags):
            raise DataError(
                f"{place}: expected a tag for each of {len(tokens)} tokens, got {len(tags)}; add or drop one"
            )
        # A file in columns may have an empty cell (BTC has); such a sentence is taken as the file's path would be.
        if "" in tokens and not isinstance(row, TaggedSentence):
            raise DataError(
                f"{place}: expected tokens that are not empty, got '' as number {list(tokens).index('')}; "
                "drop it and its tag"
            )
        if len(tokens):
            yield TaggedSentence(list(tokens), list(tags))


def _where(sentences: Sequence[TaggedSentence], path: Path | None) -> str:
    """The first sentence with something that is no tag."""
    for number, sentence in enumerate(sentences):
        try:
            detect([sentence.tags])
        except ArgumentError:
            return (
                f"sentence {number} (counted from 0)" if path is None else f"{path}: sentence at line {sentence.line}"
            )
    return "tags"
