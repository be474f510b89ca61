"""Pieces of music as pictures: a piano roll, and what pieces are made of beside others.

Axes in names: N notes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS, GRID, INK, QUIET_INK, new_figure, save

__all__ = ["histogram_plot", "piano_roll_plot"]

_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_BLACK = (1, 3, 6, 8, 10)
_BARS_A_LINE = 8
_MOST_LINES = 24


def piano_roll_plot(
    path: str | os.PathLike[str], notes: ArrayLike, bars: Sequence[float], *, title: str = "", given: int = 0
) -> Path:
    """Draw notes as bars over time, eight bars of music a line.

    Args:
        path: a .png file.
        notes: (N, 3): beginning, length and MIDI pitch of each, in any unit of time.
        bars: where each bar begins, and at the end where the last one ends.
        given: how many of the first notes were given and not written; they have another colour.

    Returns:
        The path written.

    Raises:
        ArgumentError: no notes, or fewer than two borders of bars.
        MissingExtraError: matplotlib is not installed.
    """
    notes_N3 = np.asarray(notes, dtype=float)
    if notes_N3.ndim != 2 or notes_N3.shape[1] != 3 or not len(notes_N3) or len(bars) < 2:
        raise ArgumentError(
            f"piano_roll_plot: expected notes (N, 3) and two borders of bars or more, got {notes_N3.shape} and "
            f"{len(bars)}; pass a piece with notes"
        )
    borders = list(map(float, bars))
    lines = [borders[i : i + _BARS_A_LINE + 1] for i in range(0, len(borders) - 1, _BARS_A_LINE)][:_MOST_LINES]
    low, high = int(notes_N3[:, 2].min()) - 2, int(notes_N3[:, 2].max()) + 2
    figure = new_figure(10.0, 0.5 + len(lines) * min(max(1.1, (high - low) / 14), 2.6))
    widest = max(line[-1] - line[0] for line in lines)
    for row, (axes, line) in enumerate(zip(figure.subplots(len(lines), squeeze=False)[:, 0], lines, strict=True)):
        for pitch in range(low, high + 1):
            if pitch % 12 in _BLACK:
                axes.axhspan(pitch - 0.5, pitch + 0.5, color="#f4f4f4", linewidth=0)
        for border in line:
            axes.axvline(border, color=GRID, linewidth=0.9, zorder=0)
        for number, (begin, length, pitch) in enumerate(notes_N3):
            left, right = max(begin, line[0]), min(begin + length, line[-1])
            if left < right:
                colour = COLOURS[1 if number < given else 0][0]
                gap = min(0.12 * length, 0.004 * widest)
                axes.barh(pitch, right - left - gap, 0.82, left, color=colour, linewidth=0)
        axes.set_xlim(line[0], line[0] + widest)
        axes.set_ylim(low, high)
        octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
        axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves], fontsize=8, color=QUIET_INK)
        first = row * _BARS_A_LINE
        axes.set_xticks(line[:-1], [str(first + i + 1) for i in range(len(line) - 1)], fontsize=8, color=QUIET_INK)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def histogram_plot(
    path: str | os.PathLike[str],
    written: Mapping[str, Any],
    real: Mapping[str, Any],
    *,
    title: str = "What was written beside real pieces",
) -> Path:
    """Draw shares of pitch classes, intervals and durations, written beside real, with the overlap of each.

    Args:
        path: a .png file.
        written, real: by kind the shares, of one length for both, as `throughtime.tasks.compose.histograms` has them.

    Returns:
        The path written.

    Raises:
        ArgumentError: other kinds in one than in the other, or other lengths.
        MissingExtraError: matplotlib is not installed.
    """
    if set(written) != set(real) or not written or any(len(written[kind]) != len(real[kind]) for kind in written):
        raise ArgumentError(
            f"histogram_plot: expected the same kinds and lengths in both, got {sorted(written)} and {sorted(real)}; "
            "pass two of one function"
        )
    figure = new_figure(10.0, 1.0 + 2.0 * len(written))
    for axes, kind in zip(figure.subplots(len(written), squeeze=False)[:, 0], written, strict=True):
        p, q = np.asarray(written[kind], dtype=float), np.asarray(real[kind], dtype=float)
        used = np.flatnonzero((p > 0) | (q > 0))
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, len(p) - 1)
        places = np.arange(first, last + 1)
        axes.bar(places - 0.2, p[first : last + 1], 0.4, color=COLOURS[0][0], label="written")
        axes.bar(places + 0.2, q[first : last + 1], 0.4, color=COLOURS[1][0], label="real")
        overlap = float(np.minimum(p, q).sum())
        axes.set_title(f"{kind}: overlap {overlap:.2f}", loc="left", fontsize=9, color=INK)
        shown = places[:: max(1, len(places) // 26)]
        axes.set_xticks(shown, [_label(kind, int(place), len(p)) for place in shown], fontsize=8, color=QUIET_INK)
        axes.tick_params(colors=QUIET_INK, labelsize=8, length=0)
        axes.grid(True, axis="y", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def _label(kind: str, place: int, size: int) -> str:
    if kind == "pitch class":
        return _NAMES[place % 12]
    return f"{place - size // 2:+d}" if kind == "interval" else str(place + 1)
