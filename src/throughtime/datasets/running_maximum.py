"""The running maximum: at every step the largest number so far."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["RunningMaximum", "running_maximum"]


class RunningMaximum(NamedTuple):
    """Examples of the running maximum, examples first."""

    inputs: NDArray[np.float32]
    """(n, steps, 1)."""
    targets: NDArray[np.float32]
    """(n, steps, 1)."""


def running_maximum(n: int, steps: int, seed: int) -> RunningMaximum:
    """An aligned task that streams: y_t = max(x_1, …, x_t), x uniform on [0, 1).

    The best answer that only knows t is the mean t / (t + 1), with an error of t / ((t + 1)² (t + 2)) at step t; the
    best possible error is 0.

    Shapes:
        (n, steps, 1), float32, both; the models take time first: ``inputs.swapaxes(0, 1)``.

    Raises:
        ArgumentError: `n` or `seed` is negative, or `steps` is below 1.
        ArgumentTypeError: one of them is not an int.

    >>> x, y = running_maximum(2, steps=5, seed=0)
    >>> bool((y[:, -1] == x.max(1)).all())
    True
    """
    check_whole("running_maximum", "n", n, 0)
    check_whole("running_maximum", "steps", steps, 1)
    check_whole("running_maximum", "seed", seed, 0)
    inputs = np.random.Generator(np.random.PCG64(seed)).random((n, steps, 1), np.float32)
    return RunningMaximum(inputs, np.maximum.accumulate(inputs, axis=1))
