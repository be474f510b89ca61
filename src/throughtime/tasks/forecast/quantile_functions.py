"""Quantile functions that torch does not have: Student's t and the negative binomial, in float64.

Axes in names: Q quantiles.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

MOST_DF = 100.0  # at more degrees of freedom the 99.9 % quantile is within 3 % of the normal's
LEAST_DF = 2.0

_NODES = 28  # of the interpolation over 1/df: error below 1e-9 of the quantile, see the test
_LEGENDRE = np.polynomial.legendre.leggauss(80)


def normal_quantiles(q: Sequence[float], like: Tensor) -> Tensor:
    """z(q), (Q,), in the dtype of another tensor."""
    exact: Tensor = torch.special.ndtri(torch.tensor(q, dtype=torch.float64, device=like.device))
    return exact.to(like.dtype)


def student_t_quantiles(q: Sequence[float], df: Tensor) -> Tensor:
    """The quantiles of the standard t distribution: (..., Q) for `df` (...) between 2 and 100.

    **Numerics** relative error below 1e-8.
    """
    inverse = 1.0 / df.to(torch.float64)
    low, high = 1.0 / MOST_DF, 1.0 / LEAST_DF
    place = ((2.0 * inverse - low - high) / (high - low)).clamp(-1.0, 1.0)
    return torch.stack([_t_quantile(level, place) for level in q], dim=-1).to(df.dtype)


def _t_quantile(q: float, place: Tensor) -> Tensor:
    if q == 0.5:
        return torch.zeros_like(place)
    last = before = torch.zeros_like(place)  # Clenshaw's recurrence
    first, *others = _t_coefficients(max(q, 1.0 - q))
    for coefficient in reversed(others):
        last, before = coefficient + 2.0 * place * last - before, last
    return math.copysign(1.0, q - 0.5) * torch.exp(first + place * last - before)


@lru_cache(maxsize=256)
def _t_coefficients(q: float) -> tuple[float, ...]:
    """Chebyshev coefficients of log t_q over 1/df in [1/100, 1/2]."""
    place = np.cos(math.pi * (np.arange(_NODES) + 0.5) / _NODES)
    low, high = 1.0 / MOST_DF, 1.0 / LEAST_DF
    exact = [_t_exact(q, 2.0 / (low + high + at * (high - low))) for at in place]
    return tuple(np.polynomial.chebyshev.chebfit(place, np.log(exact), _NODES - 1).tolist())


def _t_exact(q: float, df: float) -> float:
    """The upper quantile at q > 1/2: with t = sqrt(df) tan a, P(0 < T < t) = c int_0^a cos(u)^(df - 1) du."""
    c = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)
    nodes, weights = _LEGENDRE
    angle = 0.0
    # The integral is concave in the angle: Newton's steps from 0 rise to the root and never pass it.
    for _ in range(200):
        area = c * 0.5 * angle * float(weights @ np.cos(0.5 * angle * (nodes + 1.0)) ** (df - 1.0))
        step = (q - 0.5 - area) / (c * math.cos(angle) ** (df - 1.0))
        angle += step
        if abs(step) < 1e-15:
            break
    return math.sqrt(df) * math.tan(angle)


def negative_binomial_quantiles(q: Sequence[float], mean: Tensor, dispersion: Tensor) -> Tensor:
    """The least count whose probability, with all below it, reaches q: (..., Q) for mean and dispersion (...).

    The variance is mean + dispersion · mean². Bisection over the counts, with P(X ≤ k) = I_p(r, k + 1), r = 1 /
    dispersion and p = 1 / (1 + dispersion · mean).
    """
    level = torch.tensor(q, dtype=torch.float64, device=mean.device).expand(*mean.shape, len(q))
    m = mean.to(torch.float64).unsqueeze(-1).expand_as(level).reshape(-1)
    d = dispersion.to(torch.float64).unsqueeze(-1).expand_as(level).reshape(-1)
    wanted = level.reshape(-1)
    below, above = torch.full_like(m, -1.0), torch.ceil(m + 2.0 * torch.sqrt(m + d * m**2))
    while bool((short := _counts_cdf(above, m, d) < wanted).any()):
        below = torch.where(short, above, below)
        above = torch.where(short, 2.0 * above + 1.0, above)
    while bool((above - below > 1.0).any()):
        middle = torch.floor((below + above) / 2.0)
        enough = _counts_cdf(middle, m, d) >= wanted
        # Where the two are neighbours the middle is the lower one, and stays below.
        below, above = torch.where(enough, below, middle), torch.where(enough, middle, above)
    return above.reshape(level.shape).to(mean.dtype)


def _counts_cdf(k: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    return torch.where(k < 0, 0.0, _beta_cdf(1.0 / dispersion, k.clamp(min=0) + 1.0, dispersion * mean))


def _beta_cdf(a: Tensor, b: Tensor, odds: Tensor) -> Tensor:
    """The regularised incomplete beta function I_x(a, b) at x = 1 / (1 + odds), by its continued fraction (Lentz)."""
    log_x, log_y = -torch.log1p(odds), torch.log(odds) - torch.log1p(odds)
    turned = torch.exp(log_x) > (a + 1.0) / (a + b + 2.0)  # the fraction converges fast below the mean only
    p, q = torch.where(turned, b, a), torch.where(turned, a, b)
    log_p, log_q = torch.where(turned, log_y, log_x), torch.where(turned, log_x, log_y)
    x = torch.exp(log_p)
    front = torch.exp(p * log_p + q * log_q + torch.lgamma(p + q) - torch.lgamma(p) - torch.lgamma(q)) / p
    tiny = 1e-300
    c = torch.ones_like(p)
    d = 1.0 / _away_from_zero(1.0 - (p + q) * x / (p + 1.0), tiny)
    fraction = d
    for n in range(1, 20_000):
        even = n * (q - n) * x / ((p + 2 * n - 1.0) * (p + 2 * n))
        odd = -(p + n) * (p + q + n) * x / ((p + 2 * n) * (p + 2 * n + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d, tiny)
            c = _away_from_zero(1.0 + term / c, tiny)
            fraction = fraction * (c * d)
        if bool(((c * d - 1.0).abs() < 1e-13).all()):
            break
    part = front * fraction
    return torch.where(turned, 1.0 - part, part)


def _away_from_zero(value: Tensor, tiny: float) -> Tensor:
    return torch.where(value.abs() < tiny, tiny, value)
