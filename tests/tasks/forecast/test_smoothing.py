"""Exponential smoothing beside the same thing written as loops over one series."""

import numpy as np
import pytest
from numpy.typing import NDArray

from throughtime.tasks.forecast.season import season_pattern
from throughtime.tasks.forecast.smoothing import smoothed
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]
K = 5


def windows(*series: Array, horizon: int = K) -> Windows:
    """One window a series, its origin at the series' end."""
    starts = np.concatenate(([0], np.cumsum([len(values) for values in series])))
    flat = np.concatenate((*series, np.zeros(horizon)))
    return Windows(flat, np.arange(len(series)), starts[:-1], starts[1:], 1, horizon)


def theta(y: Array, m: int, pattern: Array | None) -> Array:
    """Equations (1) to (3) of the module, term by term."""
    n = len(y)
    d = y if pattern is None else y / np.array([pattern[t % m] for t in range(n)])
    best = (np.inf, 0.0, 0.0)
    for alpha in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        level, squares = d[0], 0.0
        for value in d[1:]:
            squares += (value - level) ** 2
            level = alpha * value + (1 - alpha) * level
        best = min(best, (squares, alpha, level))
    _, alpha, level = best
    slope = np.polyfit(np.arange(n), d, 1)[0]
    made = [level + slope / 2 * (k + (1 - (1 - alpha) ** n) / alpha) for k in range(K)]
    return np.array(made) * (1.0 if pattern is None else np.array([pattern[(n + k) % m] for k in range(K)]))


def test_without_a_season() -> None:
    walks = [10 + np.random.default_rng(n).normal(size=n).cumsum() for n in (3, 20, 41)]
    found = smoothed(windows(*walks), 1)
    np.testing.assert_allclose(found, [theta(y, 1, None) for y in walks], rtol=1e-10)


@pytest.mark.parametrize("m", [4, 5])
def test_with_a_season(m: int) -> None:
    t = np.arange(6 * m + 3)
    y = (50 + t + np.random.default_rng(0).normal(size=len(t))) * (1 + 0.5 * np.sin(2 * np.pi * t / m))
    pattern = season_pattern(y[None], m, multiplicative=True, decay=0.87)[0]
    assert np.ptp(pattern) > 0.5
    np.testing.assert_allclose(smoothed(windows(y), m)[0], theta(y, m, pattern), rtol=1e-10)


@pytest.mark.parametrize("multiplicative", [True, False])
@pytest.mark.parametrize("m", [4, 5])
def test_a_pure_season_is_found(m: int, multiplicative: bool) -> None:
    shape = np.arange(m) + 1.0
    wanted = shape / shape.mean() if multiplicative else shape - shape.mean()
    y = np.tile(20 * wanted if multiplicative else 20 + wanted, 5)
    y[m + 1] = np.nan
    found = season_pattern(np.stack([y, np.full_like(y, np.nan)]), m, multiplicative=multiplicative)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-12)
    np.testing.assert_array_equal(found[1], 1.0 if multiplicative else 0.0)


def test_a_season_that_changed_fades() -> None:
    old, new = np.tile([1.0, 3.0], 20), np.tile([3.0, 1.0], 6)
    y = np.concatenate((old, new))[None]
    kept = season_pattern(y, 2, multiplicative=False)[0]
    fading = season_pattern(y, 2, multiplicative=False, decay=0.7)[0]
    assert kept[0] < 0 < fading[0]


def test_gaps_surprise_nobody_and_rows_do_not_meet() -> None:
    rng = np.random.default_rng(1)
    whole = 5 + rng.normal(size=30)
    gappy = whole.copy()
    gappy[[0, 7, 8, 29]] = np.nan
    found = smoothed(windows(whole, gappy, np.full(4, np.nan), np.array([3.0])), 1)
    alone = [smoothed(windows(y), 1)[0] for y in (whole, gappy)]
    np.testing.assert_array_equal(found[:2], alone)
    assert np.isfinite(found[1]).all()
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(found[3], 3.0)


def test_values_that_are_not_positive_have_an_additive_season() -> None:
    t = np.arange(40)
    y = 2 * np.cos(2 * np.pi * t / 4) + 0.01 * np.random.default_rng(2).normal(size=40)
    np.testing.assert_allclose(smoothed(windows(y), 4)[0], [2, 0, -2, 0, 2], atol=0.05)
