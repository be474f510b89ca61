"""A short name for data, by content: the same on every machine, another as soon as a value differs."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SAMPLE = 64


def fingerprint(*values: Any) -> str:
    """SHA-256 over tensors, arrays, numbers, text and what holds them (sequences, mappings, dataclasses), shortened.

    Of an object of any other type its type alone counts.

    >>> fingerprint(torch.arange(3.0)) == fingerprint(torch.arange(3.0)) != fingerprint(torch.arange(3))
    True
    """
    digest = hashlib.sha256()
    _feed(digest, values)
    return digest.hexdigest()[:32]


def source_fingerprint(source: Any) -> str:
    """The source's own `fingerprint()` where it has one; else of its length and up to 64 examples spread over it."""
    own = getattr(source, "fingerprint", None)
    if callable(own):
        return str(own())
    examples = len(source)
    return fingerprint(examples, source.batch(spread(examples)))


def spread(examples: int) -> Tensor:
    """Up to 64 indices from the first to the last of so many examples."""
    return torch.linspace(0, examples - 1, min(examples, _SAMPLE), dtype=torch.float64).round().long()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"tensor {value.dtype} {tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data if value.size else b"")
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        digest.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}".encode())
        for key in value:
            _feed(digest, key)
            _feed(digest, value[key])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(type(value).__qualname__.encode())
        for field in dataclasses.fields(value):
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, Sequence):
        digest.update(f"sequence {len(value)}".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(type(value).__qualname__.encode())
