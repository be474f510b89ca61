"""Runs as JSON lines, one a run, and the results file and table made of them. NumPy and Polars alone."""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.quality.forecasting.task import Task
from benchmarks.speed.machine import describe

KEY = ("set", "horizon", "method", "seed")


class Clock:
    """Wall and processor minutes since it was made; the machine may do other work."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._used()

    @staticmethod
    def _used() -> float:
        return sum(os.times()[:4])

    def minutes(self) -> dict[str, float]:
        """Both, rounded to a hundredth."""
        wall, cpu = time.perf_counter() - self._wall, self._used() - self._cpu
        return {"minutes": round(wall / 60, 2), "cpu_minutes": round(cpu / 60, 2)}


def versions(*packages: str) -> dict[str, str]:
    """Of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def row(task: Task, method: str, seed: int | None, found: dict[str, float], **more: Any) -> dict[str, Any]:
    """A run, whole: what was run on what, its figures, and the published ones."""
    published = task.published
    return {
        "set": task.name,
        "horizon": task.horizon,
        "method": method,
        "seed": seed,
        "series": len(task.panel),
        "windows": task.n_windows * len(task.panel),
        "measure": published.measure,
        "figure": found[published.measure],
        "figures": found,
        "target": published.target,
        "met": None if published.target is None else found[published.measure] <= published.target,
        **({"stretch": published.stretch} if published.stretch is not None else {}),
        "published": dict(published.others),
        "simple": task.simple_figures(),
        "unscored": {reason: ids for reason, ids in task.unscored().items() if ids},
        **more,
        "command": "python -m " + " ".join([_module(), *_without_paths(sys.argv[1:])]),
        "machine": describe(),
    }


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name


def _without_paths(words: Sequence[str]) -> list[str]:
    """A command line that names no folder of this machine."""
    kept, skip = [], False
    for word in words:
        if not skip and word.split("=")[0] not in ("--data", "--out", "--results"):
            kept.append(word)
        skip = not skip and word in ("--data", "--out", "--results")
    return ["--data", "DIR", *kept]


def read(path: Path | None) -> list[dict[str, Any]]:
    """The runs of a file; none where there is no file. A line that a killed run left half written is no run."""
    rows = []
    for line in path.read_text().splitlines() if path is not None and path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}: a line is not whole and is left out")
    return rows


def key(of: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a run the same run."""
    return tuple(of.get(name) for name in KEY)


def append(run: dict[str, Any], path: Path | None) -> None:
    """Add a run to the file."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else ""
        with path.open("a") as out:
            out.write(("\n" if before and not before.endswith("\n") else "") + json.dumps(run) + "\n")


def gather(runs: Sequence[dict[str, Any]], results: Path | None) -> None:
    """The results file: the runs it held, and these, which take the place of the same run made before."""
    if results is None:
        return
    held = json.loads(results.read_text())["runs"] if results.exists() else []
    merged = {key(run): run for run in [*held, *runs]}
    results.parent.mkdir(parents=True, exist_ok=True)
    whole = {"task": "forecasting on public data sets", "runs": list(merged.values())}
    results.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n")


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Figure, target, published figures and minutes of each run."""
    lines = [f"{'set':18s} {'method':18s} {'measure':6s} {'figure':>8s} {'target':>8s}      {'min':>6s} {'cpu':>6s}"]
    for run in runs:
        name = f"{run['set']}-{run['horizon']}"
        # The target is this project's own.
        judged = run["method"].startswith("throughtime") and run["target"] is not None
        verdict = "" if not judged else "met" if run["met"] else "MISSED"
        target = "" if run["target"] is None else f"{run['target']:.3f}"
        lines.append(
            f"{name:18s} {run['method']:18s} {run['measure']:6s} {run['figure']:8.4f} {target:>8s} "
            f"{verdict:>6s} {run['minutes']:6.1f} {run['cpu_minutes']:6.1f}"
        )
        simple = {f"{of} (computed)": found[run["measure"]] for of, found in run["simple"].items()}
        for of, value in {**run["published"], **simple}.items():
            lines.append(f"{'':18s} {of:32s} {value:8.4g}")
        for level, held in run.get("coverage", {}).items():
            verdict = "met" if held["met"] else "MISSED"
            lines.append(f"{'':18s} {level + ' % intervals held, in %':32s} {held['coverage']:8.1f} {verdict:>15s}")
        for reason, ids in run["unscored"].items():
            shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            lines.append(f"{'':18s} {reason}: {len(ids)} series ({shown})")
    return "\n".join(lines)
