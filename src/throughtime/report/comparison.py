"""Models side by side: the error of every run, and what each model costs."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.report.style import BASELINE, COLOURS, GRID, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["comparison_plot"]

_FAR = 0.75  # a baseline farther beyond the runs than this part of their range is named, not drawn
_LEAST_RANGE = 0.1  # of the largest error: runs that all but agree do not push every baseline out


def comparison_plot(
    path: str | os.PathLike[str],
    errors: Mapping[str, Sequence[float]],
    costs: Mapping[str, Mapping[str, float]],
    *,
    baselines: Mapping[str, float] | None = None,
    error_label: str = "error",
    title: str = "Models side by side",
    note: str = "",
) -> Path:
    """Draw the error of every run as a dot, a row a model, and beside it a bar for each cost.

    Args:
        path: a .png file.
        errors: model to the error of each of its runs, less is better; what is not finite is left out.
        costs: what it costs, such as "parameters", to model to value; NaN draws no bar.
        baselines: name to error: lines down the rows.
        note: a sentence below.

    Returns:
        The path written.

    Raises:
        ArgumentError: no model, or none with a finite error; a cost of a model that is not there, or below 0.
        MissingExtraError: matplotlib is not installed.
    """
    finite = {name: [float(v) for v in values if math.isfinite(v)] for name, values in errors.items()}
    if not any(finite.values()):
        raise ArgumentError(
            f"comparison_plot: expected at least one finite error, got none for {len(errors)} models; leave the "
            "picture out"
        )
    for cost, values in costs.items():
        for name, value in values.items():
            if name not in errors or value < 0:
                raise ArgumentError(
                    f"comparison_plot: expected {cost} of 0 or more for the models given, got {value:g} for {name!r}; "
                    "leave that model out"
                )
    height = 1.9 + 0.34 * len(errors)
    figure = new_figure(9.0, height)
    first, *others = np.atleast_1d(
        figure.subplots(1, 1 + len(costs), sharey=True, width_ratios=(3.2, *(1.0 for _ in costs)))
    )
    names = list(errors)
    left_out = _dots(first, names, finite, dict(baselines or {}))
    first.set_title(f"{error_label}, less is better", loc="left", fontsize=10, color=INK)
    for axes, (cost, values) in zip(others, costs.items(), strict=True):
        _bars(axes, cost, [values.get(name, math.nan) for name in names])
    first.set_yticks(range(len(names)), names)  # last: `dress` wants numbers on every axis that shares this one
    first.set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    said = [note, f"Off the picture: {', '.join(left_out)}." if left_out else ""]
    if any(said):
        figure.supxlabel(" ".join(filter(None, said)), x=0.01, ha="left", fontsize=8.5, color=QUIET_INK, wrap=True)
    return save(figure, path)


def _dots(
    axes: "Axes", names: Sequence[str], errors: Mapping[str, Sequence[float]], baselines: dict[str, float]
) -> list[str]:
    """Draw every run, the means and the baselines that are near; give the others, in words."""
    everything = [value for values in errors.values() for value in values]
    low, high = min(everything), max(everything)
    room = _FAR * max(high - low, _LEAST_RANGE * abs(high))

    shown = [(name, error) for name, error in baselines.items() if low - room <= error <= high + room]
    for i, (name, error) in enumerate(sorted(shown, key=lambda each: each[1])):
        axes.axvline(error, color=BASELINE, linewidth=1.1, linestyle=COLOURS[(i + 1) % len(COLOURS)][1], zorder=1)
        axes.annotate(
            f" {name} {error:.3g}", (error, 0), xycoords=("data", "axes fraction"), xytext=(0, 3 + 9 * (i % 2)),
            textcoords="offset points", fontsize=7.5, color=QUIET_INK, zorder=2,
        )  # fmt: skip
    left_out = [f"{name} {error:.4g}" for name, error in baselines.items() if (name, error) not in shown]
    means = {name: float(np.mean(values)) for name, values in errors.items() if values}
    best = min(means, key=lambda name: means[name])
    for row, name in enumerate(names):
        values = errors[name]
        if not values:
            axes.annotate(
                "no result", (0.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=QUIET_INK
            )
            continue
        colour = COLOURS[0][0] if name == best else QUIET_INK
        axes.plot(values, [row] * len(values), "o", markersize=5, color=colour, alpha=0.55, markeredgewidth=0)
        axes.plot([means[name]], [row], "|", markersize=15, markeredgewidth=2.2, color=colour, zorder=4)
    dress(axes)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x", color=GRID, linewidth=0.7)
    axes.margins(x=0.06)
    axes.tick_params(axis="y", labelsize=9.5)
    return left_out


def _bars(axes: "Axes", title: str, values: Sequence[float]) -> None:
    known = [(row, value) for row, value in enumerate(values) if math.isfinite(value)]
    axes.barh([row for row, _ in known], [value for _, value in known], height=0.5, color="#c8d3dc")
    for row, value in known:
        axes.annotate(
            f"{value:,.0f}" if value >= 100 else f"{value:.3g}", (0.02, row), xycoords=("axes fraction", "data"),
            va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    dress(axes)
    axes.grid(False, axis="y")
    axes.set_xlim(left=0)
    axes.set_xticks([])
    axes.tick_params(axis="y", labelleft=False)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
