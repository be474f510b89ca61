"""From a net's emissions to tags and how sure they are.

Axes in names: T tokens, B sentences, K tags, N pieces.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from throughtime.models.losses import SequenceLoss
from throughtime.nn import CRF
from throughtime.tasks.tag.batches import TagBatch
from throughtime.tasks.tag.network import TagDesign, TagNet
from throughtime.tasks.tag.schemes import Span, constraints, continues, spans

_NOTHING = 1e-6  # the weight of sentences in which nothing was to be found, and nothing was
_TIES = 1e-4  # of −log p beside pieces


class Found(NamedTuple):
    """What was found in one sentence."""

    tags: list[str]
    pieces: list[Span]
    probabilities: list[float]
    """That the piece is just this: these tokens, this label."""


class TagModel(nn.Module):
    """A net and the way from its emissions to tags: a CRF, or each token by itself under the scheme's constraints.

    Args:
        design: of the net.
        names: of the K tags.
        scheme: that they are written in.
        crf: False: a softmax at every token; tags are then taken greedily from left to right among those that the
            scheme allows, and the probability of a piece is the product of its tags' own.
    """

    def __init__(self, design: TagDesign, names: Sequence[str], scheme: str, *, crf: bool) -> None:
        super().__init__()
        self.net = TagNet(design)
        self.names = list(names)
        self.scheme = scheme
        with torch.device("cpu"):  # values are looked at, which a model of mere shapes, on "meta", has not
            self.constraints = constraints(self.names, scheme)
        self.crf = CRF(len(self.names), constraints=self.constraints) if crf else None
        # Emissions and transitions are divided by it; a calibration finds it, training leaves it at 1.
        self.register_buffer("temperature", torch.ones(()))
        # A piece of probability p is right with probability σ(a · logit p + b): a and b, of the calibration too.
        self.register_buffer("logistic", torch.tensor([1.0, 0.0]))
        self.register_buffer("_continues", torch.tensor(continues(self.names, scheme)), persistent=False)

    temperature: Tensor
    logistic: Tensor
    _continues: Tensor

    def negative_log_likelihood(self, batch: TagBatch, emissions_TBK: Tensor, crf: CRF | None) -> Tensor:
        """−log p(tags | tokens) of each sentence, with this CRF or a softmax at every token: (B,)."""
        assert batch.tags is not None
        if crf is not None:
            found: Tensor = crf(emissions_TBK, batch.tags, lengths=batch.lengths)
            return found
        each_TB = nn.functional.cross_entropy(emissions_TBK.permute(0, 2, 1), batch.tags, reduction="none")
        return each_TB.masked_fill(~_valid(batch), 0.0).sum(0)

    def calibrated_loss(self, batch: TagBatch, emissions_TBK: Tensor) -> Tensor:
        """−log p(tags | tokens) of each sentence at the model's temperature: (B,)."""
        return self.negative_log_likelihood(batch, emissions_TBK / self.temperature, self._cooled())

    def loss(self, batch: TagBatch) -> SequenceLoss:
        """In training −log p a token; else 1 − F1, exactly that of all batches when they are put together.

        Of equal F1 the smaller −log p is better: it is added, by a weight that does not reach one piece in thousands.
        """
        emissions_TBK = self.net(batch)
        nll = self.negative_log_likelihood(batch, emissions_TBK, self.crf).sum()
        if self.training:
            tokens = int(batch.lengths.sum())
            return SequenceLoss(nll / tokens, tokens)
        right, total = self.count(batch, emissions_TBK)
        weight = total or _NOTHING
        return SequenceLoss((total - 2 * right + _TIES * nll) / weight, weight)

    def count(self, batch: TagBatch, emissions_TBK: Tensor) -> tuple[int, int]:
        """Pieces that were found and are right, and those that are there plus those found: F1 is twice their ratio."""
        there = self.true_pieces(batch)
        here = [set(spans(tags)) for tags in self._named(self._best(emissions_TBK, batch.lengths), batch.lengths)]
        right = sum(len(t & h) for t, h in zip(there, here, strict=True))
        return right, sum(map(len, there)) + sum(map(len, here))

    def true_pieces(self, batch: TagBatch) -> list[set[Span]]:
        """What is there, in each sentence of a batch with tags."""
        assert batch.tags is not None
        return [set(spans(tags)) for tags in self._named(batch.tags, batch.lengths)]

    @torch.inference_mode()
    def find(self, batch: TagBatch, *, probabilities: bool = True) -> list[Found]:
        """Tags, pieces and how sure they are, of each sentence of a batch."""
        return self.read(batch, self.net(batch), probabilities=probabilities)

    def read(self, batch: TagBatch, emissions_TBK: Tensor, *, probabilities: bool = True) -> list[Found]:
        """`find`, of emissions that are there."""
        best_TB = self._best(emissions_TBK, batch.lengths)
        rows = self._named(best_TB, batch.lengths)
        pieces = [spans(tags) for tags in rows]
        where = [(row, piece.start, piece.end) for row, found in enumerate(pieces) for piece in found]
        sure = self._sure(emissions_TBK, best_TB, where, batch).tolist() if probabilities and where else []
        at, found_rows = 0, []
        for tags, found in zip(rows, pieces, strict=True):
            found_rows.append(Found(tags, found, sure[at : at + len(found)]))
            at += len(found)
        return found_rows

    def _cooled(self) -> CRF | None:
        """A copy of the CRF with its scores divided by the temperature: other threads may be reading the CRF itself."""
        if self.crf is None:
            return None
        crf = deepcopy(self.crf)
        for parameter in crf.parameters():
            parameter.data = parameter.data / self.temperature
        return crf

    def _best(self, emissions_TBK: Tensor, lengths_B: Tensor) -> Tensor:
        if self.crf is not None:
            return self.crf.best(emissions_TBK, lengths=lengths_B)
        return self.constraints.greedy(emissions_TBK, lengths_B)

    def _sure(
        self, emissions_TBK: Tensor, best_TB: Tensor, where: Sequence[tuple[int, int, int]], batch: TagBatch
    ) -> Tensor:
        """The calibrated probability of each piece: (N,)."""
        a, b = self.logistic
        logit_N = self._probability(emissions_TBK, best_TB, where, batch).logit(1e-6)
        sure_N: Tensor = (a * logit_N + b).sigmoid()
        return sure_N

    def _probability(
        self, emissions_TBK: Tensor, best_TB: Tensor, where: Sequence[tuple[int, int, int]], batch: TagBatch
    ) -> Tensor:
        """That of each piece at the model's temperature: (N,)."""
        best_TB = best_TB.clamp(min=0)
        segments = torch.tensor(where)
        if self.crf is not None:
            log_p_N = self.crf.segment_log_probability(
                emissions_TBK,
                best_TB,
                segments,
                continues=self._continues,
                lengths=batch.lengths,
                temperature=self.temperature,
            )
            return log_p_N.exp().clamp(max=1.0)
        log_p_TBK = (emissions_TBK / self.temperature).log_softmax(-1)
        along_TB = log_p_TBK.gather(2, best_TB.unsqueeze(2)).squeeze(2).cumsum(0)
        along_TB = torch.cat((torch.zeros_like(along_TB[:1]), along_TB))
        row, begin, end = segments.unbind(1)
        return (along_TB[end, row] - along_TB[begin, row]).exp().clamp(max=1.0)

    def _named(self, tags_TB: Tensor, lengths_B: Tensor) -> list[list[str]]:
        names = self.names
        columns = tags_TB.T.tolist()
        return [[names[k] for k in row[:n]] for row, n in zip(columns, lengths_B.tolist(), strict=True)]


def _valid(batch: TagBatch) -> Tensor:
    """(T, B)"""
    return torch.arange(len(batch.words)).unsqueeze(1) < batch.lengths
