"""Which piece of a source was looked at for which piece of what was written.

Axes in names: S source pieces, T target pieces.
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

__all__ = ["attention_figure", "attention_plot"]

_MOST = 80  # pieces of a side that are drawn
_SHORT = 14  # characters of a piece


def attention_plot(
    path: str | os.PathLike[str],
    weights: ArrayLike,
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str = "What was looked at, for each piece written",
) -> Path:
    """Draw a square for each source piece (column) and target piece (row), the darker the more it was looked at.

    Of a side of more than 80 pieces the first 80 are drawn.

    Args:
        path: a .png file.
        weights: (T, S), rows that sum to 1.
        source: the S pieces.
        target: the T pieces.

    Returns:
        The path written.

    Raises:
        ArgumentError: weights of another shape, or not in [0, 1].
        MissingExtraError: matplotlib is not installed.
    """
    figure = attention_figure(weights, source, target)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def attention_figure(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> "Figure":
    """The same without a title."""
    weights_TS = np.asarray(weights, dtype=np.float64)
    wanted = (len(target), len(source))
    if weights_TS.shape != wanted or 0 in wanted:
        raise ArgumentError(
            f"attention_plot: expected weights of shape {wanted}, at least one piece a side, got {weights_TS.shape}; "
            "pass a row for each target piece and a column for each source piece"
        )
    if not ((weights_TS >= 0) & (weights_TS <= 1 + 1e-4)).all():
        raise ArgumentError(
            f"attention_plot: expected weights in [0, 1], got from {weights_TS.min():.3g} to {weights_TS.max():.3g}; "
            "pass what a softmax gave"
        )
    weights_TS = weights_TS[:_MOST, :_MOST]
    T, S = weights_TS.shape
    figure = new_figure(min(2.2 + 0.32 * S, 18.0), min(1.8 + 0.28 * T, 18.0))
    axes = figure.subplots()
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("weights", ["#ffffff", COLOURS[0][0]])
    axes.imshow(weights_TS, cmap=shades, vmin=0, vmax=1, aspect="auto")
    size = 8.5 if max(S, T) <= 40 else 5.5
    axes.set_xticks(range(S), [_short(piece) for piece in source[:_MOST]], fontsize=size, color=INK, rotation=90)
    axes.set_yticks(range(T), [_short(piece) for piece in target[:_MOST]], fontsize=size, color=INK)
    axes.xaxis.tick_top()
    axes.set_xlabel("read", fontsize=9, color=QUIET_INK)
    axes.set_ylabel("written", fontsize=9, color=QUIET_INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _short(piece: str) -> str:
    """A piece in signs that every font has for a blank, and not too many."""
    shown = piece.replace("\N{LOWER ONE EIGHTH BLOCK}", "_").replace("$", r"\$")
    return shown if len(shown) <= _SHORT else shown[: _SHORT - 1] + "…"
