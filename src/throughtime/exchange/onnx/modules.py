"""A whole torch module with layers of this library in it as an ONNX model.

torch.onnx writes what is torch's; where it would come upon a recurrent layer or a CRF it finds an operator of ours
instead, which is then replaced by the nodes of `operators` and `viterbi`. So a layer is written in one way only.

Axes in names: T time, B batch, F features, H hidden units, K tags.
"""

import contextlib
import copy
import inspect
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime._extras import require
from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.exchange.onnx import files
from throughtime.exchange.onnx.graph import Graph, onnx_package
from throughtime.exchange.onnx.operators import check, emit
from throughtime.exchange.onnx.viterbi import emit_viterbi
from throughtime.nn.recurrent import Recurrent
from throughtime.nn.state import public_state

_DOMAIN = "throughtime"


def write_onnx_module(
    module: nn.Module,
    path: str | os.PathLike[str],
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    open_axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Write a module in evaluation, the recurrent layers in it in ONNX's own operators.

    Args:
        module: called with the inputs in their order, as positions.
        path: the file; one that is there is replaced.
        inputs: example tensors by name; their sizes stay open only where `open_axes` says so.
        outputs: a name for each tensor that the module gives.
        open_axes: by input, axis and a name for its size; axes of one name have one size. Examples should be 2 or
            larger there.

    Raises:
        ArgumentTypeError: no module.
        ArgumentError: a layer in it that `write_onnx` refuses, or called with `reset` or on one unbatched sequence.
        BackendError: torch.onnx cannot write the module.
        DataError: `path` cannot be written.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    files.write(to_model(module, inputs, outputs, open_axes, "write_onnx_module"), path, "write_onnx_module")


def to_model(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    open_axes: Mapping[str, Mapping[int, str]],
    who: str,
) -> Any:
    """`write_onnx_module` without the file."""
    if not isinstance(module, nn.Module):
        raise ArgumentTypeError(f"{who}: expected a torch module, got {type(module).__name__}; pass an nn.Module")
    onnx = onnx_package()
    require("onnxscript", extra="onnx")
    module = copy.deepcopy(module).eval()
    layers = [each for each in module.modules() if isinstance(each, Recurrent)]
    for number, layer in enumerate(layers):
        check(who, layer)
        layer.forward = _Stand(who, layer, number)  # type: ignore[method-assign]
    names = {name for axes in open_axes.values() for name in axes.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    shapes = _like_arguments(
        module, [{axis: dims[name] for axis, name in open_axes.get(each, {}).items()} or None for each in inputs]
    )
    # One tensor given twice would be one input to torch.export.
    examples = tuple(tensor.clone() for tensor in inputs.values())
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module, examples, dynamo=True, dynamic_shapes=shapes, input_names=list(inputs),
                output_names=list(outputs), verbose=False,
            )  # fmt: skip
    except Exception as error:  # torch's exporters raise many classes, some of them private
        ours = _ours(error)
        if ours is not None:
            raise ours from error
        raise BackendError(
            f"{who}: expected a module that torch.onnx can write, got: {_reason(error):.300}; export the part of it "
            "that is made of tensors alone"
        ) from error
    assert program is not None
    model = program.model_proto
    _check_open(model, open_axes, who)
    _replace(model, layers)
    version = next(entry.version for entry in model.opset_import if entry.domain == "")
    made = onnx.helper.make_graph(
        list(model.graph.node), type(module).__name__, list(model.graph.input), list(model.graph.output),
        initializer=list(model.graph.initializer),
    )  # fmt: skip
    return files.make_model(made, version)


def viterbi(emissions_TBK: Tensor, start_K: Tensor, transitions_KK: Tensor, end_K: Tensor, lengths_B: Tensor) -> Tensor:
    """In a module that is exported: the best tags (T, B) under these weights, −1 past a length."""
    T, B, _ = emissions_TBK.shape
    given = [emissions_TBK, start_K, transitions_KK, end_K, lengths_B]
    found: Tensor = torch.onnx.ops.symbolic(f"{_DOMAIN}::Viterbi", given, dtype=torch.int64, shape=(T, B), version=1)
    return found


class _Stand:
    """A layer's `forward` while its module is exported: an operator of ours, with the layer's number on it."""

    def __init__(self, who: str, layer: Recurrent, number: int) -> None:
        self.who, self.layer, self.number = who, layer, number

    def __call__(self, input: Any, hx: Any = None, *, lengths: Any = None, reset: Any = None, **how: Any) -> Any:
        layer, name = self.layer, type(self.layer).__name__
        if reset is not None:
            raise ArgumentError(
                f"{self.who}: expected calls of {name} without reset, got one with it, which ONNX's operators have "
                "not; run the segments apart"
            )
        if not isinstance(input, Tensor) or input.dim() != 3:
            got = tuple(input.shape) if isinstance(input, Tensor) else type(input).__name__
            raise ArgumentError(f"{self.who}: expected {name} to be called on a batch, got {got}; add an axis for it")
        x_TBI = input.transpose(0, 1) if layer.batch_first else input
        T, B, _ = x_TBI.shape
        state = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        rows, sizes = layer._state_rows, layer._state_sizes
        shapes = [(T, B, layer.output_size), *((rows, B, size) for size in sizes)]
        y_TBF, *after = torch.onnx.ops.symbolic_multi_out(
            f"{_DOMAIN}::Recurrent",
            [x_TBI, lengths, *state],
            {"number": self.number},
            dtypes=[x_TBI.dtype] * len(shapes),
            shapes=shapes,
            version=1,
        )
        return (y_TBF.transpose(0, 1) if layer.batch_first else y_TBF), public_state(tuple(after))


def _check_open(model: Any, open_axes: Mapping[str, Mapping[int, str]], who: str) -> None:
    """Refuse a model in which the size of an open axis is that of the example: torch.onnx freezes axes silently."""
    for given in model.graph.input:
        for axis, name in open_axes.get(given.name, {}).items():
            size = given.type.tensor_type.shape.dim[axis]
            if size.HasField("dim_value"):
                raise BackendError(
                    f"{who}: expected axis {axis} of {given.name!r} ({name}) to stay open, got one of "
                    f"{size.dim_value}, as in the example; take its size by .shape instead of len() in the module"
                )


def _replace(model: Any, layers: Sequence[Recurrent]) -> None:
    """Nodes for every operator of ours."""
    nodes: list[Any] = []
    for place, node in enumerate(model.graph.node):
        if node.domain != _DOMAIN:
            nodes.append(node)
            continue
        graph = Graph(f"{node.op_type}_{place}_")
        if node.op_type == "Viterbi":
            graph.alias(emit_viterbi(graph, *node.input), node.output[0])
        else:
            (number,) = (attribute.i for attribute in node.attribute if attribute.name == "number")
            x, lengths, *state = [*node.input, ""][: max(2, len(node.input))]
            found = emit(graph, layers[number], x, lengths, tuple(state))
            for value, name in zip((found.output, *found.state), node.output, strict=False):
                if name:
                    graph.alias(value, name)
        nodes += graph.nodes
        model.graph.initializer.extend(graph.initializers)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _like_arguments(module: nn.Module, each: list[Any]) -> tuple[Any, ...]:
    """One value for every argument of `forward`; those of ``*rest`` are a tuple to torch.export."""
    parameters = inspect.signature(module.forward).parameters.values()
    named = sum(1 for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL)
    if len(each) > named:
        return *each[:named], tuple(each[named:])
    return tuple(each)


def _reason(error: BaseException) -> str:
    """The first thing that went wrong, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _ours(error: BaseException) -> ArgumentError | None:
    """An error of ours inside of torch's."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ArgumentError):
        found = found.__cause__ or found.__context__
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch.onnx says of itself: packages that it could use, its own deprecations."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.onnx._internal.exporter._registration")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
