"""A recognizer's parts in its folder, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.data.sensors.columns import Columns
from throughtime.tasks.estimator import load_module_tensors, module_tensors
from throughtime.tasks.recognize.baseline import Baseline
from throughtime.tasks.recognize.labels import MOST_LABELS, ActivityLabels
from throughtime.tasks.recognize.network import ActivityDesign, ActivityNet
from throughtime.tasks.recognize.reading import Reader
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json

if TYPE_CHECKING:
    from throughtime.tasks.recognize.recognizer import Recognizer

_METRICS = ("validation_accuracy", "validation_nll", "best_epoch", "epochs")


def tensors(recognizer: "Recognizer") -> dict[str, np.ndarray]:
    """Weights, the net's and the baseline's."""
    return module_tensors(recognizer.model_) | recognizer.baseline_.tensors()


def sections(recognizer: "Recognizer") -> dict[str, Any]:
    """What stands beside the weights."""
    r = recognizer
    return {
        "labels": r.labels_.names,
        "reader": asdict(r.reader_),
        "metrics": r.metrics_,
        "columns": asdict(r.columns_),
        **({"origin": r.origin_} if r.origin_ else {}),
        "fitted": {
            "design": asdict(r.model_.design),
            "recordings": r.n_recordings_,
            "seconds": r.seconds_,
            "typical": r.typical_,
            "smoothing": r.smoothing_,
            "shortest": r.shortest_,
            "validation": r.validation_,
            "groups": sorted(r.groups_),
            "stretches": sorted(r.stretches_),
            "radius": r.baseline_.radius,
            "training": history_json(r.history_),
        },
    }


def read_sections(recognizer: "Recognizer", arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    fitted = extra["fitted"]
    fields = dict(fitted["design"])
    fields["image"] = None if fields["image"] is None else _size(fields["image"])
    fields["radii"] = tuple(fields["radii"])
    if not all(type(radius) is int and 1 <= radius <= 10_000_000 for radius in fields["radii"]):
        raise ValueError(f"radii: {fields['radii']}")
    design = ActivityDesign(**fields)
    check_tensors(arrays, design.num_layers)
    labels = _labels(extra["labels"])
    reader = _reader(extra["reader"])
    if (len(labels), len(reader.channels), reader.size) != (design.labels, design.channels, design.image):
        raise ValueError("labels or reader: other sizes than the net's")
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(ActivityNet(design), {name: x for name, x in arrays.items() if not name.startswith("baseline.")})
    with torch.random.fork_rng(devices=[]):
        model = ActivityNet(design)
    load_module_tensors(model, arrays)
    if not float(model.temperature) > 0:
        raise ValueError(f"temperature: {float(model.temperature)}")
    radius = None if fitted["radius"] is None else count_from(fitted, "radius")
    r = recognizer
    r.baseline_ = Baseline.from_tensors(arrays, radius)
    if r.baseline_.linear.out_features != len(labels):
        raise ValueError(f"baseline: {r.baseline_.linear.out_features} labels")
    r.labels_, r.reader_, r.model_ = labels, reader, model.eval()
    r.n_recordings_, r.seconds_ = count_from(fitted, "recordings"), float(fitted["seconds"])
    r.typical_ = count_from(fitted, "typical")
    r.smoothing_, r.shortest_ = (_seconds(fitted, name) for name in ("smoothing", "shortest"))
    r.validation_ = str(fitted["validation"])
    r.groups_, r.stretches_ = ({str(name) for name in fitted[key]} for key in ("groups", "stretches"))
    r.history_ = history_from_json(fitted["training"])
    r.metrics_ = {name: extra["metrics"][name] for name in _METRICS}
    r.columns_ = _columns(extra["columns"])
    r.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}


def _seconds(fields: Mapping[str, Any], name: str) -> float:
    found = float(fields[name])
    if not 0 <= found <= 1e6:
        raise ValueError(f"{name}: {found}")
    return found


def _columns(fields: Mapping[str, Any]) -> Columns:
    channels, per_step = fields["channels"], fields["per_step"]
    names = {name: fields[name] for name in ("label", "time", "group", "recording")}
    if any(name is not None and not isinstance(name, str) for name in names.values()):
        raise ValueError(f"columns: {names}")
    if per_step is not None:
        count_from(fields, "per_step")
    return Columns(**names, channels=None if channels is None else tuple(map(str, channels)), per_step=per_step)


def _labels(names: Any) -> ActivityLabels:
    if not isinstance(names, list) or not 2 <= len(names) <= MOST_LABELS:
        raise ValueError(f"labels: {names!r:.60}")
    if not all(type(name) in (str, int, float, bool) for name in names) or len({*map(str, names)}) < len(names):
        raise ValueError(f"labels: {names!r:.60}")
    return ActivityLabels(names)


def _reader(fields: Mapping[str, Any]) -> Reader:
    mean, deviation = (tuple(float(x) for x in fields[name]) for name in ("mean", "deviation"))
    channels = tuple(str(name) for name in fields["channels"])
    size = None if fields["size"] is None else _size(fields["size"])
    rate = float(fields["rate"])
    if not (0 < rate < 1e6 and len(mean) == len(deviation) == max(1, len(channels))):
        raise ValueError(f"reader: {rate}, {len(mean)}, {len(deviation)}, {len(channels)}")
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and min(deviation) > 0):
        raise ValueError(f"reader: mean {mean}, deviation {deviation}")
    return Reader(rate, channels, mean, deviation, size)


def _size(given: Any) -> tuple[int, int, int]:
    height, width, colours = given
    if not all(type(x) is int and 1 <= x <= 4096 for x in (height, width, colours)):
        raise ValueError(f"image: {given}")
    return height, width, colours
