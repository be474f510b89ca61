"""An ONNX graph while it is built: nodes with names of their own, and constants beside them."""

import itertools
from typing import Any

import numpy as np

from throughtime._extras import require

OPSET = 18
"""Of the standard operators that are written; every node that is made here is the same in later ones."""


def onnx_package() -> Any:
    """The package onnx.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("onnx", extra="onnx")


class Graph:
    """Nodes in the order in which they run.

    Args:
        prefix: of every name that is made here.
    """

    def __init__(self, prefix: str = "") -> None:
        self.onnx = onnx_package()
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._numbers = itertools.count()

    def name(self, what: str) -> str:
        """A name that nothing else here has."""
        return f"{self.prefix}{what}_{next(self._numbers)}"

    def constant(self, value: Any, what: str = "constant") -> str:
        """The name of a constant; Python's whole numbers are int64."""
        array = np.array(value, order="C")
        name = self.name(what)
        self.initializers.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; "" is an input that is left out. The name of its output, or the names where there are several."""
        names = [self.name(kind) for _ in range(outputs)]
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(self.onnx.helper.make_node(kind, given, names, name=self.name("node"), **attributes))
        return names[0] if outputs == 1 else names

    def alias(self, value: str, name: str) -> None:
        """The same value under a name that is asked for."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name], name=self.name("node")))
