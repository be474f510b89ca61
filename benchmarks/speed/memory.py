"""The peak memory of one forward and backward, in a process that does nothing else.

`python -m benchmarks.speed.memory LIBRARY THREADS CASE ARRAYS RESULTS` prints bytes above the level before the call.
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import inputs, verdict
from benchmarks.speed.cases import Case
from benchmarks.speed.job import Unavailable
from benchmarks.speed.race import ROOT
from benchmarks.speed.worker import LIBRARIES

STATUS = Path("/proc/self/status")
RESET_PEAK = Path("/proc/self/clear_refs")
# Sizes for a first call, which loads what is loaded late and starts the threads.
SMALL_T, SMALL_B = 2, 2


def peak(library: str, threads: int, case: Case, arrays: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Bytes that a call needs at its peak above what the process held before, and what it computed."""
    importlib.import_module("torch").set_num_threads(threads)
    module = importlib.import_module(f"benchmarks.speed.{LIBRARIES[library]}")
    name = "ours" if library == "throughtime" else library
    small = {key: value[:SMALL_T, :SMALL_B] if key in ("x", "dy") else value for key, value in arrays.items()}
    module.jobs(case, small)[name].run()
    job = module.jobs(case, arrays)[name]
    RESET_PEAK.write_text("5")
    before = _kilobytes("VmRSS")
    job.run()
    after = _kilobytes("VmHWM")
    return 1024 * (after - before), job.results()


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found, f"{STATUS} has no {name}"
    return int(found.group(1))


def run(case: Case, *, threads: int, seed: int) -> dict[str, Any]:
    """One row of the results.

    Raises:
        Unavailable: the system does not tell a process's peak memory.
    """
    if not (STATUS.exists() and RESET_PEAK.exists()):
        raise Unavailable(f"this system has no {STATUS} and {RESET_PEAK}")
    needed, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        arrays, results = Path(folder) / "arrays.npz", Path(folder) / "results.npz"
        np.savez(arrays, **inputs.make(case, seed))
        for library in ("throughtime", "torch"):
            words = [library, str(threads), json.dumps(case.to_json()), str(arrays), str(results)]
            line = subprocess.check_output([sys.executable, "-m", __spec__.name, *words], cwd=ROOT, text=True)
            needed[library] = int(line)
            with np.load(results) as stored:
                found[library] = {name: stored[name] for name in stored.files}
    value, where = verdict.difference(found["throughtime"], found["torch"])
    figures = {
        "ours / torch": {"value": needed["throughtime"] / max(needed["torch"], 1)},
        "ours, MiB": {"value": needed["throughtime"] / 2**20},
        "torch, MiB": {"value": needed["torch"] / 2**20},
    }
    return {
        "figures": figures,
        "targets": verdict.judge(case.targets, figures),
        "differences": {"torch": {"value": value, "array": where}},
        "tolerance": case.tolerance,
        "absent": {},
        "void": verdict.equality_faults(case, {"torch": (value, where)}),
    }


def main() -> None:
    library, threads, case, arrays, results = sys.argv[1:]
    with np.load(arrays) as stored:
        given = {name: stored[name] for name in stored.files}
    needed, found = peak(library, int(threads), Case.from_json(json.loads(case)), given)
    np.savez(results, **found)
    print(needed)


if __name__ == "__main__":
    main()
