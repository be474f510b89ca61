"""What happened when: found and true labels along time.

Axes in names: T time, K labels.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["timeline_figure", "timeline_plot"]

_MORE = ("#56B4E9", "#F0E442", "#7F3C8D", "#A5AA99", "#11A579", "#E68310", "#CF1C90", "#3969AC")


def timeline_plot(
    path: str | os.PathLike[str],
    times: ArrayLike,
    found: ArrayLike,
    names: Sequence[str],
    *,
    true: ArrayLike | None = None,
    probability: ArrayLike | None = None,
    values: ArrayLike | None = None,
    title: str = "What happened when",
) -> Path:
    """Draw a band of what was found along time, and below it what was true, how sure, and what mattered.

    Args:
        path: a .png file.
        times: (T,) seconds, not going back.
        found: (T,) numbers of labels.
        names: of the K labels.
        true: (T,) likewise; −1 where the label is none of the names.
        probability: (T,) of what was found.
        values: (T,) what each moment adds to the decision.

    Returns:
        The path written.

    Raises:
        ArgumentError: no sample, arrays of different lengths, times that go back, or a number without a name.
        MissingExtraError: matplotlib is not installed.
    """
    figure = timeline_figure(times, found, names, true=true, probability=probability, values=values)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def timeline_figure(
    times: ArrayLike,
    found: ArrayLike,
    names: Sequence[str],
    *,
    true: ArrayLike | None = None,
    probability: ArrayLike | None = None,
    values: ArrayLike | None = None,
) -> "Figure":
    """The same without a title."""
    times_T = np.asarray(times, np.float64)
    bands = {"found": found} | ({} if true is None else {"true": true})
    curves = {"probability": probability, "what mattered": values}
    for name, given in {**bands, **curves}.items():
        if given is not None and np.shape(given) != times_T.shape:
            raise ArgumentError(
                f"timeline_plot: expected {name} of shape {times_T.shape} as the times, got {np.shape(given)}; pass "
                "one for each sample"
            )
    if times_T.ndim != 1 or not len(times_T) or (np.diff(times_T) < 0).any() or not np.isfinite(times_T).all():
        raise ArgumentError(f"timeline_plot: expected times that do not go back, got shape {times_T.shape}; sort them")
    numbers = {name: np.asarray(given).astype(np.int64) for name, given in bands.items()}
    for name, number_T in numbers.items():
        if number_T.min() < (-1 if name == "true" else 0) or number_T.max() >= len(names):
            raise ArgumentError(
                f"timeline_plot: expected {name} to be numbers below {len(names)}, got {number_T.min()} to "
                f"{number_T.max()}; pass a name for each"
            )
    shown = [(name, np.asarray(given, np.float64)) for name, given in curves.items() if given is not None]
    heights = [0.32 + 0.32 * len(numbers), *[1.0] * len(shown)]
    figure = new_figure(9.0, 1.4 + sum(heights) * 0.9)
    axes = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    _draw_bands(axes[0], times_T, numbers, names)
    for at, (name, value_T) in zip(axes[1:], shown, strict=True):
        at.plot(times_T, value_T, color=COLOURS[0][0], linewidth=1.3)
        if name == "what mattered":
            at.fill_between(times_T, value_T, 0, color=COLOURS[0][0], alpha=0.2)
        else:
            at.set_ylim(-0.03, 1.03)
        at.set_ylabel(name, fontsize=9, color=QUIET_INK)
        dress(at)
    axes[-1].set_xlabel("seconds", fontsize=9, color=QUIET_INK)
    return figure


def _draw_bands(
    axes: "Axes", times_T: NDArray[np.float64], numbers: dict[str, NDArray[np.int64]], names: Sequence[str]
) -> None:
    from matplotlib.patches import Patch

    palette = [colour for colour, _ in COLOURS] + list(_MORE)
    used: set[int] = set()
    step = float(np.median(np.diff(times_T))) if len(times_T) > 1 else 1.0
    for row, number_T in enumerate(reversed(numbers.values())):
        borders = np.flatnonzero(np.diff(number_T)) + 1
        firsts, lasts = [0, *borders.tolist()], [*borders.tolist(), len(times_T)]
        for first, last in zip(firsts, lasts, strict=True):
            k = int(number_T[first])
            end = times_T[last] if last < len(times_T) else times_T[-1] + step
            colour = "#dddddd" if k < 0 else palette[k % len(palette)]
            axes.broken_barh([(times_T[first], end - times_T[first])], (row - 0.4, 0.8), facecolors=colour, linewidth=0)
            used.add(k)
    axes.set_yticks(range(len(numbers)), list(reversed(numbers)), fontsize=9, color=INK)
    axes.set_ylim(-0.5, len(numbers) - 0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles = [Patch(color=palette[k % len(palette)], label=names[k]) for k in sorted(used) if k >= 0]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=min(6, len(handles)), frameon=False,
        fontsize=8.5, labelcolor=INK,
    )  # fmt: skip
