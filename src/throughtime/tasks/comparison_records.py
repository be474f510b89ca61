"""What a comparison found, in numbers and in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

CUT = 0.8
"""A run that made less than this part of its planned steps was cut off before its learning rate came down."""
EARLY = 0.7
"""A run that made all its steps in less than this part of its time was planned too short."""


@dataclass(frozen=True)
class Scores:
    """Errors of one model and of the baselines beside it; of every metric, less is better."""

    errors: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    decisive: str
    """The metric that decides."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell trained from one seed."""

    cell: str
    seed: int
    planned_epochs: int
    errors: Mapping[str, float] = field(default_factory=dict)
    """By metric, on data that the run has not seen."""
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    decisive: str = ""
    parameters: int = 0
    seconds: float = 0.0
    """Of training."""
    epochs: int = 0
    """Begun."""
    steps: int = 0
    planned_steps: int = 0
    stopped: str = ""
    """Why it ended, as `TrainingResult.stopped` has it."""
    memory: int | None = None
    """The effective memory in steps, of the layer that reaches back farthest."""
    memory_limit: int | None = None
    """The steps that it could reach at most."""
    failure: str = ""
    """Why it has no errors; "" where it has."""

    @property
    def cut(self) -> bool:
        """Whether the time ended long before the planned epochs."""
        return not self.failure and self.stopped == "budget" and self.steps < CUT * self.planned_steps


@dataclass(frozen=True)
class Row:
    """One cell over its seeds; every figure is a mean but the spread."""

    cell: str
    errors: Mapping[str, float]
    spread: float
    """Standard deviation of the decisive metric over seeds (n − 1 below it); NaN for a single seed."""
    seconds: float
    epochs: float
    parameters: int
    memory: float | None
    memory_limit: int | None
    seeds: int
    """Those that have errors."""


@dataclass(frozen=True)
class Comparison:
    """Cells side by side."""

    task: str
    question: Mapping[str, Any]
    cells: tuple[str, ...]
    budget: float
    """Seconds, over all runs."""
    seconds: float
    """The time of one run, the same for all."""
    runs: tuple[Run, ...]

    @property
    def finished(self) -> list[Run]:
        """The runs that have errors."""
        return [run for run in self.runs if not run.failure]

    @property
    def decisive(self) -> str:
        """The metric that decides; "" where every run failed."""
        return next((run.decisive for run in self.finished), "")

    @property
    def rows(self) -> dict[str, Row]:
        """By cell, in the order in which they were named; a cell whose every run failed has none."""
        found = {}
        for cell in self.cells:
            runs = [run for run in self.finished if run.cell == cell]
            if runs:
                found[cell] = _row(cell, runs, self.decisive)
        return found

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """By name, the mean errors over seeds: they do not depend on the cell."""
        first: dict[int, Run] = {}
        for run in self.finished:
            first.setdefault(run.seed, run)
        runs = list(first.values())
        names = list(runs[0].baselines) if runs else []
        return {name: _means([run.baselines[name] for run in runs]) for name in names}

    @property
    def ranking(self) -> list[Row]:
        """The cells whose decisive error is finite, the least first."""
        rows = [row for row in self.rows.values() if math.isfinite(row.errors[self.decisive])]
        return sorted(rows, key=lambda row: row.errors[self.decisive])

    @property
    def sentence(self) -> str:
        """Which cell won, whether by more than seeds make a difference, and whether it was worth it."""
        ranking = self.ranking
        if not ranking:
            return "No cell can be judged: no run has a finite error."
        best, *others = ranking
        said = [f"{best.cell} has the least {self.decisive}, {self._error(best):.4g}."]
        if others:
            said = [self._margin(best, others)]
        return " ".join([*said, *self._against_baselines(best)])

    def _margin(self, best: Row, others: Sequence[Row]) -> str:
        second, metric = others[0], self.decisive
        gap = self._error(second) - self._error(best)
        text = (
            f"{best.cell} has the least {metric}, {self._error(best):.4g}; "
            f"{second.cell} comes next with {self._error(second):.4g}."
        )
        spread = _larger(best.spread, second.spread)
        if math.isnan(spread):
            return f"{text} With a single seed, nothing says whether another would turn that round."
        seeds = f"spread over {best.seeds} seeds" if best.seeds == second.seeds else "spread over seeds"
        if gap > spread:
            return f"{text} The difference, {gap:.2g}, is larger than the {seeds}, {spread:.2g}."
        tied = [row.cell for row in others if self._error(row) - self._error(best) <= _larger(best.spread, row.spread)]
        return (
            f"{text} The difference, {gap:.2g}, is not larger than the {seeds}, {spread:.2g}: "
            f"this does not tell {best.cell} from {_listed(tied)}."
        )

    def _against_baselines(self, best: Row) -> list[str]:
        errors = {name: row[self.decisive] for name, row in self.baselines.items()}
        if not errors:
            return []
        better = {name: error for name, error in errors.items() if error <= self._error(best)}
        name = min(better or errors, key=lambda name: errors[name])
        against = f"{self.decisive} {errors[name]:.4g} for {name}"
        if better:
            return [f"It does not beat {_listed([*better])} ({against})."]
        return [f"It beats every baseline ({against})."]

    @property
    def notes(self) -> list[str]:
        """What to know before the figures are trusted."""
        said = [f"{_name(run)} has no result: {run.failure}." for run in self.runs if run.failure]
        cut = [run for run in self.runs if run.cut]
        if cut:
            share = min(run.steps / run.planned_steps for run in cut)
            said.append(
                f"{len(cut)} of {len(self.runs)} runs were cut off before their learning rate came down "
                f"({_listed(list(dict.fromkeys(run.cell for run in cut)))}; after {share:.0%} of the steps at worst): "
                "a larger budget is a fairer one."
            )
        early = [run for run in self.finished if run.stopped == "epochs" and run.seconds < EARLY * self.seconds]
        if early:
            share = min(run.seconds for run in early) / self.seconds
            said.append(
                f"{len(early)} of {len(self.runs)} runs did their epochs in less than their time "
                f"({_listed(list(dict.fromkeys(run.cell for run in early)))}; {share:.0%} of it at worst): the machine "
                "was busier during the trial; on an idle one the times are alike."
            )
        return said

    def as_dict(self) -> dict[str, Any]:
        """As plain data; a figure may be NaN."""
        return {
            "task": self.task,
            "question": dict(self.question),
            "budget": self.budget,
            "seconds_per_run": self.seconds,
            "decisive": self.decisive,
            "cells": {cell: asdict(row) for cell, row in self.rows.items()},
            "baselines": self.baselines,
            "runs": [asdict(run) for run in self.runs],
            "sentence": self.sentence,
            "notes": self.notes,
        }

    def _error(self, row: Row) -> float:
        return row.errors[self.decisive]


def _row(cell: str, runs: Sequence[Run], decisive: str) -> Row:
    values = [run.errors[decisive] for run in runs]
    memories = [run.memory for run in runs if run.memory is not None]
    return Row(
        cell=cell,
        errors=_means([run.errors for run in runs]),
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
        seconds=float(np.mean([run.seconds for run in runs])),
        epochs=float(np.mean([run.epochs for run in runs])),
        parameters=runs[0].parameters,
        memory=float(np.mean(memories)) if memories else None,
        memory_limit=runs[0].memory_limit,
        seeds=len(runs),
    )


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _larger(a: float, b: float) -> float:
    """The larger of two, one where the other is NaN."""
    return float(np.fmax(a, b))


def _name(run: Run) -> str:
    return f"{run.cell} with seed {run.seed}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
