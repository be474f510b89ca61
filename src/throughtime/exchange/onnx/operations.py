"""ONNX's operators in torch, as far as they stand around recurrent layers: shapes, gathering, arithmetic, heads.

Each is a function of its inputs (None where one is left out) and its attributes. What is not in `OPERATIONS` is not
known, and a model that has it is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Attributes = Mapping[str, Any]

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
"""By the number that ONNX gives a type."""


def _numbers(given: Tensor | None, attributes: Attributes, name: str) -> list[int] | None:
    """A list that older models have as an attribute and newer ones as an input."""
    if given is not None:
        return [int(i) for i in given.reshape(-1).tolist()]
    found = attributes.get(name)
    return None if found is None else [int(i) for i in found]


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = shape.tolist()
    if not a.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _numbers(axes, a, "axes")
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _numbers(axes, a, "axes") or []
    rank = x.dim() + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _slice(
    a: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    first, last = starts.tolist(), ends.tolist()
    over = list(range(len(first))) if axes is None else axes.tolist()
    by = [1] * len(first) if steps is None else steps.tolist()
    for start, end, axis, step in zip(first, last, over, by, strict=True):
        size = x.shape[axis]
        places = torch.arange(size)[slice(start, end, step)] if step > 0 else _backwards(size, start, end, step)
        x = x.index_select(axis, places.to(x.device))
    return x


def _backwards(size: int, start: int, end: int, step: int) -> Tensor:
    """As NumPy slices with a negative step, but an end far below zero is before the first."""
    return torch.from_numpy(np.arange(size)[slice(start, None if end < -size else end, step)].copy())


def _gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.dim()
    places = torch.where(index < 0, index + x.shape[axis], index).long()
    found = x.index_select(axis, places.reshape(-1))
    return found.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _gather_nd(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    batch = a.get("batch_dims", 0)
    if batch:
        rows = [_gather_nd({**a, "batch_dims": batch - 1}, x[i], index[i]) for i in range(len(x))]
        return torch.stack(rows)
    return x[tuple(index.long().unbind(-1))]


def _gather_elements(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0)
    return x.gather(axis, torch.where(index < 0, index + x.shape[axis], index).long())


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis, chosen = a.get("axis", 0), _numbers(sizes, a, "split")
    if chosen is None:
        return tuple(x.chunk(a["num_outputs"], axis))
    return torch.split_with_sizes(x, chosen, axis)


def _expand(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


def _constant_of_shape(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    return torch.full(tuple(shape.tolist()), value.item(), dtype=value.dtype)


def _shape(a: Attributes, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[a.get("start", 0) : a.get("end")], dtype=torch.int64)


def _reverse_sequence(a: Attributes, x: Tensor, lengths_B: Tensor) -> Tensor:
    time, batch = a.get("time_axis", 0), a.get("batch_axis", 1)
    step_T1 = torch.arange(x.shape[time], device=x.device).unsqueeze(1)
    from_TB = torch.where(step_T1 < lengths_B, lengths_B - 1 - step_T1, step_T1)
    x_TB = x.movedim((time, batch), (0, 1))
    found = x_TB.gather(0, from_TB.reshape(*from_TB.shape, *[1] * (x.dim() - 2)).expand_as(x_TB))
    return found.movedim((0, 1), (time, batch))


def _div(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _clip(a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    low = torch.tensor(a["min"]) if "min" in a else low
    high = torch.tensor(a["max"]) if "max" in a else high
    x = x if low is None else torch.maximum(x, low.to(x.dtype))
    return x if high is None else torch.minimum(x, high.to(x.dtype))


def _gemm(a: Attributes, x: Tensor, y: Tensor, z: Tensor | None = None) -> Tensor:
    x, y = (x.T if a.get("transA", 0) else x), (y.T if a.get("transB", 0) else y)
    found: Tensor = a.get("alpha", 1.0) * (x @ y)
    return found if z is None else found + a.get("beta", 1.0) * z


def _layer_normalization(a: Attributes, x: Tensor, gain: Tensor, shift: Tensor | None = None) -> Tensor:
    axis = a.get("axis", -1) % x.dim()
    return F.layer_norm(x, tuple(x.shape[axis:]), gain, shift, a.get("epsilon", 1e-5))


def _reduce(kind: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = _numbers(axes, a, "axes")
        if chosen is None and a.get("noop_with_empty_axes", 0):
            return x
        return kind(x, dim=chosen or list(range(x.dim())), keepdim=bool(a.get("keepdims", 1)))

    return reduce


def _product(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """As torch.sum with several axes, which torch.prod has not."""
    for axis in sorted((each % x.dim() for each in dim), reverse=True):
        x = x.prod(axis, keepdim=keepdim)
    return x


def _softmax(kind: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda a, x: kind(x, dim=a.get("axis", -1))


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)


def _folded(kind: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def fold(a: Attributes, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = kind(first, other)
        return first

    return fold


def _plain(kind: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, *inputs: kind(*inputs)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *rest: x,  # as in evaluation
    "Constant": lambda a: a["value"] if "value" in a else _written(a),
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
    "Size": lambda a, x: torch.tensor(x.numel()),
    "Cast": lambda a, x: x.to(DTYPES[a["to"]]),
    "CastLike": lambda a, x, y: x.to(y.dtype),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda a, x: x.permute(a.get("perm", tuple(range(x.dim()))[::-1])),
    "Expand": _expand,
    "Tile": lambda a, x, repeats: x.repeat(tuple(repeats.tolist())),
    "Concat": lambda a, *inputs: torch.cat(inputs, a["axis"]),
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "ReverseSequence": _reverse_sequence,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "Range": lambda a, start, end, step: torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype),
    "Where": _plain(torch.where),
    "Equal": _plain(torch.eq),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "And": _plain(torch.logical_and),
    "Or": _plain(torch.logical_or),
    "Not": _plain(torch.logical_not),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _div,
    "Pow": lambda a, x, y: torch.pow(x, y).to(x.dtype),
    "Neg": _plain(torch.neg),
    "Abs": _plain(torch.abs),
    "Sqrt": _plain(torch.sqrt),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Clip": _clip,
    "Tanh": _plain(torch.tanh),
    "Sigmoid": _plain(torch.sigmoid),
    "Relu": _plain(torch.relu),
    "Softplus": _plain(F.softplus),
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
    "MatMul": _plain(torch.matmul),
    "Gemm": _gemm,
    "LayerNormalization": _layer_normalization,
    "ReduceSum": _reduce(torch.sum),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin),
    "ReduceProd": _reduce(_product),
}
"""By operator: attributes and inputs to the output, or a tuple of them."""


def _written(a: Attributes) -> Tensor:
    """A constant that stands in the attribute itself."""
    name = next(name for name in ("value_int", "value_float", "value_ints", "value_floats") if name in a)
    return torch.tensor(a[name], dtype=torch.int64 if "int" in name else torch.float32)
