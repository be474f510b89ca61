"""Strings of unequal length and the same strings reversed: the smallest translation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["Reversal", "reversal"]


class Reversal(NamedTuple):
    """Strings and their reversals, examples first, padded with 0."""

    sources: NDArray[np.int64]
    """(n, max_length)."""
    targets: NDArray[np.int64]
    """(n, max_length): the sources, each reversed within its length."""
    lengths: NDArray[np.int64]
    """(n,): of a source and of its target."""


def reversal(
    n: int, seed: int, *, n_symbols: int = 8, min_length: int = 1, max_length: int = 10, first_symbol: int = 3
) -> Reversal:
    """Random strings to be reversed: an encoder-decoder task of which every answer is known.

    target_t = source_{length + 1 − t}

    Lengths are uniform from `min_length` to `max_length`; symbols are uniform from `first_symbol` to
    first_symbol + n_symbols − 1, which leaves the ids below (0 is the padding) for what marks begin and end.

    Shapes:
        sources and targets (n, max_length), lengths (n,), int64; the models take time first: ``sources.T``.

    Raises:
        ArgumentError: `n` or `seed` is negative, `n_symbols`, `min_length` or `first_symbol` is below 1, or
            `max_length` below `min_length`.
        ArgumentTypeError: one of them is not an int.

    >>> found = reversal(2, seed=1, max_length=4)
    >>> found.sources.tolist(), found.targets.tolist(), found.lengths.tolist()
    ([[9, 10, 0, 0], [9, 10, 4, 0]], [[10, 9, 0, 0], [4, 10, 9, 0]], [2, 3])
    """
    check_whole("reversal", "n", n, 0)
    check_whole("reversal", "seed", seed, 0)
    check_whole("reversal", "n_symbols", n_symbols, 1)
    check_whole("reversal", "min_length", min_length, 1)
    check_whole("reversal", "max_length", max_length, min_length)
    check_whole("reversal", "first_symbol", first_symbol, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    lengths = rng.integers(min_length, max_length + 1, n)
    symbols = rng.integers(first_symbol, first_symbol + n_symbols, (n, max_length))
    steps = np.arange(max_length)
    valid = steps < lengths[:, None]
    # Past the length the index is negative and picks something; `valid` puts the padding there.
    mirrored = np.take_along_axis(symbols, lengths[:, None] - 1 - steps, axis=1)
    return Reversal(np.where(valid, symbols, 0), np.where(valid, mirrored, 0), lengths)
