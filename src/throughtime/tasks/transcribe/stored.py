"""A transcriber's parts in its folder, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.data.sound.features import LogMel
from throughtime.data.text.units import units_from_json
from throughtime.tasks.estimator import load_module_tensors, module_tensors
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json
from throughtime.tasks.transcribe.hearing import Ear
from throughtime.tasks.transcribe.network import Design, SpeechNet

if TYPE_CHECKING:
    from throughtime.tasks.transcribe.transcriber import Transcriber

_METRICS = ("validation_wer", "validation_cer", "best_epoch", "epochs")


def tensors(transcriber: "Transcriber") -> dict[str, np.ndarray]:
    """Weights, and the scale of the features."""
    return module_tensors(transcriber.model_)


def sections(transcriber: "Transcriber") -> dict[str, Any]:
    """What stands beside the weights."""
    t = transcriber
    return {
        "units": t.units_.to_json(),
        "ear": {
            "mel": None if t.ear_.mel is None else asdict(t.ear_.mel),
            "features": t.ear_.features,
            "frame_rate": t.ear_.frame_rate,
        },
        "metrics": t.metrics_,
        **({"origin": t.origin_} if t.origin_ else {}),
        "fitted": {
            "design": asdict(t.model_.design),
            "sure": list(t.sure_),
            "frequent": t.frequent_,
            "n_clips": t.n_clips_,
            "seconds": t.seconds_,
            "validation": t.validation_,
            "training": history_json(t.history_),
        },
    }


def read_sections(transcriber: "Transcriber", arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    t, fitted = transcriber, extra["fitted"]
    if "loud" not in fitted["design"]:
        raise ValueError("design: of an earlier version, which took another mean off the features")
    design = Design(**fitted["design"])
    check_tensors(arrays, design.num_layers)
    units = units_from_json(extra["units"])
    ear = extra["ear"]
    mel = None if ear["mel"] is None else LogMel(**ear["mel"])
    features, frame_rate = count_from(ear, "features"), float(ear["frame_rate"])
    if (design.symbols, design.features, design.mel) != (len(units), features, mel is not None):
        raise ValueError("units or ear: other sizes than the net's")
    if mel is not None and (not 8 <= mel.mels == features or not 1000 <= mel.rate <= 10**6 or mel.step < 1):
        raise ValueError(f"ear: {mel}")
    if not 0 < frame_rate < np.inf or design.subsampling < 1 or design.tail < 0 or design.lookahead < 0:
        raise ValueError(f"frame_rate or design: {frame_rate}, {design}")
    if not (0 <= design.loud <= 10 and 0 <= design.shape <= 1e6):
        raise ValueError(f"design: loud {design.loud}, shape {design.shape}")
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(SpeechNet(design), arrays)
    with torch.random.fork_rng(devices=[]):
        net = SpeechNet(design)
    load_module_tensors(net, arrays)
    if not (net.scale > 0).all():
        raise ValueError("scale: not above 0")
    a, b = (float(value) for value in fitted["sure"])
    if not np.isfinite([a, b]).all():
        raise ValueError(f"sure: {a}, {b}")
    t.units_, t.ear_, t.sure_ = units, Ear(mel, features, frame_rate), (a, b)
    t.frequent_, t.n_clips_ = str(fitted["frequent"]), count_from(fitted, "n_clips")
    t.seconds_, t.validation_ = float(fitted["seconds"]), str(fitted["validation"])
    t.history_ = history_from_json(fitted["training"])
    t.metrics_ = {name: extra["metrics"][name] for name in _METRICS}
    t.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    t.model_ = net.eval()
