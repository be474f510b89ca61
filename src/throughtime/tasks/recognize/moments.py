"""Which moments of a recording made its label.

Axes in names: S steps, E features of a step, K labels.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.tasks.recognize.network import ActivityNet


class Moments(NamedTuple):
    """What each step adds to a decision."""

    times: NDArray[np.float64]
    """(S,) seconds."""
    values: NDArray[np.float64]
    """(S,): how much further the step moves the score of the label from that of the other; negative: against it."""
    label: Any
    against: Any
    """The likeliest other label."""
    score: float
    """What the values add up to, but for the rounding of an integral by a sum."""


def matter(net: ActivityNet, x: Tensor, label: int | None, steps: int) -> tuple[NDArray[np.float64], int, int, float]:
    """Integrated gradients of z_label − z_other over the encoded steps, from their mean over the recording.

    (1) v_t = (e_t − ē) · ∫ ∂z/∂e_t (ē + a (e − ē)) da over a from 0 to 1

    Of a model of samples z is the mean over the steps.

    **Source** [Sundararajan2017].
    """
    lengths = torch.tensor([len(x)])
    with torch.no_grad():
        e_SE = net.encode(x[:, None])
        z_K = _one(net, e_SE, lengths)
        first = int(z_K.argmax()) if label is None else label
        other = int(z_K.index_fill(0, torch.tensor(first), -torch.inf).argmax())
        from_SE = e_SE.mean(0, keepdim=True).expand_as(e_SE)
        change_SE = e_SE - from_SE
    total_SE = torch.zeros_like(e_SE)
    with torch.enable_grad():
        for k in range(steps):
            at_SE = (from_SE + (k + 0.5) / steps * change_SE).clone().requires_grad_(True)
            found_K = _one(net, at_SE, lengths)
            (gradient_SE,) = torch.autograd.grad(found_K[first] - found_K[other], at_SE)
            total_SE += gradient_SE / steps
    with torch.no_grad():
        start_K = _one(net, from_SE.contiguous(), lengths)
    values_S = (total_SE * change_SE).sum((1, 2)).double().numpy()
    whole = float(z_K[first] - z_K[other] - start_K[first] + start_K[other])
    return values_S, first, other, whole


def _one(net: ActivityNet, e_SE: Tensor, lengths: Tensor) -> Tensor:
    """(K,)"""
    z = net.scored(e_SE, lengths)
    return z.mean(0)[0] if net.design.aligned else z[0]
