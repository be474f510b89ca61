"""Gradients over time and layers: a heat map, and how far back they reach.

Axes in names: R rows, T time.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gradient_plot", "reach_figure"]

Array = NDArray[np.floating[Any]]

_DECADES = 8  # of the colours: float32 keeps 7.2 decimal digits
_BAD, _ABSENT = "#D55E00", "#f0f0f0"


def gradient_plot(
    path: str | os.PathLike[str],
    norms: Mapping[str, Array],
    reach: Mapping[str, Array],
    *,
    faded: float = 1e-6,
    title: str = "Gradients along time",
) -> Path:
    """Draw the norm of the gradient at every step, a row a label, and below it how it fades on its way back.

    Args:
        path: a .png file.
        norms: label to the norm at each step of time, from the first step; what is not finite is drawn in orange.
        reach: label to the norm at each step back from the end.
        faded: the part of its largest below which a gradient counts as gone: a line.
        title: above the picture.

    **Shapes** of every array (T,), T ≥ 1; they may differ from one another.

    Returns:
        The path written.

    Raises:
        ArgumentError: nothing to draw, an array that is not one of at least one step, or a negative norm.
        MissingExtraError: matplotlib is not installed.
    """
    if not norms or not reach:
        raise ArgumentError(
            f"gradient_plot: expected at least one row of norms and one of reach, got {len(norms)} and {len(reach)}; "
            "watch a backward pass first"
        )
    for label, values in (*norms.items(), *reach.items()):
        if values.ndim != 1 or not values.size:
            raise ArgumentError(
                f"gradient_plot: expected {label!r} of shape (T,) with T >= 1, got {values.shape}; pass one norm a step"
            )
        if (values < 0).any():
            raise ArgumentError(
                f"gradient_plot: expected norms >= 0, got {values.min():g} in {label!r}; pass absolute values"
            )
    figure = new_figure(9.0, 3.9 + 0.3 * len(norms))
    above, below = figure.subplots(2, 1, height_ratios=(0.8 + 0.3 * len(norms), 3.0))
    _heat_map(figure, above, norms)
    _reach(below, reach, faded)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def reach_figure(
    reach: Mapping[str, Array], *, faded: float = 1e-6, size: tuple[float, float] = (4.6, 2.7)
) -> "Figure":
    """How a gradient fades on its way back, alone and without a title; the size is in inches."""
    figure = new_figure(*size)
    axes = figure.subplots()
    _reach(axes, reach, faded)
    axes.set_title("", loc="left")
    return figure


def _heat_map(figure: "Figure", axes: "Axes", norms: Mapping[str, Array]) -> None:
    from matplotlib import colormaps

    T = max(map(len, norms.values()))
    rows_RT = np.full((len(norms), T), np.nan)
    bad_RT = np.zeros_like(rows_RT)
    for row, values in enumerate(norms.values()):
        finite = np.isfinite(values)
        largest = np.max(values, where=finite, initial=0.0)
        with np.errstate(divide="ignore"):
            part = np.log10(np.where(finite, values, 0.0) / (largest or 1.0))
        rows_RT[row, : len(values)] = np.where(finite, np.maximum(part, -_DECADES), np.nan)
        bad_RT[row, : len(values)] = ~finite
    image = axes.imshow(
        rows_RT, aspect="auto", interpolation="nearest", vmin=-_DECADES, vmax=0,
        cmap=colormaps["cividis"].with_extremes(bad=_ABSENT), extent=(-0.5, T - 0.5, len(norms) - 0.5, -0.5),
    )  # fmt: skip
    if bad_RT.any():
        from matplotlib.colors import ListedColormap

        axes.imshow(
            np.where(bad_RT > 0, 1.0, np.nan), aspect="auto", interpolation="nearest", cmap=ListedColormap([_BAD]),
            extent=(-0.5, T - 0.5, len(norms) - 0.5, -0.5),
        )  # fmt: skip
    axes.set_yticks(range(len(norms)), list(norms))
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=QUIET_INK, labelsize=8.5, length=0)
    axes.set_xlabel("time step", fontsize=9, color=QUIET_INK)
    title = "Norm of the gradient at each step, as a part of the largest in its row"
    if bad_RT.any():
        title += " (orange: not finite)"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04)
    bar.set_ticks(range(-_DECADES, 1, 2), labels=[f"$10^{{{d}}}$" if d else "1" for d in range(-_DECADES, 1, 2)])
    bar.ax.tick_params(labelsize=8, colors=QUIET_INK, length=0)
    bar.outline.set_visible(False)


def _reach(axes: "Axes", reach: Mapping[str, Array], faded: float) -> None:
    lowest, highest = faded / 100, 1.0
    for i, (label, values) in enumerate(reach.items()):
        colour, dashes = COLOURS[i % len(COLOURS)]
        finite = np.where(np.isfinite(values), values, np.nan)
        part = finite / (finite[0] if finite[0] > 0 else 1.0)
        part = np.where(part > 0, part, np.nan)
        if np.isfinite(part).any():
            highest = max(highest, float(np.nanmax(part)))
        axes.plot(
            np.arange(len(values)), part, color=colour, linestyle=dashes, linewidth=1.6, label=label,
            marker="o" if len(values) == 1 else None,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.axhline(faded, color=BASELINE, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate(
        f"{faded:g} of its value at the end", (1, faded), xycoords=("axes fraction", "data"), xytext=(-4, 3),
        textcoords="offset points", ha="right", fontsize=8.5, color=QUIET_INK,
    )  # fmt: skip
    dress(axes, np.arange(max(map(len, reach.values()))))
    axes.set_ylim(lowest, highest * 3)
    axes.set_title("What a gradient at the last step becomes on its way back", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("steps back from the end", fontsize=9, color=QUIET_INK)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="best", ncols=1 + len(reach) // 4)
