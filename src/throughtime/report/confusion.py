"""Which labels are taken for which.

Axes in names: K labels.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS, INK, QUIET_INK, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_figure", "confusion_plot"]

_MOST = 40  # labels that are drawn: the commonest
_SHORT = 18  # characters of a label's name


def confusion_plot(
    path: str | os.PathLike[str],
    confusion: ArrayLike,
    names: Sequence[str],
    *,
    title: str = "Labels found, by true label",
) -> Path:
    """Draw a square for each pair of true and found label: the share of the true label's texts, and how many.

    Of more than 40 labels the commonest are drawn.

    Args:
        path: a .png file.
        confusion: (K, K) counts, a row a true label, a column a found one.
        names: of the labels.

    Returns:
        The path written.

    Raises:
        ArgumentError: no square of counts, or another number of names.
        MissingExtraError: matplotlib is not installed.
    """
    figure = confusion_figure(confusion, names)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def confusion_figure(confusion: ArrayLike, names: Sequence[str]) -> "Figure":
    """The same without a title."""
    count_KK = np.asarray(confusion)
    if count_KK.ndim != 2 or count_KK.shape != (len(names), len(names)) or not len(names) or (count_KK < 0).any():
        raise ArgumentError(
            f"confusion_plot: expected counts of shape ({len(names)}, {len(names)}), got {count_KK.shape}; "
            "pass a row and a column for each name"
        )
    kept = np.sort(np.argsort(-count_KK.sum(1), kind="stable")[:_MOST])
    count_KK, shown = count_KK[np.ix_(kept, kept)], [_short(names[k]) for k in kept]
    share_KK = count_KK / np.maximum(count_KK.sum(1, keepdims=True), 1)
    side = min(2.4 + 0.55 * len(kept), 14.0)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shares", ["#ffffff", COLOURS[0][0]])
    axes.imshow(share_KK, cmap=shades, vmin=0, vmax=1)
    size = 9.0 if len(kept) <= 12 else 6.0
    for (row, column), share in np.ndenumerate(share_KK):
        if count_KK[row, column]:
            axes.text(
                column, row, str(int(count_KK[row, column])), ha="center", va="center", fontsize=size,
                color="white" if share > 0.55 else INK,
            )  # fmt: skip
    axes.set_xticks(range(len(kept)), shown, fontsize=size, color=INK, rotation=0 if len(kept) <= 6 else 90)
    axes.set_yticks(range(len(kept)), shown, fontsize=size, color=INK)
    axes.set_xlabel("found", fontsize=9, color=QUIET_INK)
    axes.set_ylabel("true", fontsize=9, color=QUIET_INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= _SHORT else name[: _SHORT - 1] + "…"
