"""What a tagger's evaluation gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from throughtime.tasks.calibration import Reliability
from throughtime.tasks.tag.scores import Score, TagScores

MODEL = "model"


@dataclass(frozen=True)
class TagEvaluation:
    """A model's figures on tagged sentences, and those of the baselines.

    Attributes:
        scores: by name, "model" first, then "linear" and "most frequent tag".
        reliability: of the probabilities of the pieces that the model found.
        unseen: pieces in the sentences with a label that training never saw, by label.
        repaired: tags that the scheme of the sentences does not allow, read by conlleval's rule.
    """

    scores: dict[str, TagScores]
    reliability: Reliability
    unseen: dict[str, int]
    repaired: int

    @property
    def model(self) -> TagScores:
        """The model's own scores."""
        return self.scores[MODEL]

    @property
    def calibration_error(self) -> float:
        """The expected calibration error of the pieces' probabilities, 0 to 1."""
        return self.reliability.error

    @property
    def beats_baselines(self) -> bool:
        """Whether the model's F1 is above that of every baseline."""
        return all(self.model.overall.f1 > other.overall.f1 for name, other in self.scores.items() if name != MODEL)

    def sentences(self) -> list[str]:
        """The outcome in words: against the baselines, how far probabilities are to be trusted, what was never seen."""
        f1, said = self.model.overall.f1, []
        others = {name: scores.overall.f1 for name, scores in self.scores.items() if name != MODEL}
        best = max(others, key=others.__getitem__)
        if not self.model.overall.true:
            said.append("There is no labelled piece in these sentences, so that F1 says nothing.")
        elif self.beats_baselines:
            said.append(f"F1 {f1:.2f}: the model beats the {best} baseline ({others[best]:.2f}).")
        elif f1 == others[best] == 100:
            said.append(f"F1 100.00: the model misses nothing, and neither does the {best} baseline.")
        else:
            said.append(
                f"F1 {f1:.2f}: the model does not beat the {best} baseline ({others[best]:.2f}); train it "
                "longer, or on more sentences."
            )
        if self.model.overall.found:
            said.append(
                f"The probabilities of the {self.model.overall.found} pieces found are off by "
                f"{self.calibration_error:.3f} on average (expected calibration error); exact ones would seem "
                f"off by {self.reliability.by_chance:.3f}, by chance."
            )
        if self.unseen:
            named = ", ".join(f"{label} ({count})" for label, count in self.unseen.items())
            said.append(f"Labels that the training data never had, all missed: {named}.")
        if self.repaired:
            said.append(f"{self.repaired} tags are impossible where they stand and were read by conlleval's rule.")
        return said

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "sentences": self.model.sentences,
            "tokens": self.model.tokens,
            "scores": {name: _scores(scores) for name, scores in self.scores.items()},
            "calibration": {
                "error": self.calibration_error,
                "by_chance": self.reliability.by_chance,
                "probability": self.reliability.probability.tolist(),
                "right": self.reliability.right.tolist(),
                "pieces": self.reliability.predictions.tolist(),
            },
            "confusion": [{"true": true, "found": found, "pieces": count} for (true, found), count in self._confused()],
            "unseen": self.unseen,
            "repaired": self.repaired,
            "beats_baselines": self.beats_baselines,
        }

    def _confused(self) -> Sequence[tuple[tuple[str, str], int]]:
        return sorted(self.model.confusion.items())


def _scores(scores: TagScores) -> dict[str, Any]:
    labels = {label: _score(score) for label, score in scores.by_label.items()}
    return {**_score(scores.overall), "accuracy": scores.accuracy, "labels": labels}


def _score(score: Score) -> dict[str, Any]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "true": score.true,
        "found": score.found,
        "right": score.right,
    }
