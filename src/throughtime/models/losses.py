"""Losses under lengths: means over the valid steps, which nothing in the padding reaches, neither value nor gradient.

Axes in names: T time, B batch, V vocabulary, O output features, N valid steps.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.lengths import read_lengths, valid_steps


class SequenceLoss(NamedTuple):
    """A loss that is a mean over something else than the examples of a batch, such as the valid steps in it.

    What a loss given to `training.train` may return; `training.WeightedLoss` is its name there.
    """

    mean: Tensor
    """The mean, a scalar; what is differentiated."""
    weight: float | Tensor
    """What it is a mean over: the number of valid steps; positive."""


def sequence_cross_entropy(
    logits: Tensor, targets: Tensor, lengths: Any = None, *, label_smoothing: float = 0.0
) -> SequenceLoss:
    """The mean over valid steps of −log softmax(logits)[target], in nats.

    (1) L = −(1/N) Σ_{b, t < lengths[b]} log softmax(logits_tb)[target_tb], with N = Σ_b lengths[b]

    **Shapes** logits (T, B, V), targets (T, B) of whole numbers, lengths (B,) or None for T everywhere.

    Args:
        logits: unnormalised log-probabilities.
        targets: ids in [0, V); past a length anything.
        lengths: the number of valid steps of each row.
        label_smoothing: the share of each target that is spread over all ids, in [0, 1].

    Raises:
        ArgumentError: shapes that do not go together, no valid step, a valid target outside [0, V), or a
            `label_smoothing` outside [0, 1].
        ArgumentTypeError: targets or lengths that are not whole numbers.

    >>> loss = sequence_cross_entropy(torch.zeros(5, 2, 4), torch.zeros(5, 2, dtype=torch.long), [5, 3])
    >>> round(loss.mean.item(), 4), loss.weight
    (1.3863, 8)
    """
    who = "sequence_cross_entropy"
    if logits.dim() != 3 or tuple(targets.shape) != tuple(logits.shape[:2]):
        raise ArgumentError(
            f"{who}: expected logits (T, B, V) and targets (T, B), got {tuple(logits.shape)} and "
            f"{tuple(targets.shape)}; pass one target for each step"
        )
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise ArgumentTypeError(f"{who}: expected targets of an integer dtype, got {targets.dtype}; pass ids")
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{who}: expected label_smoothing in [0, 1], got {label_smoothing}; pass a small share")
    valid_TB = _valid(who, logits, lengths)
    logits_NV, targets_N = _pick(logits, valid_TB), _pick(targets, valid_TB).long()
    V = logits.shape[-1]
    low, high = (int(bound) for bound in torch.aminmax(targets_N))
    if low < 0 or high >= V:
        raise ArgumentError(
            f"{who}: expected targets in [0, {V}), the last axis of the logits, got {low if low < 0 else high}; "
            "mark padding with lengths, not with an id"
        )
    mean = nn.functional.cross_entropy(logits_NV, targets_N, label_smoothing=label_smoothing)
    return SequenceLoss(mean, len(targets_N))


def sequence_mse(outputs: Tensor, targets: Tensor, lengths: Any = None) -> SequenceLoss:
    """The mean over valid steps and features of (output − target)².

    (1) L = 1/(N O) Σ_{b, t < lengths[b]} Σ_o (y_tbo − target_tbo)², with N = Σ_b lengths[b]

    **Shapes** outputs and targets (T, B, O), lengths (B,) or None for T everywhere.

    Raises:
        ArgumentError: shapes that do not go together, or no valid step.
        ArgumentTypeError: lengths that are not whole numbers.
    """
    who = "sequence_mse"
    if outputs.dim() != 3 or outputs.shape != targets.shape:
        raise ArgumentError(
            f"{who}: expected outputs and targets of one shape (T, B, O), got {tuple(outputs.shape)} and "
            f"{tuple(targets.shape)}; pass one target for each output"
        )
    valid_TB = _valid(who, outputs, lengths)
    outputs_NO, targets_NO = _pick(outputs, valid_TB), _pick(targets, valid_TB)
    return SequenceLoss((outputs_NO - targets_NO).square().mean(), len(outputs_NO))


def _valid(who: str, values_TBF: Tensor, lengths: Any) -> Tensor | None:
    """Which steps are valid, (T, B); None for all. At least one is."""
    T, B, _ = values_TBF.shape
    lengths_B = read_lengths(who, lengths, T, B, values_TBF.device)
    if (T * B if lengths_B is None else int(lengths_B.sum())) == 0:
        raise ArgumentError(
            f"{who}: expected at least 1 valid step, got 0 (T = {T}, B = {B}); "
            "leave out batches in which nothing counts"
        )
    return None if lengths_B is None else valid_steps(lengths_B, T)


def _pick(values: Tensor, valid_TB: Tensor | None) -> Tensor:
    """The valid steps alone, so that no arithmetic sees the padding: NaN times a mask is NaN."""
    return values.flatten(0, 1) if valid_TB is None else values[valid_TB]
