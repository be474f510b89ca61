"""A composer's parts in its folder, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from throughtime.tasks.compose import parameters
from throughtime.tasks.compose.copies import Copies
from throughtime.tasks.compose.evaluation import KeyCounts
from throughtime.tasks.compose.events import EventVocabulary
from throughtime.tasks.compose.events_view import build_net
from throughtime.tasks.compose.fitting import Facts
from throughtime.tasks.compose.frames import KEYS, FramesNet
from throughtime.tasks.estimator import load_module_tensors
from throughtime.tasks.language.baseline import Bigram
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json

if TYPE_CHECKING:
    from throughtime.tasks.compose.composer import Composer


def tensors(composer: "Composer") -> dict[str, Any]:
    """What stands beside the weights: the notes by which copies are found, and the counts of the baseline."""
    found: dict[str, Any] = {
        "copies.notes": composer.copies_.notes,
        "copies.sizes": np.array(composer.copies_.sizes, dtype=np.int64),
    }
    if composer.view == "events":
        found |= {"seen": composer.seen_.astype(np.uint8)} | composer.baseline_.tensors()
    else:
        found["keys.counts"] = composer.baseline_.counts
    return found


def sections(composer: "Composer") -> dict[str, Any]:
    """What stands in model.json."""
    return {
        **({"vocabulary": composer.vocabulary_.to_json()} if composer.view == "events" else {}),
        "labels": composer.labels_,
        "metrics": composer.metrics_,
        **({"origin": composer.origin_} if composer.origin_ else {}),
        "fitted": {
            "names": composer.copies_.names,
            "facts": asdict(composer.facts_),
            "training": history_json(composer.history_),
        },
    }


def read_sections(composer: "Composer", tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of both; parts that do not fit raise ValueError, LookupError or TypeError."""
    check_tensors(tensors, int(composer.num_layers))
    labels = extra["labels"]
    if labels is not None and not (isinstance(labels, list) and labels and all(type(x) is str for x in labels)):
        raise ValueError(f"labels: {labels!r:.60}")
    fitted = extra["fitted"]
    composer.labels_ = labels
    composer.copies_ = _copies(tensors, fitted["names"])
    composer.facts_ = _facts(fitted["facts"])
    composer.history_ = history_from_json(fitted["training"])
    composer.metrics_ = {name: extra["metrics"][name] for name in ("validation_loss", "best_epoch", "epochs")}
    composer.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    if composer.view == "events":
        composer.vocabulary_ = EventVocabulary.from_json(extra["vocabulary"])
        size = len(composer.vocabulary_)
        if tensors["seen"].shape != (size,):
            raise ValueError(f"seen: shape {tensors['seen'].shape} where {(size,)} belongs")
        composer.seen_ = tensors["seen"].astype(bool)
        composer.baseline_ = Bigram.from_tensors(tensors, size)
    else:
        counts = tensors["keys.counts"]
        if counts.shape != (2, 2, KEYS) or counts.dtype != np.int64 or (counts < 0).any():
            raise ValueError(f"keys.counts: {counts.dtype} of shape {counts.shape}")
        composer.baseline_ = KeyCounts(counts)
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(_build(composer), tensors)
    with torch.random.fork_rng(devices=[]):
        net = _build(composer)
    load_module_tensors(net, tensors)
    composer.model_ = net.eval()


def _build(composer: "Composer") -> nn.Module:
    if composer.view == "events":
        return build_net(composer, composer.vocabulary_, composer.labels_)
    return FramesNet(parameters.design(composer, len(composer.labels_ or ())))


def _copies(tensors: Mapping[str, np.ndarray], names: Any) -> Copies:
    notes, sizes = tensors["copies.notes"], tensors["copies.sizes"]
    if notes.dtype != np.int32 or notes.ndim != 2 or notes.shape[1] != 2 or sizes.dtype != np.int64 or sizes.ndim != 1:
        raise ValueError(f"copies: {notes.dtype} of shape {notes.shape}")
    if (sizes < 0).any() or int(sizes.sum()) != len(notes) or len(names) != len(sizes):
        raise ValueError(f"copies: {len(notes)} notes, {int(sizes.sum())} in {len(names)} pieces")
    return Copies(notes, [int(size) for size in sizes], [str(name) for name in names])


def _facts(found: Mapping[str, Any]) -> Facts:
    for name in ("pieces", "notes", "most_repeats", "at_once"):
        count_from(found, name)
    if not 0 < float(found["tempo"]) < 10_000:
        raise ValueError(f"tempo: {found['tempo']!r}")
    return Facts(**{field.name: found[field.name] for field in fields(Facts)})
