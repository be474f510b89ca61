"""What a tuning may vary, what it found, and how that reads in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from throughtime.errors import ArgumentError

REFIT = 1.3
"""A fit of the best options on all the data takes so many times as long as its trial did, about."""

State = Literal["done", "pruned", "failed"]


@dataclass(frozen=True)
class Choice:
    """One of several values: text, numbers, true, false or null.

    Raises:
        ArgumentError: fewer than two values, or one of them twice.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len({*map(repr, self.values)}) < len(self.values):
            raise ArgumentError(f"Choice: expected two or more values, each once, got {self.values!r}; name others")

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return any(value == own and isinstance(value, bool) == isinstance(own, bool) for own in self.values)


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both possible.

    Raises:
        ArgumentError: not low < high, or `log` from 0 or below.
    """

    low: float
    high: float
    log: bool = False
    """As many trials between 1 and 10 as between 10 and 100."""

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf or (self.log and self.low <= 0.0):
            above = "0 < low < high" if self.log else "low < high"
            raise ArgumentError(f"Between: expected {above}, got {self.low} and {self.high}; give others")

    def holds(self, value: Any) -> bool:
        """Whether a value lies there."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


Dimension = Choice | Between


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One fit with some options, and how it did."""

    error: float
    """On the data that decides between options; less is better. NaN where there is none."""
    metric: str
    """What the error is called."""
    later: Mapping[str, float] = field(default_factory=dict)
    """The same metric on data that decides nothing: "model", and the baselines by name. Empty where there is none."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the fit used for the options that may vary, those that followed from the data among them."""
    seconds: float
    """Of training."""
    parameters: int = 0
    whole: bool = True
    """Whether the training came to its own end, and not to that of the time."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of options that was tried."""

    number: int
    options: Mapping[str, Any]
    """What differs from the default; trial 0 is the default itself and has none."""
    state: State
    metric: str = ""
    """What its errors are called."""
    early: float = math.nan
    """The error after the short training that every trial begins with."""
    error: float = math.nan
    """The error that counts; NaN where the trial was ended early."""
    later: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
    seconds: float = 0.0
    """That it took, measuring included."""
    last_seconds: float = 0.0
    """Of its last training alone."""
    whole: bool = True
    failure: str = ""


@dataclass(frozen=True)
class Tuning:
    """What a tuning found."""

    task: str
    question: Mapping[str, Any]
    metric: str
    trials: tuple[Trial, ...]
    space: Mapping[str, Dimension]
    seconds: float | None
    """The time it had, with every call on its folder; None: without a limit."""
    ended: Literal["trials", "time"]
    """What it ended by."""

    @property
    def default(self) -> Trial:
        """Trial 0: the model as it is without a tuning."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The trial with the least error; the earlier of two alike."""
        done = [trial for trial in self.trials if math.isfinite(trial.error)]
        return min(done, key=lambda trial: trial.error, default=self.default)

    @property
    def spent(self) -> float:
        """Seconds that all trials took."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def refit_seconds(self) -> float | None:
        """What one more fit with the best options may take at most: no limit where its trial came to its end."""
        return None if self.best.whole else REFIT * self.best.last_seconds

    @property
    def sentence(self) -> str:
        """Whether tuning was worth it, in plain words."""
        default, best = self.default, self.best
        tried = f"{len(self.trials)} set{'s' * (len(self.trials) > 1)} of options tried"
        others = [f"{count} {word}" for word, count in self._ended_otherwise().items() if count]
        said = f"{tried} ({', '.join(others)}). " if others else f"{tried}. "
        if best.number == 0:
            said += f"None did better than the default, {self.metric} {default.error:.4g}: the default stays."
        else:
            said += (
                f"Trial {best.number} has the least {self.metric}, {best.error:.4g}; "
                f"the default has {default.error:.4g}."
            )
        return " ".join([said, *self._later()])

    def _ended_otherwise(self) -> dict[str, int]:
        states = [trial.state for trial in self.trials]
        return {"ended early": states.count("pruned"), "failed": states.count("failed")}

    def _later(self) -> list[str]:
        default, best = self.default.later.get("model", math.nan), self.best.later.get("model", math.nan)
        if math.isnan(best) or math.isnan(default):
            return []
        rules = {name: error for name, error in self.best.later.items() if name != "model" and math.isfinite(error)}
        beside = ""
        if rules:
            rule = min(rules, key=lambda name: rules[name])
            beside = f" and {rules[rule]:.4g} for {rule}"
        if self.best.number == 0:
            return [f"On what no trial was chosen by it has {best:.4g}{beside.replace(' and', ', against', 1)}."]
        text = (
            f"On what no trial was chosen by, trial {self.best.number} has {best:.4g} against {default:.4g} for the "
            f"default{beside}."
        )
        if best >= default:
            text += " There the default is no worse: the gain may be chance."
        return [text]

    def as_dict(self) -> dict[str, Any]:
        """As plain data; a figure may be NaN."""
        return {
            "task": self.task,
            "question": dict(self.question),
            "metric": self.metric,
            "seconds": self.seconds,
            "spent_seconds": self.spent,
            "ended": self.ended,
            "space": {name: asdict(dimension) for name, dimension in self.space.items()},
            "best": self.best.number,
            "options": dict(self.best.options),
            "trials": [asdict(trial) for trial in self.trials],
            "sentence": self.sentence,
        }
