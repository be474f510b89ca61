"""A process that runs the jobs of one library: `python -m benchmarks.speed.worker LIBRARY THREADS`.

One JSON object a line comes in on stdin and one goes out on stdout: prepare, run, results. The process of "throughtime"
also runs torch's jobs, marked "beside"; every other process has nothing of throughtime in it, and says so.
"""

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.cases import Case
from benchmarks.speed.job import Job, Jobs, Unavailable

LIBRARIES = {
    "throughtime": "our_jobs",
    "torch": "torch_jobs",
    "onnxruntime": "onnx_jobs",
    "keras-jax": "keras_jobs",
    "torchrecurrent": "torchrecurrent_jobs",
}
BESIDE = "beside "


def sample(job: Job, number: int, repeats: int) -> tuple[list[float], float]:
    """Seconds of one call, `repeats` times, each the mean of `number` calls in a row; and the least by the clock.

    No garbage is collected meanwhile. The two differ where a job gives a number of its own.
    """
    found, least = [], float("inf")
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            job.setup()
            began = time.perf_counter()
            own = [job.run() for _ in range(number)]
            seconds = time.perf_counter() - began
            found.append((seconds if own[0] is None else sum(own)) / number)
            least = min(least, seconds / number)
    finally:
        gc.enable()
    return found, least


class Worker:
    """The jobs of the case at hand."""

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        self.threads = threads
        self.module = importlib.import_module(f"benchmarks.speed.{LIBRARIES[library]}")
        self.jobs: Jobs = {}
        if library in ("throughtime", "torch"):
            importlib.import_module("torch").set_num_threads(threads)

    def hello(self) -> dict[str, Any]:
        return {"versions": self.module.versions(), **self._alone()}

    def prepare(self, case: dict[str, Any], arrays: str) -> dict[str, Any]:
        self.jobs = {}
        gc.unfreeze()
        gc.collect()
        read = Case.from_json(case)
        with np.load(arrays) as stored:
            given = {name: stored[name] for name in stored.files}
        extra = {"threads": self.threads} if self.library in ("onnxruntime", "keras-jax") else {}
        self.jobs = dict(self.module.jobs(read, given, **extra))
        if self.library == "throughtime" and "torch" in read.peers:
            try:
                peers = importlib.import_module("benchmarks.speed.torch_jobs").jobs(read, given)
            except Unavailable:
                peers = {}
            self.jobs |= {BESIDE + name: job for name, job in peers.items()}
        gc.freeze()  # torch's own objects are many: a collection between two turns need not walk them
        return {"jobs": list(self.jobs)}

    def run(self, job: str, number: int, repeats: int) -> dict[str, Any]:
        seconds, least = sample(self.jobs[job], number, repeats)
        return {"seconds": seconds, "least": least}

    def results(self, job: str, path: str) -> dict[str, Any]:
        found = self.jobs[job].results()
        np.savez(path, **found)
        return {"arrays": list(found)}

    def _alone(self) -> dict[str, Any]:
        """Whether anything of throughtime is in this process."""
        return {"alone": not any(name.partition(".")[0] == "throughtime" for name in sys.modules)}


def serve(library: str, threads: int, send: Callable[[dict[str, Any]], None]) -> None:
    """Answer until stdin ends."""
    try:
        worker = Worker(library, threads)
    except ModuleNotFoundError as error:
        send({"unavailable": f"{error.name} is not installed"})
        return
    send(worker.hello())
    actions = {"prepare": worker.prepare, "run": worker.run, "results": worker.results}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = actions[request.pop("do")](**request)
        except Unavailable as error:
            answer = {"unavailable": str(error)}
        send({**answer, "processor_seconds": time.process_time()})


def main() -> None:
    # Libraries may print: their lines go to stderr, and the answers out of the stdout that was there first.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    serve(sys.argv[1], int(sys.argv[2]), send)


if __name__ == "__main__":
    main()
