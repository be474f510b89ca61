"""How every plot looks: colours, axes, and the way to a PNG. No pyplot, so nothing global is touched."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime._atomic import check_writable, replacing
from throughtime._extras import require
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACTUAL",
    "BASELINE",
    "COLOURS",
    "GRID",
    "INK",
    "QUIET_INK",
    "RULE",
    "check_plot_target",
    "dress",
    "new_figure",
    "save",
]

INK = "#222222"
QUIET_INK = "#6b6b6b"
ACTUAL = INK
BASELINE = "#8a8a8a"
GRID = "#e4e4e4"
RULE = "#b0b0b0"
# Okabe and Ito (2008): distinct under the three usual forms of colour blindness; dashes tell them apart in grey print.
COLOURS: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (5, 1.6))),
    ("#009E73", (0, (6, 1.4, 1.4, 1.4))),
    ("#CC79A7", (0, (1.4, 1.2))),
    ("#E69F00", (0, (8, 2))),
)
_DPI = 150


def check_plot_target(path: str | os.PathLike[str]) -> None:
    """Refuse a plot's path that cannot be written, before any work is done.

    Raises:
        ArgumentError: another suffix than .png.
        DataError: the path cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="plots")
    if Path(path).suffix.lower() != ".png":
        raise ArgumentError(f"plot: expected a file name that ends in .png, got {os.fspath(path)!r}; rename the output")
    check_writable(path)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure with an Agg canvas; width and height in inches."""
    require("matplotlib", extra="plots")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: str | os.PathLike[str]) -> Path:
    """Write the figure as PNG, whole or not at all.

    Raises:
        ArgumentError, DataError: as `check_plot_target`.
    """
    check_plot_target(path)
    target = Path(path)
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": "throughtime"})
    return target


def dress(axes: "Axes", times: NDArray[Any] | None = None) -> None:
    """Light grid, no box; dates or integers along x."""
    axes.set_axisbelow(True)
    axes.grid(True, axis="y", color=GRID, linewidth=0.7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(colors=QUIET_INK, labelsize=8.5, length=0)
    axes.tick_params(axis="x", length=3, color=RULE)
    axes.margins(x=0.01, y=0.06)
    if axes.get_yscale() == "linear":
        axes.ticklabel_format(axis="y", useOffset=False)
    if times is None:
        return
    if np.issubdtype(times.dtype, np.datetime64):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.xaxis.get_offset_text().set(fontsize=8.5, color=QUIET_INK)
    else:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
