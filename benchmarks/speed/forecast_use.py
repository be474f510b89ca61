"""What a trained forecaster costs in use: one forecast, one more step, many series at once, a model from its folder.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.forecast_use --out benchmarks/results/forecast_use.json

One series is 168 hours in, a frame to a frame, 24 hours out. Forecasters of every strategy take turns, ten calls at
a time, in one process of one thread. Medians are asked for; the first decile and the median of processor time stand
beside them, since what else runs on the machine makes calls slower, not faster. A model is loaded in a process of its
own, with compiled bytecode in place, and the time counts from the end of `import torch`.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.speed import machine, store
from throughtime import Forecaster, __version__

HISTORY, HORIZON = 168, 24
IN_TURN = 10
LIMITS = {"direct_ms": 1.0, "recursive_us_a_step": 20.0, "values_a_second": 50_000.0, "load_s": 0.3}
MODELS: dict[str, dict[str, Any]] = {
    "direct": {"strategy": "direct"},
    "recursive": {"strategy": "recursive"},
    "recursive, by single steps": {"strategy": "recursive", "segment_size": 1},
}

_LOAD = """
import sys, time
import torch
wall, cpu = time.perf_counter(), time.process_time()
from throughtime import Forecaster
Forecaster.load(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def hours(series: int, n: int) -> pl.DataFrame:
    """Hourly series with a day in them."""
    rng = np.random.default_rng(0)
    stamps = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(n)]
    day = np.sin(np.arange(n) * 2 * np.pi / 24)
    y = 10 + rng.uniform(1, 3, (series, 1)) * day + 0.1 * rng.normal(size=(series, n))
    return pl.DataFrame({"unique_id": np.repeat(np.arange(series), n), "ds": stamps * series, "y": y.reshape(-1)})


def timed(jobs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a call of each: median and first decile, and the median of processor time."""
    wall: dict[str, list[float]] = {name: [] for name in jobs}
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(-(-repeats // IN_TURN)):
        for name, job in jobs.items():
            job()  # the one before was another's
            for _ in range(min(IN_TURN, repeats)):
                began, used = time.perf_counter(), time.process_time_ns()
                job()
                used, took = time.process_time_ns() - used, time.perf_counter() - began
                wall[name].append(1e3 * took)
                cpu[name].append(1e-6 * used)
    return {
        name: {
            "median_ms": float(np.median(wall[name])),
            "first_decile_ms": float(np.quantile(wall[name], 0.1)),
            "processor_ms": float(np.median(cpu[name])),
        }
        for name in jobs
    }


def loading(folder: Path, repeats: int) -> dict[str, float]:
    """Seconds from `import torch` to a loaded model, in fresh processes: medians."""
    with tempfile.TemporaryDirectory() as bytecode:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        found = [
            subprocess.run(
                [sys.executable, "-c", _LOAD, str(folder)],
                env={**clean, "PYTHONPYCACHEPREFIX": bytecode},
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            for _ in range(repeats + 1)
        ][1:]  # the first compiles
    wall, cpu = np.median(np.array(found, dtype=np.float64), axis=0)
    return {"median_s": float(wall), "processor_s": float(cpu)}


def measure(folder: Path, repeats: int, many: int) -> dict[str, Any]:
    """Every figure."""
    history, one = hours(1, 1000), hours(1, HISTORY)
    loaded = {}
    for number, (name, options) in enumerate(MODELS.items()):
        path = folder / str(number)
        Forecaster(HORIZON, input_size=HISTORY, epochs=1, **options).fit(history).save(path)
        loaded[name] = Forecaster.load(path)
    calls = timed({name: lambda model=model: model.predict(one) for name, model in loaded.items()}, repeats)
    pandas = one.to_pandas()
    calls |= timed({"direct, pandas": lambda: loaded["direct"].predict(pandas)}, repeats)
    direct = calls["direct"]
    rows = hours(many, HISTORY)
    whole = timed({"many": lambda: loaded["direct"].predict(rows)}, min(repeats, 5))["many"]
    return {
        "calls": calls,
        "direct_ms": direct["median_ms"],
        "recursive_us_a_step": {
            name: 1e3 * (call["first_decile_ms"] - direct["first_decile_ms"]) / HORIZON
            for name, call in calls.items()
            if name.startswith("recursive")
        },
        "series_at_once": many,
        "values_a_second": 1e3 * many * HORIZON / whole["median_ms"],
        "load": loading(folder / "0", max(1, min(repeats, 7))),
        "parameters": {name: model.n_parameters_ for name, model in loaded.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--repeats", type=int, default=300, help="calls of each forecaster")
    parser.add_argument("--series", type=int, default=10_000, help="series in one call")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.repeats, given.series)
    for name, call in found["calls"].items():
        print(
            f"{name:28s} {call['median_ms']:7.3f} ms median, {call['first_decile_ms']:.3f} the first decile, "
            f"{call['processor_ms']:.3f} of the processor"
        )
    step = found["recursive_us_a_step"]["recursive"]
    held = {
        "one forecast, ms": (found["direct_ms"], found["direct_ms"] <= LIMITS["direct_ms"]),
        "a step more, µs": (step, step <= LIMITS["recursive_us_a_step"]),
        "values a second": (found["values_a_second"], found["values_a_second"] >= LIMITS["values_a_second"]),
        "loading, s": (found["load"]["median_s"], found["load"]["median_s"] <= LIMITS["load_s"]),
    }
    for what, (value, met) in held.items():
        print(f"{what:28s} {value:10.4g} {'met' if met else 'MISSED'}")
    print(json.dumps(found["load"]))
    if given.out is not None:
        conditions = {
            "machine": machine.describe(),
            "versions": {"throughtime": __version__, "torch": version("torch"), "polars": version("polars")},
            "threads": 1,
            "repeats": given.repeats,
        }
        store.write(given.out, {**conditions, **found, "limits": LIMITS})


if __name__ == "__main__":
    main()
