"""What a transcriber hears: features, the probability of each symbol, and words, over one axis of time.

Axes in names: T frames, M mel bins, S steps, V symbols, W words.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from throughtime.errors import ArgumentError
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["speech_figure", "speech_plot"]

_LIKELY = 0.05  # of a symbol that is drawn
_MOST = 16  # symbols that are drawn


def speech_plot(
    path: str | os.PathLike[str],
    *,
    features: ArrayLike,
    probabilities: ArrayLike,
    symbols: Sequence[str],
    words: Sequence[tuple[str, float, float, float]],
    seconds: float,
    start: float = 0.0,
    step: float = 0.0,
    title: str = "What was heard",
) -> Path:
    """Draw features, probabilities and words.

    Args:
        path: a .png file.
        features: (T, M), over all of the time from `start` to `seconds`.
        probabilities: (S, V) of each symbol, the blank first.
        symbols: V names.
        words: text, start and end in s, confidence.
        seconds: where the sound ends.
        start: where it begins, in s.
        step: s of each row of `probabilities`; 0: they share the time evenly.

    Returns:
        The path written.

    Raises:
        ArgumentError: no features, or another number of symbols.
        MissingExtraError: matplotlib is not installed.
    """
    figure = speech_figure(features, probabilities, symbols, words, seconds, start, step)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def speech_figure(
    features: ArrayLike,
    probabilities: ArrayLike,
    symbols: Sequence[str],
    words: Sequence[tuple[str, float, float, float]],
    seconds: float,
    start: float = 0.0,
    step: float = 0.0,
) -> "Figure":
    """The same without a title."""
    x_TM, p_SV = np.asarray(features, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if x_TM.ndim != 2 or not x_TM.size or p_SV.ndim != 2 or p_SV.shape[1] != len(symbols) or not seconds > start:
        raise ArgumentError(
            f"speech_plot: expected features (T, M) and probabilities (S, {len(symbols)}) of some time, got "
            f"{x_TM.shape} and {p_SV.shape} of {seconds - start:g} s; pass a column for each symbol"
        )
    figure = new_figure(9.0, 5.6)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 2.2, 1.0))
    top.imshow(
        x_TM.T, origin="lower", aspect="auto", cmap="Greys", extent=(start, seconds, 0, x_TM.shape[1]),
        interpolation="nearest",
    )  # fmt: skip
    top.set_ylabel("feature", fontsize=9, color=QUIET_INK)
    step = step or (seconds - start) / max(len(p_SV), 1)
    times_S = start + step * (np.arange(len(p_SV)) + 0.5)
    dress(middle)
    if len(p_SV):
        middle.plot(times_S, p_SV[:, 0], color=BASELINE, linewidth=0.9, linestyle=":", label="blank")
        peak_V = p_SV.max(0)
        peak_V[0] = 0.0
        for place, v in enumerate(np.argsort(-peak_V, kind="stable")[:_MOST]):
            if peak_V[v] < _LIKELY:
                break
            colour, dashes = COLOURS[place % len(COLOURS)]
            middle.plot(times_S, p_SV[:, v], color=colour, linestyle=dashes, linewidth=1.3)
            at = int(p_SV[:, v].argmax())
            name = "␣" if symbols[v] == " " else symbols[v].strip()
            middle.text(times_S[at], p_SV[at, v] + 0.03, name, ha="center", fontsize=8, color=colour)
        middle.legend(loc="upper right", fontsize=8, frameon=False)
    middle.set_ylim(0, 1.15)
    middle.set_ylabel("probability", fontsize=9, color=QUIET_INK)
    for text, begins, ends, sure in words:
        bottom.axvspan(begins, ends, color=COLOURS[0][0], alpha=0.15 + 0.45 * sure, linewidth=0)
        bottom.text((begins + ends) / 2, 0.58, text, ha="center", va="center", fontsize=9, color=INK)
        bottom.text((begins + ends) / 2, 0.22, f"{sure:.2f}", ha="center", va="center", fontsize=7, color=QUIET_INK)
    bottom.set_ylim(0, 1)
    bottom.set_yticks([])
    bottom.set_xlim(start, seconds)
    bottom.set_xlabel("seconds", fontsize=9, color=QUIET_INK)
    for axes in (top, bottom):
        axes.tick_params(colors=QUIET_INK, labelsize=8, length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure
