"""Whether series have a season, and what it looks like.

Axes in names: S series, T time, m steps of a season.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def is_seasonal(values_ST: Array, m: int) -> NDArray[np.bool_]:
    """Whether the autocorrelation at lag m is more than chance: (S,). NaN pads and marks gaps.

    r_j = the autocorrelation at lag j;  a season where n ≥ 3m and |r_m| > 1.645 sqrt((1 + 2 Σ_{j<m} r_j²) / n)
    """
    known = np.isfinite(values_ST)
    n = known.sum(axis=1)
    mean_S1 = np.where(known, values_ST, 0.0).sum(axis=1, keepdims=True) / np.maximum(n, 1)[:, None]
    centred = np.where(known, values_ST - mean_S1, 0.0)
    power = (centred**2).sum(axis=1)
    told = (n >= 3 * m) & (power > 1e-24 * n * mean_S1[:, 0] ** 2)
    safe = np.where(power > 0, power, 1.0)
    squares, r = np.zeros(len(n)), np.zeros(len(n))
    for lag in range(1, m + 1 if told.any() else 1):
        squares += r**2
        r = np.einsum("st,st->s", centred[:, lag:], centred[:, :-lag]) / safe
    return np.asarray(told & (np.abs(r) > 1.645 * np.sqrt((1 + 2 * squares) / np.maximum(n, 1))))


def season_pattern(values_ST: Array, m: int, *, multiplicative: bool, decay: float = 1.0) -> Array:
    """The season by classical decomposition, (S, m): entry p belongs to times t with t mod m = p.

    (1) trend = the centred moving average over m steps
    (2) pattern_p = the mean over the seasons of y / trend, or of y − trend, each season counting `decay` times the next
    (3) over the mean of all phases, or less it

    A row in which some phase is never seen beside a whole season gets ones, or zeros. NaN pads and marks gaps.
    """
    S, T = values_ST.shape
    neutral = 1.0 if multiplicative else 0.0
    half = m // 2
    if 2 * half >= T:
        return np.full((S, m), neutral)
    trend = np.full_like(values_ST, np.nan)
    middle = np.zeros((S, T - 2 * half))
    for lag in range(2 * half + 1):
        share = 0.5 if m % 2 == 0 and lag in (0, 2 * half) else 1.0
        middle += share / m * values_ST[:, lag : T - 2 * half + lag]
    trend[:, half : T - half] = middle
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = values_ST / trend if multiplicative else values_ST - trend
    seasons = -(-T // m)
    by_phase = np.pad(apart, ((0, 0), (0, -T % m)), constant_values=np.nan).reshape(S, seasons, m)
    weight = np.where(np.isfinite(by_phase), decay ** np.arange(seasons - 1.0, -1.0, -1.0)[:, None], 0.0)
    total_Sm = weight.sum(axis=1)
    found_Sm = (np.where(weight > 0, by_phase, 0.0) * weight).sum(axis=1) / np.where(total_Sm > 0, total_Sm, 1.0)
    mean_S1 = found_Sm.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found_Sm = found_Sm / mean_S1 if multiplicative else found_Sm - mean_S1
    whole = (total_Sm > 0).all(axis=1) & np.isfinite(found_Sm).all(axis=1)
    return np.where(whole[:, None], found_Sm, neutral)
