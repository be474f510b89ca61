"""What `train` costs a step beside the bare torch loop: same model, same batches, fused Adam, one thread.

    python -m benchmarks.speed.loop_overhead --out benchmarks/results/loop_overhead.json

The model is tiny, since the cost does not depend on it. The loops take turns, epoch by epoch, in one process. A figure
is the first decile of the times of single steps: what else runs on the machine makes steps slower, not faster.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed import machine, store
from throughtime import __version__
from throughtime.training import Callback, RunFolder, StepRecord, TensorSource, TrainingConfig, train

LIMIT_US = 100.0
B, T, H = 8, 4, 8

JOBS: dict[str, tuple[dict[str, Any], bool]] = {  # options of the loop, and whether it has a folder
    "default": ({}, False),
    "clipping bites": ({"clip_norm": 1e-3}, False),
    "log, no checkpoint due": ({"clip_norm": 1e-3}, True),
    "average of the weights": ({"ema": 0.99}, False),
    "skip": ({"on_nonfinite": "skip"}, False),
    "rollback": ({"on_nonfinite": "rollback"}, False),
}


class Last(nn.Module):
    """torch's LSTM, so that both loops run nothing else of ours, and a line through its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, H)
        self.head = nn.Linear(H, 1)

    def forward(self, x_BTI: Tensor) -> Tensor:
        found: Tensor = self.head(self.lstm(x_BTI.transpose(0, 1))[0][-1])
        return found


def squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


class Ends(Callback):
    """The time at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step(self, record: StepRecord) -> None:
        self.times.append(time.perf_counter())


def bare(data: TensorSource) -> list[float]:
    """Order, batch, loss, backward, fused Adam; nothing else."""
    torch.manual_seed(0)
    model = Last()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    ends = []
    for indices in torch.randperm(len(data)).split(B):
        optimizer.zero_grad()
        squared_error(model, data.batch(indices)).backward()
        optimizer.step()
        ends.append(time.perf_counter())
    return ends


def ours(data: TensorSource, options: dict[str, Any], with_folder: bool) -> list[float]:
    """The loop with a callback; a folder has a log and no checkpoint that comes due."""
    torch.manual_seed(0)
    ends, folder = Ends(), Path(tempfile.mkdtemp())
    run = RunFolder(path=folder / "run", every_minutes=None, every_steps=10**9) if with_folder else None
    try:
        config = TrainingConfig(epochs=1, batch_size=B, **options)
        train(Last(), squared_error, data, config=config, callbacks=[ends], run=run)
    finally:
        shutil.rmtree(folder)
    return ends.times


def quick_step(epochs: list[list[float]]) -> float:
    """The first decile over all steps, in µs."""
    steps = torch.cat([torch.tensor(ends, dtype=torch.float64).diff() for ends in epochs])
    return steps.quantile(0.1).item() * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--rounds", type=int, default=40, help="epochs of each loop")
    parser.add_argument("--steps", type=int, default=50, help="in an epoch")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = TensorSource(torch.randn(B * given.steps, T, 1), torch.randn(B * given.steps, 1))
    jobs: dict[str, Callable[[], list[float]]] = {"bare": lambda: bare(data)}
    for name, (options, with_folder) in JOBS.items():
        jobs[name] = lambda options=options, with_folder=with_folder: ours(data, options, with_folder)
    epochs: dict[str, list[list[float]]] = {name: [] for name in jobs}
    for turn in range(given.rounds + 1):
        for name, job in jobs.items():
            found = job()
            if turn:
                epochs[name].append(found)
    steps = {name: quick_step(found) for name, found in epochs.items()}
    extra = {name: step - steps["bare"] for name, step in steps.items() if name != "bare"}
    print(f"bare {steps['bare']:.0f} µs a step; more than that, of at most {LIMIT_US:.0f}:")
    for name, value in extra.items():
        print(f"  {name:24s} {value:6.0f} µs{'' if value <= LIMIT_US else '  too much'}")
    if given.out is not None:
        store.write(
            given.out,
            {
                "machine": machine.describe(),
                "versions": {"throughtime": __version__, "torch": version("torch")},
                "threads": 1,
                "rounds": given.rounds,
                "steps": given.steps,
                "bare_us": steps["bare"],
                "more_us": extra,
                "limit_us": LIMIT_US,
            },
        )


if __name__ == "__main__":
    main()
