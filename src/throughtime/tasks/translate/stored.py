"""A translator's parts in its folder, and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.data.text.parallel_units import JointSubwords
from throughtime.models import EncoderDecoderEnsemble
from throughtime.tasks.estimator import load_module_tensors
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json
from throughtime.tasks.translate import parameters
from throughtime.tasks.translate.network import build_net

if TYPE_CHECKING:
    from throughtime.tasks.translate.translator import Translator

_METRICS = ("validation_loss", "best_epoch", "epochs")


def sections(translator: "Translator") -> dict[str, Any]:
    """What stands beside the weights."""
    t = translator
    return {
        "units": t.units_.to_json(),
        "metrics": t.metrics_,
        **({"origin": t.origin_} if t.origin_ else {}),
        "fitted": {
            "members": len(t.model_.members),
            "n_pairs": t.n_pairs_,
            "n_tokens": list(t.n_tokens_),
            "left_out": t.left_out_,
            "validation": t.validation_,
            "training": [history_json(history) for history in t.histories_],
        },
    }


def read_sections(translator: "Translator", tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    t, fitted = translator, extra["fitted"]
    check_tensors(tensors, t.encoder_layers + t.decoder_layers)
    units = JointSubwords.from_json(extra["units"])
    members = count_from(fitted, "members")
    if members > len(tensors):
        raise ValueError(f"members: {members} with {len(tensors)} tensors")
    design = parameters.design(t, len(units))
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(EncoderDecoderEnsemble([build_net(design) for _ in range(members)]), tensors)
    with torch.random.fork_rng(devices=[]):
        model = EncoderDecoderEnsemble([build_net(design) for _ in range(members)], frozen=True)
    load_module_tensors(model, tensors)
    source_tokens, target_tokens = fitted["n_tokens"]
    t.units_, t.n_pairs_, t.validation_ = units, count_from(fitted, "n_pairs"), str(fitted["validation"])
    t.n_tokens_ = (int(source_tokens), int(target_tokens))
    t.left_out_ = {str(name): int(count) for name, count in fitted["left_out"].items()}
    t.histories_ = [history_from_json(history) for history in fitted["training"]]
    if len(t.histories_) != members:
        raise ValueError(f"training: {len(t.histories_)} of {members} nets")
    t.metrics_ = {name: extra["metrics"][name] for name in _METRICS}
    t.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    t.model_ = model.eval()
