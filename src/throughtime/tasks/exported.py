"""A fitted estimator as an ONNX model and what has to be done around it: `model.onnx` and `model.json` in a folder.

What a task is to a runtime stands in its own room, in `exported.py`, as one function from the estimator to `Exported`.
A task whose room has none is refused by name.
"""

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from throughtime import __version__
from throughtime._atomic import check_parent, write_folder
from throughtime.errors import ArgumentError, DataError
from throughtime.exchange.onnx.files import to_bytes
from throughtime.exchange.onnx.modules import to_model
from throughtime.tasks.estimator import Estimator

__all__ = ["FORMAT", "TASKS", "Exported", "Port", "export_onnx"]

FORMAT = "throughtime-onnx"
VERSION = 1
TASKS = ("classify", "compose", "forecast", "language", "recognize", "tag", "transcribe", "translate")
"""The tasks with an `exported` module. The next one is added here when its room has it."""
BEFORE = ("encoder", "features", "ahead")
"""Names of graphs that run before the model, each in a file of its own."""
_FILES = ("model.onnx", "model.json", *(f"{name}.onnx" for name in BEFORE))


@dataclass(frozen=True)
class Port:
    """An input of a model.

    Attributes:
        example: a tensor of its dtype; open axes of it have two or more places.
        axes: the names of all its axes; `open_axes` says which of them have any size.
        meaning: in words.
    """

    example: Tensor
    axes: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Exported:
    """What a task gives to be exported.

    Attributes:
        module: called with the inputs in their order.
        inputs: by name.
        outputs: axes and meaning by name.
        open_axes: names of axes that have any size.
        around: what stands in model.json beside inputs and outputs: everything that turns data into the inputs
            ("preprocessing") and the outputs into an answer ("postprocessing").
        before: what runs once before this, where this is a step or reads what another graph makes of the data, by a
            name of `BEFORE`.
    """

    module: nn.Module
    inputs: Mapping[str, Port]
    outputs: Mapping[str, tuple[tuple[str, ...], str]]
    open_axes: tuple[str, ...]
    around: Mapping[str, Any] = field(default_factory=dict)
    before: "Mapping[str, Exported]" = field(default_factory=dict)


def export_onnx(estimator: Estimator, folder: str | os.PathLike[str]) -> Path:
    """Write an estimator as a folder with model.onnx, which ONNX Runtime runs, and model.json, which describes it.

    The folder is written whole or not at all; one of an earlier export is replaced.

    Raises:
        NotFittedError: nothing was fitted.
        ArgumentError: a task, or a model of it, that cannot be exported.
        DataError: the folder cannot be written, or holds something else.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    who = "export_onnx"
    target = Path(folder)
    check_parent(target)
    if target.is_file() or (target.is_dir() and {each.name for each in target.iterdir()} - {*_FILES}):
        raise DataError(
            f"{target}: expected a new folder, or one of an earlier export, got something else there; give another name"
        )
    if estimator.task not in TASKS:
        raise ArgumentError(
            f"{who}: expected a model of a task that can be exported ({', '.join(TASKS)}), got {estimator.task!r}; "
            "export its recurrent layers with throughtime.exchange.write_onnx"
        )
    estimator._check_fitted("export")
    room = importlib.import_module(f"throughtime.tasks.{estimator.task}.exported")
    found: Exported = room.exported(estimator)
    parts = {**found.before, "model": found}
    written = {f"{name}.onnx": to_bytes(_model(part, who), who) for name, part in parts.items()}
    told = json.dumps(_description(estimator, found), ensure_ascii=False, indent=1)
    write_folder(target, {**written, "model.json": told.encode()})
    return target


def _model(found: Exported, who: str) -> Any:
    open_axes = {
        name: {axis: label for axis, label in enumerate(port.axes) if label in found.open_axes}
        for name, port in found.inputs.items()
    }
    examples = {name: port.example for name, port in found.inputs.items()}
    return to_model(found.module, examples, list(found.outputs), open_axes, who)


def _description(estimator: Estimator, found: Exported) -> dict[str, Any]:
    before = {name: _ports(part) for name, part in found.before.items()}
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "task": estimator.task,
        "throughtime": __version__,
        **({"before": before} if before else {}),
        **_ports(found),
        **found.around,
    }


def _ports(found: Exported) -> dict[str, Any]:
    inputs = [
        {
            "name": name,
            "dtype": str(port.example.dtype).removeprefix("torch."),
            "axes": [
                axis if axis in found.open_axes else int(size)
                for axis, size in zip(port.axes, port.example.shape, strict=True)
            ],
            "meaning": port.meaning,
        }
        for name, port in found.inputs.items()
    ]
    outputs = [
        {"name": name, "axes": list(axes), "meaning": meaning} for name, (axes, meaning) in found.outputs.items()
    ]
    return {"inputs": inputs, "outputs": outputs}
