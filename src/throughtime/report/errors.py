"""Errors by horizon beside the baselines', and how often intervals hold what they promise.

Axes in names: K steps of the horizon, L levels.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError
from throughtime.report.forecast import BASELINES
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, RULE, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["coverage_figure", "horizon_figure"]

Array = NDArray[np.floating[Any]]

# Lines of baselines are grey; their dashes tell them apart.
_DASHES: tuple[Any, ...] = ((0, (1.5, 1.5)), (0, (4, 2)), (0, (7, 2, 1.5, 2)), (0, (1, 3)), (0, (9, 3)))


def horizon_figure(errors_K: Mapping[str, Array], *, metric: str, size: tuple[float, float] = (4.6, 2.7)) -> "Figure":
    """A line a model over the steps of the horizon; what is one of the baselines is grey.

    Args:
        errors_K: model to (K,), K ≥ 1; a figure that does not exist is NaN.

    Raises:
        ArgumentError: no model, or errors of different lengths.
    """
    shapes = {values.shape for values in errors_K.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or next(iter(shapes)) == (0,):
        raise ArgumentError(
            f"horizon_figure: expected errors of one shape (K,) with K >= 1, got {sorted(shapes)}; pass one error a "
            "step for each model"
        )
    figure = new_figure(*size)
    axes = figure.subplots()
    steps = np.arange(1, next(iter(shapes))[0] + 1)
    few = len(steps) <= 24
    coloured = greys = 0
    for name, values in errors_K.items():
        if name in BASELINES or coloured == len(COLOURS):
            axes.plot(steps, values, color=BASELINE, linestyle=_DASHES[greys % len(_DASHES)], linewidth=1.4, label=name)
            greys += 1
        else:
            colour, dashes = COLOURS[coloured]
            axes.plot(
                steps, values, color=colour, linestyle=dashes, linewidth=1.9, label=name, zorder=4,
                marker="o" if few else "", markersize=3.2,
            )  # fmt: skip
            coloured += 1
    dress(axes, steps)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("step of the horizon", fontsize=9, color=QUIET_INK)
    axes.set_ylabel(metric, fontsize=9, color=QUIET_INK)
    _legend(axes)
    return figure


def coverage_figure(levels: Sequence[float], covered_LK: Array, *, size: tuple[float, float] = (4.6, 2.7)) -> "Figure":
    """The share of actual values inside the intervals of each level, by step of the horizon, beside the level itself.

    Args:
        levels: in percent.
        covered_LK: a row a level, in percent at each step of the horizon.

    Raises:
        ArgumentError: another number of rows than of levels, or a percentage outside of 0 to 100.
    """
    if covered_LK.ndim != 2 or len(covered_LK) != len(levels) or not covered_LK.size:
        raise ArgumentError(
            f"coverage_figure: expected a row for each of {len(levels)} levels, got shape {covered_LK.shape}; pass one "
            "share a level and step"
        )
    low, high = float(np.nanmin(covered_LK)), float(np.nanmax(covered_LK))
    if low < 0.0 or high > 100.0:
        raise ArgumentError(
            f"coverage_figure: expected percent from 0 to 100, got {low:g} to {high:g}; multiply shares by 100"
        )
    figure = new_figure(*size)
    axes = figure.subplots()
    steps = np.arange(1, covered_LK.shape[1] + 1)
    for i, (level, covered_K) in enumerate(zip(levels, covered_LK, strict=True)):
        colour, dashes = COLOURS[i % len(COLOURS)]
        axes.axhline(level, color=RULE, linewidth=0.9, zorder=1)
        axes.plot(
            steps, covered_K, color=colour, linestyle=dashes, linewidth=1.9, zorder=4, markersize=3.2,
            marker="o" if len(steps) <= 24 else "", label=f"{level:g} % intervals",
        )  # fmt: skip
    dress(axes, steps)
    axes.set_ylim(max(0.0, min(low, *levels) - 8.0), 101.0)
    axes.set_xlabel("step of the horizon", fontsize=9, color=QUIET_INK)
    axes.set_ylabel("inside, %", fontsize=9, color=QUIET_INK)
    _legend(axes)
    return figure


def _legend(axes: "Axes") -> None:
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="best", handlelength=2.6)
