"""Quantiles corrected by the errors that a model made on held-out origins, so that intervals hold what they promise.

For every level q and step k, with e_n = (the value − the model's own quantile at q) / u over held-out windows
n = 1 ... N (a model that gives a point alone gives it for every q; u is how large an error the window lets expect):

(1) offset = the ⌈(N + 1) q⌉-th smallest e where q > 1/2, the ⌊(N + 1) q⌋-th where q < 1/2, the median at 1/2
(2) calibrated quantile = the model's own + u · offset

Every series counts alike: where they have windows in unequal number, errors are weighted, and N is (Σ w)² / Σ w².

If the next origin is like the held-out ones (exchangeable with them), a value lies below an upper quantile with
probability q at least, and above a lower one with 1 − q at least; an interval between the two holds its level.

Where windows are few, the errors of neighbouring steps are taken together. A level beyond what the errors can tell is
refused, not guessed. Between the levels, offsets are linear in the normal distribution's z(q).

Axes in names: N windows, K steps of the horizon, Q levels.

**Source** [Romano2019]; differs from it by one-sided corrections, each level for itself, in units of a window's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.errors import ArgumentError
from throughtime.tasks.forecast import metrics

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# What is calibrated; the outermost need 199 errors, and more to be steady.
GRID = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
MEASURED = (80.0, 95.0)  # the intervals whose coverage is measured
# Errors beyond a level that make its offset steady; with fewer, neighbouring steps help out.
_WANTED_BEYOND = 5
_ROUNDING = 1e-9  # of shares and numbers of errors
_MANY_SERIES = 10  # from here on, series are parted for the measurement; with fewer, time is


@dataclass(frozen=True)
class Calibration:
    """What held-out origins said.

    Attributes:
        levels: (Q,) those of GRID that the errors can tell.
        offsets_QK: what is added to the model's own quantiles, in units of the expected error.
        origins: how many held-out windows gave the errors.
        coverage: level in percent → share of values inside, in percent, on origins kept apart from a second
            calibration made for this measurement; a level that it could not tell is not in it.
        apart: how the origins were kept apart, in words.
    """

    levels: tuple[float, ...]
    offsets_QK: Array
    origins: int
    coverage: dict[float, float]
    apart: str

    def apply(self, quantiles_NKQ: Array, unit_NK: Array, q: Sequence[float], who: str) -> Array:
        """The model's own quantiles at levels q, corrected and in order: (N, K, Q); `unit_NK` as in `calibrate`.

        Raises:
            ArgumentError: a level is beyond those that the held-out origins can tell.
        """
        beyond = [level for level in q if not self.levels[0] <= level <= self.levels[-1]]
        if beyond:
            raise ArgumentError(
                f"{who}: expected quantiles from {self.levels[0]:g} to {self.levels[-1]:g}, which is as far as "
                f"{self.origins} held-out origins tell (intervals up to {100 - 200 * self.levels[0]:g} %), got "
                f"{beyond[0]:g}; ask for less, or fit on a longer history or more series"
            )
        z, grid = _normal(q), _normal(self.levels)
        offset_KQ = np.stack([np.interp(z, grid, offsets) for offsets in self.offsets_QK.T])
        order = np.argsort(q)
        found = np.empty_like(quantiles_NKQ)
        found[..., order] = np.sort((quantiles_NKQ + unit_NK[..., None] * offset_KQ)[..., order], axis=-1)
        return found

    @property
    def sentence(self) -> str:
        """How far the intervals can be trusted, in plain words."""
        text = f"calibrated on {self.origins} held-out origins"
        if not self.coverage:
            return f"{text}, too few to measure their coverage"
        held = [f"{level:g} % held {share:.1f} %" for level, share in self.coverage.items()]
        return f"{text}; measured {self.apart}: {', '.join(held)} of the values"

    def as_dict(self) -> dict[str, Any]:
        """All but the offsets, ready for JSON."""
        return {
            "levels": list(self.levels),
            "origins": self.origins,
            "coverage": [[level, share] for level, share in self.coverage.items()],
            "apart": self.apart,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], offsets: Array, horizon: int) -> "Calibration":
        """The reverse of `as_dict`; ValueError where the parts do not fit together."""
        levels = tuple(float(level) for level in fields["levels"])
        if not levels or list(levels) != sorted({*levels}) or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError(f"conformal: levels {levels}")
        if offsets.shape != (len(levels), horizon) or offsets.dtype != np.float64:
            raise ValueError(f"conformal: offsets {offsets.shape} for {len(levels)} levels and horizon {horizon}")
        coverage = {float(level): float(share) for level, share in fields["coverage"]}
        return cls(levels, offsets, int(fields["origins"]), coverage, str(fields["apart"]))


def calibrate(
    quantiles_NKQ: Array, target_NK: Array, unit_NK: Array, series_N: Index, origins_N: Index
) -> Calibration | None:
    """Learn offsets from held-out windows, and measure on a part of them what offsets of the others are worth.

    Args:
        quantiles_NKQ: the model's own at the levels of GRID, in scaled units.
        target_NK: what came, in scaled units; NaN where nobody measured it.
        unit_NK: how large an error is to be expected, as far as is known before; (N, K) or (N, 1).
        series_N, origins_N: which series a window is of, and where in time it lies.

    Returns:
        None where the errors tell no interval at all.
    """
    unit_NK = np.broadcast_to(unit_NK, target_NK.shape)
    error_NKQ = (target_NK[..., None] - quantiles_NKQ) / unit_NK[..., None]
    found = _offsets(error_NKQ, series_N)
    if found is None:
        return None
    levels, offsets_QK = found
    first_N, apart = _halves(series_N, origins_N)
    inside: dict[float, list[metrics.Parts]] = {level: [] for level in MEASURED}
    for learned in (first_N, ~first_N):
        half = _offsets(error_NKQ[learned], series_N[learned])
        if half is None:
            continue
        weight_N1 = _weights(series_N[~learned])[:, None]
        for level in MEASURED:
            if not {*tails(level)} <= {*half[0]}:
                continue
            low, high = (half[1][half[0].index(q)] - error_NKQ[~learned][..., GRID.index(q)] for q in tails(level))
            # The value lies in the interval where it lies above the lower end, low <= 0, and below the upper.
            held = metrics.inside(low, np.maximum(low, high), np.where(np.isfinite(low), 0.0, np.nan))
            inside[level].append(metrics.Parts(held.above * weight_N1, held.below * weight_N1))
    coverage = {}
    for level, halves in inside.items():
        if halves:
            joined = metrics.Parts(*(np.concatenate(both) for both in zip(*halves, strict=True)))
            share = metrics.over_all({"coverage": joined})["coverage"]
            if np.isfinite(share):  # a half may have told no end of the other's intervals
                coverage[level] = share
    return Calibration(levels, offsets_QK, len(target_NK), coverage, apart)


def balanced(series_N: Index, most: int, seed: int) -> Index:
    """At most so many windows, (n,) in order: as even a share of every series as there are windows, drawn at random."""
    if len(series_N) <= most:
        return np.arange(len(series_N))
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(series_N))
    order = order[np.argsort(series_N[order], kind="stable")]
    _, first, counts = np.unique(series_N[order], return_index=True, return_counts=True)
    turn_N = np.arange(len(order)) - np.repeat(first, counts)
    return np.sort(order[np.argsort(turn_N, kind="stable")[:most]])


def tails(level: float) -> tuple[float, float]:
    """The quantiles that a central interval of so many percent lies between."""
    beyond = round((100.0 - level) / 200.0, 12)
    return beyond, round(1.0 - beyond, 12)


def _offsets(error_NKQ: Array, series_N: Index) -> tuple[tuple[float, ...], Array] | None:
    """The levels that can be told, and equation (1) for them: (Q, K)."""
    found: dict[float, Array] = {}
    weight_N = _weights(series_N)
    for place, q in enumerate(GRID):
        error_NK = error_NKQ[..., place]
        wanted = _WANTED_BEYOND / min(q, 1.0 - q)
        row = np.empty(error_NK.shape[1])
        for k, reach in enumerate(_reaches(np.isfinite(error_NK), weight_N, wanted)):
            near_NR = error_NK[:, max(k - reach, 0) : k + reach + 1]
            known = np.isfinite(near_NR)
            row[k] = _offset(near_NR[known], np.broadcast_to(weight_N[:, None], known.shape)[known], q)
        if np.isfinite(row).all():
            found[q] = row
    # Ranks are symmetric: a level is told where its mirror image is.
    return (tuple(found), np.stack(list(found.values()))) if len(found) > 1 else None


def _weights(series_N: Index) -> Array:
    """Every series counts alike, however many windows it has: (N,)."""
    _, place, counts = np.unique(series_N, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place])


def _offset(errors: Array, weights: Array, q: float) -> float:
    """Equation (1); NaN where the errors are too few for the level."""
    if not len(errors):
        return np.nan
    if q < 0.5:
        return -_offset(-errors, weights, 1.0 - q)
    order = np.argsort(errors)
    share = np.cumsum(weights[order]) / weights.sum()
    if q == 0.5:
        both = (np.searchsorted(share, 0.5 - _ROUNDING), np.searchsorted(share, 0.5 + _ROUNDING))
        return float(errors[order[list(both)]].mean())
    asked = q * (1.0 + weights @ weights / weights.sum() ** 2)
    place = int(np.searchsorted(share, asked - _ROUNDING))
    return float(errors[order[place]]) if place < len(errors) else np.nan


def _reaches(known_NK: NDArray[np.bool_], weight_N: Array, wanted: float) -> Index:
    """How many neighbouring steps on either side make so many errors, (K,); all of them where none do."""
    K = known_NK.shape[1]
    first, second = (np.concatenate(([0.0], np.cumsum(weight_N**power @ known_NK))) for power in (1, 2))
    k, reach = np.arange(K), np.zeros(K, dtype=np.int64)
    for _ in range(K):
        above, below = np.minimum(k + reach + 1, K), np.maximum(k - reach, 0)
        short = (first[above] - first[below]) ** 2 < (wanted - _ROUNDING) * (second[above] - second[below])
        short |= first[above] <= first[below]
        if not short.any():
            break
        reach[short] += 1
    return np.asarray(reach)


def _halves(series_N: Index, origins_N: Index) -> tuple[NDArray[np.bool_], str]:
    """A first half of the windows, and how it is kept apart from the second."""
    names, series_N = np.unique(series_N, return_inverse=True)
    if len(names) >= _MANY_SERIES:
        return series_N % 2 == 0, "on series kept apart"
    first_N = np.zeros(len(series_N), dtype=bool)
    for own in range(len(names)):
        mine = series_N == own
        first_N[mine] = origins_N[mine] <= np.median(origins_N[mine])
    return first_N, "on origins kept apart"


def _normal(q: Sequence[float]) -> Array:
    return np.asarray(torch.special.ndtri(torch.tensor(q, dtype=torch.float64)).numpy())
