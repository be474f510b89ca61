"""Connectionist temporal classification: from log-probabilities of every step to the sequence that they stand for.

A path is a symbol a step; its sequence is the path with repetitions made one and blanks left out. Both searches take
batches, and give back what they find row by row.

Axes in names: T steps, B rows, V symbols, L symbols of a sequence, S = 2L + 1 places of a path: the sequence with a
blank before, between and after.

**Source** [Graves2006]; the search over prefixes is that of [Hannun2014].
"""

import math
from collections.abc import Sequence
from heapq import nlargest
from itertools import pairwise
from operator import attrgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_size
from throughtime.nn.lengths import read_lengths

__all__ = ["CTCBeam", "CTCHypothesis", "CTCScorer", "ctc_align", "ctc_beam_search", "ctc_greedy", "ctc_least_steps"]

State = TypeVar("State")
_NEVER = -math.inf


class CTCHypothesis(NamedTuple):
    """A sequence that the sound may stand for."""

    ids: tuple[int, ...]
    log_prob: float
    """log p of the sequence: of its best path alone where the search is greedy, else of all paths that were kept."""
    score: float
    """What hypotheses are ordered by: `log_prob` and what the scorer added."""


class CTCScorer(Protocol[State]):
    """What is known of sequences beside the sound: a language model, words to listen for."""

    def start(self) -> State:
        """The state of the empty sequence."""
        ...

    def extend(self, state: State, symbol: int) -> tuple[State, float]:
        """The state after one symbol more, and what that adds to the score."""
        ...

    def finish(self, state: State) -> float:
        """What is added when the sequence ends here."""
        ...


def ctc_least_steps(ids: Sequence[int]) -> int:
    """The least steps in which CTC can say a sequence: a symbol each, and a blank between two of the same.

    >>> ctc_least_steps([1, 2, 2, 3])
    5
    """
    return len(ids) + sum(a == b for a, b in pairwise(ids))


@torch.no_grad()
def ctc_greedy(log_probs: Tensor, lengths: Any = None, *, blank: int = 0) -> list[CTCHypothesis]:
    """The sequence of each row's likeliest path.

    **Shapes** log_probs (T, B, V), lengths (B,) or None for T everywhere.

    Raises:
        ArgumentError: another shape, or a blank outside [0, V).

    >>> told = torch.tensor([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]).log()[:, None]
    >>> ctc_greedy(told)[0].ids
    (1, 1)
    """
    lengths_B = _read("ctc_greedy", log_probs, lengths, blank)
    best_TB, path_TB = log_probs.max(-1)
    T = len(log_probs)
    valid_TB = torch.arange(T, device=path_TB.device)[:, None] < lengths_B
    before_TB = torch.cat((torch.full_like(path_TB[:1], blank), path_TB[:-1]))
    said_TB = valid_TB & (path_TB != blank) & (path_TB != before_TB)
    sum_B = best_TB.double().masked_fill(~valid_TB, 0.0).sum(0).tolist()
    paths_BT, said_BT = path_TB.T.cpu().numpy(), said_TB.T.cpu().numpy()
    return [CTCHypothesis(tuple(paths_BT[b][said_BT[b]].tolist()), total, total) for b, total in enumerate(sum_B)]


def ctc_beam_search(
    log_probs: Tensor,
    lengths: Any = None,
    *,
    width: int = 16,
    n_best: int = 1,
    blank: int = 0,
    scorer: CTCScorer[Any] | None = None,
    margin: float = 12.0,
) -> list[list[CTCHypothesis]]:
    """The n best sequences of each row, each with the sum over its paths that were kept.

    **Shapes** log_probs (T, B, V), lengths (B,) or None for T everywhere.

    Args:
        width: sequences that are kept after a step.
        n_best: sequences to return, fewer where fewer were kept.
        blank: the symbol that is not said.
        scorer: what is added to log p.
        margin: nats below a step's likeliest symbol from which on a symbol is not tried; infinity tries all.

    Raises:
        ArgumentError: another shape, a width or n_best below 1, n_best above the width, a blank outside [0, V).
    """
    lengths_B = _read("ctc_beam_search", log_probs, lengths, blank)
    check_size("ctc_beam_search", "n_best", n_best)
    if n_best > width:
        raise ArgumentError(
            f"ctc_beam_search: expected n_best of at most the width, {width}, got {n_best}; widen the beam to {n_best}"
        )
    found = []
    rows_BTV = log_probs.detach().transpose(0, 1).cpu().double().numpy()
    for row_TV, length in zip(rows_BTV, lengths_B.tolist(), strict=True):
        beam = CTCBeam(width, blank=blank, scorer=scorer, margin=margin)
        beam.feed(row_TV[:length])
        found.append(beam.best(n_best))
    return found


class _Prefix(Generic[State]):
    """A sequence that is kept: log p of its paths that end in a blank and of those that do not."""

    __slots__ = ("added", "blank", "ids", "said", "score", "state")

    def __init__(self, ids: tuple[int, ...], state: State, added: float) -> None:
        self.ids, self.state, self.added = ids, state, added
        self.blank = self.said = _NEVER
        self.score = added  # log p, and what the scorer added

    @property
    def log_prob(self) -> float:
        return _sum(self.blank, self.said)


class CTCBeam:
    """Prefix beam search of one row, while the steps come: fed in pieces it finds what it finds in the whole.

    With p_b and p_n the probabilities of a sequence's paths that end in a blank and in its last symbol:

    (1) p_b'(y) = (p_b(y) + p_n(y)) p(blank)
    (2) p_n'(y) = p_n(y) p(last of y), and for every y = (x, v): + p_b(x) p(v), + p_n(x) p(v) where v is not x's last
    (3) the `width` sequences with the largest log(p_b + p_n) + score are kept
    """

    def __init__(
        self, width: int = 16, *, blank: int = 0, scorer: CTCScorer[Any] | None = None, margin: float = 12.0
    ) -> None:
        check_size("CTCBeam", "width", width)
        self.width, self.blank, self.scorer, self.margin = width, blank, scorer, margin
        first: _Prefix[Any] = _Prefix((), None if scorer is None else scorer.start(), 0.0)
        first.blank = first.score = 0.0
        self._kept = [first]

    def feed(self, log_probs: NDArray[np.floating[Any]]) -> None:
        """Take in steps (T, V)."""
        least_T1 = log_probs.max(1, keepdims=True) - self.margin if len(log_probs) else log_probs[:, :1]
        for told_V, tried_V in zip(log_probs.tolist(), log_probs >= least_T1, strict=True):
            self._step(told_V, [int(v) for v in np.flatnonzero(tried_V) if v != self.blank])

    def _step(self, told_V: list[float], tried: list[int]) -> None:
        found: dict[tuple[int, ...], _Prefix[Any]] = {}
        no_sound = told_V[self.blank]
        for old in self._kept:
            both, last = old.log_prob, old.ids[-1] if old.ids else -1
            same = found.get(old.ids)
            if same is None:
                same = found[old.ids] = _Prefix(old.ids, old.state, old.added)
            same.blank = _sum(same.blank, both + no_sound)
            if last >= 0:
                same.said = _sum(same.said, old.said + told_V[last])
            for symbol in tried:
                before = old.blank if symbol == last else both
                if before == _NEVER:
                    continue
                ids = (*old.ids, symbol)
                new = found.get(ids)
                if new is None:
                    state, more = (None, 0.0) if self.scorer is None else self.scorer.extend(old.state, symbol)
                    new = found[ids] = _Prefix(ids, state, old.added + more)
                new.said = _sum(new.said, before + told_V[symbol])
        for one in found.values():
            one.score = _sum(one.blank, one.said) + one.added
        self._kept = nlargest(self.width, found.values(), key=_score)

    def best(self, n: int = 1) -> list[CTCHypothesis]:
        """The n best sequences if the row ended here."""
        ended = [(p, 0.0 if self.scorer is None else self.scorer.finish(p.state)) for p in self._kept]
        told = [CTCHypothesis(p.ids, p.log_prob, p.log_prob + p.added + end) for p, end in ended]
        return sorted(told, key=lambda one: -one.score)[:n]


_score = attrgetter("score")


def ctc_align(log_probs: NDArray[np.floating[Any]], ids: Sequence[int], *, blank: int = 0) -> NDArray[np.int64]:
    """The first and the last step of each symbol on the likeliest path of a sequence, (L, 2).

    (1) d_t(s) = log p_t(place s) + max(d_{t−1}(s), d_{t−1}(s−1), d_{t−1}(s−2) where s is a symbol other than s−2)

    **Shapes** log_probs (T, V).

    Raises:
        ArgumentError: fewer steps than the sequence needs.
    """
    T, L = len(log_probs), len(ids)
    if ctc_least_steps(ids) > T:
        raise ArgumentError(
            f"ctc_align: expected at least {ctc_least_steps(ids)} steps for {L} symbols, got {T}; pass more steps"
        )
    if not L:
        return np.zeros((0, 2), dtype=np.int64)
    places_S = np.full(2 * L + 1, blank)
    places_S[1::2] = ids
    skips_S = np.zeros(2 * L + 1, dtype=bool)
    skips_S[3::2] = places_S[3::2] != places_S[1:-2:2]
    told_TS = np.asarray(log_probs, dtype=np.float64)[:, places_S]
    from_TS = np.zeros((T, 2 * L + 1), dtype=np.int64)
    best_S = np.full(2 * L + 1, _NEVER)
    best_S[:2] = told_TS[0, :2]
    for t in range(1, T):
        ways_3S = np.full((3, 2 * L + 1), _NEVER)
        ways_3S[0] = best_S
        ways_3S[1, 1:] = best_S[:-1]
        ways_3S[2, 2:] = np.where(skips_S[2:], best_S[:-2], _NEVER)
        from_TS[t] = ways_3S.argmax(0)
        best_S = ways_3S.max(0) + told_TS[t]
    place = 2 * L if best_S[2 * L] >= best_S[2 * L - 1] else 2 * L - 1
    found_L2 = np.zeros((L, 2), dtype=np.int64)
    found_L2[:, 1] = -1
    for t in range(T - 1, -1, -1):
        if place % 2:
            symbol = place // 2
            found_L2[symbol, 0] = t
            if found_L2[symbol, 1] < 0:
                found_L2[symbol, 1] = t
        place -= from_TS[t, place]
    return found_L2


def _read(who: str, log_probs: Tensor, lengths: Any, blank: int) -> Tensor:
    if log_probs.dim() != 3:
        raise ArgumentError(
            f"{who}: expected log_probs of shape (T, B, V), got {tuple(log_probs.shape)}; give a single row as "
            "log_probs[:, None]"
        )
    T, B, V = log_probs.shape
    if not 0 <= blank < V:
        raise ArgumentError(f"{who}: expected blank in [0, {V}), got {blank}; pass the id of the blank")
    lengths_B = read_lengths(who, lengths, T, B, log_probs.device)
    return torch.full((B,), T, device=log_probs.device) if lengths_B is None else lengths_B


def _sum(a: float, b: float) -> float:
    """log(eᵃ + eᵇ)."""
    if a < b:
        a, b = b, a
    return a if b == _NEVER else a + math.log1p(math.exp(b - a))
