"""What a translator's evaluation gives back: BLEU and chrF as sacreBLEU computes them, with their signatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughtime._extras import require

MODEL, COPY = "model", "source as it is"
METRICS = ("BLEU", "chrF", "BLEU, lower case", "BLEU, lower case, as tokenised")


@dataclass(frozen=True)
class TranslationEvaluation:
    """A model's figures on sentences with translations, and those of doing nothing.

    Attributes:
        sentences: how many.
        scores: by name ("model", "source as it is") and metric, all from 0 to 100: BLEU and chrF of the text as it
            stands, BLEU of it in lower case, and the same of the words between blanks, for text that is tokenised, as
            older tables have it.
        signatures: of each metric, as sacreBLEU states them.
        confidence: the mean confidence.
        rank_correlation: Spearman's, of confidence and the sentence's chrF; NaN where all are alike.
        length_ratio: subword-free: characters written over those of the references.
    """

    sentences: int
    scores: dict[str, dict[str, float]]
    signatures: dict[str, str]
    confidence: float
    rank_correlation: float
    length_ratio: float

    @property
    def model(self) -> dict[str, float]:
        """The model's figures."""
        return self.scores[MODEL]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; a correlation that is none is null."""
        rank = self.rank_correlation
        return {
            "sentences": self.sentences,
            "scores": self.scores,
            "signatures": self.signatures,
            "confidence": self.confidence,
            "rank_correlation": rank if np.isfinite(rank) else None,
            "length_ratio": self.length_ratio,
        }


def compare(
    sources: Sequence[str], references: Sequence[str], translations: Sequence[str], confidences: Sequence[float]
) -> TranslationEvaluation:
    """The figures of translations, one for each reference."""
    metrics = require("sacrebleu", extra="text").metrics
    made = dict(
        zip(
            METRICS,
            (
                metrics.BLEU(),
                metrics.CHRF(),
                metrics.BLEU(lowercase=True),
                metrics.BLEU(lowercase=True, tokenize="none", force=True),
            ),
            strict=True,
        )
    )
    scores = {
        name: {metric: float(one.corpus_score(list(texts), [list(references)]).score) for metric, one in made.items()}
        for name, texts in ((MODEL, translations), (COPY, sources))
    }
    chrf = made["chrF"]
    each = np.array([chrf.sentence_score(t, [r]).score for t, r in zip(translations, references, strict=True)])
    return TranslationEvaluation(
        sentences=len(references),
        scores=scores,
        signatures={name: str(one.get_signature()) for name, one in made.items()},
        confidence=float(np.mean(confidences)),
        rank_correlation=spearman(np.asarray(confidences, dtype=np.float64), each),
        length_ratio=sum(map(len, translations)) / max(sum(map(len, references)), 1),
    )


def spearman(a: "np.ndarray[Any, np.dtype[np.float64]]", b: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    """The correlation of ranks, equal values at their mean rank; NaN where one has no two different values.

    >>> spearman(np.array([0.1, 0.2, 0.9]), np.array([5.0, 7.0, 9.0]))
    1.0
    """
    ranks = []
    for values in (a, b):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((counts.cumsum() - (counts - 1) / 2)[inverse])
    first, second = (rank - rank.mean() for rank in ranks)
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return round(float((first * second).sum()) / size, 12) if size else float("nan")
