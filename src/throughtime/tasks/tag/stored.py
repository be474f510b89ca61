"""A tagger's parts in its folder, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.tasks.estimator import load_module_tensors, module_tensors
from throughtime.tasks.stored import check_model, check_tensors, history_from_json, history_json
from throughtime.tasks.tag.baselines import Baselines
from throughtime.tasks.tag.decoding import TagModel
from throughtime.tasks.tag.network import TagDesign
from throughtime.tasks.tag.schemes import SCHEMES, tag_names
from throughtime.tasks.tag.units import TagUnits

if TYPE_CHECKING:
    from throughtime.tasks.tag.tagger import Tagger

WORKING = "BIOES"
"""The scheme that every tagger works in, whatever its data are written in: an end has a tag of its own."""
MOST_LABELS = 300  # a CRF's sums grow with the square


def tensors(tagger: "Tagger") -> dict[str, np.ndarray]:
    """Weights, the model's and a baseline's."""
    return module_tensors(tagger.model_) | tagger.baselines_.tensors()


def sections(tagger: "Tagger") -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "labels": tagger.labels_,
        "scheme": tagger.scheme_,
        "rule": tagger.rule_,
        "units": tagger.units_.to_json(),
        "metrics": tagger.metrics_,
        **({"origin": tagger.origin_} if tagger.origin_ else {}),
        "fitted": {
            "design": asdict(tagger.model_.net.design),
            "crf": tagger.model_.crf is not None,
            "n_sentences": tagger.n_sentences_,
            "n_tokens": tagger.n_tokens_,
            "n_repaired": tagger.n_repaired_,
            "n_vectors": tagger.n_vectors_,
            "validation": tagger.validation_,
            "training": history_json(tagger.history_),
            "baselines": tagger.baselines_.to_json(),
        },
    }


def read_sections(tagger: "Tagger", arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    fitted = extra["fitted"]
    design = TagDesign(**fitted["design"])
    check_tensors(arrays, design.num_layers)
    labels = extra["labels"]
    if not (isinstance(labels, list) and 0 < len(labels) <= MOST_LABELS and all(type(x) is str for x in labels)):
        raise ValueError(f"labels: {labels!r:.60}")
    if extra["scheme"] not in SCHEMES or type(extra["rule"]) is not str:
        raise ValueError(f"scheme or rule: {extra['scheme']!r:.60}, {extra['rule']!r:.60}")
    counts = {name: fitted[name] for name in ("n_sentences", "n_tokens", "n_repaired")}
    counts["n_vectors"] = fitted.get("n_vectors", 0)
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ValueError(f"counts: {counts}")
    units = TagUnits.from_json(extra["units"])
    pairs = 0 if units.pairs is None else len(units.pairs)
    if (design.words, design.letters, design.pairs) != (len(units.words), len(units.letters), pairs):
        raise ValueError("units: other sizes than the net's")
    if type(design.further) is not int or not 0 <= design.further <= design.words - 2:
        raise ValueError(f"further: {design.further} of {design.words} words")
    names = tag_names(labels, WORKING)
    if design.tags != len(names):
        raise ValueError(f"labels: {len(names)} tags where the net has {design.tags}")
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(TagModel(design, names, WORKING, crf=bool(fitted["crf"])), arrays)
    with torch.random.fork_rng(devices=[]):
        model = TagModel(design, names, WORKING, crf=bool(fitted["crf"]))
    load_module_tensors(model, arrays)
    if not float(model.temperature) > 0:
        raise ValueError(f"temperature: {float(model.temperature)}")
    tagger.baselines_ = Baselines.from_folder(arrays, fitted["baselines"], len(names))
    tagger.labels_, tagger.scheme_, tagger.rule_, tagger.units_ = labels, extra["scheme"], extra["rule"], units
    tagger.n_sentences_, tagger.n_tokens_, tagger.n_repaired_, tagger.n_vectors_ = counts.values()
    tagger.validation_ = str(fitted["validation"])
    tagger.history_ = history_from_json(fitted["training"])
    tagger.metrics_ = {name: extra["metrics"][name] for name in ("validation_f1", "best_epoch", "epochs")}
    tagger.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    tagger.tokenizer_ = None
    tagger.model_ = model.eval()
