"""What watching gradients costs: training steps with no watch, `GradientHealth` every 20 steps, and every step.

A step is forward, backward, clipping and Adam of an LSTM with a linear head, one thread. The three take turns, a block
of 100 steps each, so that all see the same machine; a figure is the median over the blocks of time per step,
the report at the end of each block counted.

    OMP_NUM_THREADS=1 python benchmarks/speed/health_overhead.py
"""

import argparse
import statistics
import time

import torch
from torch import nn

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
    blocks = parser.parse_args().blocks
    for shape in SHAPES:
        found: dict[int | None, list[float]] = {None: [], 20: [], 1: []}
        for _ in range(blocks):
            for every, times in found.items():
                times.append(seconds(shape, every) / BLOCK * 1e3)
        off, seldom, always = (statistics.median(times) for times in found.values())
        print(
            f"T{shape[0]} B{shape[1]} I{shape[2]} H{shape[3]}: off {off:.3f} ms a step, every 20 {seldom:.3f} "
            f"({seldom / off - 1:+.1%}), every step {always:.3f} ({always / off - 1:+.1%})"
        )


if __name__ == "__main__":
    main()
