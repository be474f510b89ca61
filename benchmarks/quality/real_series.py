"""The demo's real series: rolling-origin MASE of the three strategies beside the seasonal naive forecast.

The protocol is the demo's own (`EXAMPLES` of throughtime.cli.forecast_demo): train once on what precedes the first
origin, forecast from every origin without refitting. MASE is in units of the seasonal naive's mean absolute change
before the first origin.

    python benchmarks/quality/real_series.py --seeds 0 1 2 3 4 --out benchmarks/results/real_series.json
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from common import DEFAULT_MACHINE, surroundings, write

from throughtime import Forecaster
from throughtime.cli.forecast_demo import EXAMPLES, Example
from throughtime.data import read_series
from throughtime.datasets import load

STRATEGIES = ("recursive", "direct", "sequence")


def run(example: Example, strategy: str, seed: int, bare: bool) -> tuple[Forecaster, dict[str, Any]]:
    """Train on one series without its end, and evaluate on the end."""
    series = read_series(load(example.name))
    options = {} if bare else example.options
    model = Forecaster(example.horizon, strategy=strategy, season_length=example.season_length, seed=seed, **options)
    began = time.perf_counter()
    model.fit(series.cut(example.held_out).to_frame())
    minutes = (time.perf_counter() - began) / 60
    found = model.evaluate(series.to_frame(), n_windows=example.windows, step_size=example.step)
    if found.seen_windows:
        raise SystemExit(f"{example.name}: {found.seen_windows} windows were seen in training")
    return model, {
        "series": example.name,
        "strategy": strategy,
        "seed": seed,
        "options": options,
        "minutes": round(minutes, 3),
        "parameters": model.n_parameters_,
        "best_epoch": model.metrics_["best_epoch"],
        "metrics": found.as_dict()["metrics"],
        "mase_by_step": {name: row["MASE"].tolist() for name, row in found.by_horizon.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=[e.name for e in EXAMPLES], nargs="+", default=[e.name for e in EXAMPLES])
    parser.add_argument("--strategy", choices=STRATEGIES, nargs="+", default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--bare", action="store_true", help="the forecaster's defaults in place of the demo's options")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    rows: list[dict[str, Any]] = []
    print(
        f"{'series':10s} {'model':16s} {'MASE: median':>12s} {'least':>7s} {'most':>7s}  over {len(given.seeds)} seeds"
    )
    for example in (e for e in EXAMPLES if e.name in given.series):
        for strategy in given.strategy:
            mine = []
            for seed in given.seeds:
                model, row = run(example, strategy, seed, given.bare)
                rows.append(row)
                mine.append(row["metrics"]["throughtime"]["MASE"])
            print(
                f"{example.name:10s} {strategy:16s} {statistics.median(mine):12.3f} {min(mine):7.3f} {max(mine):7.3f}"
            )
        baselines = {name: of["MASE"] for name, of in rows[-1]["metrics"].items() if name != "throughtime"}
        for name, value in baselines.items():
            print(f"{example.name:10s} {name:16s} {value:12.3f}", flush=True)
    write(
        {
            "task": "real series",
            "protocol": {
                e.name: {"horizon": e.horizon, "season": e.season_length, "windows": e.windows, "step": e.step}
                for e in EXAMPLES
                if e.name in given.series
            },
            **surroundings(given.machine, model),
            "runs": rows,
        },
        given.out,
    )


if __name__ == "__main__":
    main()
