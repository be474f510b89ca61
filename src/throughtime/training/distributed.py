"""Several processes that train one model: each takes its part of every batch, and their gradients become one.

With R processes, batch b split into parts b_0 ... b_{R−1} (every R-th example, from the r-th on), weights w:

(1) g = Σ_r w(b_r) ∇L(b_r) / Σ_r w(b_r)

which is the gradient of the whole batch: `batch_size` and `max_tokens` are those of all processes together. A part may
be empty, as in a last batch with fewer examples than processes; its weight is 0. Every process applies the same
gradient to the same weights, so that they stay equal bit for bit without being sent again.

`torch.nn.parallel.DistributedDataParallel` is not used: it averages parts as if they weighed the same, and it hears of
`forward` alone, while a loss may call any method of a model. Its transport is: torch.distributed, started by torchrun.

The first process decides what depends on a clock, and it alone writes, logs and calls callbacks. Generators of random
numbers are seeded anew for each process, but for the one of the order of the examples. Buffers, such as the means of a
BatchNorm, are those of the first process's parts.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from throughtime.errors import DataError

_SEED_STEP = 0x9E3779B97F4A7C15  # 2⁶⁴ / golden ratio: seeds 0, 1, 2 of a user never meet those of another process


class Team:
    """The processes of a training, as one of them sees them; alone, it changes nothing and sends nothing."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def seed(self, seed: int) -> int:
        """The seed of this process; that of the first, and of one alone, is `seed` itself."""
        return (seed + self.rank * _SEED_STEP) % 2**63

    def agree(self, decision: bool) -> bool:
        """What the first process decides."""
        if self.size == 1:
            return decision
        told = torch.tensor([decision], dtype=torch.uint8)
        dist.broadcast(told, 0)
        return bool(told.item())

    def sum(self, *values: float) -> list[float]:
        """Each value, summed over the processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def share_model(self, model: nn.Module) -> None:
        """Give every process the weights and buffers of the first."""
        if self.size > 1:
            for value in (*model.parameters(), *model.buffers()):
                dist.broadcast(value.detach(), 0)

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the buffers of the first."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def reduce(self, parameters: Sequence[nn.Parameter], total: float, weight: float) -> tuple[float, float]:
        """Make the gradients of the whole batch out of those of the parts, each already multiplied by its weight.

        Args:
            total: Σ weight · loss of this part.
            weight: of this part, 0 for an empty one.

        Returns:
            The same two for the whole batch. A parameter that no process has a gradient for keeps none.
        """
        counts = torch.tensor([total, weight, *(p.grad is not None for p in parameters)], dtype=torch.float64)
        dist.all_reduce(counts)
        total, weight, *present = counts.tolist()
        kinds: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
        for parameter, processes in zip(parameters, present, strict=True):
            if processes:
                kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
        for group in kinds.values():
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in group])
            dist.all_reduce(flat)
            flat.div_(weight)
            for parameter, gradient in zip(group, torch.split(flat, [p.numel() for p in group]), strict=True):
                parameter.grad = gradient.view_as(parameter)
        return total, weight

    def tell(self, content: bytes | None) -> bytes:
        """What the first process has to say, to every process; the others' content is not looked at."""
        if self.size == 1:
            return content or b""
        (size,) = self.sum(len(content or b"") if self.first else 0)
        if not size:
            return b""
        told = torch.zeros(int(size), dtype=torch.uint8)
        if self.first and content:
            told = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        dist.broadcast(told, 0)
        return told.numpy().tobytes()

    def collect(self, content: bytes) -> list[bytes]:
        """Every process's content, to every process."""
        if self.size == 1:
            return [content]
        mine = [0.0] * self.size
        mine[self.rank] = len(content)
        sizes = [int(size) for size in self.sum(*mine)]
        padded = torch.zeros(max(*sizes, 1), dtype=torch.uint8)
        if content:
            padded[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        found = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(found, padded)
        return [each[:size].numpy().tobytes() for each, size in zip(found, sizes, strict=True)]

    @contextmanager
    def first_decides(self) -> Iterator[None]:
        """An error that the first process meets inside is raised by every process at the end of the block.

        Raises:
            DataError: that of the first process.
        """
        try:
            yield
        except DataError as error:
            self.tell(str(error).encode())
            raise
        if message := self.tell(b"").decode():
            raise DataError(message)


ALONE = Team()


def team() -> Team:
    """The processes of torch's default group, or this one alone."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return Team(dist.get_rank(), dist.get_world_size())


@contextmanager
def joined() -> Iterator[Team]:
    """Inside, the processes that torchrun started are a group, over gloo; without torchrun, this one is alone.

    A group that is there already is used, and left.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield team()
        return
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    # The store may outlive the processes of an attempt, and those started again must not find the addresses of the ones
    # before: each attempt has names of its own.
    store, rank, world = next(rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = PrefixStore(f"throughtime, attempt {attempt}", store)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    try:
        yield team()
    finally:
        dist.destroy_process_group()


def pack(tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> bytes:
    """Tensors and JSON values as bytes to send."""
    from safetensors.torch import save

    # Tied weights share memory, which safetensors refuses.
    return save(
        {name: v.detach().cpu().clone().contiguous() for name, v in tensors.items()}, {"json": json.dumps(fields)}
    )


def unpack(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The reverse of `pack`."""
    from safetensors.torch import load

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(load(content)), json.loads(header["__metadata__"]["json"])
