"""A training that uses everything a checkpoint holds, and running it in processes that are killed."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.training.problems import LastOutput, fresh, squared_error, waves, weights
from throughtime.training import Callback, RunFolder, StepRecord, TrainingConfig, TrainingResult, train

FULL: dict[str, Any] = {
    "epochs": 5,
    "batch_size": 4,
    "accumulate": 2,
    "learning_rate": 0.02,
    "schedule": "plateau",
    "plateau_patience": 1,
    "patience": 5,
    "ema": 0.9,
    "on_nonfinite": "rollback",
    "workers": 1,
}
EVERY_STEPS = 1
STEPS = 5 * 5  # 38 examples: ten batches, five steps, five epochs


class Pair(nn.Module):
    """With dropout, and with a BatchNorm for its buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(12)
        self.net = LastOutput(dropout=0.3)

    def forward(self, x_BTI: Tensor) -> Tensor:
        return self.net(self.norm(x_BTI))


def noisy_error(model: nn.Module, batch: Any) -> Tensor:
    """Draws from every global generator that a loss may draw from; NaN in one step, by which the rollback shows."""
    loss = squared_error(model, batch)
    if model.training:
        # The global ones on purpose: a checkpoint keeps them.
        loss = loss * (1 + 0.1 * random.random() + 0.1 * np.random.rand())  # noqa: NPY002
        if random.random() < 0.05:
            loss = loss * float("nan")
    return loss


LOSS: Callable[[nn.Module, Any], Tensor] = noisy_error


def run(folder: Path | None, callbacks: tuple[Callback, ...] = (), **options: Any) -> tuple[Tensor, TrainingResult]:
    """Train, or go on with training; the weights at its end."""
    config = TrainingConfig(**(FULL | options))
    model = fresh(0, Pair)
    place = None if folder is None else RunFolder(path=folder, resume=True, every_steps=EVERY_STEPS)
    result = train(model, LOSS, waves(38), waves(9), config, callbacks, run=place)
    buffers = torch.cat([buffer.flatten().float() for buffer in model.buffers()])
    return torch.cat([weights(model), buffers]), result


class Beat(Callback):
    """Tells another process how many steps were made, and leaves it a moment to kill this one."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_step(self, record: StepRecord) -> None:
        self.file.write_text(str(record.global_step))
        time.sleep(0.005)


def child(folder: Path, beat: Path, options: dict[str, Any], fatal_sync: int | None = None) -> None:
    """Run in a process of its own; `fatal_sync` is the call of fsync in which it dies."""
    torch.set_num_threads(1)
    if fatal_sync is not None:
        fsync, calls = os.fsync, 0

        def deadly(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls == fatal_sync:
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        os.fsync = deadly
    run(folder, (Beat(beat),), **options)


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process that begins with torch imported: a fork of a server that has done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "throughtime.training", "tests.training.restarts"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process
