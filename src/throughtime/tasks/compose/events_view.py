"""The events view: how its net is trained, and how it writes.

Axes in names: T time, B pieces, R rows of the net, V vocabulary, E embedding, F features, K texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.music.pieces import PITCH, Piece
from throughtime.errors import ArgumentError
from throughtime.models import Draws
from throughtime.models.decoding import DecodingState, read_limits
from throughtime.models.sampling import read_seeds
from throughtime.tasks.compose.events import END, EventVocabulary, Ids
from throughtime.tasks.compose.events_net import EventEncoder
from throughtime.tasks.compose.grammar import Barred, Grammar
from throughtime.tasks.compose.wishes import Wish
from throughtime.tasks.language.chunks import Chunk, ChunkSource
from throughtime.tasks.language.corpus import Corpus
from throughtime.tasks.language.net import Dropouts, LanguageNet

if TYPE_CHECKING:
    from throughtime.tasks.compose.composer import Composer

_MOST_EVENTS = 200_000


class TransposedSource(ChunkSource):
    """Pieces in rows, each epoch with one of its transpositions drawn anew for every piece.

    Args:
        corpora: one for each transposition, of the same pieces in the same order; the first as they are.
    """

    def __init__(self, corpora: Sequence[Corpus], rows: int, steps: int, *, vary: bool = False) -> None:
        self.base = corpora[0]
        self.corpora = corpora
        super().__init__(self.base, rows, steps, vary=vary)

    def _chunks(self, generator: torch.Generator | None) -> Iterator[Chunk]:
        self.corpus = self.base if generator is None or len(self.corpora) == 1 else self._drawn(generator)
        return super()._chunks(generator)

    def _drawn(self, generator: torch.Generator) -> Corpus:
        """A transposition of each piece; all are as long as the piece is."""
        all = joined(self.corpora)
        K = self.base.texts
        drawn_K = torch.randint(len(self.corpora), (K,), generator=generator).numpy()
        return all.select(drawn_K * K + np.arange(K))


def joined(corpora: Sequence[Corpus]) -> Corpus:
    """The texts of several corpora as those of one."""
    offsets = np.cumsum([0, *(len(corpus.ids) for corpus in corpora)])
    classes = [corpus.classes for corpus in corpora]
    return Corpus(
        np.concatenate([corpus.ids for corpus in corpora]),
        np.concatenate([corpus.begins + offset for corpus, offset in zip(corpora, offsets, strict=False)]),
        np.concatenate([corpus.lengths for corpus in corpora]),
        None if classes[0] is None else np.concatenate(classes),  # type: ignore[arg-type]
    )


def corpus_of(rows: Sequence[Ids], classes: NDArray[np.int64] | None) -> Corpus:
    """Encoded pieces as a corpus."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return Corpus(np.concatenate(rows), np.cumsum(lengths) - lengths, lengths, classes)


def vocabulary_of(pieces: Sequence[Piece], *, shifts: int, velocities: bool) -> EventVocabulary:
    """The ids that the pieces need; notes up to a bar longer than their longest may be said."""
    metres = {metre[1:] for piece in pieces for metre in piece.metres}
    longest = max(int(piece.notes[:, 1].max()) for piece in pieces if len(piece))
    return EventVocabulary(metres, longest=longest + 48, shifts=shifts, velocities=velocities)


def encoded(
    pieces: Sequence[Piece], vocabulary: EventVocabulary, classes: NDArray[np.int64] | None, shift: int, who: str
) -> Corpus:
    """Pieces as a corpus, all transposed by `shift` where their notes allow it; else as they are."""
    rows = []
    for piece in pieces:
        fits = len(piece) and piece.notes[:, PITCH].min() + shift >= 0 and piece.notes[:, PITCH].max() + shift <= 127
        own = shift if fits else 0
        rows.append(vocabulary.encode(piece.transposed(own) if own else piece, shift=own, who=who))
    return corpus_of(rows, classes)


def build_net(composer: "Composer", vocabulary: EventVocabulary, labels: Sequence[str] | None) -> LanguageNet:
    """The net of a composer's hyper-parameters."""
    H, E = int(composer.hidden_size), int(composer.embedding_size)
    encoder = EventEncoder(
        vocabulary, composer.cell, [E, *[H] * int(composer.num_layers)],
        classes=None if labels is None else len(labels),
        dropouts=Dropouts(
            input=float(composer.input_dropout), between=float(composer.dropout), output=float(composer.dropout),
            weight=float(composer.weight_dropout),
        ),
    )  # fmt: skip
    return LanguageNet(encoder)


@dataclass(frozen=True)
class Drawn:
    """What was written: the ids of each piece after its beginning, and their log-probability."""

    ids: list[list[int]]
    log_probs: list[float]
    grammars: list[Grammar]


def write_events(
    net: LanguageNet, vocabulary: EventVocabulary, seen_V: NDArray[np.bool_], wish: Wish, *, melody: bool, at_once: int,
    barred: Barred | None, styles: int, who: str,
) -> Drawn:  # fmt: skip
    """Write pieces beside one another.

    (1) log p of a mixture of styles = Σ_s w_s log p_s, renormalised
    (2) id_t = sampler(log p, −inf where `Grammar` says no)

    Raises:
        ArgumentError: a metre that is not known, or a primer longer than the bars asked for or in another metre.
        DataError: a primer with notes that the vocabulary has not.
    """
    B = len(wish.primers)
    if wish.metre is not None and wish.metre not in vocabulary.metres:
        known = ", ".join(f"{beats}/{unit}" for beats, unit in vocabulary.metres)
        raise ArgumentError(
            f"{who}: expected a metre among {known}, got {wish.metre[0]}/{wish.metre[1]}; pass one of these"
        )
    given = [_beginning(vocabulary, wish, b, who) for b in range(B)]
    grammars = [
        Grammar(
            vocabulary, seen_V, bars=wish.bars, metre=wish.metre, melody=melody, most_repeats=wish.most_repeats,
            at_once=at_once, barred=barred,
        )
        for _ in range(B)
    ]  # fmt: skip
    for grammar, row in zip(grammars, given, strict=True):
        for id in row.tolist():
            grammar.advance(id)
    mixtures = [{0: 1.0}] * B if wish.mixtures is None else list(wish.mixtures)
    S = max(map(len, mixtures))
    # A row for each style of each piece; a piece of fewer styles has rows that weigh nothing.
    classes_R = torch.tensor([[*mix, *[0] * (S - len(mix))] for mix in mixtures]).flatten() if styles else None
    weight_BS = torch.tensor([[*mix.values(), *[0.0] * (S - len(mix))] for mix in mixtures])
    rows = DecodingState(read_limits(who, _MOST_EVENTS, B, torch.device("cpu")))
    draws = None if wish.sampler.greedy else Draws(read_seeds(who, wish.seed, B), torch.device("cpu"))
    mask_BV = np.zeros((B, len(vocabulary)), dtype=bool)
    ids: list[list[int]] = [[] for _ in range(B)]
    total_B = torch.zeros(B, dtype=torch.float64)
    t = 0
    with torch.inference_mode():
        hidden_RF, state = _read(net, given, classes_R, S)
        step = net.encoder.steps(classes_R)
        while not rows.done:
            log_p_BV = net.logits(hidden_RF).log_softmax(-1)
            if S > 1:
                log_p_BV = (log_p_BV.view(B, S, -1) * weight_BS.unsqueeze(-1)).sum(1).log_softmax(-1)
            for b, grammar in enumerate(grammars):
                grammar.allowed(mask_BV[b])
            masked_BV = log_p_BV.masked_fill(~torch.from_numpy(mask_BV), -torch.inf)
            chosen_B, _ = wish.sampler(masked_BV, None if draws is None else draws.at(t))
            log_p_B = log_p_BV.gather(1, chosen_B.unsqueeze(1)).squeeze(1)
            total_B += torch.where(rows.finished, 0.0, log_p_B.double())
            for b, id in enumerate(chosen_B.tolist()):
                if not grammars[b].ended:
                    ids[b].append(id)
                    grammars[b].advance(id)
            rows.advance(chosen_B == END)
            t += 1
            if not rows.done:
                hidden_RF, state = step(chosen_B.repeat_interleave(S) if S > 1 else chosen_B, state)
    return Drawn([[*row.tolist(), *own] for row, own in zip(given, ids, strict=True)], total_B.tolist(), grammars)


def _beginning(vocabulary: EventVocabulary, wish: Wish, b: int, who: str) -> Ids:
    """The ids of a primer up to its last note; the shift alone without one."""
    primer = wish.primers[b]
    if primer is None:
        return np.array([vocabulary.id("shift", vocabulary.shifts)], dtype=np.int64)
    last = primer.bars[-1].metre[1:]
    if wish.metre is not None and wish.metre != last:
        raise ArgumentError(
            f"{who}: expected the primer's metre, {last[0]}/{last[1]}, got metre={wish.metre[0]}/{wish.metre[1]}; "
            "leave the metre out"
        )
    if wish.bars is None:
        raise ArgumentError(f"{who}: expected bars beside a primer, got none; pass how many the whole piece has")
    begun = next(i for i, bar in enumerate(primer.bars) if bar.end > primer.notes[-1, 0]) + 1
    # What sounds on after the last beginning must end within the piece, too.
    if max(begun, len(primer.bars)) > wish.bars:
        raise ArgumentError(
            f"{who}: expected a primer of at most the {wish.bars} bars asked for, got one of {len(primer.bars)}; ask "
            "for more bars or cut it"
        )
    ids = vocabulary.encode(primer, bars=wish.bars, open=True, who=f"{who}: primer")
    bars_after = len(primer.bars) - begun
    return ids[: len(ids) - bars_after] if bars_after else ids


def _read(net: LanguageNet, given: Sequence[Ids], classes_R: Tensor | None, S: int) -> tuple[Tensor, Any]:
    """The last output of each row, (R, F), and the state."""
    rows = [torch.from_numpy(row) for row in given for _ in range(S)]
    lengths_R = torch.tensor([1 + len(row) for row in rows])
    given_TR = torch.nn.utils.rnn.pad_sequence([torch.cat((row.new_zeros(1), row)) for row in rows])
    begins_TR = torch.zeros(given_TR.shape, dtype=torch.bool)
    begins_TR[0] = True
    hidden_TRF, state = net.encoder(given_TR, None, begins=begins_TR, classes=classes_R, lengths=lengths_R)
    return hidden_TRF[lengths_R - 1, torch.arange(len(rows))], state


def most_repeats(pieces: Sequence[Piece]) -> int:
    """Notes of one pitch that follow each other, at most, in any of the pieces."""
    most = 1
    for piece in pieces:
        pitches = piece.notes[:, PITCH]
        if len(pitches):
            borders = np.flatnonzero(np.concatenate(([True], pitches[1:] != pitches[:-1], [True])))
            most = max(most, int(np.diff(borders).max()))
    return most


def most_at_once(pieces: Sequence[Piece]) -> int:
    """Notes that begin together, at most."""
    return max(
        (int(np.unique(piece.notes[:, 0], return_counts=True)[1].max()) for piece in pieces if len(piece)), default=1
    )


def class_numbers(styles: Sequence[str | None], labels: Sequence[str] | None) -> NDArray[np.int64] | None:
    """The number of each piece's style; None without styles."""
    numbers: Mapping[str, int] = {} if labels is None else {name: i for i, name in enumerate(labels)}
    return None if labels is None else np.array([numbers[str(style)] for style in styles], dtype=np.int64)
