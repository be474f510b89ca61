"""Checkpoints: tensors and JSON in a folder that appears whole or not at all, with checksums, the last two kept.

RUN/step-000000000400/state.safetensors    every tensor
RUN/step-000000000400/state.json           everything else, the checksum of the tensors, and its own
"""

import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from throughtime._atomic import write_folder
from throughtime.errors import DataError

FORMAT_VERSION = 1
KEPT = 2
_FORMAT = "throughtime-checkpoint"
_JSON, _TENSORS = "state.json", "state.safetensors"
_PREFIX, _DAMAGED = "step-", "damaged-"

_logger = logging.getLogger("throughtime.training")


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    path: Path
    tensors: dict[str, Tensor]
    fields: dict[str, Any]


def write_checkpoint(folder: Path, name: str, tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> Path:
    """Write a checkpoint, then remove all but the last two.

    It is written under a hidden name and on the disk (fsync) before it gets its own: a reader, after a crash at any
    moment, finds it whole or not at all.

    Args:
        name: a name after which the checkpoints sort by age, such as `checkpoint_name` gives.

    Raises:
        OSError: the disk is full, or the folder cannot be written. What was there before is as it was.
    """
    from safetensors.torch import save

    # Tensors may share memory (tied weights), which safetensors refuses: each gets a copy of its own.
    weights = save({key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()})
    body = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "tensors": {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()},
        "fields": dict(fields),
    }
    text = json.dumps({**body, "sha256": _checksum(body)}, sort_keys=True, allow_nan=False)
    target = folder / name
    write_folder(target, {_TENSORS: weights, _JSON: text.encode()})
    for outdated in checkpoint_paths(folder)[:-KEPT]:
        shutil.rmtree(outdated, ignore_errors=True)
    return target


def checkpoint_name(step: int, *, ended: bool = False) -> str:
    """The name of the checkpoint after so many steps; the one at the end of a training comes after it.

    >>> checkpoint_name(400)
    'step-000000000400'
    """
    return f"{_PREFIX}{step:012d}{'-end' if ended else ''}"


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())


def read_last_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is none at all.

    A damaged one is logged as a warning and set aside, under a name that starts with "damaged-".

    Raises:
        DataError: there are checkpoints, and not one of them can be used; or the newest is of a newer format.
    """
    damaged: list[str] = []
    for path in reversed(checkpoint_paths(folder)):
        try:
            checkpoint = _read(path)
        except DataError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            damaged.append(f"{path.name} ({error})")
            continue
        for line in damaged:
            _logger.warning("train: a checkpoint is damaged and left aside: %s; %s is used instead", line, path.name)
            name = line.partition(" ")[0]
            (folder / name).rename(folder / f"{_DAMAGED}{name}-{secrets.token_hex(3)}")
        return checkpoint
    if damaged:
        raise DataError(
            f"{folder}: expected a whole checkpoint, got damaged ones only: {'; '.join(damaged)}; "
            "train anew in another folder"
        )
    return None


def clear_leftovers(folder: Path) -> None:
    """Remove what a process that was killed while writing has left."""
    for path in folder.glob(f".{_PREFIX}*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> Checkpoint:
    """Read and verify a checkpoint; ValueError and its like say what is wrong with it."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = json.loads((path / _JSON).read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{_JSON} holds no object")
    stated = content.pop("sha256", None)
    if stated != _checksum(content):
        raise ValueError(f"{_JSON} does not have the checksum that it states")
    if content["format"] != _FORMAT:
        raise ValueError(f"{_JSON} is of format {content['format']!r}")
    if content["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{path}: expected checkpoint format {FORMAT_VERSION} or older, got {content['format_version']}; "
            "update throughtime to go on with this training"
        )
    weights = (path / _TENSORS).read_bytes()
    if len(weights) != content["tensors"]["bytes"]:
        raise ValueError(f"{_TENSORS} has {len(weights)} bytes where {content['tensors']['bytes']} are stated")
    if hashlib.sha256(weights).hexdigest() != content["tensors"]["sha256"]:
        raise ValueError(f"{_TENSORS} does not have the checksum that is stated")
    try:
        return Checkpoint(path, dict(load(weights)), content["fields"])
    except SafetensorError as error:
        raise ValueError(f"{_TENSORS}: {error}") from error


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()
