"""The adding problem: remember two marked numbers among many, and give their sum."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["ADDING_BASELINE", "Adding", "adding"]

ADDING_BASELINE = 1 / 6
"""Mean squared error of always answering 1, the mean of u + v: 2 · 1/12, the best without memory."""


class Adding(NamedTuple):
    """Examples of the adding problem, examples first."""

    inputs: NDArray[np.float32]
    """(n, steps, 2): the number, and 1 where it counts."""
    targets: NDArray[np.float32]
    """(n, 1): the sum of the two numbers that count."""


def adding(n: int, steps: int, seed: int) -> Adding:
    """The adding problem: many-to-one, and the answer needs two moments far from the end and from each other.

    x_t = (u_t, m_t),  y = Σ_t m_t u_t

    u is uniform on [0, 1); m is 1 at one step of the first half (steps // 2 of them) and one of the second, uniform in
    each, and 0 elsewhere. Always answering 1 has a mean squared error of 1/6 = 0.167 (`ADDING_BASELINE`); the best
    possible error is 0.

    Shapes:
        inputs (n, steps, 2), targets (n, 1), float32; the models take time first: ``inputs.swapaxes(0, 1)``.

    Raises:
        ArgumentError: `n` or `seed` is negative, or `steps` is below 2.
        ArgumentTypeError: one of them is not an int.

    Source:
        [Hochreiter1997], experiment 4, in the form of [Le2015]: numbers on [0, 1), every row of one length, the sum
        unscaled.

    >>> x, y = adding(3, steps=10, seed=0)
    >>> x.shape, y.shape, x[:, :, 1].sum(1).tolist()
    ((3, 10, 2), (3, 1), [2.0, 2.0, 2.0])
    """
    check_whole("adding", "n", n, 0)
    check_whole("adding", "steps", steps, 2)
    check_whole("adding", "seed", seed, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    rows, half = np.arange(n), steps // 2
    inputs = np.zeros((n, steps, 2), np.float32)
    inputs[:, :, 0] = rng.random((n, steps), np.float32)
    inputs[rows, rng.integers(0, half, n), 1] = 1
    inputs[rows, rng.integers(half, steps, n), 1] = 1
    return Adding(inputs, inputs.prod(2).sum(1, keepdims=True))
