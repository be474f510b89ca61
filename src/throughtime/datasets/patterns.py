"""A pattern for each class: what a one-to-many model must write when it is given the class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["Patterns", "patterns"]


class Patterns(NamedTuple):
    """One pattern a class, classes first, padded with 0."""

    tokens: NDArray[np.int64]
    """(n_classes, longest): row c is what class c writes."""
    lengths: NDArray[np.int64]
    """(n_classes,): each from min_length to max_length."""


def patterns(
    n_classes: int, seed: int, *, n_symbols: int = 5, min_length: int = 4, max_length: int = 12, first_symbol: int = 3
) -> Patterns:
    """Random patterns of unequal length over few symbols: a one-to-many task with one right answer a class.

    Every pattern begins with the same symbol and all are made of the same few, so that the symbol before does not tell
    the next one: the class has to be remembered. None is equal to another or the beginning of it.

    Lengths are uniform from `min_length` to `max_length`; symbols from `first_symbol` to first_symbol + n_symbols − 1.

    Shapes:
        tokens (n_classes, max_length), lengths (n_classes,), int64; the models take time first: ``tokens.T``.

    Raises:
        ArgumentError: `n_classes` or `seed` is negative, `n_symbols` or `min_length` is below 2, `first_symbol` below
            1, `max_length` below `min_length`, or more classes than half of the patterns of `min_length`.
        ArgumentTypeError: one of them is not an int.

    >>> found = patterns(2, seed=0, n_symbols=3, min_length=3, max_length=5)
    >>> found.tokens.tolist(), found.lengths.tolist()
    ([[3, 4, 4, 3, 3], [3, 3, 3, 0, 0]], [5, 3])
    """
    check_whole("patterns", "n_symbols", n_symbols, 2)
    check_whole("patterns", "min_length", min_length, 2)
    check_whole("patterns", "max_length", max_length, min_length)
    check_whole("patterns", "first_symbol", first_symbol, 1)
    # A draw clashes with an earlier pattern with a probability of at most n_classes / n_symbols^(min_length − 1): while
    # that is a half or less, two draws a class are enough on average.
    check_whole("patterns", "n_classes", n_classes, 0, n_symbols ** (min_length - 1) // 2)
    check_whole("patterns", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    found: list[tuple[int, ...]] = []
    while len(found) < n_classes:
        rest = rng.integers(first_symbol, first_symbol + n_symbols, int(rng.integers(min_length, max_length + 1)) - 1)
        drawn = (first_symbol, *map(int, rest))
        if not any(drawn[: len(other)] == other[: len(drawn)] for other in found):
            found.append(drawn)
    tokens = np.zeros((n_classes, max_length), np.int64)
    for row, pattern in zip(tokens, found, strict=True):
        row[: len(pattern)] = pattern
    return Patterns(tokens, np.array([len(pattern) for pattern in found], np.int64))
