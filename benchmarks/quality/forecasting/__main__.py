"""Train the bare Forecaster on public data sets and set its figures beside the published ones.

    python -m benchmarks.quality.forecasting --data DIR --set hospital --seed 0 --out runs.jsonl
    python -m benchmarks.quality.forecasting --data DIR --set etth1 --horizon 720 --seed 0 1 2 --out runs.jsonl
    python -m benchmarks.quality.forecasting --data DIR --set hospital --quick

A run that --out holds is not made again: an interrupted benchmark goes on where it was.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.quality.forecasting import ours, records, sets
from benchmarks.quality.forecasting.panels import data_folder
from benchmarks.quality.forecasting.task import made_small

METHOD = "throughtime"
PACKAGES = ("throughtime", "torch", "numpy", "polars")


def options_from(words: list[str]) -> dict[str, Any]:
    """name=value words as options: JSON where a value reads as JSON (5, 0.1, true, null), else text."""

    def value(text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    return {name: value(text) for name, _, text in (word.partition("=") for word in words)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.forecasting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="default: $THROUGHTIME_DATA, or ../shared/data")
    parser.add_argument("--set", choices=sets.SETS, nargs="+", required=True)
    parser.add_argument("--horizon", type=int, nargs="+", help="for sets with several; default: the shortest")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--minutes", type=float, default=45.0, help="training ends after so many; default: 45")
    parser.add_argument("--out", type=Path, help="JSON lines; a run that they hold is not made again")
    parser.add_argument("--results", type=Path, help="a results file that the runs are gathered in")
    parser.add_argument("--quick", action="store_true", help="a few series and seconds, which prove nothing")
    parser.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="of the Forecaster: no bare run")
    given = parser.parse_args()
    folder = data_folder(given.data)
    if folder is None:
        raise SystemExit("forecasting: expected a folder of data sets, got none; pass --data DIR")
    options = options_from(given.option)
    method = METHOD if not options else f"{METHOD} " + " ".join(given.option)
    runs = records.read(given.out)
    for name in given.set:
        for horizon in (given.horizon if len(sets.SETS[name]) > 1 else None) or [None]:
            task = sets.load(name, folder, horizon)
            if given.quick:
                task = made_small(task)
            for seed in given.seed:
                if (task.name, task.horizon, method, seed) in map(records.key, runs):
                    print(f"{task.name}-{task.horizon}, seed {seed}: {given.out} holds it")
                    continue
                found, more = ours.run(task, seed, options, 5.0 if given.quick else 60 * given.minutes)
                run = records.row(
                    task, method, seed, found, **more, versions=records.versions(*PACKAGES), quick=given.quick
                )
                runs.append(run)
                records.append(run, given.out)
                print(records.table([run]), flush=True)
                print("\n".join(run["choices"]), flush=True)
    if not given.quick:
        records.gather(runs, given.results)


if __name__ == "__main__":
    main()
