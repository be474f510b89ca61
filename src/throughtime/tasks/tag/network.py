"""The net of a tagger: tokens in, a score of every tag for each out.

Axes in names: T tokens of a sentence, B sentences, E features of a token, K tags, F distinct forms, C characters.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.models import ManyToOne
from throughtime.nn import LSTM
from throughtime.nn.layers import LAYERS
from throughtime.tasks.tag.batches import TagBatch
from throughtime.tasks.tag.units import CASINGS

CHARACTERS = ("lstm", "cnn", "none")
_CASING_SIZE = 8
_LETTER_SIZE = 25
_KERNEL = 3
# Shares read as UNKNOWN in training: of words that occur once; of all words and of pairs as parts of the dropout.
_RARE, _WORDS, _PAIRS = 0.5, 0.2, 0.6


@dataclass(frozen=True)
class TagDesign:
    """The sizes of a `TagNet`.

    Attributes:
        words, letters, pairs: sizes of the vocabularies; `pairs` 0 where there are none.
        tags: K.
        cell: of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        word_size: features of a word.
        character_size: features from a token's characters.
        characters: one of `CHARACTERS`.
        further: words that no training sentence had, the last of `words`: their vectors were given, and stay.
    """

    words: int
    letters: int
    pairs: int
    tags: int
    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.5
    word_size: int = 100
    character_size: int = 50
    characters: str = "lstm"
    further: int = 0


class LockedDropout(nn.Module):
    """Dropout with one mask a sequence: x (T, B, E) loses the same features at every step.

    **Source** [Gal2016].
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x, or in training a masked one, scaled so that the mean stays."""
        if not self.training or self.p == 0:
            return x
        return x * nn.functional.dropout(torch.ones_like(x[:1]), self.p)


class LetterConvolution(nn.Module):
    """The largest answer of each filter over the characters of a form: (C, F, letters) to (F, filters)."""

    def __init__(self, size: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(size, filters, _KERNEL, padding=_KERNEL - 1)

    def forward(self, x: Tensor, *, lengths: Tensor) -> Tensor:
        """Two zeros stand before the first character and after the last one of each form."""
        if not x.shape[0]:  # torch convolves nothing that has no step
            x = nn.functional.pad(x, (0, 0, 0, 0, 0, 1))
        steps = torch.arange(x.shape[0] + _KERNEL - 1, device=x.device).unsqueeze(1)
        x = x.masked_fill((steps[: x.shape[0]] >= lengths).unsqueeze(2), 0.0)
        found_FCX: Tensor = self.convolution(x.permute(1, 2, 0))
        # What sees the padding of a batch alone does not count.
        beyond_FX = (steps >= lengths + _KERNEL - 1).T
        return found_FCX.masked_fill(beyond_FX.unsqueeze(1), -torch.inf).amax(2)


class TagNet(nn.Module):
    """Tokens, one way or both ways through recurrent layers, to emissions (T, B, K).

    (1) e_t = [word; characters; casing; pair] of token t
    (2) h   = the recurrent layers over e, with dropout before and after
    (3) x_t = W h_t + b

    **Source** [Lample2016] for the two-way LSTM over characters and the replacing of rare words; [Ma2016] for the
    convolution.
    """

    def __init__(self, design: TagDesign) -> None:
        super().__init__()
        self.design = d = design
        self.words = nn.Embedding(d.words - d.further, d.word_size, padding_idx=0)
        nn.init.uniform_(self.words.weight, -((3 / d.word_size) ** 0.5), (3 / d.word_size) ** 0.5)
        # Not trained, and so not part of an optimizer's step over every parameter.
        self.register_buffer("further", torch.zeros(d.further, d.word_size) if d.further else None)
        size = d.word_size + _CASING_SIZE
        self.casings = nn.Embedding(len(CASINGS), _CASING_SIZE)
        self.pairs = nn.Embedding(d.pairs, d.word_size, padding_idx=0) if d.pairs else None
        if self.pairs is not None:
            nn.init.uniform_(self.pairs.weight, -((3 / d.word_size) ** 0.5), (3 / d.word_size) ** 0.5)
            size += d.word_size
        self.letters: nn.Embedding | None = None
        self.spelling: Any = None
        if d.characters != "none":
            self.letters = nn.Embedding(d.letters, _LETTER_SIZE, padding_idx=0)
            size += d.character_size
            if d.characters == "cnn":
                self.spelling = LetterConvolution(_LETTER_SIZE, d.character_size)
            else:
                self.spelling = ManyToOne(LSTM(_LETTER_SIZE, d.character_size // 2, bidirectional=True), nn.Identity())
        self.dropout = LockedDropout(d.dropout)
        between = d.dropout if d.num_layers > 1 else 0.0
        self.recurrent = LAYERS[d.cell](
            size, d.hidden_size, d.num_layers, dropout=between, bidirectional=d.bidirectional
        )
        self.head = nn.Linear(d.hidden_size * (1 + d.bidirectional), d.tags)
        self.register_buffer("rare", torch.zeros(d.words - d.further, dtype=torch.bool), persistent=False)

    rare: Tensor
    further: Tensor | None

    @torch.no_grad()
    def take_vectors(self, numbers: Tensor, vectors: Tensor) -> None:
        """Words with these numbers (N,) begin with these vectors (N, word_size), scaled to a mean length of 1."""
        vectors = vectors / vectors.norm(dim=1).mean().clamp(min=1e-12)
        trained = len(self.words.weight)
        seen = numbers < trained
        self.words.weight[numbers[seen]] = vectors[seen]
        if self.further is not None:
            self.further[numbers[~seen] - trained] = vectors[~seen]

    def word_vectors(self, words: Tensor) -> Tensor:
        """The vector of each word: (..., word_size)."""
        if self.further is None:
            found: Tensor = self.words(words)
            return found
        trained = len(self.words.weight)
        seen, unseen = self.words(words.clamp(max=trained - 1)), self.further[(words - trained).clamp(min=0)]
        return torch.where((words < trained).unsqueeze(-1), seen, unseen)

    def learn_unknown(self, rare: Tensor) -> None:
        """In training, words where `rare` (words,) is True become UNKNOWN half of the time, others seldom."""
        self.rare = rare

    def forms(self, batch: TagBatch) -> Tensor:
        """What is known of each distinct form by its letters and casing: (F, ...)."""
        parts = [self.casings(batch.casings)]
        if self.letters is not None:
            parts.append(self.spelling(self.letters(batch.letters), lengths=batch.letter_lengths))
        return torch.cat(parts, -1)

    def forward(self, batch: TagBatch) -> Tensor:
        """Emissions (T, B, K)."""
        words_TB, pairs_TB = batch.words, batch.pairs
        if self.training:
            drawn_TB = torch.rand(words_TB.shape, device=words_TB.device)
            often_TB = torch.where(self.rare[words_TB], _RARE, _WORDS * self.design.dropout)
            words_TB = words_TB.masked_fill(drawn_TB < often_TB, 1)
            if pairs_TB is not None:
                drawn_TB = torch.rand(words_TB.shape, device=words_TB.device)
                pairs_TB = pairs_TB.masked_fill(drawn_TB < _PAIRS * self.design.dropout, 1)
        parts = [self.word_vectors(words_TB), self.forms(batch)[batch.forms]]
        if self.pairs is not None:
            parts.append(self.pairs(pairs_TB))
        x_TBE = self.dropout(torch.cat(parts, -1))
        h_TBH, _ = self.recurrent(x_TBE, lengths=batch.lengths)
        emissions_TBK: Tensor = self.head(self.dropout(h_TBH))
        return emissions_TBK
