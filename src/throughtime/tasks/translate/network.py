"""The net of a translator: an `EncoderDecoder` over subwords that both languages share.

Axes in names: S source steps, T target steps, B batch, N valid target steps, E embedding, H units, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from throughtime.data.text.parallel_units import BEGIN, END, PAD
from throughtime.models import EncoderDecoder
from throughtime.models.encoder_decoder_loss import smoothed_cross_entropy
from throughtime.nn import AdditiveAttention, MultiplicativeAttention
from throughtime.nn.attention import Attention
from throughtime.nn.layers import LAYERS
from throughtime.tasks.translate.batches import PairBatch
from throughtime.training import WeightedLoss

ATTENTIONS: dict[str, type[Attention]] = {"multiplicative": MultiplicativeAttention, "additive": AdditiveAttention}
DECODERS = ("attention-between", "attention-above", "input-feeding")


@dataclass(frozen=True, kw_only=True)
class Design:
    """The sizes of a net, as its folder keeps them. See `Translator` for each."""

    symbols: int
    cell: str
    hidden_size: int
    embedding_size: int
    encoder_layers: int
    decoder_layers: int
    attention: str
    decoder: str
    dropout: float
    embedding_dropout: float
    word_dropout: float
    recurrent_dropout: float


class Tokens(nn.Module):
    """Ids to vectors of about unit variance, some of them dropped while training.

    (1) x = m ∗ √E e(id) / (1 − p), m elementwise 0 with probability p, the same at every step of a sentence
    (2) of whole tokens, a share reads zeros

    **Source** [Gal2016] for (2), which drops each type of token and not each token.
    """

    def __init__(self, table: nn.Embedding, *, dropout: float, word_dropout: float, owned: bool) -> None:
        super().__init__()
        # One table serves source, target and head; it is a part of one of them alone, so that a folder has it once.
        self._shared = [table]
        if owned:
            self.table = table
        self.dropout = dropout
        self.word_dropout = word_dropout

    def forward(self, ids: Tensor) -> Tensor:
        """(...) to (..., E)."""
        table = self._shared[0]
        x: Tensor = table(ids) * math.sqrt(table.embedding_dim)
        if not self.training:
            return x
        if self.word_dropout:
            keep = torch.rand(ids.shape, device=ids.device) >= self.word_dropout
            x = x * (keep.unsqueeze(-1) / (1 - self.word_dropout)).to(x.dtype)
        return x * nn.functional.dropout(torch.ones_like(x[:1]), self.dropout) if self.dropout else x


class TiedHead(nn.Module):
    """Scores of every id: the embedding is the output matrix, too.

    (1) logits = e W a + b, W from H to E numbers

    **Source** [Press2017].
    """

    def __init__(self, table: nn.Embedding, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self._shared = [table]
        self.map = nn.Linear(hidden_size, table.embedding_dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors_NH: Tensor) -> Tensor:
        """(N, H) to (N, V)."""
        found_NE: Tensor = self.dropout(self.map(vectors_NH))
        return nn.functional.linear(found_NE, self._shared[0].weight, self.bias)


def build_net(design: Design) -> EncoderDecoder:
    """The net of a design, freshly drawn.

    An encoder reads both ways, H/2 units each; the decoder has H. Where its attention stands between its layers, the
    layer above reads contexts, too.
    """
    d, H, E = design, design.hidden_size, design.embedding_size
    table = nn.Embedding(d.symbols, E)
    nn.init.normal_(table.weight, std=E**-0.5)
    drops = {"dropout": d.embedding_dropout, "word_dropout": d.word_dropout}
    layer = LAYERS[d.cell]
    encoder = layer(
        E, H // 2, num_layers=d.encoder_layers, bidirectional=True, recurrent_dropout=d.recurrent_dropout,
        **({"dropout": d.dropout} if d.encoder_layers > 1 else {}),
    )  # fmt: skip
    fed, between = d.decoder == "input-feeding", d.decoder == "attention-between"
    below = d.decoder_layers - between
    decoder = layer(
        E + H * fed, H, num_layers=below, recurrent_dropout=d.recurrent_dropout,
        **({"dropout": d.dropout} if below > 1 else {}),
    )  # fmt: skip
    upper = layer(2 * H, H, recurrent_dropout=d.recurrent_dropout) if between else None
    sizes = (H, H, H) if d.attention == "additive" else (H, H)
    return EncoderDecoder(
        Tokens(table, **drops, owned=False),
        encoder,
        Tokens(table, **drops, owned=True),
        decoder,
        TiedHead(table, H, d.dropout),
        ATTENTIONS[d.attention](*sizes),
        input_feeding=fed,
        upper=upper,
        dropout=d.dropout,
        bos=BEGIN,
        eos=END,
        pad=PAD,
    )


class Trainee(nn.Module):
    """A net while it is trained.

    (1) L = mean over target tokens of −(1 − s) log p_target − s mean_v log p_v, s the label smoothing; 0 in validation
    """

    def __init__(self, net: EncoderDecoder, label_smoothing: float) -> None:
        super().__init__()
        self.net = net
        self.label_smoothing = label_smoothing

    def forward(self, batch: PairBatch) -> WeightedLoss:
        """The loss of a batch, and how many target tokens it is a mean over."""
        vectors_TBH, _ = self.net.vectors(batch.sources, batch.source_lengths, batch.targets, batch.target_lengths)
        steps = torch.arange(len(batch.targets), device=batch.targets.device)
        valid_TB = steps.unsqueeze(1) < batch.target_lengths
        logits_NV = self.net.head.module(vectors_TBH[valid_TB])
        smoothing = self.label_smoothing if self.training else 0.0
        targets_N = batch.targets[valid_TB]
        return WeightedLoss(smoothed_cross_entropy(logits_NV, targets_N, smoothing), len(targets_N))


def pair_loss(model: nn.Module, batch: PairBatch) -> WeightedLoss:
    """What `train` asks for."""
    found: WeightedLoss = model(batch)
    return found
