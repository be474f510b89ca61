"""A linear-chain conditional random field over tags.

Axes in names: T time, B batch, K tags, R paths of a row, best first, N segments.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels.dispatch import transformed
from throughtime.kernels.recording import traced
from throughtime.nn import crf_sums
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.lengths import read_lengths
from throughtime.nn.tag_constraints import TagConstraints

# The score of what cannot be, where gradients flow: exp of it is 0 in every dtype, and unlike −∞ it makes no NaN.
_IMPOSSIBLE = -1e4


class TagPaths(NamedTuple):
    """The best tag sequences of each row."""

    tags: Tensor
    """int64 (T, B, R), (B, T, R) with `batch_first`; −1 past a length, and where a row has fewer than R paths."""
    scores: Tensor
    """(B, R): log p(tags | emissions), −∞ where there is no such path."""


class CRF(nn.Module):
    """A linear-chain CRF: the probability of a whole tag sequence, given a score of every tag at every step.

    (1) s(x, y) = start[y_1] + Σ_t x_t[y_t] + Σ_{t>1} transitions[y_{t−1}, y_t] + end[y_T]
    (2) log p(y | x) = s(x, y) − log Z(x),  Z(x) = Σ_y exp s(x, y)
    (3) α_1 = start + x_1,  α_t[j] = x_t[j] + log Σ_i exp(α_{t−1}[i] + transitions[i, j]),  log Z = log Σ exp(α_T + end)

    Sequences that `constraints` forbid have probability 0, and nothing is learned about them.

    **Shapes** emissions (T, B, K), tags (T, B), lengths (B,); (B, T, K) and (B, T) with `batch_first`. Lengths in any
    order, zeros allowed: an empty row has the one empty path, log p = 0. What stands past a length, NaN included,
    reaches neither a value nor a gradient. Half precision is computed in float32.

    Args:
        num_tags: K.
        constraints: the possible sequences; None: all.

    **Raises** ArgumentError for a size that does not fit, a tag out of [0, K), tags that the constraints forbid.

    **Source** [Lafferty2001], over a recurrent net as in [Huang2015].

    >>> crf = CRF(3)
    >>> emissions, tags = torch.zeros(4, 2, 3), torch.tensor([[0, 1], [2, 2], [1, 0], [1, 1]])
    >>> loss = crf(emissions, tags, lengths=[4, 2]).mean()
    >>> crf.decode(emissions, lengths=[4, 2]).tags.shape
    torch.Size([4, 2, 1])
    """

    def __init__(
        self,
        num_tags: int,
        *,
        constraints: TagConstraints | None = None,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_tags = K = check_size("CRF", "num_tags", num_tags)
        check_flag("CRF", "batch_first", batch_first)
        self.batch_first = batch_first
        if constraints is not None and not isinstance(constraints, TagConstraints):
            raise ArgumentTypeError(
                f"CRF: expected constraints to be TagConstraints, got {constraints!r}; build them from three masks"
            )
        if constraints is not None and constraints.num_tags != K:
            raise ArgumentError(
                f"CRF: expected constraints of {K} tags, got {constraints.num_tags}; build both for the same tags"
            )
        self.constraints = constraints
        self.start = nn.Parameter(torch.empty(K, device=device, dtype=dtype))
        self.transitions = nn.Parameter(torch.empty(K, K, device=device, dtype=dtype))
        self.end = nn.Parameter(torch.empty(K, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(−0.1, 0.1)."""
        for parameter in (self.start, self.transitions, self.end):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, emissions: Tensor, tags: Tensor, *, lengths: Any = None) -> Tensor:
        """−log p(tags | emissions) of each row: (B,), differentiable."""
        x_TBK, valid_B = self._read("CRF.forward", emissions, lengths)
        tags_TB = self._read_tags("CRF.forward", tags, x_TBK, valid_B)
        return self._log_Z(x_TBK, valid_B) - self._score(x_TBK, tags_TB, valid_B)

    def log_partition(self, emissions: Tensor, *, lengths: Any = None) -> Tensor:
        """log Z of each row: (B,), differentiable."""
        x_TBK, valid_B = self._read("CRF.log_partition", emissions, lengths)
        return self._log_Z(x_TBK, valid_B)

    def score(self, emissions: Tensor, tags: Tensor, *, lengths: Any = None) -> Tensor:
        """s(x, y), equation (1), of each row: (B,), differentiable; 0 for an empty row."""
        x_TBK, valid_B = self._read("CRF.score", emissions, lengths)
        return self._score(x_TBK, self._read_tags("CRF.score", tags, x_TBK, valid_B), valid_B)

    def marginals(self, emissions: Tensor, *, lengths: Any = None) -> Tensor:
        """p(y_t = k | x) at every step: (T, B, K), zero past a length; differentiable."""
        x_TBK, valid_B = self._read("CRF.marginals", emissions, lengths)
        alpha_TBK, beta_TBK, log_Z_B = self._sums(x_TBK, valid_B)
        found = (alpha_TBK + beta_TBK - log_Z_B.unsqueeze(-1)).exp()
        found = found.masked_fill(_past(x_TBK, valid_B).unsqueeze(-1), 0.0)
        return found.transpose(0, 1) if self.batch_first else found

    def segment_log_probability(
        self,
        emissions: Tensor,
        tags: Tensor,
        segments: Tensor,
        *,
        continues: Tensor | None = None,
        lengths: Any = None,
        temperature: Tensor | float = 1.0,
    ) -> Tensor:
        """log p(y_b, ..., y_{e−1} = the given tags there | x), all else summed over: (N,), differentiable.

        Args:
            tags: a tag sequence of every row; only what lies in segments is read.
            segments: int64 (N, 3): row, begin b, end e (exclusive).
            continues: int64 (K,): the tag that would make a segment longer where its last tag is k, or −1; then p is
                of the segment *ending* there. In BIO that is I-X after B-X and I-X; in BIOES no tag needs it.
            temperature: what s(x, y) is divided by.

        Raises:
            ArgumentError: a segment that is empty or not inside its row.
        """
        who = "CRF.segment_log_probability"
        x_TBK, valid_B = self._read(who, emissions, lengths)
        tags_TB = self._read_tags(who, tags, x_TBK, valid_B, whole=False)
        row_N, begin_N, end_N = segments.reshape(-1, 3).unbind(1)
        inside = (row_N >= 0) & (row_N < len(valid_B)) & (begin_N >= 0) & (begin_N < end_N)
        inside &= end_N <= valid_B[row_N.clamp(0, max(len(valid_B) - 1, 0))]
        if not bool(inside.all()):
            wrong = segments.reshape(-1, 3)[~inside][0].tolist()
            raise ArgumentError(
                f"{who}: expected segments (row, begin, end) inside their rows, got {tuple(wrong)}; "
                "pass begin < end, at most the row's length"
            )
        x_TBK = x_TBK / temperature
        _, pairs_KK, _ = self._weights(x_TBK, temperature=temperature)
        alpha_TBK, beta_TBK, log_Z_B = self._sums(x_TBK, valid_B, temperature)
        steps_TB = x_TBK.gather(2, tags_TB.unsqueeze(2)).squeeze(2)
        along_TB = torch.cat((steps_TB[:1], steps_TB[1:] + pairs_KK[tags_TB[:-1], tags_TB[1:]])).cumsum(0)
        last_N = end_N - 1
        first_tag_N, last_tag_N = tags_TB[begin_N, row_N], tags_TB[last_N, row_N]
        inner_N = along_TB[last_N, row_N] - along_TB[begin_N, row_N]
        tail_N = beta_TBK[last_N, row_N, last_tag_N]
        if continues is not None:
            longer_N = continues[last_tag_N]
            after_N = end_N.clamp(max=len(x_TBK) - 1)
            next_NK = pairs_KK[last_tag_N] + (x_TBK + beta_TBK)[after_N, row_N]
            blocked = nn.functional.one_hot(longer_N.clamp(min=0), self.num_tags).bool() & (longer_N >= 0).unsqueeze(1)
            stop_N = next_NK.masked_fill(blocked, _IMPOSSIBLE).logsumexp(1)
            tail_N = torch.where(end_N < valid_B[row_N], stop_N, tail_N)
        return alpha_TBK[begin_N, row_N, first_tag_N] + inner_N + tail_N - log_Z_B[row_N]

    @torch.no_grad()
    def best(self, emissions: Tensor, *, lengths: Any = None) -> Tensor:
        """The most probable tag sequence of each row, that of `decode`, without its probability, which costs more.

        **Shapes** int64 (T, B), (B, T) with `batch_first`; −1 past a length.
        """
        x_TBK, valid_B = self._read("CRF.best", emissions, lengths)
        T, B, _ = x_TBK.shape
        start_K, pairs_KK, end_K = self._weights(x_TBK, impossible=-torch.inf)
        tags_TB = torch.full((T, B), -1, dtype=torch.int64, device=x_TBK.device)
        if T:
            scores_TBK = torch.empty_like(x_TBK)
            torch.add(x_TBK[0], start_K, out=scores_TBK[0])
            came_from = []
            for t in range(1, T):
                found_BK, from_BK = (scores_TBK[t - 1].unsqueeze(2) + pairs_KK).max(1)
                torch.add(found_BK, x_TBK[t], out=scores_TBK[t])
                came_from.append(from_BK)
            last_B = (valid_B - 1).clamp(min=0)
            ends_BK = scores_TBK[last_B, torch.arange(B, device=x_TBK.device)] + end_K
            at_B1 = end_B1 = ends_BK.argmax(1, keepdim=True)
            ragged = bool((valid_B != T).any())
            for t in range(T - 1, -1, -1):
                if t < T - 1:
                    at_B1 = came_from[t].gather(1, at_B1)
                if ragged:
                    at_B1 = torch.where((last_B == t).unsqueeze(1), end_B1, at_B1)
                tags_TB[t] = at_B1.squeeze(1)
            tags_TB.masked_fill_(_past(x_TBK, valid_B), -1)
        return tags_TB.transpose(0, 1) if self.batch_first else tags_TB

    @torch.no_grad()
    def decode(self, emissions: Tensor, *, lengths: Any = None, n_best: int = 1) -> TagPaths:
        """The most probable tag sequences of each row, by Viterbi; ties go to the lower tag at the last difference."""
        R = check_size("CRF.decode", "n_best", n_best)
        x_TBK, valid_B = self._read("CRF.decode", emissions, lengths)
        T, B, K = x_TBK.shape
        start_K, pairs_KK, end_K = self._weights(x_TBK, impossible=-torch.inf)
        best_BKR = x_TBK.new_full((B, K, R), -torch.inf)
        came_from = []  # of each step, from the second on: (B, K, R), a flat index i·R + r into the step before
        stay_BKR = torch.arange(K * R, device=x_TBK.device).view(1, K, R).expand(B, K, R)
        if T:
            best_BKR[:, :, 0] = start_K + x_TBK[0]
        for t in range(1, T):
            # every path's end (i, r) before every next tag j
            ways_BPK = (best_BKR.unsqueeze(3) + pairs_KK.view(1, K, 1, K)).reshape(B, K * R, K)
            found_BRK, from_BRK = _largest(ways_BPK, R)
            later_B11 = (t < valid_B).view(B, 1, 1)
            best_BKR = torch.where(later_B11, found_BRK.transpose(1, 2) + x_TBK[t].unsqueeze(2), best_BKR)
            came_from.append(torch.where(later_B11, from_BRK.transpose(1, 2), stay_BKR))
        ends_BP = (best_BKR + end_K.view(1, K, 1)).reshape(B, K * R)
        score_BR, at_BR = _largest(ends_BP, R)
        tags_TBR = torch.full((T, B, R), -1, dtype=torch.int64, device=x_TBK.device)
        for t in range(T - 1, -1, -1):
            tags_TBR[t] = torch.where((t < valid_B).unsqueeze(1), at_BR // R, -1)
            if t:
                at_BR = came_from[t - 1].reshape(B, K * R).gather(1, at_BR)
        tags_TBR.masked_fill_(score_BR == -torch.inf, -1)
        score_BR = score_BR - self._log_Z(x_TBK, valid_B).unsqueeze(1)
        # Of an empty row the one path is the empty one.
        empty_BR = x_TBK.new_full((1, R), -torch.inf)
        empty_BR[:, 0] = 0.0
        score_BR = torch.where((valid_B == 0).unsqueeze(1), empty_BR, score_BR)
        return TagPaths(tags_TBR.transpose(0, 1) if self.batch_first else tags_TBR, score_BR)

    def extra_repr(self) -> str:
        """The number of tags."""
        return f"{self.num_tags}" + (", batch_first=True" if self.batch_first else "")

    def _weights(
        self, x_TBK: Tensor, impossible: float = _IMPOSSIBLE, temperature: Tensor | float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Start, transitions and end in the dtype of the sums, what cannot be at `impossible`."""
        weights = (self.start.to(x_TBK.dtype), self.transitions.to(x_TBK.dtype), self.end.to(x_TBK.dtype))
        if isinstance(temperature, Tensor) or temperature != 1.0:
            weights = (weights[0] / temperature, weights[1] / temperature, weights[2] / temperature)
        if self.constraints is None:
            return weights
        masks = (self.constraints.begins, self.constraints.follows, self.constraints.ends)
        start_K, pairs_KK, end_K = (w.masked_fill(~m, impossible) for w, m in zip(weights, masks, strict=True))
        return start_K, pairs_KK, end_K

    def _log_Z(self, x_TBK: Tensor, valid_B: Tensor) -> Tensor:
        """(B,)"""
        weights = self._weights(x_TBK, impossible=-torch.inf)
        if not self._fast(x_TBK, weights):
            weights = self._weights(x_TBK)
            return _log_partition(self._alphas(x_TBK, valid_B, weights), weights[2], valid_B)

        def slow(x_TBK: Tensor, start_K: Tensor, pairs_KK: Tensor, end_K: Tensor) -> Tensor:
            finite = (start_K.clamp(min=_IMPOSSIBLE), pairs_KK.clamp(min=_IMPOSSIBLE), end_K.clamp(min=_IMPOSSIBLE))
            return _log_partition(self._alphas(x_TBK, valid_B, finite), finite[2], valid_B)

        found: Tensor = crf_sums.LogPartition.apply(x_TBK, *weights, valid_B, slow)  # type: ignore[no-untyped-call]
        return found

    def _sums(self, x_TBK: Tensor, valid_B: Tensor, temperature: Tensor | float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """α and β (T, B, K), and log Z (B,)."""
        weights = self._weights(x_TBK, -torch.inf, temperature)
        if (torch.is_grad_enabled() and (x_TBK.requires_grad or weights[1].requires_grad)) or not self._fast(
            x_TBK, weights
        ):
            weights = self._weights(x_TBK, temperature=temperature)
            alpha_TBK = self._alphas(x_TBK, valid_B, weights)
            log_Z_B = _log_partition(alpha_TBK, weights[2], valid_B)
            return alpha_TBK, self._betas(x_TBK, valid_B, weights), log_Z_B
        found = crf_sums.forward_sums(x_TBK, weights)
        log_Z_B = crf_sums.log_partition(found, weights, valid_B)
        alpha_TBK = found.p_TBK.log() + found.log_TB.unsqueeze(-1)
        # Equation (4): log p_t q_t = α + β − log Z.
        beta_TBK = crf_sums.backward_sums(found, weights, valid_B).log() + (log_Z_B - found.log_TB).unsqueeze(-1)
        return alpha_TBK.to(x_TBK.dtype), beta_TBK.to(x_TBK.dtype), log_Z_B.to(x_TBK.dtype)

    def _fast(self, x_TBK: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> bool:
        """Whether the sums may be taken in the probability domain: nothing is traced or transformed, nothing lost."""
        if traced() or transformed():
            return False
        mixing = 1 if self.constraints is None else self.constraints.mixing
        return crf_sums.fits(x_TBK, weights, mixing)

    @staticmethod
    def _alphas(x_TBK: Tensor, valid_B: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """α (T, B, K), equation (3); past a length the last one."""
        start_K, pairs_KK, _ = weights
        alphas = [start_K + x for x in x_TBK[:1]]
        for t in range(1, len(x_TBK)):
            next_BK = (alphas[-1].unsqueeze(2) + pairs_KK).logsumexp(1) + x_TBK[t]
            alphas.append(torch.where((t < valid_B).unsqueeze(1), next_BK, alphas[-1]))
        return torch.stack(alphas) if alphas else x_TBK

    @staticmethod
    def _betas(x_TBK: Tensor, valid_B: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """β_t[i] = log Σ over what follows step t, given tag i there: (T, B, K); `end` at the last step of a row."""
        _, pairs_KK, end_K = weights
        T, B, K = x_TBK.shape
        betas = [end_K.expand(B, K)] if T else []
        for t in range(T - 2, -1, -1):
            before_BK = (pairs_KK + (x_TBK[t + 1] + betas[-1]).unsqueeze(1)).logsumexp(2)
            betas.append(torch.where((t + 1 < valid_B).unsqueeze(1), before_BK, betas[-1]))
        return torch.stack(betas[::-1]) if betas else x_TBK

    def _score(self, x_TBK: Tensor, tags_TB: Tensor, valid_B: Tensor) -> Tensor:
        start_K, pairs_KK, end_K = self._weights(x_TBK)
        if not len(x_TBK):
            return x_TBK.new_zeros(x_TBK.shape[1])
        past_TB = _past(x_TBK, valid_B)
        steps_TB = x_TBK.gather(2, tags_TB.unsqueeze(2)).squeeze(2)
        pairs_TB = pairs_KK[tags_TB[:-1], tags_TB[1:]]
        last_B = tags_TB.gather(0, (valid_B - 1).clamp(min=0).unsqueeze(0)).squeeze(0)
        inner_B = steps_TB.masked_fill(past_TB, 0.0).sum(0) + pairs_TB.masked_fill(past_TB[1:], 0.0).sum(0)
        return (inner_B + start_K[tags_TB[0]] + end_K[last_B]).masked_fill(valid_B == 0, 0.0)

    def _read(self, who: str, emissions: Tensor, lengths: Any) -> tuple[Tensor, Tensor]:
        """Emissions time first, zeros past each length, in a dtype to sum in; and the lengths."""
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags:
            axes = "(B, T, " if self.batch_first else "(T, B, "
            raise ArgumentError(
                f"{who}: expected emissions of shape {axes}{self.num_tags}), got {tuple(emissions.shape)}; "
                f"pass a score for each of the {self.num_tags} tags"
            )
        x_TBK = emissions.transpose(0, 1) if self.batch_first else emissions
        if x_TBK.dtype in (torch.bfloat16, torch.float16):
            x_TBK = x_TBK.float()
        T, B, _ = x_TBK.shape
        valid_B = read_lengths(who, lengths, T, B, x_TBK.device)
        if valid_B is None:
            return x_TBK, torch.full((B,), T, dtype=torch.int64, device=x_TBK.device)
        return x_TBK.masked_fill(_past(x_TBK, valid_B).unsqueeze(-1), 0.0), valid_B

    def _read_tags(self, who: str, tags: Tensor, x_TBK: Tensor, valid_B: Tensor, *, whole: bool = True) -> Tensor:
        """Tags time first, 0 past each length; `whole` sequences must be possible ones."""
        if tags.is_floating_point() or tags.dtype == torch.bool:
            raise ArgumentTypeError(f"{who}: expected tags of an integer dtype, got {tags.dtype}; pass tag numbers")
        T, B, K = x_TBK.shape
        wanted = (B, T) if self.batch_first else (T, B)
        if tuple(tags.shape) != wanted:
            raise ArgumentError(
                f"{who}: expected tags of shape {wanted}, got {tuple(tags.shape)}; pass one tag for each step"
            )
        tags_TB = (tags.transpose(0, 1) if self.batch_first else tags).to(torch.int64)
        tags_TB = tags_TB.masked_fill(_past(x_TBK, valid_B), 0)
        outside = tags_TB[(tags_TB < 0) | (tags_TB >= K)]
        if len(outside):
            raise ArgumentError(f"{who}: expected tags in [0, {K}), got {int(outside[0])}; number the tags from 0")
        if whole and self.constraints is not None:
            impossible = ~self.constraints.possible(tags_TB, valid_B)
            if bool(impossible.any()):
                row = int(impossible.nonzero()[0])
                raise ArgumentError(
                    f"{who}: expected tags that the constraints allow, got {tags_TB[: valid_B[row], row].tolist()} "
                    f"in row {row}; repair the tags or loosen the constraints"
                )
        return tags_TB


def _past(x_TBK: Tensor, valid_B: Tensor) -> Tensor:
    """True past each row's length: (T, B)."""
    return torch.arange(len(x_TBK), device=x_TBK.device).unsqueeze(1) >= valid_B


def _log_partition(alpha_TBK: Tensor, end_K: Tensor, valid_B: Tensor) -> Tensor:
    if not len(alpha_TBK):
        return alpha_TBK.new_zeros(alpha_TBK.shape[1])
    return (alpha_TBK[-1] + end_K).logsumexp(1).masked_fill(valid_B == 0, 0.0)


def _largest(values_BPX: Tensor, R: int) -> tuple[Tensor, Tensor]:
    """The R largest along axis 1 and where they stand, first come first where equal."""
    if R == 1:
        index = values_BPX.argmax(1, keepdim=True)
        return values_BPX.gather(1, index), index
    found, index = values_BPX.sort(dim=1, descending=True, stable=True)
    return found[:, :R], index[:, :R]
