"""Whether a model is nothing but a stack of recurrent layers, and that stack as one layer.

Exporters write what stands between two layers in many ways, so it is not read but tried: the model runs once on random
numbers, and each layer's input has to be the output of the one below it.

Axes in names: T time, B batch, F features, H hidden units, D directions.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import DataError
from throughtime.exchange.onnx.model import OnnxModule, read_onnx
from throughtime.exchange.onnx.nodes import RecurrentNode
from throughtime.nn.layers import RNN
from throughtime.nn.recurrent import Recurrent

_SIZES = (5, 3, 4, 6)  # of open axes, in the order in which their names come
_LENGTH = 3


def read_onnx_layer(path: Any) -> Recurrent:
    """The layer in a model that is nothing but a stack of recurrent layers, ready to be trained.

    Raises:
        DataError: as `read_onnx`; or something stands between the layers or after them, they differ in cell, width,
            direction or biases, or one runs backwards alone: `read_onnx` reads such a model as a module.
        MissingExtraError: onnx is not installed.
    """
    return stacked(read_onnx(path))


def stacked(module: OnnxModule) -> Recurrent:
    """One layer of as many levels as the module has recurrent operators.

    Raises:
        DataError: as `read_onnx_layer`.
    """
    nodes = [child for child in module.children() if isinstance(child, RecurrentNode)]
    first = nodes[0].layer
    for node in nodes:
        if node.backwards:
            raise _refused(module, "one that runs backwards alone")
        for what in ("cell_name", "hidden_size", "bidirectional", "bias"):
            one, other = getattr(first, what), getattr(node.layer, what)
            if one != other:
                raise _refused(module, f"layers with {what}={one!r} and {what}={other!r}")
    batch_first = _tried(module, nodes)
    more = {"nonlinearity": first.nonlinearity} if isinstance(first, RNN) else {}
    dtype = first.layer_params(0).weight_ih.dtype
    kind: Any = type(first)
    layer: Recurrent = kind(
        first.input_size, first.hidden_size, len(nodes), bias=first.bias, batch_first=batch_first,
        bidirectional=first.bidirectional, dtype=dtype, **more,
    )  # fmt: skip
    names = {f"{name.replace('_l0', f'_l{number}')}": value for number, node in enumerate(nodes)
             for name, value in node.layer.state_dict().items()}  # fmt: skip
    layer.load_state_dict(names)
    return layer


@torch.no_grad()
def _tried(module: OnnxModule, nodes: Sequence[RecurrentNode]) -> bool:
    """Whether rows come first, from a run in which everything fits together."""
    inputs = _inputs(module)
    seen: list[tuple[RecurrentNode, Tensor, Tensor]] = []
    outputs = module._run(tuple(inputs), lambda node, x, Y: seen.append((node, *_time_first(node, x, Y))))
    if [node for node, _, _ in seen] != list(nodes):
        raise _refused(module, f"{len(seen)} calls of {len(nodes)} layers")
    x_TBF = seen[0][1]
    given = next((each for each in inputs if each.dim() == 3 and each.is_floating_point()), None)
    if given is None or not (_same(given, x_TBF) or _same(given.transpose(0, 1), x_TBF)):
        raise _refused(module, "something else before the first layer")
    batch_first = not _same(given, x_TBF)
    for number, ((_, _, below), (_, above, _)) in enumerate(pairwise(seen), start=1):
        if not _same(below, above):
            raise _refused(module, f"something else between layers {number} and {number + 1}")
    last = seen[-1][2]
    last = last.transpose(0, 1) if batch_first else last
    if not any(_same(output, last) for output in outputs):
        raise _refused(module, "something else after the last layer")
    return batch_first


def _inputs(module: OnnxModule) -> list[Tensor]:
    """Random numbers of the shapes that the model says; whole numbers are lengths."""
    generator = torch.Generator().manual_seed(0)
    sizes: dict[str, int] = {}
    made = []
    for shape, dtype in module.input_shapes.values():
        for axis in shape:
            if isinstance(axis, str) and axis not in sizes:
                sizes[axis] = _SIZES[len(sizes) % len(_SIZES)]
        size = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in shape)
        if dtype.is_floating_point:
            made.append(torch.randn(size, generator=generator, dtype=dtype))
        else:
            made.append(torch.full(size, min(_LENGTH, *(made[0].shape[:2] if made else ())), dtype=dtype))
    return made


def _time_first(node: RecurrentNode, x: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """The input and the output (T, B, D*H) of an operator."""
    if node.rows_first:
        x, Y = x.transpose(0, 1), Y.permute(1, 2, 0, 3)
    return x, Y.transpose(1, 2).flatten(2)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _refused(module: OnnxModule, got: str) -> DataError:
    return DataError(
        f"{module.who}: expected a stack of recurrent layers of one kind and nothing else, got {got}; read it with "
        "read_onnx, whose recurrent_layers are its layers"
    )
