"""Trainings in several processes on loopback, and what each process found."""

import datetime
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.training.problems import LastOutput, fresh, squared_error, waves, weights
from tests.training.restarts import start
from throughtime.errors import ThroughtimeError
from throughtime.training import (
    Callback,
    RunFolder,
    SequenceSource,
    StepRecord,
    StreamSource,
    TensorSource,
    TrainingConfig,
    WeightedLoss,
    train,
)

Found = dict[str, Any]
_SECONDS = 60


def together(function: Any, folder: Path, size: int = 2, **arguments: Any) -> list[Found | None]:
    """What `function(rank, **arguments)` gives in each of so many processes; None where one ended otherwise."""
    folder.mkdir(exist_ok=True)
    processes = [start(_member, function, rank, size, folder, arguments) for rank in range(size)]
    for process in processes:
        process.join(_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError(f"a process still waits after {_SECONDS} seconds")
    found = []
    for rank, process in enumerate(processes):
        path = folder / f"found{rank}.json"
        assert path.exists() == (process.exitcode == 0), process.exitcode
        found.append(json.loads(path.read_text()) if path.exists() else None)
    return found


def _member(function: Any, rank: int, size: int, folder: Path, arguments: Found) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=_SECONDS / 2),
    )
    found = function(rank, **arguments)
    (folder / f"found{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


class Gated(nn.Module):
    """A net with a part that only negative examples reach, and one that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.net = LastOutput()
        self.negative = nn.Linear(1, 1)
        self.never = nn.Linear(1, 1)

    def forward(self, x_BTI: Tensor) -> Tensor:
        y = self.net(x_BTI)
        below = x_BTI[:, -1, 0] < 0
        if below.any():
            y = y + below[:, None] * self.negative(x_BTI[:, -1])
        return y


def last_of_each(model: nn.Module, batch: Any) -> WeightedLoss:
    """A mean over valid steps of time, whose number differs from part to part."""
    x_TBI, lengths = batch
    valid = torch.arange(len(x_TBI))[:, None] < lengths
    output, _ = model(x_TBI)  # type: ignore[operator]
    error = ((output.sum(-1) - x_TBI[..., 0]) ** 2)[valid]
    return WeightedLoss(error.mean(), int(valid.sum()))


def double(source: TensorSource) -> TensorSource:
    return TensorSource(*(tensor.double() for tensor in source.tensors))


def sequences() -> SequenceSource:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 14, (41,), generator=generator).tolist()
    return SequenceSource([torch.rand(n, 1, generator=generator).double() for n in lengths])


def stream() -> StreamSource:
    x, y = double(waves(23)).tensors

    def examples() -> Iterator[Any]:
        yield from zip(x, y, strict=True)

    return StreamSource(examples, lambda pairs: tuple(map(torch.stack, zip(*pairs, strict=True))), buffer=5)


CASES: dict[str, dict[str, Any]] = {
    "last batch of 3": {"batch_size": 5},
    "last batch of 1, less than processes": {"batch_size": 37},
    "batches of 1": {"batch_size": 1, "epochs": 1},
    "accumulated": {"batch_size": 3, "accumulate": 3},
    "clipped by layer": {"batch_size": 6, "clip_norm": 1e-3, "clip_scope": "layer", "optimizer": "sgd"},
    "averaged, plateau": {"batch_size": 6, "ema": 0.9, "schedule": "plateau", "plateau_patience": 1, "patience": 2},
    "tokens": {"max_tokens": 30, "batch_size": 7},
    "stream": {"batch_size": 4, "workers": 1},
    "parameters without a gradient": {"batch_size": 2, "optimizer": "adamw", "weight_decay": 0.1},
}


def cases(rank: int) -> Found:
    """Every case in one go; alone they are what one process finds."""
    found = {}
    for name, options in CASES.items():
        model: nn.Module = fresh(rank, LastOutput)  # other weights in each process: the first's count
        data: Any = double(waves(38))
        loss: Any = squared_error
        if name == "tokens":
            model, data, loss = fresh(rank, lambda: nn.LSTM(1, 4)), sequences(), last_of_each
        elif name == "stream":
            data = stream()
        elif name == "parameters without a gradient":
            model = fresh(rank, Gated)
        config = TrainingConfig(**({"epochs": 3, "learning_rate": 0.01, "seed": 5} | options))
        result = train(model.double(), loss, data, data if name == "tokens" else double(waves(9)), config)
        found[name] = {
            "weights": weights(model).tolist(),
            "validation": [epoch.validation_loss for epoch in result.history],
            "train": [epoch.train_loss for epoch in result.history],
            "steps": result.steps,
            "padding": result.history[0].padding,
        }
    return found


class Heard(Callback):
    """Counts steps; kills its process after one of them, or leaves a sign."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.steps = 0
        self.kill_at = kill_at

    def on_step(self, record: StepRecord) -> None:
        self.steps += 1
        if record.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def nan_error(model: nn.Module, batch: Any) -> Tensor:
    """NaN for the example whose target is the largest: it is in the part of one process."""
    loss = squared_error(model, batch)
    return loss * float("nan") if model.training and bool((batch[1] > 0.99).any()) else loss


def _kill_after(model: nn.Module, steps: int) -> None:
    """Kill this process in the forward pass of a step: only the first process's callbacks are heard."""
    left = steps

    def hook(module: nn.Module, *_: Any) -> None:
        nonlocal left
        left -= module.training
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    model.register_forward_hook(hook)


def one(
    rank: int,
    *,
    run: str | None = None,
    resume: bool = True,
    kill_at: int | None = None,
    kill_rank: int = 0,
    dropout: float = 0.3,
    examples: tuple[int, int] = (38, 38),
    nan: bool = False,
    **options: Any,
) -> Found:
    """One training with dropout and a run folder; an error is part of what is found."""
    heard = Heard(kill_at if rank == kill_rank else None)
    model = fresh(0, lambda: LastOutput(dropout=dropout))
    config = TrainingConfig(**({"epochs": 3, "batch_size": 5, "learning_rate": 0.02, "ema": 0.9} | options))
    place = None if run is None else RunFolder(path=run, resume=resume, every_steps=1)
    loss = nan_error if nan else squared_error
    if kill_at is not None and rank == kill_rank and rank > 0:
        _kill_after(model, kill_at)
    try:
        result = train(model, loss, waves(examples[rank % 2]), waves(9), config, (heard,), run=place)
    except ThroughtimeError as error:
        return {"error": str(error), "kind": type(error).__name__}
    return {
        "weights": weights(model).tolist(),
        "validation": [epoch.validation_loss for epoch in result.history],
        "skipped": [epoch.skipped_steps for epoch in result.history],
        "stopped": result.stopped,
        "message": result.message,
        "steps": result.steps,
        "resumed_at": result.resumed_at,
        "heard": heard.steps,
    }
