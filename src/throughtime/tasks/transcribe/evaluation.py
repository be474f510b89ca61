"""What a transcriber's evaluation gives back: word and character error rates, by jiwer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from throughtime._extras import require
from throughtime.tasks.calibration import Reliability, reliability

__all__ = ["ClipScore", "ErrorRates", "SpeechEvaluation", "error_rates", "right_words", "score"]


class ErrorRates(NamedTuple):
    """In percent."""

    wer: float
    """Words wrong, left out and put in, of 100 that were said."""
    cer: float
    """The same of characters."""
    clips: float
    """Clips without an error."""


class ClipScore(NamedTuple):
    """One clip."""

    name: str
    said: str
    heard: str
    errors: int
    """Words wrong, left out and put in."""


@dataclass(frozen=True)
class SpeechEvaluation:
    """Figures of a model on clips that it has not seen.

    Attributes:
        model: its error rates.
        baseline: those of the training transcript that is commonest, told of every clip.
        clips: each clip, the worst first.
        words: that were said.
        reliability: how often words of like confidence were right.
        seconds: of sound.
        took: seconds that hearing it took.
    """

    model: ErrorRates
    baseline: ErrorRates
    clips: tuple[ClipScore, ...]
    words: int
    reliability: Reliability
    seconds: float
    took: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound."""
        return self.took / self.seconds if self.seconds else 0.0

    def alignments(self, most: int = 5) -> str:
        """What was said above what was heard, of the worst clips; "" where nothing is wrong."""
        jiwer = require("jiwer", extra="speech")
        parts = []
        for clip in [clip for clip in self.clips if clip.errors][:most]:
            shown = jiwer.visualize_alignment(
                jiwer.process_words(clip.said, clip.heard), show_measures=False, skip_correct=False
            )
            lines = [line for line in shown.splitlines() if line.strip() and not line.startswith("=")]
            parts.append("\n".join([f"{clip.name}: {clip.errors} wrong", *lines]))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model._asdict(),
            "baseline": self.baseline._asdict(),
            "clips": len(self.clips),
            "words": self.words,
            "calibration_error": self.reliability.error,
            "seconds": self.seconds,
            "real_time_factor": self.real_time_factor,
            "worst": [clip._asdict() for clip in self.clips if clip.errors][:20],
        }


def error_rates(said: Sequence[str], heard: Sequence[str]) -> ErrorRates:
    """Error rates over all clips together; of clips in which nothing is said, what is heard counts as put in.

    Raises:
        MissingExtraError: jiwer is not installed.
    """
    jiwer = require("jiwer", extra="speech")
    spoken = [(a, b) for a, b in zip(said, heard, strict=True) if a]
    put_in = [b for a, b in zip(said, heard, strict=True) if not a and b]
    exact = sum(a == b for a, b in zip(said, heard, strict=True))
    if not spoken:
        return ErrorRates(0.0 if not put_in else 100.0, 0.0 if not put_in else 100.0, 100 * exact / max(len(said), 1))
    references, hypotheses = [a for a, _ in spoken], [b for _, b in spoken]
    words, letters = (f(references, hypotheses) for f in (jiwer.process_words, jiwer.process_characters))
    rates = []
    for told, more in ((words, sum(len(b.split()) for b in put_in)), (letters, sum(map(len, put_in)))):
        there = told.hits + told.substitutions + told.deletions
        rates.append(100 * (told.substitutions + told.deletions + told.insertions + more) / there)
    return ErrorRates(rates[0], rates[1], 100 * exact / len(said))


def right_words(said: str, heard: str) -> list[bool]:
    """Of each word heard, whether it was said there."""
    found = [False] * len(heard.split())
    if said and heard:
        told = require("jiwer", extra="speech").process_words(said, heard)
        for chunk in told.alignments[0]:
            if chunk.type == "equal":
                found[chunk.hyp_start_idx : chunk.hyp_end_idx] = [True] * (chunk.hyp_end_idx - chunk.hyp_start_idx)
    return found


def score(
    names: Sequence[str],
    said: Sequence[str],
    heard: Sequence[str],
    sure: Sequence[Sequence[float]],
    frequent: str,
    *,
    seconds: float,
    took: float,
) -> SpeechEvaluation:
    """Put figures together.

    Args:
        sure: the confidence of each word heard.
        frequent: the commonest transcript of the training.
    """
    right = [right_words(a, b) for a, b in zip(said, heard, strict=True)]
    clips = [
        ClipScore(name, a, b, round(error_rates([a], [b]).wer * len(a.split()) / 100) if a else len(b.split()))
        for name, a, b in zip(names, said, heard, strict=True)
    ]
    return SpeechEvaluation(
        model=error_rates(said, heard),
        baseline=error_rates(said, [frequent] * len(said)),
        clips=tuple(sorted(clips, key=lambda clip: -clip.errors)),
        words=sum(len(text.split()) for text in said),
        reliability=reliability([p for row in sure for p in row], [r for row in right for r in row]),
        seconds=seconds,
        took=took,
    )
