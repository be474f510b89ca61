"""Exclusive or, and parity of more bits: the smallest task that no linear model solves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["Xor", "xor"]


class Xor(NamedTuple):
    """Every word of n bits, and whether the number of ones in it is odd."""

    inputs: NDArray[np.float32]
    """(2**n_bits, n_bits), zeros and ones."""
    targets: NDArray[np.float32]
    """(2**n_bits, 1), 1.0 where the number of ones is odd."""


def xor(n_bits: int = 2) -> Xor:
    """The truth table of exclusive or; with more bits, of parity.

    A one-to-one task: a vector in, one number out. The best linear answer is 0.5 everywhere.

    Raises:
        ArgumentError: `n_bits` outside 1 to 16.

    >>> xor().targets.ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    check_whole("xor", "n_bits", n_bits, 1, 16)
    words = np.arange(2**n_bits)[:, None] >> np.arange(n_bits)[::-1] & 1
    return Xor(words.astype(np.float32), (words.sum(1, keepdims=True) % 2).astype(np.float32))
