"""From a net's emissions to tags and how sure they are.

Axes in names: T tokens, B sentences, K tags, N pieces.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from throughtime.models.losses import SequenceLoss
from throughtime.nn import CRF
from throughtime.tasks.tag.batches import TagBatch
from throughtime.tasks.tag.network import TagDesign, TagNet
from throughtime.tasks.tag.schemes import Span, constraints, continues, spans

_NOTHING = 1e-6  # the weight of sentences in which nothing was to be found, and nothing was


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
        self.constraints = constraints(self.names, scheme)
        self.crf = CRF(len(self.names), constraints=self.constraints) if crf else None
        # Emissions and transitions are divided by it; a calibration finds it, training leaves it at 1.
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("_continues", torch.tensor(continues(self.names, scheme)), persistent=False)

    temperature: Tensor
    _continues: Tensor

    def negative_log_likelihood(self, batch: TagBatch, emissions_TBK: Tensor) -> Tensor:
        """−log p(tags | tokens) of each sentence at temperature 1: (B,)."""
        assert batch.tags is not None
        if self.crf is not None:
            found: Tensor = self.crf(emissions_TBK, batch.tags, lengths=batch.lengths)
            return found
        each_TB = nn.functional.cross_entropy(emissions_TBK.permute(0, 2, 1), batch.tags, reduction="none")
        return each_TB.masked_fill(~_valid(batch), 0.0).sum(0)

    def calibrated_loss(self, batch: TagBatch, emissions_TBK: Tensor) -> Tensor:
        """−log p(tags | tokens) of each sentence at the model's temperature: (B,)."""
        with cooled(self.crf, self.temperature):
            return self.negative_log_likelihood(batch, emissions_TBK / self.temperature)

    def loss(self, batch: TagBatch) -> SequenceLoss:
        """In training −log p a token; else 1 − F1, exactly that of all batches when they are put together."""
        emissions_TBK = self.net(batch)
        if self.training:
            tokens = int(batch.lengths.sum())
            return SequenceLoss(self.negative_log_likelihood(batch, emissions_TBK).sum() / tokens, tokens)
        assert batch.tags is not None
        true = self._named(batch.tags, batch.lengths)
        found = self._named(self._best(emissions_TBK, batch.lengths), batch.lengths)
        there = [set(spans(tags)) for tags in true]
        here = [set(spans(tags)) for tags in found]
        total = sum(map(len, there)) + sum(map(len, here))
        right = sum(len(t & h) for t, h in zip(there, here, strict=True))
        return SequenceLoss(torch.tensor(1 - 2 * right / total if total else 0.0), total or _NOTHING)

    @torch.inference_mode()
    def find(self, batch: TagBatch, *, probabilities: bool = True) -> list[Found]:
        """Tags, pieces and how sure they are, of each sentence of a batch."""
        emissions_TBK = self.net(batch)
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

    def _best(self, emissions_TBK: Tensor, lengths_B: Tensor) -> Tensor:
        if self.crf is not None:
            return self.crf.decode(emissions_TBK, lengths=lengths_B).tags[:, :, 0]
        return self.constraints.greedy(emissions_TBK, lengths_B)

    def _sure(
        self, emissions_TBK: Tensor, best_TB: Tensor, where: Sequence[tuple[int, int, int]], batch: TagBatch
    ) -> Tensor:
        """The probability of each piece: (N,)."""
        best_TB = best_TB.clamp(min=0)
        segments = torch.tensor(where)
        if self.crf is not None:
            with cooled(self.crf, self.temperature):
                return self.crf.segment_log_probability(
                    emissions_TBK / self.temperature,
                    best_TB,
                    segments,
                    continues=self._continues,
                    lengths=batch.lengths,
                ).exp()
        log_p_TBK = (emissions_TBK / self.temperature).log_softmax(-1)
        along_TB = log_p_TBK.gather(2, best_TB.unsqueeze(2)).squeeze(2).cumsum(0)
        along_TB = torch.cat((torch.zeros_like(along_TB[:1]), along_TB))
        row, begin, end = segments.unbind(1)
        return (along_TB[end, row] - along_TB[begin, row]).exp()

    def _named(self, tags_TB: Tensor, lengths_B: Tensor) -> list[list[str]]:
        names = self.names
        columns = tags_TB.T.tolist()
        return [[names[k] for k in row[:n]] for row, n in zip(columns, lengths_B.tolist(), strict=True)]


@contextmanager
def cooled(crf: CRF | None, temperature: Tensor) -> Iterator[None]:
    """The scores of a CRF are divided by a temperature while the block lasts."""
    parameters = [] if crf is None else list(crf.parameters())
    kept = [parameter.data for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.data = parameter.data / temperature
        yield
    finally:
        for parameter, data in zip(parameters, kept, strict=True):
            parameter.data = data


def _valid(batch: TagBatch) -> Tensor:
    """(T, B)"""
    return torch.arange(len(batch.words)).unsqueeze(1) < batch.lengths
