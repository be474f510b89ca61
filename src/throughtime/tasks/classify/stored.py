"""A classifier's parts in its folder, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.tasks.classify.labels import KINDS, MOST_LABELS, Labels
from throughtime.tasks.classify.model import ClassModel
from throughtime.tasks.classify.network import ClassDesign, ClassNet
from throughtime.tasks.classify.ngrams import NGramClassifier
from throughtime.tasks.classify.texts import TextReader
from throughtime.tasks.estimator import load_module_tensors, module_tensors
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json

if TYPE_CHECKING:
    from throughtime.tasks.classify.classifier import Classifier

_BASELINE, _WIDE = "pairs", "wide"
_METRICS = ("validation_accuracy", "validation_nll", "best_epoch", "epochs")


def tensors(classifier: "Classifier") -> dict[str, np.ndarray]:
    """Weights, the nets' and the n-grams'."""
    wide = {} if classifier.wide_ is None else classifier.wide_.tensors(_WIDE)
    return module_tensors(classifier.model_) | classifier.baseline_.tensors(_BASELINE) | wide


def sections(classifier: "Classifier") -> dict[str, Any]:
    """What stands beside the weights."""
    c = classifier
    return {
        "labels": {"names": c.labels_.names, "kind": c.labels_.kind},
        "reader": c.reader_.to_json(),
        "metrics": c.metrics_,
        **({"origin": c.origin_} if c.origin_ else {}),
        "fitted": {
            "design": asdict(c.model_.net.design),
            "members": len(c.model_.nets),
            "n_texts": c.n_texts_,
            "validation": c.validation_,
            "pretrained": c.pretrained_,
            "penalties": [model.penalty for model in (c.baseline_, c.wide_) if model is not None],
            "baseline_scale": c.baseline_scale_,
            "frequent": c.frequent_.tolist(),
            "training": [history_json(history) for history in c.histories_],
        },
    }


def read_sections(classifier: "Classifier", arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    fitted = extra["fitted"]
    design = ClassDesign(**fitted["design"])
    check_tensors(arrays, design.num_layers)
    labels = _labels(extra["labels"])
    reader = TextReader.from_json(extra["reader"])
    if (design.symbols, design.labels) != (len(reader.units), len(labels)):
        raise ValueError("reader or labels: other sizes than the net's")
    members = count_from(fitted, "members")
    if members > len(arrays):
        raise ValueError(f"members: {members} with {len(arrays)} tensors")
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(ClassModel([ClassNet(design) for _ in range(members)], several=labels.several), arrays)
    with torch.random.fork_rng(devices=[]):
        model = ClassModel([ClassNet(design) for _ in range(members)], several=labels.several)
    load_module_tensors(model, arrays)
    if not (model.mixture >= 0).all():
        raise ValueError(f"mixture: {model.mixture.tolist()}")
    c = classifier
    scale, penalties = float(fitted["baseline_scale"]), [float(penalty) for penalty in fitted["penalties"]]
    frequent = torch.tensor(fitted["frequent"], dtype=torch.float64)
    if (
        not (0 < scale < np.inf and len(penalties) == 1 + c.wide)
        or frequent.shape != (len(labels),)
        or (frequent < 0).any()
    ):
        raise ValueError(f"baselines: {scale}, {penalties}, {tuple(frequent.shape)}")
    c.baseline_ = NGramClassifier.from_tensors(arrays, _BASELINE, len(labels), penalties[0])
    c.wide_ = NGramClassifier.from_tensors(arrays, _WIDE, len(labels), penalties[1]) if c.wide else None
    c.labels_, c.reader_, c.baseline_scale_, c.frequent_ = labels, reader, scale, frequent
    c.n_texts_ = count_from(fitted, "n_texts")
    c.validation_, c.pretrained_ = str(fitted["validation"]), str(fitted["pretrained"])
    c.histories_ = [history_from_json(history) for history in fitted["training"]]
    if len(c.histories_) != members:
        raise ValueError(f"training: {len(c.histories_)} of {members} nets")
    c.metrics_ = {name: extra["metrics"][name] for name in _METRICS}
    c.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    c.model_ = model.eval()


def _labels(fields: Mapping[str, Any]) -> Labels:
    names, kind = fields["names"], fields["kind"]
    if kind not in KINDS or not isinstance(names, list) or not 0 < len(names) <= MOST_LABELS:
        raise ValueError(f"labels: {kind!r:.60}, {names!r:.60}")
    if not all(type(name) in (str, int, float, bool) for name in names) or len({*map(repr, names)}) < len(names):
        raise ValueError(f"labels: {names!r:.60}")
    if kind == "ordered":
        [float(name) for name in names]
    return Labels(names, kind)
