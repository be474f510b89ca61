"""Parts of a model folder that every task has: what is checked when one comes back, and how training went."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import nn

from throughtime.tasks.estimator import MODEL_PREFIX
from throughtime.training import EpochRecord, TrainingResult

__all__ = ["check_model", "check_tensors", "choice_from", "count_from", "history_from_json", "history_json"]


def choice_from(fields: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """A name that is one of the choices, "auto" apart; else ValueError."""
    value = fields[name]
    if value == "auto" or value not in choices:
        raise ValueError(f"{name}: {value!r}")
    return str(value)


def count_from(fields: Mapping[str, Any], name: str) -> int:
    """A positive whole number; else ValueError."""
    value = fields[name]
    if type(value) is not int or value < 1:
        raise ValueError(f"{name}: {value!r}")
    return value


def check_tensors(tensors: Mapping[str, np.ndarray], num_layers: int, gaps: Collection[str] = ()) -> None:
    """ValueError where a number is not finite (NaN may stand in `gaps`), or there cannot be so many layers."""
    for name, value in tensors.items():
        if name in gaps and value.dtype.kind == "f":
            value = np.nan_to_num(value, nan=0.0, posinf=np.inf, neginf=-np.inf)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name}: a number that is not finite")
    if num_layers > len(tensors):
        raise ValueError(f"num_layers: {num_layers} with {len(tensors)} tensors")


def check_model(model: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """ValueError where the tensors are not this model's by name and shape."""
    expected = {MODEL_PREFIX + name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items() if name.startswith(MODEL_PREFIX)}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name}: shape {found.get(name)} where {expected.get(name)} belongs")


def history_json(history: TrainingResult) -> dict[str, Any]:
    """How training went, epoch by epoch; what stands at its default is left out, as in folders older than the field."""
    return {**_told(history), "history": [_told(record) for record in history.history]}


def _told(record: TrainingResult | EpochRecord) -> dict[str, Any]:
    return {field.name: v for field in fields(record) if (v := getattr(record, field.name)) != field.default}


def history_from_json(fields: Mapping[str, Any]) -> TrainingResult:
    """The reverse of `history_json`."""
    return TrainingResult(**{**fields, "history": tuple(EpochRecord(**record) for record in fields["history"])})
