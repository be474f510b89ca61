"""The net of a classifier: ids of a text in, a score of every label out.

Axes in names: T ids of a text, B texts, E features of an id, F features of the recurrent layers, P pooled, K labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.models.pooling import make_pooling
from throughtime.nn.layers import LAYERS
from throughtime.tasks.language import TextEncoder
from throughtime.tasks.language.net import Dropouts


@dataclass(frozen=True)
class ClassDesign:
    """The sizes of a `ClassNet`.

    Attributes:
        symbols: size of the vocabulary.
        labels: K.
        cell: of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        embedding_size: E.
        pooling: one of `throughtime.models.pooling.POOLING_NAMES`.
        dropout: of the embedded ids, between layers and of the pooled vector.
        embedding_dropout: of whole symbols.
        weight_dropout: of the recurrent matrices.
        pretrained: the net reads with the encoders of language models, one each way.
    """

    symbols: int
    labels: int
    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    embedding_size: int = 128
    pooling: str = "concat"
    dropout: float = 0.5
    embedding_dropout: float = 0.1
    weight_dropout: float = 0.0
    pretrained: bool = False


class BothWays(nn.Module):
    """An embedding and recurrent layers over the whole text, both ways or one."""

    def __init__(self, design: ClassDesign) -> None:
        super().__init__()
        d = design
        self.embedding = nn.Embedding(d.symbols, d.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.dropout, self.embedding_dropout = d.dropout, d.embedding_dropout
        self.recurrent = LAYERS[d.cell](
            d.embedding_size,
            d.hidden_size,
            d.num_layers,
            dropout=d.dropout if d.num_layers > 1 else 0.0,
            bidirectional=d.bidirectional,
            weight_dropout=d.weight_dropout,
        )

    @property
    def output_size(self) -> int:
        """F."""
        return int(self.recurrent.hidden_size * self.recurrent.num_directions)

    def embed(self, ids_TB: Tensor) -> Tensor:
        """(T, B, E)"""
        x_TBE: Tensor = self.embedding(ids_TB)
        if self.training and self.embedding_dropout:
            keep_V = torch.rand(self.embedding.num_embeddings, device=x_TBE.device) >= self.embedding_dropout
            x_TBE = x_TBE * (keep_V[ids_TB] / (1 - self.embedding_dropout)).unsqueeze(2).to(x_TBE.dtype)
        if self.training and self.dropout:
            x_TBE = x_TBE * nn.functional.dropout(torch.ones_like(x_TBE[:1]), self.dropout)
        return x_TBE

    def run(self, x_TBE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (T, B, F) and their lengths."""
        h_TBF, _ = self.recurrent(x_TBE, lengths=lengths_B)
        return h_TBF, lengths_B


class Pretrained(nn.Module):
    """Encoders of language models: one of the text, and maybe one of the text read backwards.

    A text begins as it did there: with a step before its first id, which is the first of either way.
    """

    def __init__(self, design: ClassDesign) -> None:
        super().__init__()
        d = design
        dropouts = Dropouts(
            embedding=d.embedding_dropout, input=d.dropout / 2, between=d.dropout / 2, weight=d.weight_dropout
        )
        widths = [d.embedding_size, *[d.hidden_size] * d.num_layers]
        self.encoders = nn.ModuleList(
            TextEncoder(d.symbols, d.cell, widths, dropouts=dropouts) for _ in range(1 + d.bidirectional)
        )

    def start_from(self, encoders: Sequence[TextEncoder]) -> None:
        """Take the weights of language models' encoders."""
        for own, other in zip(self.encoders, encoders, strict=True):
            own.load_state_dict(other.state_dict())

    @property
    def output_size(self) -> int:
        """F."""
        return sum(encoder.output_size for encoder in self.encoders)  # type: ignore[misc]

    def embed(self, ids_TB: Tensor) -> Tensor:
        """(T + 1, B, E), a part of E for each encoder, all in the order of the text."""
        ids_TB = nn.functional.pad(ids_TB, (0, 0, 1, 0))
        begins_TB = torch.zeros(ids_TB.shape, dtype=torch.bool, device=ids_TB.device)
        begins_TB[0] = True
        parts = [encoder.embed(ids_TB, begins=begins_TB) for encoder in self.encoders]  # type: ignore[operator]
        return torch.cat(parts, 2)

    def run(self, x_TBE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (T + 1, B, F), each encoder's in the order in which it read, and their lengths."""
        found = []
        parts = x_TBE.chunk(len(self.encoders), 2)
        for encoder, part_TBE, backwards in zip(self.encoders, parts, (False, True), strict=False):
            x = turned(part_TBE, lengths_B) if backwards else part_TBE
            h_TBF, _ = encoder.run(x, lengths=lengths_B + 1)  # type: ignore[operator]
            found.append(h_TBF)
        return torch.cat(found, 2), lengths_B + 1


def turned(x_TBE: Tensor, lengths_B: Tensor) -> Tensor:
    """Steps 1 to n of each row in reverse order, n its length; the others stay where they are."""
    step_TB = torch.arange(x_TBE.shape[0], device=x_TBE.device).unsqueeze(1).expand(-1, x_TBE.shape[1])
    inside_TB = (step_TB > 0) & (step_TB <= lengths_B)
    from_TB = torch.where(inside_TB, lengths_B + 1 - step_TB, step_TB)
    return x_TBE.gather(0, from_TB.unsqueeze(2).expand_as(x_TBE))


class ClassNet(nn.Module):
    """Ids to scores: (1) h = recurrent layers over the embedded ids, (2) p = pooling of h, (3) z = W p + b.

    **Source** [Howard2018] for pooling (2) by concat and for reading with a language model's encoder.
    """

    def __init__(self, design: ClassDesign) -> None:
        super().__init__()
        self.design = design
        self.reader: Any = Pretrained(design) if design.pretrained else BothWays(design)
        both = design.bidirectional and not design.pretrained
        self.pooling, size = make_pooling(design.pooling, self.reader.output_size, bidirectional=both)
        self.dropout = nn.Dropout(design.dropout)
        self.head = nn.Linear(size, design.labels)

    def forward(self, ids_TB: Tensor, lengths_B: Tensor) -> Tensor:
        """z (B, K)."""
        return self.scored(self.reader.embed(ids_TB), lengths_B)

    def scored(self, x_TBE: Tensor, lengths_B: Tensor) -> Tensor:
        """z (B, K) of embedded ids."""
        h_TBF, lengths_B = self.reader.run(x_TBE, lengths_B)
        z_BK: Tensor = self.head(self.dropout(self.pooling(h_TBF, lengths_B)))
        return z_BK
