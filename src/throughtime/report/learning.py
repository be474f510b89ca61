"""The loss over the epochs of a training."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS, INK, QUIET_INK, RULE, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["learning_curve_figure", "learning_curve_plot"]


def learning_curve_plot(
    path: str | os.PathLike[str],
    train_loss: Sequence[float],
    validation_loss: Sequence[float] | None = None,
    *,
    best_epoch: int | None = None,
    title: str = "Loss by epoch",
    loss_label: str = "loss",
) -> Path:
    """Draw the training and the validation loss, and mark the epoch whose weights were kept.

    Args:
        path: a .png file.
        train_loss: one value an epoch.
        validation_loss: the same, where there was validation data.
        best_epoch: counted from 1.

    Returns:
        The path written.

    Raises:
        ArgumentError: no epoch, curves of different length, or a best epoch outside of them.
        MissingExtraError: matplotlib is not installed.
    """
    figure = learning_curve_figure(train_loss, validation_loss, best_epoch=best_epoch, loss_label=loss_label)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def learning_curve_figure(
    train_loss: Sequence[float],
    validation_loss: Sequence[float] | None = None,
    *,
    best_epoch: int | None = None,
    loss_label: str = "loss",
    size: tuple[float, float] = (8.0, 4.0),
) -> "Figure":
    """The same without a title; the size is in inches."""
    n = len(train_loss)
    if n == 0 or (validation_loss is not None and len(validation_loss) != n):
        lengths = (n, None if validation_loss is None else len(validation_loss))
        raise ArgumentError(
            f"learning_curve_plot: expected two curves of one length >= 1, got lengths {lengths}; pass one loss an "
            "epoch"
        )
    if best_epoch is not None and not 1 <= best_epoch <= n:
        raise ArgumentError(
            f"learning_curve_plot: expected best_epoch from 1 to {n}, got {best_epoch}; count epochs from 1"
        )
    figure = new_figure(*size)
    axes = figure.subplots()
    epochs = np.arange(1, n + 1)
    curves = [("training", np.asarray(train_loss, dtype=np.float64))]
    if validation_loss is not None:
        curves.append(("validation", np.asarray(validation_loss, dtype=np.float64)))
    for (label, losses), (colour, dashes) in zip(curves, COLOURS, strict=False):
        axes.plot(epochs, losses, color=colour, linestyle=dashes, linewidth=1.8, label=label)
    everything = np.concatenate([losses for _, losses in curves])
    if (everything > 0).all() and everything.max() > 20 * everything.min():
        axes.set_yscale("log")
    if best_epoch is not None:
        judged = curves[-1][1][best_epoch - 1]
        axes.axvline(best_epoch, color=RULE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.plot([best_epoch], [judged], marker="o", markersize=6, color=INK, linestyle="", zorder=5)
        left = best_epoch > n / 2
        axes.annotate(
            f"kept: epoch {best_epoch}, {judged:.4g}", (best_epoch, judged), xytext=(-8 if left else 8, 18),
            textcoords="offset points", ha="right" if left else "left", fontsize=9, color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )  # fmt: skip
    dress(axes, epochs)
    axes.set_xlabel("epoch", fontsize=9, color=QUIET_INK)
    axes.set_ylabel(loss_label, fontsize=9, color=QUIET_INK)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure
