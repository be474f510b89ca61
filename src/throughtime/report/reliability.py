"""Whether probabilities mean what they say, as a figure.

Axes in names: M bins.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from throughtime.errors import ArgumentError
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["reliability_figure", "reliability_plot"]

_Z = 1.96  # of the 95 % intervals


def reliability_plot(
    path: str | os.PathLike[str],
    probability: ArrayLike,
    right: ArrayLike,
    predictions: ArrayLike,
    *,
    title: str = "How often predictions were right, by their probability",
    name: str = "predictions",
) -> Path:
    """Draw, for each bin of predictions of like probability, how many of them were right, and how many there were.

    On the dashed diagonal a prediction of probability p is right p of the time. The bars are 95 % intervals for the
    share that is right, which are wide where a bin holds few predictions. The fields of
    `throughtime.tasks.calibration.Reliability` are what is asked for.

    Args:
        path: a .png file.
        probability: (M,) the mean probability of each bin.
        right: (M,) the share of it that was right.
        predictions: (M,) how many it holds.
        name: what they are predictions of: "pieces", "texts".

    Returns:
        The path written.

    Raises:
        ArgumentError: no bin, arrays of different lengths, a share outside [0, 1], or a bin of no prediction.
        MissingExtraError: matplotlib is not installed.
    """
    figure = reliability_figure(probability, right, predictions, name=name)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def reliability_figure(
    probability: ArrayLike,
    right: ArrayLike,
    predictions: ArrayLike,
    *,
    name: str = "predictions",
    size: tuple[float, float] = (5.6, 6.2),
) -> "Figure":
    """The same without a title; the size is in inches."""
    p_M, right_M, count_M = _checked(probability, right, predictions)
    figure = new_figure(*size)
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    low_M, high_M = wilson(right_M, count_M)
    colour, _ = COLOURS[0]
    shares.plot([0, 1], [0, 1], color=BASELINE, linestyle=(0, (4, 3)), linewidth=1.1, label="as it should be")
    # Rounding alone may put a share a hair outside of its own interval.
    beside = np.maximum(np.stack((right_M - low_M, high_M - right_M)), 0.0)
    shares.errorbar(p_M, right_M, yerr=beside, fmt="none", ecolor=colour, elinewidth=1.0, alpha=0.6)
    shares.plot(p_M, right_M, color=colour, linewidth=1.6, marker="o", markersize=5, label=f"{name} found")
    error = float(count_M @ np.abs(right_M - p_M) / count_M.sum())
    shares.annotate(
        f"expected calibration error {error:.3f}", (0.98, 0.04), xycoords="axes fraction", ha="right", fontsize=9,
        color=INK,
    )  # fmt: skip
    shares.set_ylabel("share that was right", fontsize=9, color=QUIET_INK)
    shares.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    counts.vlines(p_M, 0, count_M, color=colour, linewidth=7)
    counts.set_xlabel("probability", fontsize=9, color=QUIET_INK)
    counts.set_ylabel(name, fontsize=9, color=QUIET_INK)
    for axes in (shares, counts):
        dress(axes)
    shares.set_ylim(-0.03, 1.03)
    counts.set_xlim(-0.02, 1.02)
    counts.set_ylim(bottom=0)
    return figure


def wilson(
    share_M: NDArray[np.float64], count_M: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % interval of Wilson (1927) for a share seen in so many trials: its ends, (M,) each."""
    spread = _Z**2 / count_M
    middle = (share_M + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * np.sqrt(share_M * (1 - share_M) / count_M + spread / (4 * count_M))
    return middle - half, middle + half


def _checked(*given: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    p_M, right_M, count_M = (np.asarray(values, dtype=np.float64) for values in given)
    shapes = [values.shape for values in (p_M, right_M, count_M)]
    if p_M.ndim != 1 or not p_M.size or len(set(shapes)) > 1:
        raise ArgumentError(
            f"reliability_plot: expected three arrays of one length >= 1, got {shapes}; pass a Reliability's fields"
        )
    for name, values in (("probability", p_M), ("right", right_M)):
        outside = values[~((values >= 0) & (values <= 1))]
        if outside.size:
            raise ArgumentError(f"reliability_plot: expected {name} in [0, 1], got {outside[0]:g}; pass shares")
    if not (count_M >= 1).all():
        raise ArgumentError(
            f"reliability_plot: expected at least 1 prediction in each bin, got {count_M.min():g}; leave empty bins out"
        )
    return p_M, right_M, count_M
