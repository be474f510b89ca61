"""Which cell is better? Each trained for the same time from the same seeds, on any task.

A task says how it fits under a budget (`Contest`); here the time is shared out, runs are made and kept, and the outcome
is put into words.

(1) seconds of a run = budget / (cells · (seeds + 1/10))

The tenth goes into a trial of the cell before its first run: it tells how many epochs fit into a run, so that a
schedule of the learning rate comes to its end within the time. Every run is stopped at (1), there or not.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.comparison_folder import ComparisonFolder
from throughtime.tasks.comparison_records import Comparison, Run, Scores
from throughtime.training import Callback, EpochRecord, RunFolder, StepRecord, TrainingResult, TrainingStart

Listen = Callable[[str], AbstractContextManager[Sequence[Callback]]]

_TRIAL = 0.1  # of a run
# Of a run that the planned epochs fill: machines waver by some percent, and a schedule that is cut loses its best part.
_FILLED = 0.9
_ENDLESS = 1_000_000


class Fitted(Protocol):
    """What is left of one fit."""

    @property
    def training(self) -> TrainingResult:
        """How it went."""

    @property
    def parameters(self) -> int:
        """Trained numbers."""

    def evaluate(self) -> Scores:
        """Errors on data that the fit has not seen, with the baselines'."""

    def memory(self) -> tuple[int, int] | None:
        """The effective memory and the steps that it could reach at most; None where it cannot be measured."""


class Contest(Protocol):
    """What a task supplies to be compared on: its data and options, all but the cell, the seed and the time."""

    @property
    def task(self) -> str:
        """The task's name."""

    @property
    def cells(self) -> Sequence[str]:
        """The names that `fit` knows."""

    def question(self) -> Mapping[str, Any]:
        """What must be the same for two runs to be comparable, the data's fingerprint among it: JSON values by name."""

    def fit(
        self,
        cell: str,
        seed: int,
        *,
        epochs: int,
        max_seconds: float,
        run: RunFolder | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Fitted:
        """Train one model, for so many epochs or seconds, whichever ends first. DataError where it is of no use."""


def compare(
    contest: Contest,
    cells: Sequence[str],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    budget: float = 600.0,
    folder: str | os.PathLike[str] | None = None,
    listen: Listen = lambda label: nullcontext(()),
) -> Comparison:
    """Train every cell from every seed for the same time, and set them side by side.

    Evaluation and reading are not counted in the time. The epochs that fit into it depend on the machine, so two
    comparisons differ as two runs of a race do; with a folder, what is in it stands.

    Args:
        contest: a task's data and options.
        cells: at least two names.
        budget: seconds of training, over all runs together; see equation (1).
        folder: where every run is kept as soon as it ends, with checkpoints of the one under way; the same call goes on
            from there. None keeps nothing.
        listen: gives the callbacks of a run with this label, and closes them.

    Raises:
        ArgumentError, ArgumentTypeError: fewer than two cells, a cell unknown or named twice, no seed, a budget that is
            not positive.
        DataError: the folder cannot be written, or holds the comparison of another question.
        KeyboardInterrupt: as it comes; what has ended is in the folder.

    >>> from throughtime.datasets import waves_frame
    >>> from throughtime.tasks import ForecastContest
    >>> contest = ForecastContest(waves_frame(8, seed=0), horizon=3, hidden_size=4, num_layers=1)
    >>> found = compare(contest, ["rnn", "gru"], seeds=[0], budget=0.1)
    >>> [(run.cell, run.seed) for run in found.runs]
    [('rnn', 0), ('gru', 0)]
    """
    _check(contest, cells, seeds, budget)
    seconds = budget / (len(cells) * (len(seeds) + _TRIAL))
    question = {
        "task": contest.task,
        "cells": list(cells),
        "seeds": [int(seed) for seed in seeds],
        "budget": float(budget),
        "threads": torch.get_num_threads(),
        **contest.question(),
    }
    kept = None if folder is None else ComparisonFolder(folder, question)
    match = _Match(contest, kept, seconds, listen, total=len(cells) * len(seeds))
    # Seed by seed, so that what else the machine does meanwhile falls on every cell, and half a comparison is one too.
    runs = [match.run(cell, int(seed)) for seed in seeds for cell in cells]
    return Comparison(
        task=contest.task,
        question=question,
        cells=tuple(cells),
        budget=float(budget),
        seconds=seconds,
        runs=tuple(runs),
    )


def _check(contest: Contest, cells: Sequence[str], seeds: Sequence[int], budget: float) -> None:
    for cell in cells:
        if cell not in contest.cells:
            raise ArgumentError(f"compare: expected cells among {', '.join(contest.cells)}, got {cell!r}; name these")
    if len(cells) < 2 or len({*cells}) < len(cells):
        raise ArgumentError(
            f"compare: expected two or more cells, each once, got {', '.join(cells) or 'none'}; name others"
        )
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise ArgumentTypeError(f"compare: expected seeds to be whole numbers, got {seed!r}; pass ints")
        if not 0 <= seed < 2**63:
            raise ArgumentError(f"compare: expected seeds in [0, 2**63), got {seed}; pass such seeds")
    if not len(seeds) or len({*seeds}) < len(seeds):
        raise ArgumentError(f"compare: expected one or more seeds, each once, got {[*seeds]}; name others")
    if not (isinstance(budget, int | float) and not isinstance(budget, bool)):
        raise ArgumentTypeError(f"compare: expected a budget in seconds, got {budget!r}; pass a number")
    if not 0.0 < budget < math.inf:
        raise ArgumentError(f"compare: expected a budget above 0 seconds, got {budget:g}; give more time")


class _Listener(Callback):
    """Keeps how a fit went, also where the fit refuses its outcome."""

    def __init__(self) -> None:
        self.steps_per_epoch = 0
        self.epochs: list[EpochRecord] = []
        self.result: TrainingResult | None = None

    def on_start(self, start: TrainingStart) -> None:
        self.steps_per_epoch = start.steps_per_epoch

    def on_step(self, record: StepRecord) -> None:
        return

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def on_end(self, result: TrainingResult) -> None:
        self.result = result

    def close(self) -> None:
        return

    def epoch_seconds(self) -> float | None:
        """What an epoch takes; None where not even a part of one was seen."""
        whole = [record.seconds for record in self.epochs if record.steps == self.steps_per_epoch]
        if len(whole) > 1:
            return float(np.median(whole[1:]))  # the first one also warms up
        if not self.epochs:
            return None
        record = self.epochs[0]
        trained = record.steps / record.steps_per_second
        return self.steps_per_epoch / record.steps_per_second + record.seconds - trained


class _Match:
    """The runs of one comparison, one at a time."""

    def __init__(
        self, contest: Contest, kept: ComparisonFolder | None, seconds: float, listen: Listen, *, total: int
    ) -> None:
        self.contest = contest
        self.kept = kept
        self.seconds = seconds
        self.listen = listen
        self.total = total
        self.done = 0
        self.epochs: dict[str, int] = {}

    def run(self, cell: str, seed: int) -> Run:
        """The run from the folder, or made and kept now."""
        self.done += 1
        found = None if self.kept is None else self.kept.read_run(cell, seed)
        if found is None:
            found = self._make(cell, seed, self._planned(cell, seed))
            if self.kept is not None:
                self.kept.keep_run(found)
        return found

    def _planned(self, cell: str, seed: int) -> int:
        """The epochs that fit into a run of this cell."""
        epochs = self.epochs.get(cell) or (None if self.kept is None else self.kept.read_epochs(cell))
        if epochs is None:
            heard = _Listener()
            self._fit(cell, seed, heard, epochs=_ENDLESS, max_seconds=_TRIAL * self.seconds)
            each = heard.epoch_seconds()
            epochs = 1 if each is None else max(1, int(_FILLED * self.seconds / max(each, 1e-6)))
            if self.kept is not None:
                self.kept.keep_epochs(cell, epochs)
        self.epochs[cell] = epochs
        return epochs

    def _make(self, cell: str, seed: int, epochs: int) -> Run:
        heard = _Listener()
        run = None if self.kept is None else self.kept.checkpoints(cell, seed)
        with self.listen(f"{cell}, seed {seed} ({self.done} of {self.total})") as callbacks:
            fitted = self._fit(cell, seed, heard, *callbacks, epochs=epochs, max_seconds=self.seconds, run=run)
        if fitted is None:
            assert heard.result is not None
            return Run(cell=cell, seed=seed, planned_epochs=epochs, failure=heard.result.message)
        training, scores, memory = fitted.training, fitted.evaluate(), fitted.memory()
        return Run(
            cell=cell,
            seed=seed,
            planned_epochs=epochs,
            errors=dict(scores.errors),
            baselines={name: dict(row) for name, row in scores.baselines.items()},
            decisive=scores.decisive,
            parameters=fitted.parameters,
            seconds=training.seconds,
            epochs=len(training.history),
            steps=training.steps,
            planned_steps=epochs * heard.steps_per_epoch,
            stopped=training.stopped,
            memory=None if memory is None else memory[0],
            memory_limit=None if memory is None else memory[1],
        )

    def _fit(self, cell: str, seed: int, heard: _Listener, *callbacks: Callback, **options: Any) -> Fitted | None:
        """None where the loss did not stay finite in the first epoch."""
        try:
            fitted = self.contest.fit(cell, seed, callbacks=(heard, *callbacks), **options)
        except DataError:
            if heard.result is None or heard.result.stopped != "non-finite":
                raise
            return None
        if fitted.training.stopped == "interrupted":
            raise KeyboardInterrupt
        return fitted
