"""`python -m benchmarks.speed`: measure what is not in the results yet, print a table, draw the ratios."""

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.speed import machine, memory, plot, race, store, table
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.job import Unavailable

RESULTS = Path(__file__).parents[1] / "results" / "speed.json"
SGEMM = Case("sgemm", "sgemm", "rnn", 1, 1, 1, 1536)


def main(words: list[str] | None = None) -> int:
    options = _parser().parse_args(words)
    cases = [case for case in CASES if re.search(options.only, case.name)]
    if options.list:
        print(*(f"{case.name}  {'; '.join(f'{t.figure} {t}' for t in case.targets)}" for case in cases), sep="\n")
        return 0
    pythons = dict(given.split("=", 1) for given in options.peer)
    results = store.read(options.out)
    conditions = {"threads": options.threads, "seed": options.seed}
    wanted = [
        case for case in cases if options.again or not store.same_conditions(results["rows"].get(case.name), conditions)
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    field = race.Field(options.threads, pythons)
    try:
        if wanted:
            results |= _conditions(options, field)
            print(table.header(results), flush=True)
        for case in wanted:
            row = _measure(case, field, options, results["peak"]["GFLOP/s"])
            if row is None:
                continue
            results["rows"][case.name] = {**row, "conditions": conditions}
            results["versions"] |= field.versions()
            store.write(options.out, results)
            print(table.line(case.name, row), flush=True)
    finally:
        field.close()
    if not wanted:
        print(table.header(results))
        for case in cases:
            print(table.line(case.name, results["rows"][case.name]))
    print(table.tally(results["rows"].values()))
    if results["rows"]:
        plot.draw(results, options.out.with_suffix(".png"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name it is found in")
    parser.add_argument("--list", action="store_true", help="print the cases and what they must show, and stop")
    parser.add_argument("--again", action="store_true", help="measure what is in the results, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each case, at least")
    parser.add_argument("--attempts", type=int, default=2, help="for a case whose row is void")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="LIBRARY=PYTHON",
        help="the interpreter that has onnxruntime, keras-jax or torchrecurrent; else this one",
    )
    return parser


def _conditions(options: argparse.Namespace, field: race.Field) -> dict[str, Any]:
    """What stands at the head of the results. The command is the one that another machine would run: no paths."""
    gflops, how = machine.fma_peak(options.threads)
    versions = {**machine.python_version(), **field.worker("throughtime").versions, **field.worker("torch").versions}
    return {
        "command": f"python -m benchmarks.speed --threads {options.threads} --seed {options.seed}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "threads": options.threads,
        "seed": options.seed,
        "versions": versions,
        "peak": {
            "GFLOP/s": gflops,
            "how": how,
            "sgemm GFLOP/s": 2e-9 * SGEMM.H**3 / race.seconds_of(SGEMM, field, "torch"),
            "sgemm size": SGEMM.H,
        },
    }


def _measure(case: Case, field: race.Field, options: argparse.Namespace, peak: float) -> dict[str, Any] | None:
    """The row of a case: the first attempt that is not void, or else the last."""
    row = None
    for _ in range(max(options.attempts, 1)):
        try:
            if case.mode == "memory":
                row = memory.run(case, threads=options.threads, seed=options.seed)
            else:
                if case.mode == "epoch":  # its first call counts: processes that have done nothing yet
                    field.close()
                row = race.run(case, field, seed=options.seed, seconds=options.seconds, peak_gflops=peak)
        except Unavailable as error:
            print(f"{case.name}: not measured: {error}", flush=True)
            return None
        if not row["void"]:
            break
    return row


if __name__ == "__main__":
    sys.exit(main())
