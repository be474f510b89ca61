"""Waves (Géron, Hands-On Machine Learning, 2nd edition, chapter 15): 50 steps in, 10 out, one 60-point grid.

Trains Forecaster(horizon=10, strategy=..., seed=...) with nothing else said on 7000 series, with 2000 to validate on,
and gives the mean squared error over the ten steps on 1000 series that training never saw. A run that --out holds, made
with the same settings, is not made again.

    python benchmarks/quality/waves.py --seeds 0 1 2 3 4 --out benchmarks/results/waves.json
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import DEFAULT_MACHINE, measured_before, surroundings, write

from throughtime import Forecaster
from throughtime.datasets import waves_splits
from throughtime.training import Callback, EpochRecord

STRATEGIES = ("recursive", "direct", "sequence")
HORIZON = 10
TARGET, STRETCH = 0.0014, 0.0011  # asked of every strategy on the test split, the mean of five seeds
MINUTES = 3.0  # asked of every run on two cores

# MSE over the ten steps on the validation split: the book's, at the last epoch unless said.
PUBLISHED = {
    "naive": 0.257,  # the book prints 0.223, which leaks the target; this is what its own code should give
    "linear, converged": 0.0155,
    "recursive (20 SimpleRNN x 2)": 0.0275,
    "direct (20 SimpleRNN x 2)": 0.0085,
    "direct, best epoch": 0.0083,
    "sequence (20 SimpleRNN x 2)": 0.0096,
    "sequence, best epoch": 0.0058,
    "sequence, LSTM": 0.0085,
    "sequence, GRU": 0.0103,
    "WaveNet": 0.0072,
}
COMPUTED = {
    "ridge on random features": 0.0051,
    "a plain 2 x 64 torch LSTM": 0.0013,
    "Bayes-optimal": 0.00094,
    "noise floor": 0.00083,
}


class Progress(Callback):
    """A line every few epochs."""

    def on_epoch(self, record: EpochRecord) -> None:
        if record.epoch % 5 == 0 or record.epoch == 1:
            print(f"  epoch {record.epoch:3d}  validation MSE {record.validation_loss:.5f} (scaled)", flush=True)


def frame(waves: np.ndarray, first_id: int) -> pl.DataFrame:
    """A split in long format; every series of every split has an id of its own."""
    n, steps = waves.shape
    return pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(first_id, first_id + n), steps),
            "ds": np.tile(np.arange(steps), n),
            "y": waves.ravel().astype(np.float64),
        }
    )


def splits(data_seed: int, sizes: list[int] | None) -> dict[str, pl.DataFrame]:
    """Training, validation and test frames; `sizes` cuts each for a quick look."""
    whole = waves_splits(data_seed)
    chosen = [part[:size] for part, size in zip(whole, sizes or map(len, whole), strict=True)]
    return {name: frame(part, 10_000 * i) for i, (name, part) in enumerate(zip(whole._fields, chosen, strict=True))}


def run(
    strategy: str, seed: int, data: dict[str, pl.DataFrame], options: dict[str, Any]
) -> tuple[Forecaster, dict[str, Any]]:
    """Train one forecaster and measure it on validation and test."""
    model = Forecaster(horizon=HORIZON, strategy=strategy, seed=seed, **options)
    print(f"{model!r}", flush=True)
    began, used = time.perf_counter(), sum(os.times()[:4])
    model.fit(data["train"], data["validation"], callbacks=[Progress()])
    minutes = (time.perf_counter() - began) / 60
    found = {split: model.evaluate(data[split]) for split in ("validation", "test")}
    row = {
        "strategy": strategy,
        "seed": seed,
        "options": options,
        "minutes": round(minutes, 2),
        "cpu_minutes": round((sum(os.times()[:4]) - used) / 60, 2),
        "parameters": model.n_parameters_,
        "choices": model.summary().splitlines(),
        "epochs": model.metrics_["epochs"],
        "best_epoch": model.metrics_["best_epoch"],
        "mse": {split: f.metrics["throughtime"]["MSE"] for split, f in found.items()},
        "mse_by_step": {split: f.by_horizon["throughtime"]["MSE"].tolist() for split, f in found.items()},
        "baselines": {
            name: {split: f.metrics[name]["MSE"] for split, f in found.items()} for name in ("naive", "linear")
        },
    }
    mse = row["mse"]
    print(f"  MSE validation {mse['validation']:.5f}, test {mse['test']:.5f}; {minutes:.1f} minutes", flush=True)
    return model, row


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures beside the published ones."""
    print(f"\n{'MSE over ten steps':36s} {'validation':>10s} {'test':>8s} {'minutes':>8s}")
    for name in ("naive", "linear"):
        of = rows[0]["baselines"][name]
        print(f"{name:36s} {of['validation']:10.4f} {of['test']:8.4f}")
    for row in rows:
        label = f"throughtime {row['strategy']}, seed {row['seed']}"
        print(f"{label:36s} {row['mse']['validation']:10.5f} {row['mse']['test']:8.5f} {row['minutes']:8.1f}")
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == strategy]
        mean = float(np.mean([row["mse"]["test"] for row in mine]))
        slowest = max(row["minutes"] for row in mine)
        verdict = "met" if mean <= TARGET else "MISSED"
        print(
            f"{strategy}, mean of {len(mine)} seeds: test {mean:.5f} (at most {TARGET}: {verdict}; stretch {STRETCH})"
        )
        print(f"{'':4s}at most {slowest:.1f} minutes (asked: {MINUTES:.0f}, on two cores without other work)")
    for name, value in PUBLISHED.items():
        print(f"{'published: ' + name:36s} {value:10.4f}")
    for name, value in COMPUTED.items():
        print(f"{'computed: ' + name:36s} {value:10.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", choices=STRATEGIES, nargs="+", default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data-seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs=3, metavar=("TRAIN", "VALIDATION", "TEST"), help="fewer series")
    parser.add_argument("--epochs", type=int, help="default: the forecaster's own")
    parser.add_argument("--cell", help="default: the forecaster's own")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    options = {name: getattr(given, name) for name in ("epochs", "cell") if getattr(given, name) is not None}
    data = splits(given.data_seed, given.sizes)
    content: dict[str, Any] = {
        "task": "waves",
        "data": {
            "generator": "throughtime.datasets.waves_splits",
            "seed": given.data_seed,
            "series": {name: part["unique_id"].n_unique() for name, part in data.items()},
            "steps_out": HORIZON,
        },
        "target": {"test MSE at most": TARGET, "stretch": STRETCH, "minutes at most": MINUTES},
        "published_validation_mse": PUBLISHED,
        "computed_mse": COMPUTED,
    }
    rows = measured_before(content, given.out)
    for strategy in given.strategy:
        for seed in given.seeds:
            if any((row["strategy"], row["seed"], row["options"]) == (strategy, seed, options) for row in rows):
                continue
            model, row = run(strategy, seed, data, options)
            rows.append({**row, **surroundings(given.machine, model)})
            write({**content, "runs": rows}, given.out)  # an interrupted benchmark keeps what it measured
    print_table(rows)


if __name__ == "__main__":
    main()
