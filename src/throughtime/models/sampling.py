"""From the logits of one step to an id for each row: greedy, or drawn.

Axes in names: T steps, B batch rows, V vocabulary, K the tokens looked at.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import rowwise

# How many of the likeliest ids are looked at for a nucleus before more are: the 64 largest of 10,000 are found in an
# eighth of the time of a sort.
_NUCLEUS_LOOKS = (64, 1024)
# Elements of the logits at a time, so that what is computed from them stays in the cache.
_AT_ONCE = 2**17
_DRAWS_AHEAD = 64
Words = NDArray[np.uint64]
_GAMMA, _MIX_1, _MIX_2 = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Sampler:
    """How an id is chosen from logits.

    (1) greedy: the likeliest id; of equals the first
    (2) else z = logits / temperature
    (3) `top_k`: only ids whose z is at least the k-th largest stay
    (4) `top_p`: of what (3) left, renormalised, only the likeliest stay, as many as it takes for their probabilities
        to reach p: the nucleus, never empty
    (5) one id is drawn from what is left, renormalised: the first whose cumulative probability exceeds the draw u

    The order is temperature, then top-k, then nucleus, whichever of them are given. What is as likely as the last one
    that stays, stays too: the result depends on no order among equals.

    **Shapes** logits (B, V), draws (B,) in [0, 1); ids (B,), log-probabilities (B,).

    **Raises** ArgumentError: `temperature` is not positive and finite; `top_k` is less than 1, or greater than V when
    logits come; `top_p` is outside (0, 1]; greedy together with another option; logits of another shape, or a row in
    which nothing is possible (NaN, or −inf everywhere).

    **Source** nucleus: [Holtzman2020].

    >>> Sampler(greedy=True)(torch.tensor([[0.0, 2.0, 1.0]]))[0]
    tensor([1])
    >>> Sampler(top_k=2).probabilities(torch.tensor([[0.0, 0.0, -1.0]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, int | float):
            raise ArgumentTypeError(f"Sampler: expected temperature to be a number, got {self.temperature!r}; pass 1.0")
        if not 0 < self.temperature < math.inf:
            raise ArgumentError(
                f"Sampler: expected temperature > 0 and finite, got {self.temperature}; "
                "pass greedy=True for the likeliest id"
            )
        if self.top_k is not None and (isinstance(self.top_k, bool) or not isinstance(self.top_k, int)):
            raise ArgumentTypeError(f"Sampler: expected top_k to be an int or None, got {self.top_k!r}; pass a count")
        if self.top_k is not None and self.top_k < 1:
            raise ArgumentError(f"Sampler: expected top_k >= 1, got {self.top_k}; pass None to keep every id")
        if self.top_p is not None and (isinstance(self.top_p, bool) or not isinstance(self.top_p, int | float)):
            raise ArgumentTypeError(f"Sampler: expected top_p to be a number or None, got {self.top_p!r}; pass 0.9")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ArgumentError(f"Sampler: expected top_p in (0, 1], got {self.top_p}; pass None to keep every id")
        if self.greedy and (self.temperature != 1 or self.top_k is not None or self.top_p is not None):
            raise ArgumentError(
                f"Sampler: expected greedy=True alone, got temperature={self.temperature}, top_k={self.top_k}, "
                f"top_p={self.top_p}; greedy draws nothing, so leave them out"
            )

    def __call__(self, logits: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The ids chosen, and their log-probabilities under softmax(logits): before temperature and any cut.

        Args:
            logits: of one step; −inf for an id that must not come.
            draws: one a row, as `Draws` gives them; needed unless greedy.
        """
        logits_BV, top_B1 = self._read(logits)
        if not self.greedy and draws is None:
            raise ArgumentError("Sampler: expected draws, one a row, got None; pass what Draws gives, or greedy=True")
        rows = max(1, _AT_ONCE // logits_BV.shape[1])
        if len(logits_BV) <= rows or logits_BV.device.type != "cpu":
            return self._choose(logits_BV, top_B1, draws)
        parts = [
            self._choose(logits_BV[i : i + rows], top_B1[i : i + rows], None if draws is None else draws[i : i + rows])
            for i in range(0, len(logits_BV), rows)
        ]
        ids, log_probs = zip(*parts, strict=True)
        return torch.cat(ids), torch.cat(log_probs)

    def _choose(self, logits_BV: Tensor, top_B1: Tensor, draws_B: Tensor | None) -> tuple[Tensor, Tensor]:
        shifted_BV = logits_BV - top_B1
        weights_BV = shifted_BV.exp()
        log_total_B1 = weights_BV.sum(-1, keepdim=True).log_()
        if draws_B is None or self.greedy:
            ids_B1 = rowwise.argmax(logits_BV)
        else:
            if self.temperature != 1:
                weights_BV = self._tempered(shifted_BV)
            ids_B1 = rowwise.first_above(self._cut(weights_BV.detach()), draws_B)
        log_probs_B1 = shifted_BV.gather(1, ids_B1) - log_total_B1
        return ids_B1.squeeze(1), log_probs_B1.squeeze(1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """What (5) draws from: (B, V), each row adding up to one; no gradient goes through it."""
        logits_BV, top_B1 = self._read(logits.detach())
        if self.greedy:
            return torch.zeros_like(logits_BV).scatter_(1, rowwise.argmax(logits_BV), 1.0)
        weights_BV = self._cut(self._tempered(logits_BV - top_B1))
        return weights_BV / weights_BV.sum(-1, keepdim=True)

    def _read(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The logits in at least float32, and each row's largest."""
        if logits.dim() != 2 or logits.shape[1] == 0:
            raise ArgumentError(
                f"Sampler: expected logits of shape (B, V), got {tuple(logits.shape)}; pass those of one step"
            )
        if self.top_k is not None and self.top_k > logits.shape[1]:
            raise ArgumentError(
                f"Sampler: expected top_k <= the vocabulary's {logits.shape[1]}, got {self.top_k}; pass a smaller one"
            )
        logits_BV = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
        top_B1 = logits_BV.amax(-1, keepdim=True)
        # One sum tells that all are finite; where it is not, it may be the sum alone that overflowed.
        if not math.isfinite(top_B1.sum().item()) and not bool(top_B1.isfinite().all()):
            row = int((~top_B1.isfinite().squeeze(1)).nonzero()[0])
            raise ArgumentError(
                f"Sampler: expected logits with a finite largest one in every row, got {top_B1[row].item()} in row "
                f"{row}; look for NaN, or for a mask that leaves no id"
            )
        return logits_BV, top_B1

    def _tempered(self, shifted_BV: Tensor) -> Tensor:
        """exp(z − max z). A temperature that underflows is as good as the smallest that does not."""
        return (shifted_BV / max(self.temperature, torch.finfo(shifted_BV.dtype).tiny)).exp_()

    def _cut(self, weights_BV: Tensor) -> Tensor:
        """The weights with zeros for the ids that (3) and (4) leave out."""
        best_BK = None
        if self.top_k is not None and self.top_k < weights_BV.shape[1]:
            best_BK = rowwise.largest(weights_BV, self.top_k)
            weights_BV = rowwise.keep_from(weights_BV, best_BK[:, -1:])
        if self.top_p is not None and self.top_p < 1:
            weights_BV = rowwise.keep_from(weights_BV, self._nucleus_border(weights_BV, self.top_p, best_BK))
        return weights_BV

    @staticmethod
    def _nucleus_border(weights_BV: Tensor, top_p: float, best_BK: Tensor | None) -> Tensor:
        """The smallest weight in each row's nucleus, (B, 1): looked for among the largest few first."""
        V = weights_BV.shape[1]
        wanted_B1 = weights_BV.sum(-1, keepdim=True, dtype=torch.float64) * top_p
        border_B1 = torch.empty_like(weights_BV[:, :1])
        rows = torch.arange(weights_BV.shape[0], device=weights_BV.device)
        looks = [K for K in _NUCLEUS_LOOKS if 4 * K <= V] if best_BK is None else [best_BK.shape[1]]
        for K in (*looks, V):
            best_RK = rowwise.largest(weights_BV[rows], K) if best_BK is None or K == V else best_BK
            reached_RK = best_RK.double().cumsum(-1)
            # Rounding may leave the sum of all a last bit short of the total: then the last one is the border.
            last_R1 = (reached_RK < wanted_B1[rows]).sum(-1, keepdim=True)
            found_R = (last_R1 < K).squeeze(1) | (K == V)
            border_B1[rows] = best_RK.gather(1, last_R1.clamp_(max=K - 1))
            rows = rows[~found_R]
            if rows.numel() == 0:
                break
        return border_B1


def read_seeds(who: str, seed: Any, rows: int) -> Words:
    """A seed for each row: row b of an int has seed + b.

    Raises:
        ArgumentTypeError: not whole numbers.
        ArgumentError: not one for each row, or one outside [0, 2^63).
    """
    given = np.asarray(seed.detach().cpu() if isinstance(seed, Tensor) else seed)
    if given.dtype.kind not in "iu" or given.dtype == object:
        raise ArgumentTypeError(
            f"{who}: expected seed to be an int or one int for each row, got {seed!r}; pass whole numbers in [0, 2^63)"
        )
    if given.shape not in ((), (rows,)):
        raise ArgumentError(
            f"{who}: expected one seed, or one for each of the {rows} rows, got shape {given.shape}; pass seed=0"
        )
    bad = given[(given < 0) | (given > np.uint64(2**63 - 1))]
    if bad.size:
        raise ArgumentError(f"{who}: expected seeds in [0, 2^63), got {int(bad.flat[0])}; pass another")
    seeds: Words = given.astype(np.uint64)
    if seeds.ndim == 0:
        seeds = np.add(seeds, np.arange(rows, dtype=np.uint64), dtype=np.uint64)
    return seeds


class Draws:
    """Uniform draws in [0, 1) for each row and step, by counting: row b's depend on its seed and the step alone.

    (1) key_b = mix(seed_b + γ)
    (2) u_tb = the upper 53 bits of mix(key_b + (t + 1) γ), over 2^53

    `mix` and γ are SplitMix64's, all modulo 2^64; each key starts a SplitMix64 sequence, of which u_0b, u_1b, ... are
    the numbers.

    **Shapes** seeds (B,), `at` (B,) in float64.

    **Source** [Steele2014].

    >>> draws = Draws(read_seeds("doc", 5, 2), torch.device("cpu"))
    >>> bool(draws.at(3)[1] == Draws(read_seeds("doc", [6], 1), torch.device("cpu")).at(3)[0])
    True
    """

    def __init__(self, seeds: Words, device: torch.device) -> None:
        self._key_B = _mix(seeds + _GAMMA)
        self._device = device
        self._first = 0
        self._block_TB: Tensor | None = None

    def at(self, step: int) -> Tensor:
        """The draws of one step; computed for 64 steps at once."""
        first = step - step % _DRAWS_AHEAD
        if self._block_TB is None or first != self._first:
            steps_T1 = np.arange(first + 1, first + _DRAWS_AHEAD + 1, dtype=np.uint64)[:, None]
            bits_TB = _mix(self._key_B + steps_T1 * _GAMMA) >> np.uint64(11)
            self._block_TB = torch.from_numpy(bits_TB.astype(np.float64) * 2.0**-53).to(self._device)
            self._first = first
        return self._block_TB[step - first]


def _mix(z: Words) -> Words:
    """SplitMix64's output function, on 64-bit words that wrap."""
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    mixed: Words = z ^ (z >> np.uint64(31))
    return mixed
