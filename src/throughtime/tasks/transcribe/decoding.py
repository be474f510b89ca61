"""From log-probabilities to words: which, when, how surely.

Axes in names: S steps, V symbols.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.sound.arpa import NGrams, read_arpa
from throughtime.data.text.units import TextUnits
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import CTCBeam, ctc_align, ctc_greedy
from throughtime.models.ctc import CTCHypothesis
from throughtime.nn.arguments import check_size
from throughtime.tasks.transcribe.alphabet import BLANK, spoken_words

__all__ = ["Alternative", "Decoder", "Decoding", "Utterance", "Word"]

_LEAST = 1e-6  # from 0 and from 1: what a logarithm can bear
_MARGIN = 8.0  # nats below the likeliest symbol of a step: rarer ones are not tried
DEFAULT_BOOST = 4.0


class Word(NamedTuple):
    """A word that was heard."""

    text: str
    start: float
    """s from the beginning of the sound."""
    end: float
    """s"""
    confidence: float
    """The probability that it is right."""


class Alternative(NamedTuple):
    """Another text that an utterance may stand for."""

    text: str
    score: float
    """Natural logarithm, to be compared with the others' alone."""


class Utterance(NamedTuple):
    """What was heard between two pauses."""

    text: str
    start: float
    """s from the beginning of the sound, where the utterance begins, as `end`."""
    end: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...]
    """The best first, which is `text`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "words": [
                {"text": w.text, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": w.confidence}
                for w in self.words
            ],
            "alternatives": [alternative._asdict() for alternative in self.alternatives],
        }


@dataclass(frozen=True)
class Decoding:
    """How words are found.

    (1) score = log p(sound) + weight · log p(words) + bonus · words + Σ boost of hot words

    Args:
        width: sequences that the beam keeps; 1: the likeliest path alone, without language model and hot words.
        ngrams: a language model: what `read_arpa` gave, or an ARPA file.
        weight: of the language model.
        bonus: nats for each word, against a language model's liking for few.
        hot_words: words to listen for: a list, or nats by word.
        n_best: alternatives to tell.

    Raises:
        ArgumentError: a width below 1, or below `n_best`, or of 1 with something to search for; a hot word with a blank
            in it.
        ArgumentTypeError: something of another type.
        DataError: a file that holds no language model.
    """

    width: int = 8
    ngrams: NGrams | str | Path | None = None
    weight: float = 0.5
    bonus: float = 0.0
    hot_words: Any = field(default_factory=dict)
    n_best: int = 1

    def __post_init__(self) -> None:
        who = "Decoding"
        check_size(who, "width", self.width)
        check_size(who, "n_best", self.n_best)
        for name in ("weight", "bonus"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                raise ArgumentTypeError(f"{who}: expected {name} to be a finite number, got {value!r}; pass one")
        if isinstance(self.ngrams, str | Path):
            object.__setattr__(self, "ngrams", read_arpa(self.ngrams))
        hot = self.hot_words
        hot = dict(hot) if isinstance(hot, Mapping) else dict.fromkeys(hot, DEFAULT_BOOST)
        for word, boost in hot.items():
            if not isinstance(word, str) or len(word.split()) != 1 or not isinstance(boost, int | float):
                raise ArgumentError(
                    f"{who}: expected hot words without blanks, with nats or none, got {word!r}: {boost!r}; pass "
                    "single words"
                )
        object.__setattr__(self, "hot_words", hot)
        if self.width < self.n_best:
            raise ArgumentError(
                f"{who}: expected a width of at least n_best, {self.n_best}, got {self.width}; widen the beam"
            )

        if self.width == 1 and self._knows:
            raise ArgumentError(
                f"{who}: expected a width above 1 beside a language model, a bonus or hot words, got 1; widen the beam"
            )

    @property
    def _knows(self) -> bool:
        """Whether something is known beside the sound."""
        return self.ngrams is not None or bool(self.hot_words) or bool(self.bonus)


class _Knowledge:
    """The scorer of a beam: (1) of `Decoding` but for the sound. A state: ids of the word that is not done, what stood
    before it, what was added for its beginning."""

    def __init__(self, units: TextUnits, how: Decoding) -> None:
        self.units, self.how = units, how
        self.ngrams = how.ngrams if isinstance(how.ngrams, NGrams) else None
        self.text = [units.decode([i]) for i in range(len(units))]

    def start(self) -> tuple[tuple[int, ...], tuple[str, ...], float]:
        return (), () if self.ngrams is None else self.ngrams.start(), 0.0

    def extend(self, state: Any, symbol: int) -> tuple[Any, float]:
        ids, before, promised = state
        if self.units.name == "word":
            before, more = self._word(self.text[symbol], before)
            return ((), before, 0.0), more
        text, more = self.text[symbol], 0.0
        if text[:1] == " ":
            before, more = self._word(self.units.decode(ids).strip(), before)
            more, promised, ids = more - promised, 0.0, ()
        ids = (*ids, symbol) if text.strip() else ids
        beginning = self.units.decode(ids).strip()
        new = max(
            (boost * len(beginning) / len(word) for word, boost in self.how.hot_words.items()
             if beginning and word.startswith(beginning)),
            default=0.0,
        )  # fmt: skip
        return (ids, before, new), more + new - promised

    def finish(self, state: Any) -> float:
        ids, before, promised = state
        more = -float(promised)
        if ids:
            before, added = self._word(self.units.decode(ids).strip(), before)
            more += added
        return more + (0.0 if self.ngrams is None else self.how.weight * self.ngrams.finish(before))

    def _word(self, word: str, before: tuple[str, ...]) -> tuple[tuple[str, ...], float]:
        if not word:
            return before, 0.0
        more = self.how.bonus + self.how.hot_words.get(word, 0.0)
        if self.ngrams is not None:
            before, told = self.ngrams.score(before, word)
            more += self.how.weight * told
        return before, more


class Decoder:
    """The words of one utterance, while its steps come.

    Args:
        seconds: of a step.
        sure: a and b of σ(a · logit p + b), by which a word's probability is calibrated.
    """

    def __init__(self, units: TextUnits, how: Decoding, seconds: float, sure: tuple[float, float]) -> None:
        self.units, self.how, self.seconds, self.sure = units, how, seconds, sure
        self._told: list[NDArray[np.float32]] = []
        self._beam = None
        if how.width > 1:
            scorer = _Knowledge(units, how) if how._knows else None
            self._beam = CTCBeam(how.width, blank=BLANK, scorer=scorer, margin=_MARGIN)

    def feed(self, told_SV: NDArray[np.float32]) -> None:
        """Take in log-probabilities."""
        if len(told_SV):
            self._told.append(told_SV)
            if self._beam is not None:
                self._beam.feed(told_SV.astype(np.float64))

    @property
    def text(self) -> str:
        """What has been heard so far."""
        return self._spelled(self._best(1)[0].ids)

    def _best(self, n: int) -> list[CTCHypothesis]:
        if self._beam is not None:
            return self._beam.best(n)
        if not self._told:
            return [CTCHypothesis((), 0.0, 0.0)]
        return ctc_greedy(torch.from_numpy(np.concatenate(self._told))[:, None], blank=BLANK)

    def _spelled(self, ids: tuple[int, ...]) -> str:
        return " ".join(word.text for word in spoken_words(self.units, ids))

    def result(self, start: float, end: float) -> Utterance:
        """What was heard in an utterance.

        Args:
            start: s from the beginning of the sound.
            end: s, after which no word lasts.
        """
        best = self._best(self.how.n_best)
        told_SV = np.concatenate(self._told) if self._told else np.zeros((0, len(self.units)), dtype=np.float32)
        steps_L2 = ctc_align(told_SV, best[0].ids, blank=BLANK)
        words = []
        for word in spoken_words(self.units, best[0].ids):
            own = steps_L2[word.first : word.last + 1]
            # A symbol is as sure as its surest step; a word as all of its symbols together.
            sure = sum(
                float(told_SV[a : b + 1, id].max())
                for (a, b), id in zip(own, best[0].ids[word.first : word.last + 1], strict=True)
            )
            p = float(np.clip(np.exp(sure / len(own)), _LEAST, 1 - _LEAST))
            a, b = self.sure
            confidence = float(1 / (1 + np.exp(-(a * (np.log(p) - np.log1p(-p)) + b))))
            begins = min(start + float(own[0, 0]) * self.seconds, end)
            words.append(Word(word.text, begins, min(start + float(own[-1, 1] + 1) * self.seconds, end), confidence))
        alternatives = tuple(Alternative(self._spelled(one.ids), one.score) for one in best)
        return Utterance(alternatives[0].text, start, end, tuple(words), alternatives)
