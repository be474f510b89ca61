"""What a recognizer's evaluation gives back.

Axes in names: N recordings or samples, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.tasks.calibration import Reliability, reliability
from throughtime.tasks.recognize.labels import UNSEEN, ActivityLabels, Label

MODEL = "model"
BASELINES = ("without order", "most frequent")


class Score(NamedTuple):
    """Of one label, in percent."""

    precision: float
    recall: float
    f1: float
    true: int
    found: int


@dataclass(frozen=True)
class ActivityScores:
    """Figures of one model.

    Attributes:
        accuracy: percent of recordings, or of samples where each has a label, with the right label.
        labels: by label.
        confusion: (K, K) by true label (row) and found one.
        nll: −log p of the labels, in nats, of those that training had.
        segment_f1: F1@50 of segments in percent, where samples are labelled; else None.
    """

    accuracy: float
    labels: dict[Label, Score]
    confusion: NDArray[np.int64]
    nll: float
    segment_f1: float | None

    @property
    def macro_f1(self) -> float:
        """The mean over labels that are there or were found, in percent."""
        counted = [score.f1 for score in self.labels.values() if score.true or score.found]
        return sum(counted) / len(counted) if counted else 0.0


@dataclass(frozen=True)
class ActivityEvaluation:
    """A model's figures on labelled recordings, and those of the baselines.

    Attributes:
        recordings, samples: how many.
        aligned: whether every sample has a label.
        scores: by name: "model"; "without order", a linear classifier of means, deviations, extremes and mean
            changes, which are the same if time goes backwards; and "most frequent".
        unseen: labels that training never had, with how often; they count as missed.
        leaks: what training had, too, in words; empty where nothing was found.
    """

    recordings: int
    samples: int
    aligned: bool
    scores: dict[str, ActivityScores]
    reliability: Reliability
    unseen: dict[str, int]
    leaks: tuple[str, ...] = ()

    @property
    def model(self) -> ActivityScores:
        """The model's own scores."""
        return self.scores[MODEL]

    @property
    def baselines(self) -> dict[str, ActivityScores]:
        """Those of the models that it has to beat."""
        return {name: self.scores[name] for name in BASELINES}

    @property
    def beats_baselines(self) -> bool:
        """Whether the model is above every baseline."""
        return all(self.model.accuracy > other.accuracy for other in self.baselines.values())

    def sentences(self) -> list[str]:
        """The outcome in words."""
        others = {name: scores.accuracy for name, scores in self.baselines.items()}
        best = max(others, key=others.__getitem__)
        own = self.model.accuracy
        if self.beats_baselines:
            said = [f"Accuracy {own:.2f}: the model beats the {best} baseline ({others[best]:.2f})."]
        elif own == others[best] == 100:
            said = [f"Accuracy 100.00: the model misses nothing, and neither does the {best} baseline."]
        else:
            said = [
                f"Accuracy {own:.2f}: the model does not beat the {best} baseline ({others[best]:.2f}); what is to be "
                "seen may not lie in the order, or there is too little to learn from."
            ]
        if self.model.segment_f1 is not None:
            said.append(f"Of the segments {self.model.segment_f1:.2f} % are found with half of their length (F1@50).")
        said.append(
            f"Its probabilities are off by {self.reliability.error:.3f} on average (expected calibration error)."
        )
        if self.unseen:
            named = ", ".join(f"{label} ({count})" for label, count in self.unseen.items())
            said.append(f"Labels that training never had, all missed: {named}.")
        said += [f"Leak: {leak}; the figures are too good." for leak in self.leaks]
        return said

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "recordings": self.recordings,
            "samples": self.samples,
            "aligned": self.aligned,
            "scores": {
                name: {
                    "accuracy": s.accuracy,
                    "macro_f1": s.macro_f1,
                    "segment_f1": s.segment_f1,
                    "nll": s.nll,
                    "labels": {str(label): score._asdict() for label, score in s.labels.items()},
                    "confusion": s.confusion.tolist(),
                }
                for name, s in self.scores.items()
            },
            "calibration_error": self.reliability.error,
            "unseen": self.unseen,
            "leaks": list(self.leaks),
            "beats_baselines": self.beats_baselines,
        }


def score(
    labels: ActivityLabels, true_N: NDArray[np.int64], p_NK: NDArray[np.float64], segments: tuple[int, int, int] | None
) -> ActivityScores:
    """The figures of one model; a label that training never had is missed, whatever is found."""
    K = len(labels)
    found_N = p_NK.argmax(1)
    known = true_N != UNSEEN
    confusion = np.bincount(true_N[known] * K + found_N[known], minlength=K * K).reshape(K, K)
    all_found_K = np.bincount(found_N, minlength=K)
    right_K, true_K = confusion.diagonal(), confusion.sum(1)
    by = {
        name: Score(
            _percent(right_K[k], all_found_K[k]), _percent(right_K[k], true_K[k]),
            _percent(2 * right_K[k], true_K[k] + all_found_K[k]), int(true_K[k]), int(all_found_K[k]),
        )
        for k, name in enumerate(labels.names)
    }  # fmt: skip
    p_N = p_NK[known, true_N[known]].clip(1e-12)
    return ActivityScores(
        accuracy=_percent(right_K.sum(), len(true_N)),
        labels=by,
        confusion=confusion,
        nll=float(-np.log(p_N).mean()) if len(p_N) else float("nan"),
        segment_f1=None if segments is None else _percent(2 * segments[0], segments[1] + segments[2]),
    )


def compare(
    labels: ActivityLabels, true_N: NDArray[np.int64], probabilities: Mapping[str, NDArray[np.float64]],
    segments: Mapping[str, tuple[int, int, int]] | None, **about: Any,
) -> ActivityEvaluation:  # fmt: skip
    """Every model's figures from its probabilities (N, K), the model's own under `MODEL`."""
    scores = {
        name: score(labels, true_N, p_NK, None if segments is None else segments[name])
        for name, p_NK in probabilities.items()
    }
    own_NK = probabilities[MODEL]
    best_N = own_NK.argmax(1)
    sure = reliability(own_NK[np.arange(len(best_N)), best_N].clip(0, 1), best_N == true_N)
    return ActivityEvaluation(scores=scores, reliability=sure, aligned=segments is not None, **about)


def _percent(part: float, whole: float) -> float:
    return 100 * float(part) / float(whole) if whole else 0.0
