"""Plots of forecasts: history, forecast and what then happened."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError
from throughtime.report.panel import Panel
from throughtime.report.style import ACTUAL, BASELINE, COLOURS, INK, QUIET_INK, RULE, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BASELINES", "MAX_PANELS", "forecast_plot", "panel_figure", "strategies_plot"]

MAX_PANELS = 6
BASELINES = ("naive", "seasonal naive", "linear")
"""Labels drawn in grey, as something to compare with."""


def forecast_plot(
    path: str | os.PathLike[str],
    panels: Sequence[Panel],
    *,
    title: str,
    value_label: str = "",
    time_label: str = "",
    season_length: int = 1,
    note: str = "",
) -> Path:
    """Draw one series, or up to six as small multiples: recent history, forecasts, and actual values where known.

    Args:
        path: a .png file.
        panels: in drawing order; `choose_series` picks them from many.
        title: says the series and the strategy.
        value_label: what the values are, with their unit.
        time_label: what integer times count; dates need none.
        season_length: in steps; about three seasons of history are shown.
        note: a line at the bottom, such as which series of how many are shown.

    Returns:
        The path written.

    Raises:
        ArgumentError: no panel, more than six, or a path that does not end in .png.
        MissingExtraError: matplotlib is not installed.
    """
    if not 1 <= len(panels) <= MAX_PANELS:
        raise ArgumentError(f"forecast_plot: expected 1 to {MAX_PANELS} panels, got {len(panels)}; choose some of them")
    columns = 1 if len(panels) == 1 else 2
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(9.6, 4.4 if len(panels) == 1 else 1.0 + 2.3 * rows)
    _space(figure)
    grid: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        recent = panel.recent(season_length)
        _draw(axes, recent, max_dots=36 // columns)
        dress(axes, recent.times)
        _mark_origin(axes, recent)
        if len(panels) > 1:
            heading = panel.name if not panel.note else f"{panel.name}  ({panel.note})"
            axes.set_title(heading, loc="left", fontsize=9.5, color=INK)
        if time_label and index >= len(panels) - columns:
            axes.set_xlabel(time_label, fontsize=9, color=QUIET_INK)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(value_label, fontsize=9, color=QUIET_INK)
    _frame(figure, title, note)
    return save(figure, path)


def panel_figure(panel: Panel, *, season_length: int = 1, size: tuple[float, float] = (4.6, 2.7)) -> "Figure":
    """One panel without a title or a legend, for a page that sets them itself; the size is in inches."""
    figure = new_figure(*size)
    axes = figure.subplots()
    recent = panel.recent(season_length)
    _draw(axes, recent, max_dots=24)
    dress(axes, recent.times)
    _mark_origin(axes, recent)
    return figure


def strategies_plot(
    path: str | os.PathLike[str],
    panels: Sequence[Panel],
    *,
    title: str,
    value_labels: Mapping[str, str] | None = None,
    season_lengths: Mapping[str, int] | None = None,
    note: str = "",
) -> Path:
    """Set several forecasts of the same steps side by side: at the left with their history, at the right close up.

    Args:
        panels: one row each.
        value_labels: by panel name, what its values are, with their unit.
        season_lengths: by panel name, in steps.

    Returns:
        The path written.

    Raises:
        ArgumentError: no panel, more than three, or a path that does not end in .png.
        MissingExtraError: matplotlib is not installed.
    """
    if not 1 <= len(panels) <= 3:
        raise ArgumentError(f"strategies_plot: expected 1 to 3 panels, got {len(panels)}; choose among them")
    figure = new_figure(11.0, 1.1 + 3.2 * len(panels))
    _space(figure)
    grid: NDArray[Any] = figure.subplots(len(panels), 2, squeeze=False, width_ratios=(1.45, 1))
    for (wide, close), panel in zip(grid, panels, strict=True):
        recent = panel.recent((season_lengths or {}).get(panel.name, 1))
        _draw(wide, recent, max_dots=0)
        dress(wide, recent.times)
        _mark_origin(wide, recent)
        wide.set_title(panel.name, loc="left", fontsize=10, color=INK)
        wide.set_ylabel((value_labels or {}).get(panel.name, ""), fontsize=9, color=QUIET_INK)
        tail = replace(panel, times=panel.times[-1:], values=panel.values[-1:])
        _draw(close, tail, max_dots=60)
        dress(close, recent.times)
        close.set_title(f"the {panel.horizon} steps, close up", loc="left", fontsize=10, color=QUIET_INK)
    _frame(figure, title, note)
    return save(figure, path)


def _space(figure: "Figure") -> None:
    figure.get_layout_engine().set(hspace=0.07, wspace=0.03)  # type: ignore[union-attr, call-arg]


def _draw(axes: "Axes", panel: Panel, *, max_dots: int) -> None:
    """Lines of one panel; actual values carry a dot a step where there are no more than `max_dots` of them."""
    times, values = panel.times, panel.values
    label = None if panel.times.size == 1 else "history"
    axes.plot(times, values, color=QUIET_INK, linewidth=1.3, label=label, solid_capstyle="round")
    joined = np.concatenate([times[-1:], panel.forecast_times])
    if panel.actual is not None:
        line = np.concatenate([values[-1:], panel.actual])
        axes.plot(
            joined, line, color=ACTUAL, linewidth=1.1, zorder=5, label="actual", markersize=3.2,
            marker="o" if panel.horizon <= max_dots else "", markevery=slice(1, None),
        )  # fmt: skip
    for level, (low, high) in sorted(panel.bands.items(), reverse=True):
        # From the last value on, as the lines; the narrower band lies on the wider one, and so is darker.
        under, over = (np.concatenate([values[-1:], side]) for side in (low, high))
        axes.fill_between(
            joined, under, over, color=COLOURS[0][0], alpha=0.16, linewidth=0, zorder=2, label=f"{level:g} %"
        )
    coloured = 0
    for label, forecast in panel.forecasts.items():
        line = np.concatenate([values[-1:], forecast])
        if label in BASELINES:
            axes.plot(joined, line, color=BASELINE, linewidth=1.4, linestyle=(0, (1.5, 1.5)), zorder=2.5, label=label)
            continue
        colour, dashes = COLOURS[coloured % len(COLOURS)]
        coloured += 1
        axes.plot(joined, line, color=colour, linestyle=dashes, linewidth=1.9, zorder=4, label=label)


def _mark_origin(axes: "Axes", panel: Panel) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.1 * (high - low))  # room for the words above the lines
    origin = panel.times[-1]
    axes.axvline(origin, color=RULE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.axvspan(origin, panel.forecast_times[-1], color="#000000", alpha=0.035, linewidth=0, zorder=0)
    axes.annotate(
        f"forecast from {_origin_text(panel)}", (origin, 1.0), xycoords=("data", "axes fraction"), xytext=(-4, -2),
        textcoords="offset points", ha="right", va="top", fontsize=8, color=QUIET_INK,
    )  # fmt: skip


def _origin_text(panel: Panel) -> str:
    """The origin as short as the steps allow: a number, a month, a date, a date and a time."""
    origin = panel.times[-1]
    if not isinstance(origin, np.datetime64):
        return str(int(origin))
    stamps = np.concatenate([panel.times, panel.forecast_times])
    for unit in ("M", "D"):
        if (stamps == stamps.astype(f"datetime64[{unit}]")).all():
            return str(origin.astype(f"datetime64[{unit}]"))
    return str(origin.astype("datetime64[m]")).replace("T", " ")


def _frame(figure: "Figure", title: str, note: str) -> None:
    """Title above, one legend for all panels below."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            # The handle with the dots, where panels differ in that.
            if label not in entries or getattr(handle, "get_marker", str)() == "o":
                entries[label] = handle
    labels = sorted(entries, key=_legend_rank)
    legend = figure.legend(
        [entries[label] for label in labels], labels, loc="outside lower left", ncols=len(labels),
        frameon=False, fontsize=9, labelcolor=INK, handlelength=2.6, title=note or None, title_fontsize=8.5,
        alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(QUIET_INK)


def _legend_rank(label: str) -> int:
    if label.endswith(" %"):
        return 4
    return {"history": 0, "actual": 1}.get(label, 3 if label in BASELINES else 2)
