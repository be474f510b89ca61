"""A translated sentence, with what was thought of it.

Axes in names: S source pieces, T target pieces.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Translation:
    """One translation of one sentence.

    Attributes:
        text: of it.
        score: what translations of a sentence are ordered by: log p over the length penalty, with that of coverage.
        confidence: the geometric mean of its pieces' probabilities, in [0, 1]; 1 of an empty sentence.
        source_pieces: subwords that were read, an end token last.
        target_pieces: subwords that were written, likewise unless it was cut at its longest.
        weights_TS: (T, S) how much of each source piece every target piece looked at, rows that sum to 1; of a
            sentence that was too long to be translated as a whole none, (0, 0).
    """

    text: str
    score: float
    confidence: float
    source_pieces: tuple[str, ...]
    target_pieces: tuple[str, ...]
    weights_TS: NDArray[np.float32]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, without the weights."""
        return {"translation": self.text, "score": round(self.score, 4), "confidence": round(self.confidence, 4)}


def joined(parts: list[Translation]) -> Translation:
    """One translation of pieces of a sentence, which follow each other."""
    if len(parts) == 1:
        return parts[0]
    counts = [max(len(part.target_pieces), 1) for part in parts]
    logs = sum(n * np.log(max(part.confidence, 1e-30)) for n, part in zip(counts, parts, strict=True))
    return Translation(
        text=" ".join(part.text for part in parts if part.text),
        score=sum(part.score for part in parts),
        confidence=float(np.exp(logs / sum(counts))),
        source_pieces=tuple(piece for part in parts for piece in part.source_pieces),
        target_pieces=tuple(piece for part in parts for piece in part.target_pieces),
        weights_TS=np.zeros((0, 0), dtype=np.float32),
    )
