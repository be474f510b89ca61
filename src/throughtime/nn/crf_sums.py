"""Sums over all tag sequences in the probability domain: what a CRF asks for most, in a few products a step.

(1) e_t = exp(x_t − max x_t), E = exp(transitions), where what cannot be is 0
(2) p_1 = exp(start) e_1 / s_1,  p_t = (p_{t−1} E) e_t / s_t,  s_t such that Σ_k p_t[k] = 1
(3) q_T = exp(end) / Σ_k p_T[k] exp(end[k]),  q_{t−1} = E (e_t q_t) / s_t
(4) p(y_t = k | x) = p_t[k] q_t[k],  log Z = Σ_t (log s_t + max x_t) + log Σ_k p_T[k] exp(end[k])

In float64. What lies e^−700 below the best of its step is lost there; `fits` says whether that cannot matter.

Axes in names: T time, B batch, K tags.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

_RANGE = 600.0  # of exponents: exp(−700) is still a normal float64
Weights = tuple[Tensor, Tensor, Tensor]
Slow = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Forward(NamedTuple):
    """Equation (2) for every step."""

    p_TBK: Tensor
    e_TBK: Tensor
    s_TB: Tensor
    log_TB: Tensor
    """Σ over the steps so far of log s + max x."""


def fits(x_TBK: Tensor, weights: Weights, mixing: float) -> bool:
    """Whether no sum can lose anything: emissions and weights that are far apart need sums of logarithms.

    Args:
        weights: start, transitions and end, −∞ where something cannot be.
        mixing: so many steps lead from any tag to any other.
    """
    if not x_TBK.numel():
        return False
    x_TBK = x_TBK.detach()
    spread = float((x_TBK.amax(-1) - x_TBK.amin(-1)).max())
    for weight in weights:
        there = weight.detach()[weight > -torch.inf]
        spread += float(there.max() - there.min())
    return mixing * spread < _RANGE  # not where something is NaN


def forward_sums(x_TBK: Tensor, weights: Weights) -> Forward:
    """What leads to each tag at each step; what stands past a length is of no meaning."""
    start_K, pairs_KK, _ = weights
    x_TBK = x_TBK.double()
    top_TB = x_TBK.amax(-1)
    e_TBK = (x_TBK - top_TB.unsqueeze(-1)).exp()
    E_KK, p_TBK, s_TB = pairs_KK.double().exp(), torch.empty_like(e_TBK), torch.empty_like(top_TB)
    p_BK = start_K.double().exp() * e_TBK[0]
    for t in range(len(x_TBK)):
        if t:
            p_BK = torch.mm(p_BK, E_KK).mul_(e_TBK[t])
        s_B = torch.sum(p_BK, 1, out=s_TB[t])
        p_BK = torch.div(p_BK, s_B.unsqueeze(1), out=p_TBK[t])
    return Forward(p_TBK, e_TBK, s_TB, (s_TB.log() + top_TB).cumsum(0))


def log_partition(forward: Forward, weights: Weights, valid_B: Tensor) -> Tensor:
    """log Z of each row, 0 of an empty one: (B,), float64."""
    last_B = (valid_B - 1).clamp(min=0).unsqueeze(0)
    found: Tensor = forward.log_TB.gather(0, last_B).squeeze(0) + _closing(forward, weights, valid_B).log()
    return found.masked_fill(valid_B == 0, 0.0)


def backward_sums(forward: Forward, weights: Weights, valid_B: Tensor) -> Tensor:
    """Equation (3) for every step: q (T, B, K), 0 past a length."""
    _, pairs_KK, end_K = weights
    e_TBK, s_TB = forward.e_TBK, forward.s_TB
    T = len(e_TBK)
    F_KK = pairs_KK.double().exp().T
    last_BK = end_K.double().exp() / _closing(forward, weights, valid_B).unsqueeze(1)
    scaled_TBK = e_TBK / s_TB.unsqueeze(-1)
    ends_TB1 = (torch.arange(T, device=valid_B.device).unsqueeze(1) == valid_B - 1).unsqueeze(-1)
    ragged = bool((valid_B != T).any())
    q_TBK = torch.zeros_like(e_TBK)
    q_BK = last_BK.expand_as(e_TBK[0])
    if ragged:
        q_BK = q_BK * ends_TB1[T - 1]
    q_TBK[T - 1] = q_BK
    for t in range(T - 2, -1, -1):
        q_BK = torch.mm(scaled_TBK[t + 1] * q_BK, F_KK)
        if ragged:
            q_BK = torch.where(ends_TB1[t], last_BK, q_BK)
        q_TBK[t] = q_BK
    return q_TBK


def _closing(forward: Forward, weights: Weights, valid_B: Tensor) -> Tensor:
    """Σ_k p_T[k] exp(end[k]) at each row's last step: (B,)."""
    K = len(weights[2])
    last_1BK = (valid_B - 1).clamp(min=0).view(1, -1, 1).expand(1, -1, K)
    return torch.mv(forward.p_TBK.gather(0, last_1BK).squeeze(0), weights[2].double().exp())


class LogPartition(torch.autograd.Function):
    """log Z with equation (4) as its derivative; derivatives of that again go through the sums of logarithms.

    Arguments: emissions, start, transitions and end, −∞ where something cannot be; lengths; and the same function of
    emissions and weights in steps that torch differentiates.
    """

    @staticmethod
    def forward(
        ctx: Any, x_TBK: Tensor, start_K: Tensor, pairs_KK: Tensor, end_K: Tensor, valid_B: Tensor, slow: Slow
    ) -> Tensor:
        """log Z of each row: (B,), in the dtype of the emissions."""
        weights = (start_K, pairs_KK, end_K)
        found = forward_sums(x_TBK, weights)
        ctx.save_for_backward(x_TBK, start_K, pairs_KK, end_K, valid_B, *found)
        ctx.slow = slow
        return log_partition(found, weights, valid_B).to(x_TBK.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Of emissions, start, transitions and end."""
        (grad_B,) = grads
        x_TBK, start_K, pairs_KK, end_K, valid_B, *found = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (x_TBK, start_K, pairs_KK, end_K)
            asked = [tensor for tensor, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
            got = iter(torch.autograd.grad(ctx.slow(*inputs), asked, grad_B, create_graph=True, allow_unused=True))
            return *(next(got) if needed else None for needed in ctx.needs_input_grad[:4]), None, None
        forward, weights = Forward(*found), (start_K, pairs_KK, end_K)
        q_TBK = backward_sums(forward, weights, valid_B)
        g_B1 = grad_B.double().unsqueeze(1)
        marginals_TBK = forward.p_TBK * q_TBK * g_B1
        # q is 0 past a length, so that no step there adds anything.
        after_NK = (forward.e_TBK[1:] / forward.s_TB[1:].unsqueeze(-1) * q_TBK[1:] * g_B1).flatten(0, 1)
        pairs = pairs_KK.double().exp() * (forward.p_TBK[:-1].flatten(0, 1).T @ after_NK)
        last_1BK = (valid_B - 1).clamp(min=0).view(1, -1, 1).expand(1, -1, len(end_K))
        end = (marginals_TBK.gather(0, last_1BK).squeeze(0)).sum(0)
        gradients = (marginals_TBK, marginals_TBK[0].sum(0), pairs, end)
        return *(g.to(x_TBK.dtype) for g in gradients), None, None
