"""Whether probabilities mean what they say.

Axes in names: N predictions, M bins.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.errors import ArgumentError

__all__ = ["Reliability", "least_temperature", "logistic", "reliability"]

_GOLDEN = (5**0.5 - 1) / 2
_LEAST = 1e-6  # from 0 and from 1: what a logarithm can bear


class Reliability(NamedTuple):
    """How often predictions of like probability were right."""

    probability: NDArray[np.float64]
    """(M,) the mean probability of each bin that holds any."""
    right: NDArray[np.float64]
    """(M,) the share of them that was right."""
    predictions: NDArray[np.int64]
    """(M,)"""

    @property
    def error(self) -> float:
        """The expected calibration error, Σ predictions · |right − probability| / Σ predictions; 0 of no prediction."""
        total = int(self.predictions.sum())
        return float(self.predictions @ np.abs(self.right - self.probability)) / total if total else 0.0

    @property
    def by_chance(self) -> float:
        """What `error` comes to on average by chance alone, of probabilities that mean just what they say.

        Σ n √(2 p (1 − p) / (π n)) / Σ n over bins of n predictions and mean probability p: so far is a share of n from
        p on average, where n is not very small.
        """
        total, p_M = int(self.predictions.sum()), self.probability
        far_M = np.sqrt(2 / np.pi * p_M * (1 - p_M) * self.predictions)
        return float(far_M.sum()) / total if total else 0.0


def reliability(probability: ArrayLike, right: ArrayLike, bins: int = 10) -> Reliability:
    """Sort predictions into bins of equal width by their probability.

    **Source** [Guo2017].

    Raises:
        ArgumentError: not as many outcomes as probabilities, or a probability outside [0, 1].

    >>> reliability([0.9, 0.9, 0.2], [True, False, False]).error.__round__(3)
    0.333
    """
    p_N, right_N = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if p_N.shape != right_N.shape or p_N.ndim != 1:
        raise ArgumentError(
            f"reliability: expected as many outcomes as probabilities, got {right_N.shape} and {p_N.shape}; "
            "pass one of each for every prediction"
        )
    outside = p_N[~((p_N >= 0) & (p_N <= 1))]
    if len(outside):
        raise ArgumentError(f"reliability: expected probabilities in [0, 1], got {outside[0]}; pass probabilities")
    bin_N = np.minimum((p_N * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_N, minlength=bins)
    there = count > 0
    sums = [np.bincount(bin_N, weights=values, minlength=bins)[there] / count[there] for values in (p_N, right_N)]
    return Reliability(sums[0], sums[1], count[there])


def least_temperature(loss: Callable[[float], float], low: float = 0.25, high: float = 8.0, steps: int = 14) -> float:
    """The temperature with the least loss, by golden-section search over its logarithm.

    **Source** [Guo2017]: scores divided by one number, found on data that were not trained on.
    """
    a, b = np.log(low), np.log(high)
    inner = [b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)]
    found = [loss(float(np.exp(t))) for t in inner]
    for _ in range(steps):
        if found[0] <= found[1]:
            b, inner[1], found[1] = inner[1], inner[0], found[0]
            inner[0] = b - _GOLDEN * (b - a)
            found[0] = loss(float(np.exp(inner[0])))
        else:
            a, inner[0], found[0] = inner[0], inner[1], found[1]
            inner[1] = a + _GOLDEN * (b - a)
            found[1] = loss(float(np.exp(inner[1])))
    return float(np.exp((a + b) / 2))


def logistic(probability: ArrayLike, right: ArrayLike, steps: int = 20) -> tuple[float, float]:
    """The a and b by which σ(a · logit p + b) says best how often predictions of probability p are right.

    Newton's steps on the cross-entropy, with half of (a − 1)² + b² beside it: of few predictions little is learned, of
    none a = 1 and b = 0, which leave p as it is.

    **Source** [Guo2017], who call it Platt scaling.
    """
    p_N = np.clip(np.asarray(probability, dtype=np.float64), _LEAST, 1 - _LEAST)
    right_N = np.asarray(right, dtype=np.float64)
    x_N2 = np.stack((np.log(p_N) - np.log1p(-p_N), np.ones_like(p_N)), axis=1)
    none = np.array([1.0, 0.0])

    def loss(w_2: NDArray[np.float64]) -> float:
        z_N = x_N2 @ w_2
        return float((np.logaddexp(0, z_N) - right_N * z_N).sum() + 0.5 * ((w_2 - none) ** 2).sum())

    w_2 = none
    for _ in range(steps):
        q_N = 1 / (1 + np.exp(-np.clip(x_N2 @ w_2, -60, 60)))
        gradient_2 = x_N2.T @ (q_N - right_N) + w_2 - none
        hessian_22 = (x_N2 * (q_N * (1 - q_N))[:, None]).T @ x_N2 + np.eye(2)
        step_2 = np.linalg.solve(hessian_22, gradient_2)
        while loss(w_2 - step_2) > loss(w_2) and np.abs(step_2).max() > _LEAST:
            step_2 = step_2 / 2
        w_2 = w_2 - step_2
    return float(w_2[0]), float(w_2[1])
