"""The baseline of a language model: how often a symbol follows another.

Axes in names: N ids, V symbols, P pairs that occur.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.language.corpus import Corpus

_AT_ONCE = 2**20  # ids counted at a time
_MOST_PAIRS = 2**20


class Bigram:
    """Counts of symbols and of pairs of them, interpolated.

    (1) p(b) = (n(b) + 1) / (N + V)
    (2) p(b | a) = (n(ab) + d(a) p(b)) / (n(a) + d(a)), d(a) how many different symbols follow a

    The beginning of a text counts as a symbol a with id V. Of more than a million different pairs, the most frequent
    are kept.

    **Source** [Witten1991], their method C.
    """

    def __init__(self, counts_V: NDArray[np.int64], pairs_P: NDArray[np.int64], pair_counts_P: NDArray[np.int64]):
        self.counts_V = counts_V
        self.pairs_P = pairs_P
        self.pair_counts_P = pair_counts_P
        V = len(counts_V)
        self._single_V = np.log((counts_V + 1) / (counts_V.sum() + V))
        before_P = pairs_P // V
        self._after_V = np.bincount(before_P, weights=pair_counts_P, minlength=V + 1)
        self._different_V = np.bincount(before_P, minlength=V + 1)

    @classmethod
    def count(cls, corpus: Corpus, symbols: int) -> "Bigram":
        """Read a corpus once."""
        counts_V = np.zeros(symbols, dtype=np.int64)
        pairs_P, pair_counts_P = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        for begin in range(0, len(corpus), _AT_ONCE):
            keys, ids = _pairs(corpus, symbols, begin, min(begin + _AT_ONCE, len(corpus)))
            counts_V += np.bincount(ids, minlength=symbols)
            found, n = np.unique(keys, return_counts=True)
            pairs_P, where = np.unique(np.concatenate((pairs_P, found)), return_inverse=True)
            pair_counts_P = np.bincount(where, weights=np.concatenate((pair_counts_P, n))).astype(np.int64)
        if len(pairs_P) > _MOST_PAIRS:
            kept = np.sort(np.argsort(-pair_counts_P, kind="stable")[:_MOST_PAIRS])
            pairs_P, pair_counts_P = pairs_P[kept], pair_counts_P[kept]
        return cls(counts_V, pairs_P, pair_counts_P)

    def nats(self, corpus: Corpus) -> tuple[float, float]:
        """−Σ log p over all symbols of a corpus, in nats: by (1), and by (2)."""
        V, single, pair = len(self.counts_V), 0.0, 0.0
        for begin in range(0, len(corpus), _AT_ONCE):
            keys, ids = _pairs(corpus, V, begin, min(begin + _AT_ONCE, len(corpus)))
            place = np.searchsorted(self.pairs_P, keys).clip(max=len(self.pairs_P) - 1)
            n = np.where(self.pairs_P[place] == keys, self.pair_counts_P[place], 0)
            before = keys // V
            d, log_single = self._different_V[before], self._single_V[ids]
            total = self._after_V[before] + d
            # A symbol that nothing followed in training leaves (1) alone.
            share = np.where(total > 0, (n + d * np.exp(log_single)) / np.maximum(total, 1), np.exp(log_single))
            single -= float(log_single.sum())
            pair -= float(np.log(share).sum())
        return single, pair

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What a model folder keeps."""
        return {"bigram.counts": self.counts_V, "bigram.pairs": self.pairs_P, "bigram.pair_counts": self.pair_counts_P}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], symbols: int) -> "Bigram":
        """The reverse of `tensors`; ValueError where the counts are not of so many symbols."""
        counts, pairs, pair_counts = (tensors[f"bigram.{name}"] for name in ("counts", "pairs", "pair_counts"))
        arrays = (counts, pairs, pair_counts)
        if any(array.dtype != np.int64 or array.ndim != 1 or (array < 0).any() for array in arrays):
            raise ValueError("bigram: counts that are no whole numbers from 0")
        if len(counts) != symbols or len(pairs) != len(pair_counts) or not len(pairs):
            raise ValueError(f"bigram: {len(counts)} counts of {symbols} symbols, {len(pairs)} pairs")
        if (np.diff(pairs) <= 0).any() or pairs[-1] >= (symbols + 1) * symbols:
            raise ValueError("bigram: pairs that are not in order")
        return cls(counts, pairs, pair_counts)


def _pairs(corpus: Corpus, V: int, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """a V + b for every b between two ids, and b; a is V where a text begins."""
    _, sources, first = corpus.locate(np.arange(begin, end))
    ids = corpus.ids[sources].astype(np.int64)
    before = np.where(first, V, corpus.ids[np.maximum(sources - 1, 0)].astype(np.int64))
    return before * V + ids, ids
