"""What a classifier's evaluation gives back.

Axes in names: N texts, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.tasks.calibration import Reliability, reliability
from throughtime.tasks.classify.labels import Label, Labels

MODEL = "model"
BASELINES = ("words and pairs", "most frequent")


class Score(NamedTuple):
    """Of one label, in percent."""

    precision: float
    recall: float
    f1: float
    true: int
    """Texts that have it."""
    found: int
    """Texts that were given it."""


@dataclass(frozen=True)
class ClassScores:
    """Figures of one model.

    Attributes:
        accuracy: percent of texts with the right label; where a text may have several, of those with exactly theirs.
        labels: by label.
        confusion: (K, K) texts by true label (row) and found one; None where a text may have several.
        nll: −log p of a text's labels, in nats; None of a baseline without probabilities.
        distance: the mean absolute error of a scale, in its own steps; None where labels are not ordered.
        micro_f1: F1 of all labels together, in percent; accuracy where a text has one.
    """

    accuracy: float
    labels: dict[Label, Score]
    confusion: NDArray[np.int64] | None
    nll: float | None
    distance: float | None
    micro_f1: float

    @property
    def macro_f1(self) -> float:
        """The mean over labels that are there or were found, in percent."""
        counted = [score.f1 for score in self.labels.values() if score.true or score.found]
        return sum(counted) / len(counted) if counted else 0.0


@dataclass(frozen=True)
class ClassEvaluation:
    """A model's figures on labelled texts, and those of the baselines.

    Attributes:
        texts: how many.
        kind: of labels: "one", "several" or "ordered".
        scores: by name: "model"; where it is made of both, "net alone" and "n-grams alone"; the baselines "words and
            pairs", linear in which of them a text has, and "most frequent".
        reliability: of the probability of the label found, or of each label where a text may have several.
        unseen: labels in the texts that training never saw, with how often; they count as missed.
    """

    texts: int
    kind: str
    scores: dict[str, ClassScores]
    reliability: Reliability
    unseen: dict[str, int]

    @property
    def model(self) -> ClassScores:
        """The model's own scores."""
        return self.scores[MODEL]

    @property
    def baselines(self) -> dict[str, ClassScores]:
        """Those of the models that it has to beat."""
        return {name: self.scores[name] for name in BASELINES}

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0 to 1."""
        return self.reliability.error

    @property
    def measure(self) -> str:
        """What models are compared by: accuracy, or micro F1 where a text may have several labels."""
        return "micro F1" if self.kind == "several" else "accuracy"

    @property
    def beats_baselines(self) -> bool:
        """Whether the model is above every baseline."""
        return all(self._measured(self.model) > self._measured(other) for other in self.baselines.values())

    def _measured(self, scores: ClassScores) -> float:
        return scores.micro_f1 if self.kind == "several" else scores.accuracy

    def sentences(self) -> list[str]:
        """The outcome in words."""
        own, said = self._measured(self.model), []
        others = {name: self._measured(scores) for name, scores in self.baselines.items()}
        best = max(others, key=others.__getitem__)
        measure = self.measure[0].upper() + self.measure[1:]
        if self.beats_baselines:
            said.append(f"{measure} {own:.2f}: the model beats the {best} baseline ({others[best]:.2f}).")
        elif own == others[best] == 100:
            said.append(f"{measure} 100.00: the model misses nothing, and neither does the {best} baseline.")
        else:
            said.append(
                f"{measure} {own:.2f}: the model does not beat the {best} baseline ({others[best]:.2f}); "
                "give more texts, or let it read texts without labels first."
            )
        if self.model.distance is not None:
            said.append(f"On average it is {self.model.distance:.3f} off on the scale (mean absolute error).")
        said.append(
            f"Its probabilities are off by {self.calibration_error:.3f} on average (expected calibration error)."
        )
        if self.unseen:
            named = ", ".join(f"{label} ({count})" for label, count in self.unseen.items())
            said.append(f"Labels that the training texts never had, all missed: {named}.")
        return said

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "texts": self.texts,
            "kind": self.kind,
            "scores": {name: _as_dict(scores) for name, scores in self.scores.items()},
            "calibration": {
                "error": self.calibration_error,
                "probability": self.reliability.probability.tolist(),
                "right": self.reliability.right.tolist(),
                "predictions": self.reliability.predictions.tolist(),
            },
            "unseen": self.unseen,
            "beats_baselines": self.beats_baselines,
        }


def _as_dict(scores: ClassScores) -> dict[str, Any]:
    return {
        "accuracy": scores.accuracy,
        "macro_f1": scores.macro_f1,
        "micro_f1": scores.micro_f1,
        "nll": scores.nll,
        "mean_absolute_error": scores.distance,
        "labels": {str(label): score._asdict() for label, score in scores.labels.items()},
        "confusion": None if scores.confusion is None else scores.confusion.tolist(),
    }


def compare(
    labels: Labels, targets_NK: Tensor, probabilities: Mapping[str, Tensor], unseen: Mapping[str, int]
) -> ClassEvaluation:
    """Every model's figures from its probabilities (N, K), the model's own under `MODEL`."""
    scores = {name: score(labels, targets_NK, p_NK) for name, p_NK in probabilities.items()}
    own_NK = probabilities[MODEL]
    if labels.several:
        sure = reliability(own_NK.double().flatten().numpy(), targets_NK.bool().flatten().numpy())
    else:
        best_N = own_NK.argmax(1, keepdim=True)
        right_N = targets_NK.gather(1, best_N).squeeze(1).bool()
        sure = reliability(own_NK.double().gather(1, best_N).squeeze(1).clamp(0, 1).numpy(), right_N.numpy())
    return ClassEvaluation(len(targets_NK), labels.kind, scores, sure, dict(unseen))


def score(labels: Labels, targets_NK: Tensor, probability_NK: Tensor) -> ClassScores:
    """The figures of one model. A text without a known label is wrong, whatever is found."""
    true_NK, found_NK = targets_NK.bool(), labels.decide(probability_NK)
    both_K, true_K, found_K = (x.sum(0).tolist() for x in (true_NK & found_NK, true_NK, found_NK))
    by = {
        name: Score(_percent(b, f), _percent(b, t), _percent(2 * b, t + f), t, f)
        for name, b, t, f in zip(labels.names, both_K, true_K, found_K, strict=True)
    }
    known_N = true_NK.any(1)
    confusion, distance = None, None
    if not labels.several:
        K = len(labels)
        pairs = true_NK.int().argmax(1) * K + found_NK.int().argmax(1)
        confusion = np.bincount(pairs[known_N].numpy(), minlength=K * K).reshape(K, K)
        if labels.kind == "ordered" and known_N.any():
            values_K = labels.values
            off_N = np.abs(values_K[true_NK.int().argmax(1).numpy()] - values_K[found_NK.int().argmax(1).numpy()])
            distance = float(off_N[known_N.numpy()].mean())
    p_NK = probability_NK.double().clamp(1e-12, 1 - 1e-12)
    if labels.several:
        nll = float(-(true_NK * p_NK.log() + ~true_NK * (1 - p_NK).log()).sum(1).mean())
    else:
        nll = float(-(true_NK * p_NK.log()).sum(1)[known_N].mean()) if known_N.any() else None  # type: ignore[assignment]
    exact = (true_NK == found_NK).all(1).double().mean()
    return ClassScores(
        accuracy=100 * float(exact),
        labels=by,
        confusion=confusion,
        nll=nll,
        distance=distance,
        micro_f1=_percent(2 * sum(both_K), sum(true_K) + sum(found_K)),
    )


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def frequent(targets_NK: Tensor) -> Tensor:
    """How often each label occurs, (K,): what the baseline that has read nothing says."""
    return torch.as_tensor(targets_NK, dtype=torch.float64).mean(0)
