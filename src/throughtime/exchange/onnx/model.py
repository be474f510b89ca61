"""An ONNX model as a torch module whose recurrent operators are layers of this library, to be trained further."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, DataError
from throughtime.exchange.onnx import files
from throughtime.exchange.onnx.graph import onnx_package
from throughtime.exchange.onnx.loops import LoopNode, loop_node
from throughtime.exchange.onnx.nodes import RECURRENT, RecurrentNode
from throughtime.exchange.onnx.operations import DTYPES, OPERATIONS
from throughtime.nn.recurrent import Recurrent

# Operators that read trained numbers directly: what is constant there becomes a parameter.
_TRAINED = ("MatMul", "Gemm", "Gather", "LayerNormalization", "Add", "Mul")
_WEIGHTS = {1: "W", 2: "R", 3: "B", 7: "P"}  # by input of a recurrent operator

Watcher = Callable[[RecurrentNode, Tensor, Tensor], None]


def read_onnx(path: str | os.PathLike[str]) -> "OnnxModule":
    """Read a model with recurrent operators, ours or another exporter's.

    Raises:
        DataError: a file that is missing, truncated, no ONNX model, of 2 GiB or more, or without the files of its
            weights; NaN in a weight; an opset that is too old or too new; operators that are not known (all of them
            are named); no recurrent operator; one with an activation, clip or coupled gates (input_forget) that no
            layer here computes; or a Loop that is no recurrent layer.
        MissingExtraError: onnx is not installed.
    """
    return OnnxModule(files.read(path), str(path))


class OnnxModule(nn.Module):
    """A model from an ONNX file, called with its inputs in their order.

    Recurrent operators run in layers of this library (`recurrent_layers`), everything else in torch. Weights of both
    are parameters; ``.parameters()`` finds them all. Gradients flow through the whole.

    **Numerics**: within 1e-5 of ONNX Runtime, but for a row of length zero, which keeps its initial state here.
    """

    def __init__(self, model: Any, who: str) -> None:
        super().__init__()
        onnx, graph = onnx_package(), model.graph
        self.who = who
        _check_operators(who, graph)
        if graph.sparse_initializer:
            raise DataError(
                f"{who}: expected dense weights, got {len(graph.sparse_initializer)} sparse ones; export without them"
            )
        constants: dict[str, Tensor] = {
            each.name: _tensor(onnx.numpy_helper.to_array(each)) for each in graph.initializer
        }
        self.input_names = [each.name for each in graph.input if each.name not in constants]
        self.output_names = [each.name for each in graph.output]
        self.input_shapes = {each.name: _shape(each) for each in graph.input if each.name not in constants}
        self._steps: list[tuple[str, Any, list[str], list[str], str | None]] = []
        self._kept: dict[str, str] = {}
        self._constants = constants
        for number, node in enumerate(graph.node):
            self._add(onnx, node, number)
        used = {name for _, _, inputs, _, _ in self._steps for name in inputs} | {*self.output_names}
        for name in [name for name in constants if name not in used]:
            del constants[name]
        self._keep()
        if not self.recurrent_layers:
            raise DataError(
                f"{who}: expected a model with an RNN, GRU or LSTM operator, got none; there is nothing for recurrent "
                "layers in it"
            )

    @property
    def recurrent_layers(self) -> list[Recurrent]:
        """The layer of each recurrent operator, in the order in which they run."""
        return [module.layer for module in self.children() if isinstance(module, RecurrentNode)]

    def forward(self, *inputs: Tensor) -> Any:
        """The model's output, or a tuple of its outputs.

        Raises:
            ArgumentError: another number of inputs than the model has.
        """
        found = self._run(inputs, None)
        return found[0] if len(found) == 1 else found

    def _add(self, onnx: Any, node: Any, number: int) -> None:
        """One node: a layer, a value that is known already, or a step of every call."""
        constants = self._constants
        attributes = {each.name: _attribute(onnx, each) for each in node.attribute}
        name = node.name or f"{node.op_type} number {number}"
        inputs, outputs = list(node.input), list(node.output)
        if node.op_type == "Split":  # older ones have as many parts as they have outputs
            attributes.setdefault("num_outputs", len(outputs))
        if node.op_type in RECURRENT:
            weights = {}
            for place, role in _WEIGHTS.items():
                given = inputs[place] if place < len(inputs) else ""
                if given and given not in constants:
                    raise DataError(
                        f"{self.who}: expected {role} of {name!r} to be known beforehand, got the computed {given!r}; "
                        "export it with constants folded"
                    )
                if given:
                    weights[role] = constants[given]
            module = RecurrentNode(self.who, name, node.op_type, attributes, weights)
            self.add_module(f"recurrent_{number}", module)
            rest = [inputs[0], *(inputs[place] if place < len(inputs) else "" for place in (4, 5, 6))]
            self._steps.append((node.op_type, None, rest, outputs, f"recurrent_{number}"))
        elif node.op_type == "Loop":
            loop = loop_node(onnx, self.who, name, node, constants, self._source)
            self.add_module(f"recurrent_{number}", loop)
            self._steps.append(("Loop", None, loop.inputs, loop.outputs, f"recurrent_{number}"))
        elif all(not each or each in constants for each in inputs):
            values = [constants[each] if each else None for each in inputs]
            for output, value in zip(outputs, _as_tuple(OPERATIONS[node.op_type](attributes, *values)), strict=False):
                constants[output] = value
        else:
            self._steps.append((node.op_type, attributes, inputs, outputs, None))

    def _source(self, name: str) -> str:
        """What a value is a copy of, if in another dtype."""
        copies = {out: inputs[0] for kind, _, inputs, (out, *_), _ in self._steps if kind in ("Cast", "Identity")}
        while name in copies:
            name = copies[name]
        return name

    def _keep(self) -> None:
        """Constants as parameters where they are trained numbers, else as buffers."""
        trained = {
            name
            for kind, _, inputs, _, _ in self._steps
            if kind in _TRAINED
            for name in inputs
            if name in self._constants
        }
        for number, (name, value) in enumerate(self._constants.items()):
            own = f"constant_{number}"
            self._kept[name] = own
            if name in trained and value.is_floating_point() and value.dim():
                self.register_parameter(own, nn.Parameter(value.clone()))
            else:
                self.register_buffer(own, value)
        self._constants = {}

    def _run(self, inputs: tuple[Tensor, ...], watch: Watcher | None) -> tuple[Tensor, ...]:
        if len(inputs) != len(self.input_names):
            raise ArgumentError(
                f"OnnxModule: expected {len(self.input_names)} inputs ({', '.join(self.input_names)}), got "
                f"{len(inputs)}; pass them in this order"
            )
        values: dict[str, Any] = dict(zip(self.input_names, inputs, strict=True))
        values |= {name: getattr(self, own) for name, own in self._kept.items()}
        for kind, attributes, needed, outputs, own in self._steps:
            given = [values[name] if name else None for name in needed]
            if own is None:
                made = _as_tuple(OPERATIONS[kind](attributes, *given))
            else:
                made = self._recurrent(getattr(self, own), given, watch)
            values |= zip(outputs, made, strict=False)
        return tuple(values[name] for name in self.output_names)

    def _recurrent(self, node: Any, given: list[Any], watch: Watcher | None) -> tuple[Tensor, ...]:
        """What a recurrent operator gives."""
        if isinstance(node, LoopNode):
            steps, x, h_BH = given
            Y_T1BH, Y_h_1BH = node.run(steps, x, h_BH)
            made: tuple[Tensor, ...] = Y_h_1BH[0], Y_T1BH[:, 0]
        else:
            x, lengths_B, *state = given
            lengths_B = None if lengths_B is None else lengths_B.long()
            made = node(x, lengths_B, *self._state(node, state))
            Y_T1BH = made[0]
        if watch is not None:
            watch(node, x, Y_T1BH)
        return made

    @staticmethod
    def _state(node: RecurrentNode, given: list[Tensor | None]) -> list[Tensor]:
        """The initial state, zeros where one of an LSTM's two is left out."""
        fields = len(node.layer.cell.state_fields)
        state = given[:fields]
        if all(s is None for s in state):
            return []
        like = next(s for s in state if s is not None)
        return [torch.zeros_like(like) if s is None else s for s in state]


def _check_operators(who: str, graph: Any) -> None:
    """Refuse operators that are not known, all of them by name."""
    unknown: dict[str, int] = {}
    for node in graph.node:
        own = node.domain not in ("", "ai.onnx")
        if own or node.op_type not in (*OPERATIONS, *RECURRENT, "Loop"):
            name = f"{node.domain}.{node.op_type}" if own else node.op_type
            unknown[name] = unknown.get(name, 0) + 1
    if unknown:
        told = ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in sorted(unknown.items()))
        raise DataError(
            f"{who}: expected operators that are known here, got {told}; export the recurrent part alone, or run the "
            "file in ONNX Runtime"
        )


def _attribute(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _tensor(onnx.numpy_helper.to_array(value))
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [each.decode() for each in value]
    return value


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array))  # a writable copy


def _shape(value: Any) -> tuple[tuple[int | str, ...], torch.dtype]:
    """Sizes, a name for one that is open, and the dtype."""
    kind = value.type.tensor_type
    sizes = tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or f"{value.name} {axis}"
        for axis, d in enumerate(kind.shape.dim)
    )
    return sizes, DTYPES.get(kind.elem_type, torch.float32)


def _as_tuple(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)
