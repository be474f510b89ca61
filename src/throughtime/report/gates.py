"""The gates of a trained model over the words of a sentence: what it keeps, and until where.

Axes in names: T words, H units.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gate_figure", "gate_plot"]

Array = NDArray[np.floating[Any]]


def gate_plot(
    path: str | os.PathLike[str],
    words: Sequence[str],
    keep: Array,
    *,
    since: int = 0,
    letter: str = "Γ_f",
    title: str = "What the gates keep",
) -> Path:
    """Draw a gate that keeps, a row a unit and a column a word, and below it what is left of one word.

    (1) left_t = Π_{s = since+1 … t} keep_s: the part of what a unit held after word `since` that it holds after word t

    Units stand in the order of what they have left at the end, the longest memory on top.

    Args:
        path: a .png file.
        words: the sentence.
        keep: Γ_f of an LSTM, 1 − Γ_u = z of a GRU, for each word and unit; from `layer.trace`.
        since: the index of the word that is to be remembered.
        letter: what the gate is called in the picture.
        title: above it.

    **Shapes** words T, keep (T, H), values from 0 to 1.

    Returns:
        The path written.

    Raises:
        ArgumentError: another shape, a value outside 0 … 1, or a word that is not there.
        MissingExtraError: matplotlib is not installed.
    """
    figure = gate_figure(words, keep, since=since, letter=letter)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def gate_figure(words: Sequence[str], keep: Array, *, since: int = 0, letter: str = "Γ_f") -> "Figure":
    """The same without a title."""
    keep = np.asarray(keep, dtype=np.float64)
    T = len(words)
    if keep.ndim != 2 or keep.shape[0] != T or not keep.size:
        raise ArgumentError(
            f"gate_plot: expected keep of shape ({T}, H) for {T} words, got {keep.shape}; pass one row a word"
        )
    if not ((keep >= 0) & (keep <= 1)).all():
        worst = keep.flat[np.argmax(np.abs(keep - 0.5))]
        raise ArgumentError(f"gate_plot: expected gate values from 0 to 1, got {worst:g}; pass sigmoids")
    if not 0 <= since < T:
        raise ArgumentError(f"gate_plot: expected since to be a word's index below {T}, got {since}; count from 0")
    left_TH = np.ones_like(keep)
    left_TH[since + 1 :] = np.cumprod(keep[since + 1 :], axis=0)
    order = np.argsort(-left_TH[-1], kind="stable")
    figure = new_figure(max(4.6, 0.42 * T + 1.6), 5.2)
    above, below = figure.subplots(2, 1, height_ratios=(3, 2), sharex=True)
    image = above.imshow(keep[:, order].T, aspect="auto", interpolation="nearest", cmap="cividis", vmin=0, vmax=1)
    above.set_ylabel("units", fontsize=9, color=QUIET_INK)
    above.set_yticks([])
    above.set_title(f"{letter} at each word: 1 keeps, 0 forgets", loc="left", fontsize=10, color=INK)
    above.tick_params(length=0)
    for side in above.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(image, ax=above, pad=0.01, fraction=0.04, ticks=(0, 0.5, 1))
    bar.ax.tick_params(labelsize=8, colors=QUIET_INK, length=0)
    bar.outline.set_visible(False)
    times = np.arange(since, T)
    rows = (("the unit that keeps most", left_TH[:, order[0]]), ("the unit in the middle", np.median(left_TH, axis=1)))
    for (label, values), (colour, dashes) in zip(rows, COLOURS, strict=False):
        below.plot(
            times, values[since:], color=colour, linestyle=dashes, linewidth=1.8, marker="o", markersize=3, label=label
        )
    dress(below)
    below.set_ylim(-0.03, 1.05)
    below.set_xticks(range(T), words, rotation=60, ha="right", rotation_mode="anchor", fontsize=9, color=INK)
    below.set_xlim(-0.5, T - 0.5)
    below.set_title(f"what is left of what was held at “{words[since]}”", loc="left", fontsize=10, color=INK)
    below.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="best")
    return figure
