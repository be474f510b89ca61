"""The main job in small: train on a shipped series, predict, evaluate, and bad input: `short_run.py THROUGHTIME`.

Checks exit statuses and what was written; ends non-zero with one line at the first thing that is wrong.
"""

import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HORIZON = 12


def main(throughtime: str) -> None:
    from throughtime import datasets

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        datasets.load("co2").write_csv(folder / "co2.csv")

        def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
            print("$ throughtime", *arguments, flush=True)
            done = subprocess.run([throughtime, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
            if done.returncode != status:
                sys.exit(f"expected exit status {status}, got {done.returncode}:\n{done.stdout}{done.stderr}")
            return done

        run("train", "forecast", "co2.csv", "--horizon", str(HORIZON), "--epochs", "3", "--out", "model")
        files = {path.name for path in (folder / "model").iterdir()}
        check(files == {"model.json", "model.safetensors"}, f"the model folder holds {files}")

        run("predict", "model", "--out", "forecast.csv")
        with (folder / "forecast.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        check(len(rows) == HORIZON, f"{len(rows)} rows of forecast, expected {HORIZON}")
        check(all(math.isfinite(float(row["forecast"])) for row in rows), "a forecast is not finite")

        report = json.loads(run("evaluate", "model", "co2.csv", "--json").stdout)
        check({"throughtime", "naive", "linear"} <= set(report["metrics"]), f"evaluated {list(report['metrics'])}")
        check(all(math.isfinite(v) for m in report["metrics"].values() for v in m.values()), "a metric is not finite")

        refused = run("train", "forecast", "missing.csv", "--horizon", "12", "--out", "no", status=2)
        check(len(refused.stderr.strip().splitlines()) == 1, f"expected one line, got:\n{refused.stderr}")
        check("missing.csv" in refused.stderr and not (folder / "no").exists(), "bad input was not refused cleanly")
    print(f"the main job: {time.monotonic() - started:.0f} s, {HORIZON} forecasts, all as expected")


def check(holds: bool, message: str) -> None:
    if not holds:
        sys.exit(f"short run: {message}")


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).absolute()))
