"""Beam search over any step function: many rows at once, finished hypotheses kept, stopped when none can still win.

Axes in names: T steps, B rows of the batch, K the beam's width, L live hypotheses (1 at the first step, then K), N
hypotheses kept a row, C candidates, V vocabulary, R = B·L rows of a step (the live hypotheses of a row side by side),
S source steps that a step attends to.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import rowwise
from throughtime.models.decoding import read_limits
from throughtime.nn.arguments import check_size

State = TypeVar("State")
StepFunction = Callable[[Tensor, State], tuple[Tensor, State, Tensor | None]]
SelectFunction = Callable[[State, Tensor], State]
NarrowFunction = Callable[[Tensor], None]

_NARROW = 0.75  # of the rows that are stepped on are not done, or fewer: the others are let go


class Hypotheses(NamedTuple):
    """The n best hypotheses of every row, the best first.

    A place for which there is no hypothesis, since the logits allow fewer, has length 0 and score −∞.
    """

    ids: Tensor
    """Ids, the end token among them, `pad` past each length: int64 (T, B, N), T the longest length."""
    lengths: Tensor
    """Ids in each, the end token counted: int64 (B, N)."""
    scores: Tensor
    """What they are ordered by, log p divided by the length penalty, with that of coverage: (B, N)."""
    log_probs: Tensor
    """log p, the sum over the ids: (B, N)."""
    stopped: Tensor
    """Whether the end token closed it, rather than the limit: bool (B, N)."""
    weights: Tensor | None
    """What the step gave beside each id's logits: attention weights, zero past each length: (T, B, N, S)."""

    def rows(self, without: int | None = None) -> list[list[list[int]]]:
        """The ids of each hypothesis of each row, the best first; a last id equal to `without` is left off.

        Places without a hypothesis are left out.
        """
        found = []
        for ids_N, lengths_N in zip(self.ids.permute(1, 2, 0).tolist(), self.lengths.tolist(), strict=True):
            row = [ids[:n] for ids, n in zip(ids_N, lengths_N, strict=True) if n]
            found.append([ids[:-1] if ids[-1] == without else ids for ids in row])
        return found


def length_penalty(length: int, alpha: float) -> float:
    """What log p is divided by: 1 for alpha = 0, in proportion to 5 + length for alpha = 1.

    (1) lp(n) = ((5 + n) / 6)^alpha

    **Source** [Wu2016], equation 14.

    >>> length_penalty(7, alpha=1.0)
    2.0
    """
    return float(((5 + length) / 6) ** alpha)


@torch.no_grad()
def beam_search(
    step: StepFunction[State],
    state: State,
    select: SelectFunction[State],
    first: Tensor,
    *,
    eos: int,
    limit: int | Tensor,
    width: int = 5,
    alpha: float = 0.6,
    beta: float = 0.0,
    no_repeat: int = 0,
    n_best: int = 1,
    pad: int = 0,
    narrow: NarrowFunction | None = None,
) -> Hypotheses:
    """The n best continuations that a beam of `width` live hypotheses finds, for every row of a batch.

    (1) s(y v) = s(y) + log softmax(logits(y))_v, for every live y and id v
    (2) a (y eos) among the K best of these is finished, scored s / lp(length); the n best finished of a row are kept
    (3) the K best (y v), v ≠ eos, live on; at the limit they count as they are, not ended
    (4) a row is done when no live y can enter its n best: s(y) / lp(limit) bounds whatever it becomes, since s only
        falls and lp only grows

    (5) with beta, (2) adds β Σ_s log min(Σ_t α_ts, 1), α the attention weights of the steps so far: what was hardly
        attended to counts against a hypothesis; never above 0, so that (4) holds
    (6) with `no_repeat` n, s(y v) = −∞ where the last n ids of y v stand in y already

    Width 1 with alpha 0 is the greedy choice.

    The step runs on B rows the first time and on B·width from then on, once for each token; with `narrow`, rows of the
    batch that are done are let go as soon as they are a quarter of those that are stepped on.

    Args:
        step: `step(tokens (R,), state)` to logits (R, V), the next state, and attention weights (R, S) or None.
        state: what the first step is given, for B rows.
        select: `select(state, rows (R',))` to the state of those rows, in that order; a row may come more than once.
        first: the token before the first one of each row, (B,).
        eos: the token that ends a hypothesis.
        limit: tokens that a hypothesis may have, the end token counted: an int, or one for each row (B,).
        width: live hypotheses of a row.
        alpha: of the length penalty; 0 compares bare log-probabilities.
        beta: of the coverage penalty, which needs attention weights; 0 for none.
        no_repeat: ids of the shortest sequence that may not come twice in a hypothesis; 0 for none.
        n_best: hypotheses to return for each row.
        pad: what stands past a hypothesis' end.
        narrow: `narrow(rows (B',))`, called before a step: whatever the step reads of the rows of a batch beside the
            state has to be of these from now on, which count among those of the last step. None steps on all to the
            end.

    Raises:
        ArgumentError: a width below 1 or above the vocabulary, a limit below 1, n_best outside [1, width], alpha or
            beta negative or not finite, beta without attention weights, a negative no_repeat, eos or pad outside the
            vocabulary, or logits with a NaN, +∞ or nothing but −∞.
        ArgumentTypeError: a count that is not an int.

    **Source** [Wu2016] for (2), (5) and the penalty, [Paulus2018] for (6). The former also drops hypotheses far below
    the best one, which (4) makes unnecessary.
    """
    check_size("beam_search", "width", width)
    if not isinstance(limit, Tensor):
        check_size("beam_search", "limit", limit)
    check_size("beam_search", "n_best", n_best)
    if n_best > width:
        raise ArgumentError(
            f"beam_search: expected n_best of at most the width, {width}, got {n_best}; widen the beam to {n_best}"
        )
    if not (math.isfinite(alpha) and alpha >= 0):
        raise ArgumentError(
            f"beam_search: expected alpha finite and at least 0, got {alpha}; 0.6 is common, 0 compares "
            "log-probabilities"
        )
    if not (math.isfinite(beta) and beta >= 0):
        raise ArgumentError(
            f"beam_search: expected beta finite and at least 0, got {beta}; 0.2 is common, 0 leaves coverage out"
        )
    if isinstance(no_repeat, bool) or not isinstance(no_repeat, int) or no_repeat < 0:
        raise ArgumentError(
            f"beam_search: expected no_repeat to be a whole number from 0, got {no_repeat!r}; 3 is common, 0 for none"
        )
    if isinstance(pad, bool) or not isinstance(pad, int):
        raise ArgumentTypeError(f"beam_search: expected pad to be an int, got {pad!r}; pass an id")
    logits_RV, state, weights = step(first, state)
    V = logits_RV.shape[1]
    if not 0 <= pad < V:
        raise ArgumentError(f"beam_search: expected pad in [0, {V}), the vocabulary, got {pad}; pass an id in it")
    if beta and weights is None:
        raise ArgumentError(
            f"beam_search: expected attention weights from the step with beta={beta}, got None; pass beta=0"
        )
    limits_B = read_limits("beam_search", limit, len(logits_RV), logits_RV.device)
    if len(limits_B) and int(limits_B.min()) < 1:
        raise ArgumentError(
            f"beam_search: expected a limit of at least 1 in each row, got {int(limits_B.min())}; leave out that row"
        )
    search = _Search(logits_RV, width, eos, limits_B, n_best, alpha, beta, no_repeat)
    search.extend(logits_RV, weights)
    while not search.finished:
        if narrow is not None and (rows_B := search.let_go()) is not None:
            narrow(rows_B)
        logits_RV, state, weights = step(search.last_BK.flatten(), select(state, search.rows_R))
        search.extend(logits_RV, weights)
    return search.result(pad)


class _Search:
    """The live and the finished hypotheses of all rows, and where each came from.

    What is live has the rows that are stepped on, `at_B`; what is kept, and the way back, has all rows. A live
    hypothesis is a place in the beam after some step; `tokens` and `parents` of that step and of those before lead back
    to its first token. A finished one keeps its length and the place from which to go back.
    """

    def __init__(
        self, logits_RV: Tensor, width: int, eos: int, limits_B: Tensor, n_best: int, alpha: float, beta: float,
        no_repeat: int,
    ) -> None:  # fmt: skip
        rows, V = logits_RV.shape
        if width > V:
            raise ArgumentError(
                f"beam_search: expected a width of at most {V}, the vocabulary, got {width}; pass a narrower beam"
            )
        if not 0 <= eos < V:
            raise ArgumentError(f"beam_search: expected eos in [0, {V}), got {eos}; pass the end token's id")
        self.width, self.eos, self.alpha, self.beta, self.no_repeat = width, eos, alpha, beta, no_repeat
        self.limits_B = limits_B
        self.last = int(limits_B.max()) if rows else 1
        # Sums over many steps in at least float32, whatever the logits are in.
        self.dtype = torch.promote_types(logits_RV.dtype, torch.float32)
        self.sums_BL = logits_RV.new_zeros((rows, 1), dtype=self.dtype)
        self.penalties_B = self.sums_BL.new_tensor([length_penalty(n, alpha) for n in limits_B.tolist()])
        """Of the longest that each row may have."""
        self.covered_BLS: Tensor | None = None
        self.written_BLT = limits_B.new_zeros((rows, 1, 0))
        self.at_B: Tensor | None = None
        """None: all."""
        self.left_B = torch.ones_like(limits_B, dtype=torch.bool)
        """Which are not done."""
        self.last_BK = limits_B.new_zeros((rows, width))
        """The last token of each."""
        self.rows_R = torch.arange(rows, device=logits_RV.device)
        self.tokens: list[Tensor] = []
        self.parents: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.finished = False
        self.scores_BN = self.sums_BL.new_full((rows, n_best), -torch.inf)
        self.sums_BN = self.scores_BN
        # Of the finished ones: length, the place from which to go back, and 1 where the end token closed it.
        self.where_BN3 = self.rows_R.new_zeros(rows, n_best, 3)

    def extend(self, logits_RV: Tensor, weights_RS: Tensor | None) -> None:
        """One token more for every live hypothesis, of which the K best live on."""
        B, L = self.sums_BL.shape
        length = len(self.tokens) + 1
        logp_BLV = logits_RV.log_softmax(-1, dtype=self.dtype).view(B, L, logits_RV.shape[-1])
        if self.no_repeat:
            logp_BLV = self._without_repeats(logp_BLV)
        if self.beta and weights_RS is not None:
            here_BLS = weights_RS.view(B, L, weights_RS.shape[-1]).to(self.dtype)
            self.covered_BLS = here_BLS if self.covered_BLS is None else self.covered_BLS + here_BLS
        # One more than the width: the end token may be among them and goes no further.
        top_BLC, token_BLC = rowwise.largest_and_places(logp_BLV, min(self.width + 1, logp_BLV.shape[-1]))
        # A place without a hypothesis is stepped on like the others: whatever came of it, NaN included, is not read.
        dead_BL = self.sums_BL == -torch.inf
        sums_BLC = (self.sums_BL.unsqueeze(2) + top_BLC).masked_fill(dead_BL.unsqueeze(2), -torch.inf)
        if bool(sums_BLC[..., 0].isnan().any()):
            raise ArgumentError(
                f"beam_search: expected logits with a finite largest value and no NaN, got others at step {length}; "
                "look for NaN in the model's parameters and in what it was given"
            )
        worst_B1 = sums_BLC.flatten(1).topk(self.width, dim=1).values[:, -1:]
        sums_BL = self.sums_BL + logp_BLV[..., self.eos]
        sums_BL = sums_BL.where((sums_BL >= worst_B1) & ~dead_BL, -torch.inf)
        self._finish(sums_BL, torch.arange(L, device=sums_BL.device), length, ended=True)

        sums_BLC = sums_BLC.masked_fill(token_BLC == self.eos, -torch.inf)
        self.sums_BL, chosen_BK = sums_BLC.flatten(1).topk(self.width, dim=1)
        parents_BK = chosen_BK // token_BLC.shape[-1]
        self.last_BK = token_BLC.flatten(1).gather(1, chosen_BK)
        self.tokens.append(self._of_all(self.last_BK))
        self.parents.append(self._of_all(parents_BK))
        if self.no_repeat:
            before_BKT = self.written_BLT.gather(1, parents_BK.unsqueeze(2).expand(-1, -1, length - 1))
            self.written_BLT = torch.cat([before_BKT, self.last_BK.unsqueeze(2)], dim=2)
        if self.covered_BLS is not None:
            index_BKS = parents_BK.unsqueeze(2).expand(-1, -1, self.covered_BLS.shape[2])
            self.covered_BLS = self.covered_BLS.gather(1, index_BKS)
        self.rows_R = (torch.arange(B, device=parents_BK.device).unsqueeze(1) * L + parents_BK).flatten()
        if weights_RS is not None:
            self.weights.append(self._of_all(weights_RS.view(B, L, weights_RS.shape[-1])))
        full_B = self.limits_B == length
        if bool(full_B.any()):
            cut_BL = self.sums_BL.masked_fill(~full_B.unsqueeze(1), -torch.inf)
            self._finish(cut_BL, torch.arange(self.width, device=parents_BK.device), length, ended=False)
        worst_B = self._of_live(self.scores_BN)[:, -1]
        done_B = (worst_B >= self.sums_BL[:, 0] / self.penalties_B) | full_B
        self.finished = length == self.last or bool(done_B.all())
        self.left_B = ~done_B
        # A row that is done stays as it is, whatever the rows beside it still need: neither a tie nor a NaN later on
        # can change it.
        self.sums_BL = self.sums_BL.masked_fill(done_B.unsqueeze(1), -torch.inf)

    def let_go(self) -> Tensor | None:
        """Step no more on the rows that are done, once they are many: those that stay, (B',); None: all do."""
        B = len(self.left_B)
        if int(self.left_B.count_nonzero()) > _NARROW * B:
            return None
        stay_B = self.left_B.nonzero().squeeze(1)
        self.rows_R = self.rows_R.view(B, -1)[stay_B].flatten()
        self.sums_BL, self.last_BK, self.written_BLT = (
            each[stay_B] for each in (self.sums_BL, self.last_BK, self.written_BLT)
        )
        self.limits_B, self.penalties_B = self.limits_B[stay_B], self.penalties_B[stay_B]
        if self.covered_BLS is not None:
            self.covered_BLS = self.covered_BLS[stay_B]
        self.at_B = stay_B if self.at_B is None else self.at_B[stay_B]
        return stay_B

    def _of_live(self, whole_B: Tensor) -> Tensor:
        """Of something of all rows, that of those which are stepped on."""
        return whole_B if self.at_B is None else whole_B.index_select(0, self.at_B)

    def _of_all(self, live_B: Tensor) -> Tensor:
        """Something of the rows that are stepped on, in its place among all rows."""
        if self.at_B is None:
            return live_B
        return live_B.new_zeros(len(self.scores_BN), *live_B.shape[1:]).index_copy_(0, self.at_B, live_B)

    def _without_repeats(self, logp_BLV: Tensor) -> Tensor:
        """−∞ for each id that would end a sequence of `no_repeat` ids that has been written already."""
        n, T = self.no_repeat, self.written_BLT.shape[2]
        if n > T:
            return logp_BLV
        grams_BLGN = self.written_BLT.unfold(2, n, 1)
        last_BL1N = self.written_BLT[:, :, T - n + 1 :].unsqueeze(2)
        again_BLG = (grams_BLGN[..., : n - 1] == last_BL1N).all(-1)
        # Scattered beside the vocabulary where nothing comes again.
        V = logp_BLV.shape[2]
        at_BLG = grams_BLGN[..., n - 1].where(again_BLG, V)
        banned_BLV = again_BLG.new_zeros((*logp_BLV.shape[:2], V + 1)).scatter_(2, at_BLG, True)[..., :V]
        return logp_BLV.masked_fill(banned_BLV, -torch.inf)

    def _finish(self, sums_BL: Tensor, places_L: Tensor, length: int, ended: bool) -> None:
        """Put finished hypotheses beside the kept ones, and keep the best."""
        scores_BL = sums_BL / length_penalty(length, self.alpha)
        if self.covered_BLS is not None:
            # Exactly zero is padding: of a step of the source some weight is left, however little.
            seen_BLS = self.covered_BLS.clamp(max=1.0)
            scores_BL = scores_BL + self.beta * seen_BLS.where(seen_BLS > 0, 1.0).log().sum(2)
        kept_BN, kept_sums_BN, kept_where_BN3 = map(self._of_live, (self.scores_BN, self.sums_BN, self.where_BN3))
        scores = torch.cat([kept_BN, scores_BL], dim=1)
        where_L3 = torch.stack([torch.full_like(places_L, n) for n in (length, 0, int(ended))], dim=1)
        where_L3[:, 1] = places_L
        where = torch.cat([kept_where_BN3, where_L3.expand(*sums_BL.shape, 3)], dim=1)
        kept_BN, chosen_BN = scores.topk(kept_BN.shape[1], dim=1)
        kept_sums_BN = torch.cat([kept_sums_BN, sums_BL], dim=1).gather(1, chosen_BN)
        kept_where_BN3 = where.gather(1, chosen_BN.unsqueeze(2).expand(-1, -1, 3))
        if self.at_B is None:
            self.scores_BN, self.sums_BN, self.where_BN3 = kept_BN, kept_sums_BN, kept_where_BN3
            return
        self.scores_BN.index_copy_(0, self.at_B, kept_BN)
        self.sums_BN.index_copy_(0, self.at_B, kept_sums_BN)
        self.where_BN3.index_copy_(0, self.at_B, kept_where_BN3)

    def result(self, pad: int) -> Hypotheses:
        """The kept hypotheses, each read back from its last token."""
        length_BN, place_BN, ended_BN = self.where_BN3.unbind(2)
        found_BN = self.scores_BN > -torch.inf
        length_BN, ended_BN = length_BN.where(found_BN, 0), ended_BN.bool() & found_BN
        T = int(length_BN.max()) if length_BN.numel() else 0
        tokens_TBN = length_BN.new_full((T, *length_BN.shape), pad)
        weights_TBNS = self.weights[0].new_zeros(*tokens_TBN.shape, self.weights[0].shape[-1]) if self.weights else None
        for t in reversed(range(T)):
            here, closes = t < length_BN, ended_BN & (t == length_BN - 1)
            # A place counts the hypotheses after a step; the end token has none of its own, it grew from the place.
            before_BN = place_BN.where(closes, self.parents[t].gather(1, place_BN))
            token_BN = self.tokens[t].gather(1, place_BN).masked_fill(closes, self.eos)
            tokens_TBN[t] = token_BN.where(here, pad)
            if weights_TBNS is not None:
                weights_BLS = self.weights[t]
                index_BNS = before_BN.where(here, 0).unsqueeze(2).expand(-1, -1, weights_BLS.shape[-1])
                weights_TBNS[t] = weights_BLS.gather(1, index_BNS).masked_fill(~here.unsqueeze(2), 0.0)
            place_BN = before_BN.where(here, place_BN)
        return Hypotheses(tokens_TBN, length_BN, self.scores_BN, self.sums_BN, ended_BN, weights_TBNS)
