"""ONNX Runtime, quiet and on one thread, beside a layer of this library."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor


def session(path: Path) -> onnxruntime.InferenceSession:
    """A session on one thread that says errors alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, *inputs: Tensor) -> list[Tensor]:
    """A model's outputs, its inputs given in their order."""
    opened = session(path)
    names = [each.name for each in opened.get_inputs()]
    feed = {name: value.detach().numpy() for name, value in zip(names, inputs, strict=True)}
    return [torch.from_numpy(np.array(each)) for each in opened.run(None, feed)]


def flat(output: Tensor, state: Any) -> list[Tensor]:
    """What a layer gives, as a list."""
    return [output, *(state if isinstance(state, tuple) else (state,))]


def furthest(found: Any, wanted: Any) -> float:
    """The largest difference of two lists of tensors; shapes must be the same."""
    assert [tuple(f.shape) for f in found] == [tuple(w.shape) for w in wanted]
    return max(float((f - w).detach().abs().max()) if f.numel() else 0.0 for f, w in zip(found, wanted, strict=True))
