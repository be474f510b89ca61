"""Recurrent layers that an exporter wrote as a Loop, as Keras's do: SimpleRNN and GRU.

The weights are read off the body's two products, of the input's step and of the state. What the rest of the body
computes is not read but tried: one step of it on random numbers has to be one step of a layer with these weights.

Axes in names: T time, B batch, I input features, H hidden units, G blocks of a matrix.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime.errors import DataError
from throughtime.exchange.keras import from_keras
from throughtime.exchange.onnx.nodes import RecurrentNode
from throughtime.exchange.onnx.operations import OPERATIONS
from throughtime.exchange.onnx.parameters import OPERATOR, packed
from throughtime.nn.layers import GRU, RNN, GRUResetBefore
from throughtime.nn.recurrent import Recurrent

_TOLERANCE = 1e-5
_ROWS = 3  # of the batch that is tried


class LoopNode(RecurrentNode):
    """A Loop that is a recurrent layer over all steps.

    Attributes:
        who: who speaks in messages: the file.
        inputs: names of what it needs: the count of steps, x (T, B, I), h_0 (B, H).
        outputs: names of the last state (B, H) and of every state (T, B, H); "" for one that is not asked for.
    """

    who: str
    inputs: list[str]
    outputs: list[str]

    def run(self, steps: Tensor, x_TBI: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Y (T, 1, B, H) and Y_h (1, B, H).

        Raises:
            DataError: the loop has another number of steps than its input.
        """
        if int(steps) != len(x_TBI):
            raise DataError(
                f"{self.who}: expected a Loop over all {len(x_TBI)} steps of its input, got one over {int(steps)}; "
                "export the layer without it"
            )
        found = self(x_TBI, None, h_BH.unsqueeze(0))
        return found[0], found[1]


def loop_node(
    onnx: Any, who: str, name: str, node: Any, constants: Mapping[str, Tensor], source: Callable[[str], str]
) -> LoopNode:
    """The layer that a Loop is.

    Args:
        source: of a value around the loop, what it is a copy of, if in another dtype.

    Raises:
        DataError: it is none; with operators that are not known these are named.
    """
    body = _Body(onnx, who, name, node, constants)
    body.check_whole(node, source)
    kernel, recurrent, *bias = body.weights()
    H = len(recurrent)
    layer = next((each for each in _candidates(kernel, recurrent, bias) if body.agrees(each)), None)
    if layer is None:
        raise _refused(who, name, f"another step over {kernel.shape[0]} features and {H} units")
    attributes: dict[str, Any] = {"hidden_size": H, "linear_before_reset": int(type(layer) is GRU)}
    if isinstance(layer, RNN):
        attributes = {"hidden_size": H, "activations": [layer.nonlinearity.capitalize()]}
    weights = {key: torch.from_numpy(value) for key, value in packed(layer, 0).items()}
    found = LoopNode(who, name, OPERATOR[layer.cell_name], attributes, weights)
    found.who, found.inputs, found.outputs = who, body.inputs, body.outputs
    return found


class _Body:
    """The body of a Loop, once its step is found: x by a Gather at the counter, h by what becomes of it."""

    def __init__(self, onnx: Any, who: str, name: str, node: Any, constants: Mapping[str, Tensor]) -> None:
        self.who, self.name = who, name
        graph = next(onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == "body")
        self.made = {output: each for each in graph.node for output in each.output}
        self.attributes = {
            id(each): {a.name: onnx.helper.get_attribute_value(a) for a in each.attribute} for each in graph.node
        }
        steps, _, *first = node.input
        _, _, *before = (each.name for each in graph.input)
        after = [each.name for each in graph.output][1:]
        self.known = {each.name: torch.tensor(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
        self.known |= {key: value for key, value in constants.items() if key not in self.known}
        # Weights are handed from step to step as they are.
        kept = {b: v for b, v, a in zip(before, first, after, strict=False) if self._origin(a) == b and v in constants}
        self.known |= {b: constants[v] for b, v in kept.items()}
        counters = {
            b for b, v, a in zip(before, first, after, strict=False)
            if v in constants and not constants[v].is_floating_point() and not constants[v].any() and self._counts(a, b)
        }  # fmt: skip
        gathers = [each for each in graph.node if each.op_type == "Gather" and each.input[1] in counters]
        moving = [
            (b, v, a, at)
            for at, (b, v, a) in enumerate(zip(before, first, after, strict=False))
            if b not in self.known and b not in counters and self._origin(a) != b
        ]
        if len(gathers) != 1 or len(moving) != 1 or self.attributes[id(gathers[0])].get("axis", 0) != 0:
            raise _refused(who, name, f"{len(gathers)} inputs and {len(moving)} states")
        self.carried, self.counters = dict(zip(before, first, strict=True)), counters
        self.ports = [each.name for each in graph.input][:2]
        self.condition = graph.output[0].name
        self.x = gathers[0].output[0]
        self.h, initial, self.next, at = moving[0]
        self.inputs = [steps, gathers[0].input[0], initial]
        scans = after[len(before) :]
        if len(scans) > 1 or (scans and self._origin(scans[0]) != self._origin(self.next)):
            raise _refused(who, name, "an output that is not the state")
        self.outputs = [node.output[at], node.output[len(before)] if scans else ""]
        self.nodes = [each for each in graph.node if each is not gathers[0]]

    def check_whole(self, node: Any, source: Callable[[str], str]) -> None:
        """Refuse a loop that its condition may end before its count of steps.

        Raises:
            DataError: it asks for something else than a counter below that count.
        """
        steps, waiting = source(node.input[0]), [self.condition]
        while waiting:
            name = waiting.pop()
            made = self.made.get(name)
            if name in self.ports or name in self.counters or self._counted(name):
                continue
            if made is not None and made.op_type in ("And", "Less", "Cast", "Identity"):
                waiting += made.input
            elif source(self.carried.get(name, name)) != steps:
                raise _refused(self.who, self.name, "a condition that may end it early")

    def weights(self) -> list[np.ndarray]:
        """The kernel (I, G*H), the recurrent one (H, G*H) and, where there is one, the bias."""
        products = {each.input[0]: each.input[1] for each in self.nodes if each.op_type == "MatMul"}
        kernel = self._matrix(products.get(self.x, ""))
        recurrent = self._matrix(products.get(self.h, ""))
        used = {name for each in self._needed() for name in each.input}
        rows = kernel.shape[1]
        bias = [self.known[n] for n in used if n in self.known and self.known[n].shape[-1:] == (rows,)]
        bias = [each for each in bias if each is not recurrent and each is not kernel and each.dim() <= 2]
        if recurrent.shape[1] != rows or len(bias) > 1:
            raise _refused(self.who, self.name, f"weights of {tuple(kernel.shape)} and {tuple(recurrent.shape)}")
        return [each.numpy() for each in (kernel, recurrent, *bias)]

    @torch.no_grad()
    def agrees(self, layer: Recurrent) -> bool:
        """Whether one step of the body is one step of the layer."""
        generator = torch.Generator().manual_seed(0)
        x_BI = torch.randn(_ROWS, layer.input_size, generator=generator)
        h_BH = torch.randn(_ROWS, layer.hidden_size, generator=generator)
        values: dict[str, Any] = {**self.known, self.x: x_BI, self.h: h_BH}
        for each in self._needed():
            given = [values[name] if name else None for name in each.input]
            attributes = {"num_outputs": len(each.output), **self.attributes[id(each)]}
            made = OPERATIONS[each.op_type](attributes, *given)
            values |= zip(each.output, made if isinstance(made, tuple) else (made,), strict=False)
        want_1BH = layer(x_BI.unsqueeze(0), h_BH.unsqueeze(0))[0]
        found: Tensor = values[self.next]
        return found.shape == want_1BH[0].shape and bool((found - want_1BH[0]).abs().max() < _TOLERANCE)

    def _needed(self) -> list[Any]:
        """The nodes between x, h and the next h, in their order."""
        wanted, found = {self.next}, []
        for each in reversed(self.nodes):
            if wanted & {*each.output}:
                found.append(each)
                wanted |= {*each.input}
        unknown = sorted({each.op_type for each in found if each.op_type not in OPERATIONS})
        loose = wanted - {*self.known, self.x, self.h, ""} - {o for each in found for o in each.output}
        if unknown or loose:
            raise _refused(
                self.who, self.name, f"operators {', '.join(unknown)}" if unknown else "a step of more inputs"
            )
        return found[::-1]

    def _matrix(self, name: str) -> Tensor:
        """The constant that a name, or what it is cut from, is."""
        while name in self.made and self.made[name].op_type in ("Identity", "Slice"):
            name = self.made[name].input[0]
        found = self.known.get(name)
        if found is None or found.dim() != 2:
            raise _refused(self.who, self.name, "no products of input and state with weights")
        return found

    def _origin(self, name: str) -> str:
        while name in self.made and self.made[name].op_type == "Identity":
            name = self.made[name].input[0]
        return name

    def _counted(self, name: str) -> bool:
        return any(self._counts(name, counter) for counter in self.counters)

    def _counts(self, after: str, before: str) -> bool:
        made = self.made.get(self._origin(after))
        if made is None or made.op_type != "Add" or before not in made.input:
            return False
        by = next((self.known[name] for name in made.input if name in self.known), None)
        return by is not None and by.numel() == 1 and int(by) == 1


def _candidates(kernel: np.ndarray, recurrent: np.ndarray, bias: list[np.ndarray]) -> list[Recurrent]:
    """The layers that these weights may be those of."""
    I, H, G = kernel.shape[0], len(recurrent), kernel.shape[1] / len(recurrent)
    has: dict[str, Any] = {"bias": bool(bias)}
    made: list[Recurrent] = []
    if G == 1:
        made = [RNN(I, H, nonlinearity=kind, **has) for kind in ("tanh", "relu")]
    elif G == 3:
        after = not bias or bias[0].ndim == 2
        made = [GRU(I, H, **has)] if after else []
        made += [GRUResetBefore(I, H, **has)] if not bias or bias[0].ndim == 1 else []
    for layer in made:
        from_keras(layer, [[kernel, recurrent, *bias]])
    return made


def _refused(who: str, name: str, got: str) -> DataError:
    return DataError(
        f"{who}: expected a Loop that is a SimpleRNN or a GRU, as Keras writes them, got {got} in {name!r}; export the "
        "layer as an operator, or take its weights by from_keras"
    )
