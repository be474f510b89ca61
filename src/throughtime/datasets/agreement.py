"""Number agreement over a distance: "the cat, which …, was" and "the cats, which …, were"."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["AGREEMENT_WORDS", "Agreement", "agreement"]

# Four words each, so that one draw in 0 … 3 (a noun: 0 … 7) picks any of them.
_KINDS = {
    "noun": ("cat", "dog", "bird", "horse", "cats", "dogs", "birds", "horses"),
    "verb": ("saw", "liked", "chased", "followed"),
    "place": ("near", "behind", "above", "beside"),
    "adjective": ("old", "red", "small", "quiet"),
    "adverb": ("already", "often", "again", "still"),
    "the": ("the",),
    "which": ("which",),
    ",": (",",),
}
AGREEMENT_WORDS: tuple[str, ...] = ("", *(word for words in _KINDS.values() for word in words))
"""The vocabulary: an id's word; 0 is the padding."""

_PHRASE = 5  # words in "saw the old dogs ," and "near the old dogs ,"
_CLAUSE = 2  # words in ", which"


class Agreement(NamedTuple):
    """Sentences up to their verb, examples first, padded with 0."""

    tokens: NDArray[np.int64]
    """(n, longest sentence possible)."""
    lengths: NDArray[np.int64]
    """(n,): words of a sentence."""
    targets: NDArray[np.int64]
    """(n,): 0 where the verb is "was", 1 where it is "were"."""
    distances: NDArray[np.int64]
    """(n,): words between the subject and the verb."""


def agreement(n: int, seed: int, *, min_distance: int, max_distance: int, lead: int = 0) -> Agreement:
    """Sentences that stop before "was" or "were": many-to-one, and only the subject, far back, says which.

    near the small birds , the cat , which often saw the old dogs , liked the red horses , …

    The words before "the cat" are `lead`; the words between "cat" and the verb are the distance, uniform from
    `min_distance` to `max_distance`. From a distance of 7 on they are a relative clause of phrases of five words, with
    up to four adverbs in front; below, adverbs alone. The nouns in the phrases are singular or plural by a coin of
    their own, so the subject alone decides, and whoever has forgotten it is right in one case of two.

    A backward direction meets the subject only `lead` + 1 words before its end: both directions together have it near
    an end whatever the distance, unless `lead` is as long.

    Shapes:
        tokens (n, lead + 2 + max_distance), the others (n,), int64; the models take time first: ``tokens.T``.

    Raises:
        ArgumentError: `n`, `seed`, `min_distance` or `lead` is negative, or `max_distance` is below `min_distance`.
        ArgumentTypeError: one of them is not an int.

    Source:
        The task of [Linzen2016] and of the lecture notes, on a small grammar of our own instead of text.

    >>> found = agreement(1, seed=1, min_distance=8, max_distance=8)
    >>> " ".join(AGREEMENT_WORDS[i] for i in found.tokens[0]), found.targets.tolist()
    ('the cats , which already liked the quiet dog ,', [1])
    """
    check_whole("agreement", "n", n, 0)
    check_whole("agreement", "seed", seed, 0)
    check_whole("agreement", "min_distance", min_distance, 0)
    check_whole("agreement", "max_distance", max_distance, min_distance)
    check_whole("agreement", "lead", lead, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    distances = rng.integers(min_distance, max_distance + 1, n)
    draws = rng.integers(0, len(_KINDS["noun"]), (n, lead + 2 + max_distance))
    tokens = np.zeros_like(draws)
    for distance in range(min_distance, max_distance + 1):
        kinds = _sentence(lead, distance)
        first = np.array([AGREEMENT_WORDS.index(_KINDS[kind][0]) for kind in kinds])
        choices = np.array([len(_KINDS[kind]) for kind in kinds])
        rows = distances == distance
        tokens[rows, : len(kinds)] = first + draws[rows, : len(kinds)] % choices
    plural = draws[:, lead + 1] >= len(_KINDS["noun"]) // 2
    return Agreement(tokens, lead + 2 + distances, plural.astype(np.int64), distances)


def _sentence(lead: int, distance: int) -> list[str]:
    """The kind of every word: `lead` words, "the", the subject, `distance` words."""
    between = ["adverb"] * distance
    if distance >= _CLAUSE + _PHRASE:
        between = [",", "which", *_phrases("verb", distance - _CLAUSE)]
    return [*_phrases("place", lead), "the", "noun", *between]


def _phrases(head: str, words: int) -> list[str]:
    """Adverbs for what is over, then whole phrases."""
    return ["adverb"] * (words % _PHRASE) + [head, "the", "adjective", "noun", ","] * (words // _PHRASE)
