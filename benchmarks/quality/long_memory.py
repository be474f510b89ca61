"""The adding problem over 400 steps: two marked numbers among 400, their sum asked for at the end.

An RNN, a GRU and an LSTM of 64 units with a linear head, trained alike: Adam, 32 fresh sequences a step, clipped at a
norm of 1. A run ends when the mean squared error of the last 100 steps is below 0.0005, or after 3000 steps; the figure
is the error on 2000 sequences of another seed. Always answering 1 is at 1/6 = 0.167: what is there after 3000 steps has
learnt nothing but the mean. Solved is below 0.00167, a hundredth of that.

"long": the gates begin open to the past, with time constants drawn up to the length of the sequence (chrono
initialisation). "plain": torch's own initial values, which forget a half at every step. An RNN has no gate to open; it
is given three learning rates instead.

    python benchmarks/quality/long_memory.py --out benchmarks/results/long_memory.json
"""

import argparse
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from common import DEFAULT_MACHINE, Enough, measured_before, open_to_the_past, surroundings, write
from torch import Tensor, nn

from throughtime.datasets import ADDING_BASELINE, adding
from throughtime.models import ManyToOne
from throughtime.nn.layers import LAYERS
from throughtime.report.style import BASELINE, COLOURS, INK, QUIET_INK, dress, new_figure, save
from throughtime.training import Callback, StepRecord, TensorSource, TrainingConfig, mean_loss, train

STEPS = 400
HIDDEN = 64
BATCH = 32
MOST_STEPS = 3000
WINDOW = 100
ENOUGH = 0.0005  # mean training error at which a run ends
SOLVED = ADDING_BASELINE / 100
TEST_SEED = 2**40  # beyond every training sequence's own seed

# Bai, Kolter and Koltun (2018), table 1: mean squared error at T = 600 with about 70 000 parameters each.
PUBLISHED = {"RNN, T = 600": 0.177, "LSTM, T = 600": 0.164, "GRU, T = 600": 5.3e-5}


class Case(NamedTuple):
    """One way to train one layer."""

    cell: str
    start: str
    learning_rate: float

    @property
    def label(self) -> str:
        return f"{self.cell.upper()}, {self.start}, rate {self.learning_rate:g}"


CASES = (
    Case("rnn", "plain", 0.005),
    Case("rnn", "plain", 0.001),
    Case("rnn", "plain", 0.0002),
    Case("gru", "plain", 0.005),
    Case("gru", "long", 0.005),
    Case("lstm", "plain", 0.005),
    Case("lstm", "long", 0.005),
)


class DrawnWhenAsked:
    """Sequences that nobody has seen: example i is `adding` with a seed of its own, drawn when it is asked for."""

    def __init__(self, examples: int, seed: int) -> None:
        self.examples = examples
        self.first_seed = seed * examples

    def __len__(self) -> int:
        return self.examples

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        drawn = [adding(1, STEPS, self.first_seed + index) for index in indices.tolist()]
        return tuple(torch.cat([torch.from_numpy(part) for part in parts]) for parts in zip(*drawn, strict=True))


class Curve(Callback):
    """The mean training error of every window of steps; on fresh sequences, so no error of memorising."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self.window: list[float] = []

    def on_step(self, record: StepRecord) -> None:
        self.window.append(record.loss)
        if record.global_step % WINDOW == 0:
            self.points.append((record.global_step, statistics.fmean(self.window)))
            self.window = []
            if self.points[-1][1] < ENOUGH:
                raise Enough


def build(case: Case) -> ManyToOne:
    """The model, drawn from torch's current random state."""
    layer = LAYERS[case.cell](2, HIDDEN)
    if case.start == "long":
        open_to_the_past(layer, STEPS)
    return ManyToOne(layer, nn.Linear(HIDDEN, 1))


def mean_squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x_BTI, y_B1 = batch
    return nn.functional.mse_loss(model(x_BTI.transpose(0, 1)), y_B1)


def run(case: Case, seed: int, test: TensorSource) -> dict[str, Any]:
    """Train one model until it is enough, and measure it on sequences of another seed."""
    torch.manual_seed(seed)
    model, curve = build(case), Curve()
    config = TrainingConfig(epochs=1, batch_size=BATCH, learning_rate=case.learning_rate, clip_norm=1.0, seed=seed)
    began = time.perf_counter()
    with suppress(Enough):
        train(model, mean_squared_error, DrawnWhenAsked(MOST_STEPS * BATCH, seed), config=config, callbacks=[curve])
    minutes = (time.perf_counter() - began) / 60
    error = mean_loss(model, mean_squared_error, test, batch_size=100)
    row = {
        **case._asdict(),
        "seed": seed,
        "steps": curve.points[-1][0],
        "minutes": round(minutes, 2),
        "test_mse": error,
        "solved": error < SOLVED,
        "curve": curve.points,
    }
    print(f"{case.label:24s} seed {seed}: {error:.5f} after {row['steps']} steps, {minutes:.1f} minutes", flush=True)
    return row


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'adding, T = 400':26s} {'test MSE: median':>16s} {'least':>8s} {'most':>8s}  solved   steps (median)")
    for case in CASES:
        mine = [row for row in rows if case == Case(row["cell"], row["start"], row["learning_rate"])]
        if mine:
            errors, solved = [row["test_mse"] for row in mine], sum(row["solved"] for row in mine)
            steps = statistics.median(row["steps"] for row in mine)
            print(
                f"{case.label:26s} {statistics.median(errors):16.5f} {min(errors):8.5f} {max(errors):8.5f}  "
                f"{solved} of {len(mine)}   {steps:g}"
            )
    print(f"{'always 1':26s} {ADDING_BASELINE:16.5f}")
    for name, error in PUBLISHED.items():
        print(f"{'published: ' + name:26s} {error:16.5f}")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The training error over the steps, a line a run."""
    figure = new_figure(8.0, 4.2)
    axes = figure.subplots()
    colours = dict(zip(("rnn", "gru", "lstm"), (colour for colour, _ in COLOURS), strict=False))
    named = set()
    for row in rows:
        label = row["cell"].upper() + (", gates begin open" if row["start"] == "long" else "")
        steps, errors = zip(*row["curve"], strict=True)
        axes.plot(
            steps, errors, color=colours[row["cell"]], linestyle="-" if row["start"] == "long" else (0, (4, 2)),
            linewidth=1.5, alpha=0.85, label="_" if label in named else label,
        )  # fmt: skip
        named.add(label)
    axes.axhline(ADDING_BASELINE, color=BASELINE, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate("always 1: 0.167", (MOST_STEPS, ADDING_BASELINE), xytext=(0, 5), textcoords="offset points",
                  ha="right", fontsize=8.5, color=QUIET_INK)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(top=0.5)
    dress(axes)
    axes.set_xlabel(f"steps of {BATCH} fresh sequences", fontsize=9, color=QUIET_INK)
    axes.set_ylabel("mean squared error", fontsize=9, color=QUIET_INK)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")
    figure.suptitle(f"The adding problem over {STEPS} steps", x=0.01, ha="left", fontsize=12, fontweight="bold")
    print(f"drawn in {save(figure, path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cell", choices=("rnn", "gru", "lstm"), nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; what it holds of these settings is not measured again")
    given = parser.parse_args()

    test = TensorSource(*map(torch.from_numpy, adding(2000, STEPS, TEST_SEED)))
    content = {
        "task": "adding",
        "data": {"generator": "throughtime.datasets.adding", "steps": STEPS, "test_seed": TEST_SEED, "test": len(test)},
        **surroundings(given.machine, build(CASES[0]).recurrent),
        "training": {"hidden": HIDDEN, "batch": BATCH, "steps_at_most": MOST_STEPS, "ends_below": ENOUGH},
        "baseline_mse": ADDING_BASELINE,
        "solved_below": SOLVED,
        "published_mse": PUBLISHED,
    }
    rows = measured_before(content, given.out)
    done = {(Case(row["cell"], row["start"], row["learning_rate"]), row["seed"]) for row in rows}
    for seed in given.seeds:
        for case in CASES:
            if case.cell in given.cell and (case, seed) not in done:
                rows.append(run(case, seed, test))
                write({**content, "runs": rows}, given.out)  # an interrupted benchmark keeps what it measured
    print_table(rows)
    if given.out is not None:
        draw(rows, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
