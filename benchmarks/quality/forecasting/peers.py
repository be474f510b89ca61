"""Other libraries under the same protocols, run by the Python of an environment that has them.

    python -m venv PEERS
    PEERS/bin/pip install -c constraints.txt torch numpy polars neuralforecast statsforecast lightgbm
    PEERS/bin/python -m benchmarks.quality.forecasting.peers --data DIR --peer autoets --set hospital --out peers.jsonl

Every peer gets what training may see, and its library's defaults; what had to be chosen is in each docstring and in the
row that is written.

Axes in names: S series, N windows, K steps of the horizon, P lags.
"""

import argparse
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.forecasting import records, sets
from benchmarks.quality.forecasting.panels import data_folder
from benchmarks.quality.forecasting.task import Task, made_small

Array = NDArray[np.float64]
Forecast = Callable[[int, int], Array]  # the block (first, count) to (N, K)

FREQUENCIES = {"monthly": "1mo", "daily": "1d", "hourly": "1h", "15 minutes": "15m"}


def lags_of(task: Task) -> int:
    """P: three horizons or two seasons and a step, whichever is more; the same for every peer that reads lags."""
    return max(3 * task.horizon, 2 * task.season + 1)


def lagged(pasts: list[Array], P: int) -> Array:
    """The last P values, (N, P), oldest first; a shorter past repeats its first value."""
    found: Array = np.array([np.r_[np.full(max(P - len(past), 0), past[0]), past[-P:]] for past in pasts])
    return found


def scaled(lags_NP: Array) -> tuple[Array, Array, Array]:
    """Lags minus their mean over their deviation, and both, (N, 1)."""
    level_N1, scale_N1 = lags_NP.mean(1, keepdims=True), lags_NP.std(1, keepdims=True)
    scale_N1 = np.where(scale_N1 > 1e-9, scale_N1, 1.0)
    return (lags_NP - level_N1) / scale_N1, level_N1, scale_N1


def training_rows(task: Task, P: int, K: int, most: int = 60_000) -> tuple[Array, Array]:
    """Scaled lags (N, P) and the K scaled values after them, from all series alike; some where too many."""
    ends = [(values[:end], end) for values, end in zip(task.panel.values, task.train_ends, strict=True)]
    first = min(P, max(2, min(end for _, end in ends) - K))
    origins = [(past, origin) for past, end in ends for origin in range(first, end - K + 1)]
    origins = origins[:: -(-len(origins) // most)]
    x_NP, level_N1, scale_N1 = scaled(lagged([past[:origin] for past, origin in origins], P))
    y_NK = np.array([past[origin : origin + K] for past, origin in origins])
    return x_NP, (y_NK - level_N1) / scale_N1


def linear(task: Task, seed: int) -> tuple[Forecast, str]:
    """All K steps as ridge regressions on P lags, scaled by window; one fit for all series."""
    P, K = lags_of(task), task.horizon
    x_NP, y_NK = training_rows(task, P, K)
    x_NP = np.c_[x_NP, np.ones(len(x_NP))]
    weight = np.linalg.solve(x_NP.T @ x_NP + 1e-3 * len(x_NP) * np.eye(P + 1), x_NP.T @ y_NK)

    def forecast(first: int, count: int) -> Array:
        lags_NP, level_N1, scale_N1 = scaled(lagged(task.pasts(first, count), P))
        found: Array = np.c_[lags_NP, np.ones(len(lags_NP))] @ weight * scale_N1 + level_N1
        return found

    return forecast, f"direct ridge, penalty 0.001 a row, {P} lags scaled by window"


def lightgbm(task: Task, seed: int) -> tuple[Forecast, str]:
    """LGBMRegressor with its defaults on P lags scaled by window, one step ahead, fed back; one fit for all series."""
    from lightgbm import LGBMRegressor

    P = lags_of(task)
    x_NP, y_N1 = training_rows(task, P, 1)
    model = LGBMRegressor(random_state=seed, n_jobs=1, verbose=-1).fit(x_NP, y_N1[:, 0])

    def forecast(first: int, count: int) -> Array:
        lags_NP = lagged(task.pasts(first, count), P)
        for _ in range(task.horizon):
            x_NP, level_N1, scale_N1 = scaled(lags_NP[:, -P:])
            next_N1 = model.predict(x_NP)[:, None] * scale_N1 + level_N1
            lags_NP = np.c_[lags_NP, next_N1]
        return lags_NP[:, -task.horizon :]

    return forecast, f"LGBMRegressor, defaults, {P} lags scaled by window, fed back"


def autoets(task: Task, seed: int) -> tuple[Forecast, str]:
    """statsforecast's AutoETS with the season's length, fitted on each past."""
    from statsforecast.models import AutoETS

    if task.n_windows > 1:
        raise SystemExit(f"autoets: {task.name} has {task.n_windows} origins a series, each a fit; not run")

    def forecast(first: int, count: int) -> Array:
        made = [
            AutoETS(season_length=task.season).forecast(y=past.copy(), h=task.horizon)["mean"]
            for past in task.pasts(first, count)
        ]
        return np.array(made)

    return forecast, f"AutoETS(season_length={task.season})"


def neural(name: str, **options: Any) -> Callable[[Task, int], tuple[Forecast, str]]:
    """A model of NeuralForecast: input_size 3 horizons (the LSTM's default), robust scaling (the LSTM's default).

    Where a protocol has validation rows they are given; the defaults use them for nothing but a log.
    """

    def make(task: Task, seed: int) -> tuple[Forecast, str]:
        from neuralforecast import NeuralForecast, models

        K = task.horizon
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "accelerator": "cpu"}
        chosen = {"input_size": 3 * K, "scaler_type": "robust", **options}
        model = getattr(models, name)(h=K, random_seed=seed, start_padding_enabled=True, **chosen, **quiet)
        library = NeuralForecast(models=[model], freq=FREQUENCIES[task.panel.step])
        said = f"{name}({', '.join(f'{k}={v!r}' for k, v in chosen.items())}), max_steps {model.max_steps}"
        if task.n_windows == 1:
            library.fit(task.train_frame())
            made = library.predict()
        else:
            kept = task.validation_ends if task.validation_ends is not None else task.train_ends
            held = {int(end - start) for start, end in zip(task.train_ends, kept, strict=True)}
            test = K + (task.n_windows - 1) * task.step
            whole = task.panel.frame(0, (task.first_origins + test).tolist())
            made = library.cross_validation(
                whole, n_windows=None, val_size=held.pop(), test_size=test, step_size=task.step
            )
        made_of = {
            series[0]: part.sort([c for c in ("cutoff", "ds") if c in part.columns])[name].to_numpy()
            for series, part in made.partition_by("unique_id", as_dict=True).items()
        }
        whole_SNK = np.array([made_of[i].reshape(task.n_windows, K) for i in task.panel.ids], dtype=np.float64)
        return lambda first, count: whole_SNK[:, first : first + count].reshape(-1, K), said

    return make


PEERS: dict[str, Callable[[Task, int], tuple[Forecast, str]]] = {
    "linear": linear,
    "lightgbm": lightgbm,
    "autoets": autoets,
    "nhits": neural("NHITS"),
    "lstm": neural("LSTM"),
}
PACKAGES = ("numpy", "polars", "torch", "lightgbm", "statsforecast", "neuralforecast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer", choices=PEERS, nargs="+", required=True)
    parser.add_argument("--set", choices=sets.SETS, nargs="+", required=True)
    parser.add_argument("--horizon", type=int, help="for sets with several; default: the shortest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON lines; a run that they hold is not made again")
    parser.add_argument("--results", type=Path, help="a results file that the runs are gathered in")
    parser.add_argument("--quick", action="store_true", help="a few series, which proves nothing")
    given = parser.parse_args()
    folder = data_folder(given.data)
    if folder is None:
        raise SystemExit("peers: expected a folder of data sets, got none; pass --data DIR")
    warnings.filterwarnings("ignore", module="sklearn")
    for library in ("pytorch_lightning", "lightning", "lightning_fabric", "lightning.pytorch", "neuralforecast"):
        logging.getLogger(library).setLevel(logging.ERROR)
    done = records.read(given.out)
    for peer in given.peer:
        for name in given.set:
            task = sets.load(name, folder, given.horizon if len(sets.SETS[name]) > 1 else None)
            if given.quick:
                task = made_small(task)
            if (task.name, task.horizon, peer, given.seed) in map(records.key, done):
                continue
            clock = records.Clock()
            forecast, options = PEERS[peer](task, given.seed)
            found = task.score(forecast)
            run = records.row(
                task, peer, given.seed, found, **clock.minutes(), options=options,
                versions=records.versions(*PACKAGES), quick=given.quick,
            )  # fmt: skip
            done.append(run)
            records.append(run, given.out)
            print(records.table([run]), flush=True)
    if not given.quick:
        records.gather(done, given.results)


if __name__ == "__main__":
    main()
