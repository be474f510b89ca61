"""What watching gradients costs: training steps with no watch, `GradientHealth` every 20 steps, and every step.

A step is forward, backward, clipping and Adam of an LSTM with a linear head, one thread. The three take turns, a block
of 100 steps each, so that all see the same machine; a figure is the median over the blocks of time per step,
the report at the end of each block counted.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.health_overhead --out benchmarks/results/health_overhead.json
"""

import argparse
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from benchmarks.speed import machine, store
from throughtime import __version__
from throughtime.models import ManyToOne
from throughtime.nn import LSTM
from throughtime.training import GradientHealth, TensorSource, TrainingConfig, train

SHAPES = ((50, 32, 20, 20), (100, 32, 64, 64))  # T, B, I, H
BLOCK = 100


def seconds(shape: tuple[int, int, int, int], every: int | None) -> float:
    """The CPU time of BLOCK steps, which other processes disturb less than the wall clock."""
    T, B, I, H = shape
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ManyToOne(LSTM(I, H, batch_first=True), nn.Linear(H, 1))
    data = TensorSource(torch.randn(B, T, I), torch.randn(B, 1))
    config = TrainingConfig(epochs=BLOCK, batch_size=B)
    health = [] if every is None else [GradientHealth(every)]
    began = time.process_time()
    train(model, lambda m, batch: nn.functional.mse_loss(m(batch[0]), batch[1]), data, config=config, callbacks=health)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    rows = {}
    for shape in SHAPES:
        found: dict[int | None, list[float]] = {None: [], 20: [], 1: []}
        for _ in range(given.blocks):
            for every, times in found.items():
                times.append(seconds(shape, every) / BLOCK * 1e3)
        off, seldom, always = (statistics.median(times) for times in found.values())
        name = f"T{shape[0]} B{shape[1]} I{shape[2]} H{shape[3]}"
        rows[name] = {"ms a step": off, "every 20 steps": seldom / off - 1, "every step": always / off - 1}
        print(
            f"{name}: off {off:.3f} ms a step, every 20 {seldom:.3f} ({seldom / off - 1:+.1%}), every step "
            f"{always:.3f} ({always / off - 1:+.1%})"
        )
    if given.out is not None:
        about = {
            "machine": machine.describe(),
            "versions": {"throughtime": __version__, "torch": version("torch")},
            "figures": "processor time of a training step, one thread; the shares are what watching adds",
            "blocks": given.blocks,
        }
        store.write(given.out, {**about, "rows": rows})


if __name__ == "__main__":
    main()
