"""Sentences through a net: those of like length together, long ones in pieces, unknown characters copied.

Axes in names: S source steps, T target steps, B sentences, N translations of each.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.text.parallel_units import END, UNKNOWN, Encoded, JointSubwords, tidy
from throughtime.errors import ArgumentError
from throughtime.models import EncoderDecoderEnsemble, Hypotheses
from throughtime.nn.arguments import check_size
from throughtime.tasks.translate.batches import padded
from throughtime.tasks.translate.translation import Translation, joined

_logger = logging.getLogger("throughtime.tasks")
_ROWS = 160  # of a decoding step, about: sentences times the width of the beam
_LIKE = 4  # subwords by which the sources of a batch differ in length, at most
_ENDS, _PAUSES = ".!?\u2026\u3002", ";:,)\u2013"  # after which a sentence that is too long is cut


@dataclass(frozen=True)
class Search:
    """How a translation is looked for.

    Args:
        beam: live hypotheses of a sentence; 1: always the likeliest subword.
        length_penalty: α of `throughtime.models.beam_search`.
        coverage_penalty: β there.
        no_repeat: subwords of the shortest sequence that may not come twice; 0: any may.
        n_best: translations of each sentence.

    Raises:
        ArgumentError: a value out of its range, or one that a beam of 1 leaves without effect.
    """

    beam: int
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    no_repeat: int = 0
    n_best: int = 1

    def __post_init__(self) -> None:
        who = "Translator.predict"
        check_size(who, "beam", self.beam)
        check_size(who, "n_best", self.n_best)
        if self.n_best > self.beam:
            raise ArgumentError(
                f"{who}: expected n_best of at most beam={self.beam}, got {self.n_best}; pass beam={self.n_best}"
            )
        for name in ("length_penalty", "coverage_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
                raise ArgumentError(f"{who}: expected {name} to be a number from 0, got {value!r}; pass 0 for none")
        if isinstance(self.no_repeat, bool) or not isinstance(self.no_repeat, int) or self.no_repeat < 0:
            raise ArgumentError(
                f"{who}: expected no_repeat to be a whole number from 0, got {self.no_repeat!r}; pass 0 for none"
            )

    @property
    def greedy(self) -> bool:
        """Whether the likeliest subword at each step is all there is to it."""
        return self.beam == 1 and not self.no_repeat


def translate(
    model: EncoderDecoderEnsemble, units: JointSubwords, texts: Sequence[str], search: Search, *, longest: int
) -> list[list[Translation]]:
    """The n best translations of each sentence, the best first; of an empty one an empty one.

    Args:
        longest: subwords of a sentence that are read at once. A longer one is cut after a mark of punctuation, else
            between words, and has one translation.
    """
    forms = [tidy(text) for text in texts]
    encoded = units.encode(forms)
    _warn(forms, encoded)
    parts: list[Encoded] = []
    counts = []
    for form, one in zip(forms, encoded, strict=True):
        some = [one] if len(one.ids) <= longest else units.encode(cut(units, form, longest))
        some = [part for part in some if len(part.ids)]
        counts.append(len(some))
        parts += some
    found = _translated(model, units, parts, search)
    result: list[list[Translation]] = []
    at = 0
    for count in counts:
        if count == 1:
            result.append(found[at])
        elif count:
            result.append([joined([ways[0] for ways in found[at : at + count]])])
        else:
            result.append([Translation("", 0.0, 1.0, (), (), np.zeros((0, 0), dtype=np.float32))])
        at += count
    return result


def cut(units: JointSubwords, text: str, longest: int) -> list[str]:
    """A sentence in pieces of at most `longest` subwords each.

    After each mark that ends a sentence; what is still too long after a comma or the like in its second half, else
    between words; a single word that is too long anywhere.
    """
    words = text.split(" ")
    sizes = [len(one.ids) for one in units.encode(words)]
    found: list[str] = []
    held: list[str] = []
    held_sizes: list[int] = []
    for word, size in zip(words, sizes, strict=True):
        while held and sum(held_sizes) + size > longest:
            marked = [i for i, one in enumerate(held) if one[-1] in _PAUSES]
            here = marked[-1] + 1 if marked and marked[-1] >= len(held) // 2 else len(held)
            found.append(" ".join(held[:here]))
            held, held_sizes = held[here:], held_sizes[here:]
        if size > longest:
            found += [word[i : i + max(longest // 2, 1)] for i in range(0, len(word), max(longest // 2, 1))]
            continue
        held.append(word)
        held_sizes.append(size)
        if word[-1] in _ENDS:
            found.append(" ".join(held))
            held, held_sizes = [], []
    return [*found, " ".join(held)] if held else found


def _warn(forms: Sequence[str], encoded: Sequence[Encoded]) -> None:
    """Say where most of a sentence is in characters that training had not."""
    strange = [
        form for form, one in zip(forms, encoded, strict=True) if 2 * int((one.ids == UNKNOWN).sum()) > len(one.ids)
    ]
    if strange:
        _logger.warning(
            "Translator: %d of %d sentences are mostly of characters that the training texts had not, such as %r: they "
            "are copied, not translated",
            len(strange), len(forms), strange[0][:40],
        )  # fmt: skip


def _translated(
    model: EncoderDecoderEnsemble, units: JointSubwords, parts: Sequence[Encoded], search: Search
) -> list[list[Translation]]:
    lengths = np.array([len(part.ids) for part in parts], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    most = max(_ROWS // search.beam, 1)
    found: list[list[Translation]] = [[] for _ in parts]
    at = 0
    while at < len(order):
        until = at
        while until < len(order) and until - at < most and lengths[order[until]] <= lengths[order[at]] + _LIKE:
            until += 1
        rows = order[at:until].tolist()
        for row, ways in zip(rows, _batch(model, units, [parts[row] for row in rows], search), strict=True):
            found[row] = ways
        at = until
    return found


def _batch(
    model: EncoderDecoderEnsemble, units: JointSubwords, parts: Sequence[Encoded], search: Search
) -> list[list[Translation]]:
    ids_SB, lengths_B = padded([part.ids for part in parts])
    # A row's own limit: what a sentence becomes does not depend on those beside it.
    limits_B = 2 * lengths_B + 10
    if search.greedy:
        ids_TBN, counts_BN, log_probs_BN, weights_TBNS = _greedy(model, ids_SB, lengths_B, limits_B)
        scores_BN = log_probs_BN
    else:
        hypotheses: Hypotheses = model.beam(
            ids_SB, lengths_B, limit=limits_B, width=min(search.beam, len(units)), alpha=search.length_penalty,
            beta=search.coverage_penalty, no_repeat=search.no_repeat, n_best=search.n_best,
        )  # fmt: skip
        assert hypotheses.weights is not None
        ids_TBN, counts_BN, log_probs_BN = hypotheses.ids, hypotheses.lengths, hypotheses.log_probs
        scores_BN, weights_TBNS = hypotheses.scores, hypotheses.weights
    found = []
    all_ids, weights = ids_TBN.permute(1, 2, 0).tolist(), weights_TBNS.permute(1, 2, 0, 3).float().numpy()
    rows = zip(parts, all_ids, counts_BN.tolist(), scores_BN.tolist(), log_probs_BN.tolist(), weights, strict=True)
    for part, ids_NT, counts_N, scores_N, log_probs_N, weights_NTS in rows:
        S = len(part.ids) + 1
        ways = zip(ids_NT, counts_N, scores_N, log_probs_N, weights_NTS, strict=True)
        found.append(
            [
                _translation(units, part, ids_T[:T], score, log_prob, weights_TS[:T, :S])
                for ids_T, T, score, log_prob, weights_TS in ways
                if T
            ]
        )
    return found


def _greedy(
    model: EncoderDecoderEnsemble, ids_SB: Tensor, lengths_B: Tensor, limits_B: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a beam gives, of one way a sentence: ids, counts, log p and weights."""
    found, weights_TBS = model.greedy(ids_SB, lengths_B, limit=limits_B)
    assert weights_TBS is not None
    return (
        found.ids.unsqueeze(2),
        found.lengths.unsqueeze(1),
        found.log_probs.sum(0).unsqueeze(1),
        weights_TBS[:, :, None],
    )


def _translation(
    units: JointSubwords, part: Encoded, ids: list[int], score: float, log_prob: float, weights_TS: NDArray[np.float32]
) -> Translation:
    written = ids[:-1] if ids[-1] == END else ids
    copies = copied(part, written, weights_TS)
    pieces = [copies.get(place, piece) for place, piece in enumerate(units.pieces(ids))]
    return Translation(
        text=units.decode(written, copies),
        score=score,
        confidence=math.exp(min(log_prob / len(ids), 0.0)),
        source_pieces=(*part.pieces, units.symbols[END]),
        target_pieces=tuple(pieces),
        weights_TS=weights_TS,
    )


def copied(part: Encoded, ids: Sequence[int], weights_TS: NDArray[np.float32]) -> dict[int, str]:
    """The characters that stand for unknown ones, by their place.

    An unknown is the unknown character of the source that attention looks at most, of those that are not written yet.
    """
    left = np.flatnonzero(part.ids == UNKNOWN).tolist()
    found: dict[int, str] = {}
    for place, id in enumerate(ids):
        if id == UNKNOWN and left:
            chosen = max(left, key=lambda s: float(weights_TS[place, s]))
            left.remove(chosen)
            found[place] = part.pieces[chosen]
    return found
