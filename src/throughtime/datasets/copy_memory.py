"""The copy problem: keep some symbols over a long delay, and give them back in order."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["CopyMemory", "copy_memory", "copy_memory_baseline"]


class CopyMemory(NamedTuple):
    """Examples of the copy problem, examples first."""

    inputs: NDArray[np.int64]
    """(n, delay + 2 length): symbols, blanks, the signal to answer, blanks."""
    targets: NDArray[np.int64]
    """(n, delay + 2 length): blanks, then the symbols."""


def copy_memory(n: int, delay: int, seed: int, *, length: int = 10, n_symbols: int = 8) -> CopyMemory:
    """The copy problem: aligned, an answer at every step, and the last `length` of them need the first steps.

    inputs    s_1 … s_length, blank × (delay − 1), signal, blank × length
    targets   blank × (delay + length), s_1 … s_length

    Symbols are 0 to n_symbols − 1, uniform; the blank is n_symbols and the signal n_symbols + 1, so an input has
    n_symbols + 2 classes. A symbol is asked for again delay + length steps after it was shown.
    `copy_memory_baseline` is the cross-entropy of the best answer without memory.

    Shapes:
        (n, delay + 2 length), int64, both; the models take time first.

    Raises:
        ArgumentError: `n` or `seed` is negative, or `delay`, `length` or `n_symbols` is below 1.
        ArgumentTypeError: one of them is not an int.

    Source:
        [Arjovsky2016], section 5.1; there T is our `delay`.

    >>> inputs, targets = copy_memory(1, delay=3, seed=0, length=2, n_symbols=4)
    >>> inputs.tolist(), targets.tolist()
    ([[3, 2, 4, 4, 5, 4, 4]], [[4, 4, 4, 4, 4, 3, 2]])
    """
    check_whole("copy_memory", "n", n, 0)
    check_whole("copy_memory", "delay", delay, 1)
    check_whole("copy_memory", "seed", seed, 0)
    check_whole("copy_memory", "length", length, 1)
    check_whole("copy_memory", "n_symbols", n_symbols, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    symbols = rng.integers(0, n_symbols, (n, length))
    inputs = np.full((n, delay + 2 * length), n_symbols, np.int64)
    targets = inputs.copy()
    inputs[:, :length] = symbols
    inputs[:, delay + length - 1] = n_symbols + 1
    targets[:, delay + length :] = symbols
    return CopyMemory(inputs, targets)


def copy_memory_baseline(delay: int, *, length: int = 10, n_symbols: int = 8) -> float:
    """Mean cross-entropy a step, in nats, of blanks and then symbols drawn blindly: length · ln n_symbols / steps.

    Raises:
        ArgumentError, ArgumentTypeError: as `copy_memory`.

    >>> round(copy_memory_baseline(400), 4)
    0.0495
    """
    check_whole("copy_memory_baseline", "delay", delay, 1)
    check_whole("copy_memory_baseline", "length", length, 1)
    check_whole("copy_memory_baseline", "n_symbols", n_symbols, 1)
    return length * math.log(n_symbols) / (delay + 2 * length)
