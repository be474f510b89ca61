"""Takes turns between the processes of a case, one of which runs at a time, and judges what they found."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import inputs, machine, verdict
from benchmarks.speed.cases import Case
from benchmarks.speed.job import Unavailable
from benchmarks.speed.worker import BESIDE

ROOT = Path(__file__).parents[2]
# After a turn, so that threads that spin when their work is done have gone to sleep.
SETTLE_SECONDS = 0.005
# A turn is so long, or one call.
TURN_SECONDS = 0.06
# Calls shorter than this are timed several at once.
SAMPLE_SECONDS = 0.001
MOST_ROUNDS = 60
ENVIRONMENT = {"keras-jax": {"KERAS_BACKEND": "jax"}}
"""What a library reads when it is imported."""


class Worker:
    """A process of `benchmarks.speed.worker`, spoken to in lines.

    Raises:
        Unavailable: the library is not installed there.
    """

    def __init__(self, library: str, python: str, threads: int) -> None:
        self.library = library
        self.processor_seconds = 0.0
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.speed.worker", library, str(threads)],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT.get(library, {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            hello = self._read()
        except Unavailable:
            self.close()
            raise
        self.versions: dict[str, str] = hello["versions"]
        assert hello["alone"] == (library != "throughtime"), f"throughtime is loaded in the process of {library}"

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        self.processor_seconds = answer["processor_seconds"]
        return answer

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.library} ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@dataclass
class Field:
    """The processes that take part, started when first needed.

    Attributes:
        pythons: library to the interpreter that has it; the others run on this one.
        absent: library to the reason why it takes no part.
    """

    threads: int
    pythons: dict[str, str] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def worker(self, library: str) -> Worker:
        if library in self.absent:
            raise Unavailable(self.absent[library])
        if library not in self.workers:
            try:
                self.workers[library] = Worker(library, self.pythons.get(library, sys.executable), self.threads)
            except Unavailable as error:
                self.absent[library] = str(error)
                raise
        return self.workers[library]

    def versions(self) -> dict[str, str]:
        return {name: value for worker in self.workers.values() for name, value in worker.versions.items()}

    def processor_seconds(self) -> float:
        return time.process_time() + sum(worker.processor_seconds for worker in self.workers.values())

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


@dataclass
class Entrant:
    """A job in a process, and its seconds so far, a list a round."""

    worker: Worker
    job: str
    number: int = 1
    repeats: int = 1
    warm: bool = True
    rounds: verdict.Rounds = field(default_factory=list)

    def first_call(self) -> None:
        """The first call in its process, kept as the first round; then the length of a turn is settled."""
        self._run(1, 1)
        seconds = max(self._run(1, 1), 1e-7)
        del self.rounds[1:]
        self.number = max(1, round(SAMPLE_SECONDS / seconds))
        self.repeats = int(min(max(TURN_SECONDS / (seconds * self.number), 1), 20))
        # The first call of a turn finds another process's data in the caches.
        self.warm = seconds < TURN_SECONDS / 2

    def turn(self) -> None:
        if self.warm:
            self._run(self.number, 1)
            del self.rounds[-1]
        self._run(self.number, self.repeats)

    def _run(self, number: int, repeats: int) -> float:
        """Add a round; the least time of a call by the clock."""
        answer = self.worker.ask("run", job=self.job, number=number, repeats=repeats)
        self.rounds.append(answer["seconds"])
        least: float = answer["least"]
        return least


def run(case: Case, field: Field, *, seed: int, seconds: float, peak_gflops: float) -> dict[str, Any]:
    """One row of the results.

    Args:
        seconds: rounds go on for so long, and until there are `case.rounds`.

    Raises:
        Unavailable: throughtime itself has no answer to the case, or no peer takes part.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrays = inputs.make(case, seed)
        path = Path(folder) / "arrays.npz"
        np.savez(path, **arrays)
        entrants, absent = _enter(case, field, path)
        for entrant in entrants.values():
            entrant.first_call()
        differences = _compare(case, entrants, Path(folder))
    busy, ours_busy, began = machine.busy_seconds(), field.processor_seconds(), time.perf_counter()
    loop: list[float] = []
    names = list(entrants)
    count = 0
    while count < MOST_ROUNDS and (count < case.rounds or time.perf_counter() - began < seconds):
        shift = count % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(SETTLE_SECONDS)
            entrants[name].turn()
        loop += [machine.loop_seconds() for _ in range(4)]
        count += 1
    elapsed = time.perf_counter() - began
    foreign = None
    after = machine.busy_seconds()
    if busy is not None and after is not None:
        foreign = (after - busy - (field.processor_seconds() - ours_busy)) / (elapsed * machine.cores())
    return _row(case, entrants, absent, differences, foreign, loop, arrays, peak_gflops)


def _enter(case: Case, field: Field, path: Path) -> tuple[dict[str, Entrant], dict[str, str]]:
    """Every job of the case: ours by name, a peer's with its library before a colon."""
    entrants, absent = {}, {}
    for library in ("throughtime", *case.peers):
        try:
            worker = field.worker(library)
            jobs = worker.ask("prepare", case=case.to_json(), arrays=str(path))["jobs"]
        except Unavailable as error:
            if library == "throughtime":
                raise
            absent[library] = str(error)
            continue
        for job in jobs:
            entrants[f"{library}:{job}"] = Entrant(worker, job)
    return entrants, absent


def _parts(entrants: dict[str, Entrant], wanted: Callable[[str, str], bool]) -> dict[str, Entrant]:
    """Entrants by their job's name, those that `wanted(library, job)`."""
    return {
        entrant.job.removeprefix(BESIDE): entrant
        for name, entrant in entrants.items()
        if wanted(name.partition(":")[0], entrant.job)
    }


def _ours(library: str, job: str) -> bool:
    return library == "throughtime" and not job.startswith(BESIDE)


def _beside(library: str, job: str) -> bool:
    return library == "throughtime" and job.startswith(BESIDE)


def _alone(library: str, job: str) -> bool:
    return library != "throughtime"


def _compare(case: Case, entrants: dict[str, Entrant], folder: Path) -> dict[str, tuple[float, str]]:
    """Largest difference between our numbers and each peer's, by the peer's name."""

    def arrays(entrant: Entrant) -> dict[str, Any]:
        path = folder / "results.npz"
        entrant.worker.ask("results", job=entrant.job, path=str(path))
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}

    peers = _parts(entrants, _alone)
    if not peers:
        return {}
    ours = arrays(entrants["throughtime:ours"])
    return {name: verdict.difference(ours, arrays(entrant)) for name, entrant in peers.items()}


def _row(
    case: Case,
    entrants: dict[str, Entrant],
    absent: dict[str, str],
    differences: dict[str, tuple[float, str]],
    foreign: float | None,
    loop: list[float],
    arrays: dict[str, Any],
    peak_gflops: float,
) -> dict[str, Any]:
    # The first call of a process stands apart: what it warms up would be part of the other figures.
    ((first,), *_) = entrants["throughtime:ours"].rounds
    later = {
        kind: {name: entrant.rounds[1:] for name, entrant in _parts(entrants, wanted).items()}
        for kind, wanted in (("ours", _ours), ("beside", _beside), ("alone", _alone))
    }
    valid = float(arrays["lengths"].mean() / case.T) if "lengths" in arrays else 1.0
    figures = verdict.figures(case, later["ours"], later["alone"], first=first, valid=valid, peak_gflops=peak_gflops)
    faults = verdict.equality_faults(case, differences)
    if case.peers and not differences:
        faults.append("equality: no peer to compare with")
    faults += verdict.beside_faults(later["alone"], later["beside"]) + verdict.busy_faults(foreign, loop)
    return {
        "seconds": {
            kind: {name: verdict.summary(rounds) for name, rounds in group.items()} for kind, group in later.items()
        },
        "rounds": len(loop) // 4,
        "figures": figures,
        "targets": verdict.judge(case.targets, figures),
        "differences": {name: {"value": value, "array": where} for name, (value, where) in differences.items()},
        "tolerance": case.tolerance,
        "absent": absent,
        "peak GFLOP/s": peak_gflops,
        "other programs' share of the machine": foreign,
        "void": faults,
    }


def seconds_of(case: Case, field: Field, library: str) -> float:
    """The least time of the one job that a library has for a case without arrays."""
    worker = field.worker(library)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path)
        (job,) = worker.ask("prepare", case=case.to_json(), arrays=str(path))["jobs"]
    return min(worker.ask("run", job=job, number=1, repeats=10)["seconds"])
