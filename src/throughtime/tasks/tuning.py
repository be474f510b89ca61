"""Better options than the default ones, for these data and within a time: on any task.

A task says what may vary and how it fits (`Search`); here Optuna proposes options, a trial that lags behind is ended,
what has ended is kept, and the outcome is put into words.

Trial 0 is the default, untouched, so that the others are measured against it. Every trial first trains for a quarter of
its steps, its schedule drawn together to match. One whose error is then above the median of those before it ends there
(Optuna's MedianPruner, over four trials at least); the others train again, whole.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np

from throughtime._extras import require
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.comparison import Listen
from throughtime.tasks.tuning_folder import TuningFolder
from throughtime.tasks.tuning_records import REFIT, Choice, Dimension, Trial, Tried, Tuning
from throughtime.training import Callback

SHARE = 0.25
"""The part of its steps that every trial first trains for."""
UNPRUNED = 4
"""Trials that are not ended early, since there is nothing yet to compare them with."""
_RANDOM = 6  # trials drawn at random before Optuna's model proposes: one a dimension or so


class Search(Protocol):
    """What a task supplies to be tuned: its data, the options that stay, and those that may vary."""

    @property
    def task(self) -> str:
        """The task's name."""

    def question(self) -> Mapping[str, Any]:
        """What must be the same for two trials to be comparable, the data's fingerprint among it: JSON values."""

    def fit(
        self,
        options: Mapping[str, Any],
        *,
        share: float = 1.0,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Tried:
        """Train with these options for a share of the steps that they would train for, and measure.

        DataError or ArgumentError where they lead to no model; KeyboardInterrupt where Ctrl-C ended it.
        """

    def space(self, default: Mapping[str, Any]) -> Mapping[str, Dimension]:
        """What may vary, around the values that the default came to on these data. Each dimension holds its value."""


def tune(
    search: Search,
    *,
    trials: int = 30,
    seconds: float | None = None,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    listen: Listen = lambda label: nullcontext(()),
) -> Tuning:
    """Try sets of options, the default first, until there are so many or the time is over.

    The same seed proposes the same options where the same trials went before, in one call or in several.

    Args:
        search: a task's data and options.
        trials: sets of options in all, the default and those that the folder holds among them.
        seconds: for all training, that of the folder's trials and of one more fit with the best options on all the data
            among it; None: as long as it takes. A trial that cannot come to its end in time is not begun.
        seed: of the proposals.
        folder: where every trial is kept as soon as it ends; the same call goes on from there, with more trials or time
            if they are given. None keeps nothing.
        listen: gives the callbacks of a fit with this label, and closes them.

    Raises:
        ArgumentError, ArgumentTypeError: fewer than one trial, a time that is not positive, a seed below 0; or the
            default options lead to no model.
        DataError: the default leads to no model on these data; the folder cannot be written, or holds the tuning of
            another question.
        KeyboardInterrupt: as it comes; what has ended is in the folder.
        MissingExtraError: Optuna is not installed.

    >>> from throughtime.datasets import waves_frame
    >>> from throughtime.tasks import ForecastSearch
    >>> search = ForecastSearch(waves_frame(8, seed=0), horizon=3, hidden_size=4, num_layers=1, epochs=1)
    >>> found = tune(search, trials=2)
    >>> [trial.state for trial in found.trials]
    ['done', 'done']
    """
    _check(trials, seconds, seed)
    optuna = require("optuna", extra="tune")
    question = {"task": search.task, "seed": int(seed), **search.question()}
    kept = None if folder is None else TuningFolder(folder, question)
    clock = _Clock(seconds)
    bench = _Bench(search, kept, clock, listen)
    made = [bench.default()]
    space = dict(search.space(made[0].values))
    made_in_time = True
    with _quiet(optuna):
        proposals = _Proposals(optuna, space, seed)
        proposals.tell(made[0])
        while len(made) < trials and made_in_time:
            found = bench.read(len(made), space)
            if found is None:
                found = bench.make(len(made), proposals.ask(len(made)), proposals.lags)
            if found is None:
                made_in_time = False
            else:
                proposals.tell(found)
                made.append(found)
    return Tuning(
        task=search.task,
        question=question,
        metric=made[0].metric,
        trials=tuple(made),
        space=space,
        seconds=seconds,
        ended="trials" if made_in_time else "time",
    )


def _check(trials: Any, seconds: Any, seed: Any) -> None:
    for name, value, least in (("trials", trials, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ArgumentTypeError(f"tune: expected {name} to be a whole number, got {value!r}; pass an int")
        if not least <= value < 2**31:
            raise ArgumentError(f"tune: expected {name} from {least} on, got {value}; pass a larger one")
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ArgumentTypeError(f"tune: expected a time in seconds, got {seconds!r}; pass a number or None")
    if not 0.0 < seconds < math.inf:
        raise ArgumentError(f"tune: expected a time above 0 seconds, got {seconds:g}; give more, or None")


class _Clock:
    """What is left of the time: what this call took since it began, with what the folder's trials took before."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.began = time.monotonic()
        self.before = 0.0

    def left(self, best: float) -> float | None:
        """Seconds until one more fit must begin that takes about as long as the best did."""
        if self.seconds is None:
            return None
        return self.seconds - self.before - (time.monotonic() - self.began) - REFIT * best


class _Bench:
    """Makes trials, one at a time, or reads them."""

    def __init__(self, search: Search, kept: TuningFolder | None, clock: _Clock, listen: Listen) -> None:
        self.search = search
        self.kept = kept
        self.clock = clock
        self.listen = listen
        self.best: Trial | None = None

    def default(self) -> Trial:
        """Trial 0."""
        found = None if self.kept is None else self.kept.read_trial(0)
        if found is not None:
            return self._keep(found, new=False)
        began = time.monotonic()
        left = self.clock.left(0.0)
        # Half of the time at most, since the fit on all the data takes as much again.
        short = self._fit({}, "trial 0 (the default), short", share=SHARE, max_seconds=_part(left, SHARE / 2))
        left = self.clock.left(0.0)
        tried = self._fit({}, "trial 0 (the default)", max_seconds=_part(left, 1 / (1 + REFIT)))
        return self._keep(_trial(0, {}, began, short, tried), new=True)

    def read(self, number: int, space: Mapping[str, Dimension]) -> Trial | None:
        """A trial that the folder holds."""
        found = None if self.kept is None else self.kept.read_trial(number)
        if found is None:
            return None
        assert self.kept is not None
        self.kept.check(found, space)
        return self._keep(found, new=False)

    def make(self, number: int, options: Mapping[str, Any], lags: Callable[[float], bool]) -> Trial | None:
        """Train with these options; None where the time does not suffice."""
        left = self._left()
        if left is not None and left <= 0.0:
            return None
        began = time.monotonic()
        try:
            short = self._fit(options, f"trial {number}, short", share=SHARE, max_seconds=left)
            if not short.whole:
                return None
            if not math.isfinite(short.error):
                raise DataError("no error: its forecasts cannot be measured")
            if lags(short.error):
                return self._keep(_trial(number, options, began, short, None), new=True)
            left = self._left()
            if left is not None and short.seconds / SHARE > left:
                return None
            tried = self._fit(options, f"trial {number}", max_seconds=left)
        except (DataError, ArgumentError) as error:
            seconds = time.monotonic() - began
            failed = Trial(number=number, options=dict(options), state="failed", seconds=seconds, failure=str(error))
            return self._keep(failed, new=True)
        return self._keep(_trial(number, options, began, short, tried), new=True) if tried.whole else None

    def _left(self) -> float | None:
        assert self.best is not None
        return self.clock.left(self.best.last_seconds)

    def _fit(self, options: Mapping[str, Any], label: str, **how: Any) -> Tried:
        with self.listen(label) as callbacks:
            return self.search.fit(options, callbacks=tuple(callbacks), **how)

    def _keep(self, trial: Trial, *, new: bool) -> Trial:
        if not new:
            self.clock.before += trial.seconds
        elif self.kept is not None:
            self.kept.keep(trial)
        if self.best is None or trial.error < self.best.error:
            self.best = trial
        return trial


def _part(left: float | None, share: float) -> float | None:
    return None if left is None else max(share * left, 1e-3)


def _trial(number: int, options: Mapping[str, Any], began: float, short: Tried, tried: Tried | None) -> Trial:
    last = short if tried is None else tried
    return Trial(
        number=number,
        options=dict(options),
        state="pruned" if tried is None else "done",
        metric=short.metric,
        early=short.error,
        error=math.nan if tried is None else tried.error,
        later={} if tried is None else dict(tried.later),
        values=dict(last.values),
        parameters=last.parameters,
        seconds=time.monotonic() - began,
        last_seconds=last.seconds,
        whole=last.whole,
    )


class _Proposals:
    """Optuna's side: what to try next, and whether a trial lags behind."""

    def __init__(self, optuna: Any, space: Mapping[str, Dimension], seed: int) -> None:
        self.optuna = optuna
        self.seed = seed
        self.space = {name: _distribution(optuna, dimension) for name, dimension in space.items()}
        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED)
        self.study = optuna.create_study(direction="minimize", pruner=pruner)
        self.asked: Any = None

    def ask(self, number: int) -> dict[str, Any]:
        """Options for this trial: a function of the seed, the number and the trials before."""
        digits = np.random.SeedSequence((self.seed, number)).generate_state(1)
        self.study.sampler = self.optuna.samplers.TPESampler(seed=int(digits[0]), n_startup_trials=_RANDOM)
        self.asked = self.study.ask(self.space)
        return dict(self.asked.params)

    def lags(self, error: float) -> bool:
        """Whether the trial asked for last is to end, with this error after its short training."""
        self.asked.report(error, step=0)
        return bool(self.asked.should_prune())

    def tell(self, trial: Trial) -> None:
        """Add a trial that has ended."""
        states = self.optuna.trial.TrialState
        # One that failed counts as the worst: Optuna learns nothing from its own FAIL, and proposes the same again.
        state = states.COMPLETE if trial.state == "done" and math.isfinite(trial.error) else states.PRUNED
        if self.asked is not None:
            value = trial.error if state is states.COMPLETE else None
            self.study.tell(self.asked, value, state=state)
            self.asked = None
            return
        params = dict(trial.options) or {name: trial.values[name] for name in self.space}
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=state,
                value=trial.error if state is states.COMPLETE else None,
                params=params,
                distributions={name: self.space[name] for name in params},
                intermediate_values={0: trial.early} if math.isfinite(trial.early) else {},
            )
        )


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna says nothing of its own meanwhile; its verbosity is the caller's again afterwards."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
