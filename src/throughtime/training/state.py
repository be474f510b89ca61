"""The whole state of a training as tensors and JSON, and back: what a checkpoint holds."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from throughtime.errors import ArgumentError, DataError
from throughtime.nn import CustomRecurrent, Recurrent
from throughtime.training.best import Kept
from throughtime.training.fingerprint import source_fingerprint
from throughtime.training.nonfinite import load_optimizer_state
from throughtime.training.patience import Patience
from throughtime.training.records import EpochRecord
from throughtime.training.schedules import Plateau
from throughtime.training.seeding import random_state, set_random_state
from throughtime.training.update import Update

if TYPE_CHECKING:
    from throughtime.training.loop import Training

# How long to train and on how many threads changes when the bits come, not which.
_FREE_OPTIONS = ("max_seconds", "workers")
_State = tuple[dict[str, Tensor], dict[str, Any]]


def identity(training: "Training", about: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for a training to go on: model, options, loss and data, each under a name."""
    options = {name: value for name, value in asdict(training.config).items() if name not in _FREE_OPTIONS}
    validation = training.validation_data
    found = {
        # Functions in a model's description stand there with their address.
        **{f"model {i}": re.sub(r" at 0x[0-9a-f]+", "", s) for i, s in enumerate(str(training.model).splitlines())},
        **{
            f"layer {name}": shown
            for name, module in training.model.named_modules()
            if (shown := _recurrence(module)) is not None
        },
        **{
            f"parameter {name}": f"{p.dtype} {tuple(p.shape)}{'' if p.requires_grad else ' frozen'}"
            for name, p in training.model.named_parameters()
        },
        **{f"option {name}": value for name, value in options.items()},
        "loss": getattr(training.loss, "__qualname__", type(training.loss).__qualname__),
        "training data": f"{len(training.train_data)} examples, {source_fingerprint(training.train_data)}",
        "validation data": "none"
        if validation is None
        else f"{len(validation)} examples, {source_fingerprint(validation)}",
        **about,
    }
    return _through_json("RunFolder.about", found)


def _recurrence(module: object) -> str | None:
    """What a recurrent layer computes and by which kernel, which torch's way to show a module leaves out."""
    if isinstance(module, Recurrent):
        return f"{module.cell_name}, backend {module.backend}"
    if isinstance(module, CustomRecurrent):
        cells = [cell for cell in (module.cell, module.reverse_cell) if cell is not None]
        return ", ".join(getattr(cell, "__qualname__", type(cell).__qualname__) for cell in cells)
    return None


def check_identity(where: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another model, other data or other options than a checkpoint's.

    Raises:
        DataError: it lists every difference.
    """
    differences = [
        f"{name} was {kept.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in [*kept, *(name for name in now if name not in kept)]
        if kept.get(name, _MISSING) != now.get(name, _MISSING)
    ]
    if differences:
        raise DataError(
            f"{where}: expected the training that wrote it, got another: {'; '.join(differences)}; "
            "give what it was trained with, or another folder"
        )


_MISSING = object()


def capture(training: "Training") -> _State:
    """Everything that the steps to come depend on, after a step."""
    tensors: dict[str, Tensor] = {}
    position = training.position
    found: dict[str, Any] = {
        "position": asdict(position),
        "history": [asdict(record) for record in training.history],
        "before": None if training.updater.before is None else training.updater.before._asdict(),
        "elapsed": training.elapsed(),
        "patience": None if training.patience is None else _patience(training.patience),
        "schedule": _plateau(training.schedule),
    }
    _put_module_state("model", training.model.state_dict(), tensors, found)
    _put_optimizer_state("optimizer", training.optimizer.state_dict()["state"], tensors, found)
    tensors["order"] = training.epoch_order
    random, found["random"] = training.drawn or random_state(training.model)
    tensors |= _named("random", random)
    if (kept := training.best.kept) is not None:
        found["best"] = {"epoch": kept.epoch, "loss": kept.loss}
        _put_module_state("best", kept.state, tensors, found)
    if (average := training.average) is not None:
        found["average"] = {"steps": average.steps}
        tensors |= _named("average", average.values)
    if (rollback := training.rollback) is not None:
        found["rollback"] = {
            "rate_scale": rollback.rate_scale,
            "times": rollback.times,
            "step": rollback.step,
            "averaged_steps": rollback.averaged_steps,
        }
        _put_module_state("good", rollback.weights, tensors, found)
        _put_optimizer_state("good_optimizer", rollback.optimizer_state, tensors, found)
        tensors |= _named("good_average", rollback.averaged)
    return tensors, found


def restore(training: "Training", tensors: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
    """The reverse of `capture`, but for the generators."""
    training.model.load_state_dict(_get_module_state("model", tensors, found))
    load_optimizer_state(training.optimizer, _get_optimizer_state("optimizer", tensors, found))
    training.position = type(training.position)(**found["position"])
    training.history = [EpochRecord(**record) for record in found["history"]]
    training.updater.before = None if found["before"] is None else Update(**found["before"])
    training.epoch_order = tensors["order"]
    training.set_elapsed(found["elapsed"])
    if training.patience is not None:
        _set_patience(training.patience, found["patience"])
    if isinstance(training.schedule, Plateau):
        training.schedule.scale = found["schedule"]["scale"]
        _set_patience(training.schedule.patience, found["schedule"])
    if "best" in found:
        training.best.kept = Kept(**found["best"], state=_get_module_state("best", tensors, found))
    if training.average is not None:
        training.average.restore(_under("average", tensors), found["average"]["steps"])
    if (rollback := training.rollback) is not None:
        for name, value in found["rollback"].items():
            setattr(rollback, name, value)
        rollback.weights = _get_module_state("good", tensors, found)
        rollback.optimizer_state = _get_optimizer_state("good_optimizer", tensors, found)
        rollback.averaged = _under("good_average", tensors)


def restore_random(training: "Training", tensors: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
    """Set the generators to where they were."""
    set_random_state(training.model, _under("random", tensors), found["random"])


def _patience(patience: Patience) -> dict[str, Any]:
    return {"reference": None if math.isinf(patience.reference) else patience.reference, "waited": patience.waited}


def _set_patience(patience: Patience, found: Mapping[str, Any]) -> None:
    patience.reference = math.inf if found["reference"] is None else found["reference"]
    patience.waited = found["waited"]


def _plateau(schedule: object) -> dict[str, Any] | None:
    return {"scale": schedule.scale, **_patience(schedule.patience)} if isinstance(schedule, Plateau) else None


def _named(prefix: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _put_module_state(prefix: str, state: Mapping[str, Any], tensors: dict[str, Tensor], found: dict[str, Any]) -> None:
    """A state dict; a module's extra state may be anything, of which JSON values can be kept."""
    tensors |= _named(prefix, {name: value for name, value in state.items() if isinstance(value, Tensor)})
    others = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    if others:
        found[f"{prefix} others"] = _through_json("train: the extra state of a module", others)


def _get_module_state(prefix: str, tensors: Mapping[str, Tensor], found: Mapping[str, Any]) -> dict[str, Any]:
    return {**_under(prefix, tensors), **found.get(f"{prefix} others", {})}


def _put_optimizer_state(
    prefix: str, state: Mapping[int, Mapping[str, Any]], tensors: dict[str, Tensor], found: dict[str, Any]
) -> None:
    others: dict[str, dict[str, Any]] = {}
    for index, values in state.items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}.{index}.{name}"] = value
            else:
                others.setdefault(str(index), {})[name] = value
    found[prefix] = others


def _get_optimizer_state(
    prefix: str, tensors: Mapping[str, Tensor], found: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in found[prefix].items()}
    for key, value in _under(prefix, tensors).items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    return state


def _number(value: Any) -> Any:
    """A NumPy scalar as Python's; what a user of scikit-learn gives as an option."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__qualname__} is not one")


def _through_json(what: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from JSON, or a refusal."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False, default=_number))
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{what}: expected JSON values, got {sorted(values)} ({error}); give numbers, text, lists and mappings"
        ) from error
    return plain
