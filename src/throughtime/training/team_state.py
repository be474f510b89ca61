"""What the processes of a training compare, and what of a checkpoint each of them holds for itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import DataError
from throughtime.training.checkpoints import Checkpoint
from throughtime.training.distributed import Team, pack, unpack
from throughtime.training.state import check_identity

_RANDOM = "random"


def check_team(team: Team, identity: dict[str, Any]) -> None:
    """Refuse to train where a process has another model, other data or other options than the first.

    `identity` gets the number of processes, where there are several: a checkpoint is gone on with by as many.

    Raises:
        DataError: in every process, with every difference of the first process that has one.
    """
    if team.size == 1:
        return
    identity["processes"] = team.size
    first = json.loads(team.tell(json.dumps(identity).encode()))
    problem = ""
    try:
        check_identity(f"process {team.rank} beside process 0", first, identity)
    except DataError as error:
        problem = str(error)
    problems = [content.decode() for content in team.collect(problem.encode())]
    if any(problems):
        raise DataError(next(filter(None, problems)))


def share_checkpoint(team: Team, checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Give every process what the first has read; their folders need not be on one disk."""
    if team.size == 1:
        return checkpoint
    content = b""
    if checkpoint is not None:
        content = pack(checkpoint.tensors, {"path": str(checkpoint.path), "fields": checkpoint.fields})
    content = team.tell(content)
    if not content or checkpoint is not None:
        return checkpoint
    tensors, fields = unpack(content)
    return Checkpoint(Path(fields["path"]), tensors, fields["fields"])


def others_random(team: Team, tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> dict[str, Tensor]:
    """The generators of all processes but the first, as tensors for its checkpoint."""
    if team.size == 1:
        return {}
    mine = {name: value for name, value in tensors.items() if name.startswith(f"{_RANDOM}.")}
    packed = team.collect(pack(mine, {_RANDOM: fields[_RANDOM]}))
    return {
        f"process{rank}.{_RANDOM}": torch.frombuffer(bytearray(content), dtype=torch.uint8)
        for rank, content in enumerate(packed)
        if rank > 0
    }


def own_random(team: Team, checkpoint: Checkpoint) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
    """The generators of this process, out of a checkpoint."""
    if team.first:
        return checkpoint.tensors, checkpoint.fields
    return unpack(checkpoint.tensors[f"process{team.rank}.{_RANDOM}"].numpy().tobytes())
