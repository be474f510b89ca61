"""Any recurrent model unrolled along time: what flows forward, and along which arrows gradients come back."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import nn

from throughtime.errors import ArgumentError
from throughtime.models import Aligned, EncoderDecoder, ManyToOne, OneToMany, OneToOne
from throughtime.nn import Recurrent
from throughtime.nn.sequence_layer import SequenceLayer
from throughtime.report.style import COLOURS, INK, QUIET_INK, RULE, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

__all__ = ["Edge", "Node", "UnrolledGraph", "unrolled_figure", "unrolled_graph", "unrolled_plot"]

_FORWARD, _BACKWARD = COLOURS[0][0], COLOURS[1][0]
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_MOST_STEPS = 12
_ASIDE = 0.2  # how far the two directions of a layer stand from the middle of their step


@dataclass(frozen=True)
class Node:
    """A value at a step."""

    text: str
    kind: Literal["input", "state", "vector", "output", "loss"]
    x: float
    y: float


@dataclass(frozen=True)
class Edge:
    """From one node's index to another's: "flow" carries values on and gradients back, "fed" is what was written."""

    start: int
    end: int
    kind: Literal["flow", "fed"] = "flow"


@dataclass
class UnrolledGraph:
    """The nodes and edges of a picture; x counts steps, y rises from inputs to the loss."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    rows: list[tuple[str, float]] = field(default_factory=list)
    """What stands at each height, for the margin."""

    def add(self, text: str, kind: Literal["input", "state", "vector", "output", "loss"], x: float, y: float) -> int:
        """A new node's index."""
        self.nodes.append(Node(text, kind, x, y))
        return len(self.nodes) - 1

    def join(self, starts: Sequence[int], end: int) -> None:
        """Arrows from each of these to that one."""
        self.edges += [Edge(start, end) for start in starts]


def unrolled_plot(
    path: str | os.PathLike[str],
    model: nn.Module,
    *,
    steps: int = 4,
    backward: bool = True,
    letters: Literal["ours", "notes"] = "ours",
    title: str | None = None,
) -> Path:
    """Draw a model as the graph that it is along time: forward arrows blue, backward arrows red, losses summed.

    Args:
        path: a .png file.
        model: a layer of `throughtime.nn`, a topology of `throughtime.models`, or any module with one inside; of a
            module with several layers and no topology, the layers stand above one another.
        steps: time steps drawn, of the source and of the target each where a model has both.
        backward: with the arrows of backpropagation through time.
        letters: "ours" writes h for the state, "notes" the lecture notes' a, and c for a GRU's.
        title: above the picture; the model's class where None.

    Returns:
        The path written.

    Raises:
        ArgumentError: no recurrent layer inside, steps outside 1 … 12, or unknown letters.
        MissingExtraError: matplotlib is not installed.
    """
    figure = unrolled_figure(model, steps=steps, backward=backward, letters=letters)
    heading = type(model).__name__ if title is None else title
    figure.suptitle(heading, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)


def unrolled_figure(
    model: nn.Module, *, steps: int = 4, backward: bool = True, letters: Literal["ours", "notes"] = "ours"
) -> "Figure":
    """The same without a title."""
    graph = unrolled_graph(model, steps=steps, letters=letters)
    width = max(node.x for node in graph.nodes)
    height = max(node.y for node in graph.nodes)
    figure = new_figure(2.2 + 1.25 * width, 0.9 + 0.82 * (height + 1))
    axes = figure.subplots()
    boxes = [_box(axes, node) for node in graph.nodes]
    for edge in graph.edges:
        _arrow(axes, graph, boxes, edge, backward)
    for label, y in graph.rows:
        axes.text(0.15, y, label, ha="right", va="center", fontsize=9, color=QUIET_INK)
    axes.set_xlim(-0.75, width + 0.6)
    axes.set_ylim(-0.95, height + 0.5)
    axes.set_axis_off()
    legend = [("forward", _FORWARD), *([("backward: gradients", _BACKWARD)] if backward else [])]
    if any(edge.kind == "fed" for edge in graph.edges):
        legend.append(("what was written, fed back", QUIET_INK))
    for i, (label, colour) in enumerate(legend):
        axes.text(0.45 + 1.35 * (i % 2), -0.55 - 0.3 * (i // 2), f"→ {label}", fontsize=9, color=colour, va="center")
    return figure


def unrolled_graph(model: nn.Module, *, steps: int = 4, letters: Literal["ours", "notes"] = "ours") -> UnrolledGraph:
    """The nodes and edges that `unrolled_plot` draws.

    Raises:
        ArgumentError: as `unrolled_plot`.

    >>> from throughtime.nn import RNN
    >>> graph = unrolled_graph(RNN(2, 3), steps=3)
    >>> [node.text for node in graph.nodes if node.kind == "state"]
    ['h₁', 'h₂', 'h₃']
    """
    if not 1 <= steps <= _MOST_STEPS:
        raise ArgumentError(f"unrolled_plot: expected steps from 1 to {_MOST_STEPS}, got {steps}; draw fewer of them")
    if letters not in ("ours", "notes"):
        raise ArgumentError(f"unrolled_plot: expected letters to be ours or notes, got {letters!r}; pass one of them")
    topology = next((m for m in model.modules() if isinstance(m, _TOPOLOGIES)), None)
    layers = [m for m in (topology or model).modules() if isinstance(m, SequenceLayer)]
    if not layers:
        raise ArgumentError(
            f"unrolled_plot: expected a model with a recurrent layer of throughtime.nn, got {type(model).__name__} "
            "without one; pass a layer or a model that has one"
        )
    graph = UnrolledGraph()
    if isinstance(topology, EncoderDecoder):
        _encoder_decoder(graph, topology, steps, letters)
        return graph
    if isinstance(topology, OneToOne):
        steps = 1
    times = range(1, steps + 1)
    one_input = isinstance(topology, OneToMany)
    inputs = [graph.add(_at("x", t), "input", t, 0) for t in times if t == 1 or not one_input]
    tops = [[i] for i in inputs] + [[] for _ in range(steps - len(inputs))]
    states, y = _stack(graph, layers, tops, times, letters)
    if isinstance(topology, ManyToOne):
        _one_output(graph, topology, states, layers[-1], y, steps)
    else:
        outputs = _outputs(graph, states, y, times)
        if isinstance(topology, OneToMany) and topology.feedback == "output":
            lowest = [i for i, node in enumerate(graph.nodes) if node.kind == "state" and node.y == 1]
            graph.edges += [Edge(*pair, "fed") for pair in zip(outputs[:-1], lowest[1:], strict=True)]
    graph.rows.insert(0, ("input", 0.0))
    return graph


_TOPOLOGIES = (Aligned, EncoderDecoder, ManyToOne, OneToMany, OneToOne)


def _at(letter: str, t: int) -> str:
    return f"{letter}{t}".translate(_SUBSCRIPTS) if t else letter


def _state_text(layer: SequenceLayer, t: int, letters: str) -> str:
    fields: tuple[str, ...] = getattr(getattr(layer, "cell", None), "state_fields", ("h",))
    gated = "z" in getattr(getattr(layer, "cell", None), "gates", ())
    if letters == "notes":
        fields = tuple("c" if gated else "a" if name == "h" else name for name in fields)
    return ", ".join(_at(name, t) for name in fields)


def _each(layers: Sequence[SequenceLayer]) -> Iterator[SequenceLayer]:
    """Each layer of the stack, from the lowest; a `CustomRecurrent` is one."""
    for layer in layers:
        yield from repeat(layer, layer.num_layers if isinstance(layer, Recurrent) else 1)


def _stack(
    graph: UnrolledGraph,
    layers: Sequence[SequenceLayer],
    below: list[list[int]],
    times: Sequence[int],
    letters: str,
    shift: float = 0.0,
    y: float = 0.0,
    label: str = "",
) -> tuple[list[list[int]], float]:
    """The states of all layers, each step's joined to what lies below it; gives the top's and their height."""
    several = len([*_each(layers)]) > 1
    for index, layer in enumerate(_each(layers), 1):
        name = f"{label}{type(layer).__name__}{f' {index}' if several else ''}"
        ways = 2 if layer.bidirectional else 1
        tops: list[list[int]] = [[] for _ in times]
        for way in range(ways):
            y += 1.0 if way == 0 else 0.85
            aside = 0.0 if ways == 1 else _ASIDE * (2 * way - 1)
            row = [graph.add(_state_text(layer, t, letters), "state", t + shift + aside, y) for t in times]
            for position, node in enumerate(row):
                graph.join(below[position], node)
                tops[position].append(node)
            order = row[::-1] if way else row
            for start, end in pairwise(order):
                graph.join([start], end)
            graph.rows.append((name if ways == 1 else f"{name} {'←' if way else '→'}", y))
        below = tops
    return below, y


def _outputs(
    graph: UnrolledGraph, tops: list[list[int]], y: float, times: Sequence[int], shift: float = 0.0
) -> list[int]:
    """An output and a loss at every step, and their sum."""
    outputs = [graph.add(_at("ŷ", t), "output", t + shift, y + 1) for t in times]
    losses = [graph.add(_at("L", t), "loss", t + shift, y + 2) for t in times]
    for top, output, loss in zip(tops, outputs, losses, strict=True):
        graph.join(top, output)
        graph.join([output], loss)
    middle = shift + (times[0] + times[-1]) / 2
    if len(times) > 1:
        graph.join(losses, graph.add("L = Σ Lₜ", "loss", middle, y + 3))
    graph.rows += [("output", y + 1), ("loss", y + 2)]
    return outputs


def _one_output(
    graph: UnrolledGraph, topology: ManyToOne, tops: list[list[int]], layer: SequenceLayer, y: float, steps: int
) -> None:
    ends = [tops[-1][0], *([tops[0][1]] if layer.bidirectional else [])]
    if topology.pooling is not None:
        name = type(topology.pooling).__name__.removesuffix("Pooling").lower()
        pooled = graph.add(f"{name} over t", "vector", (1 + steps) / 2, y + 1)
        graph.join([node for top in tops for node in top], pooled)
        graph.rows.append(("pooling", y + 1))
        ends, y = [pooled], y + 1
    x = graph.nodes[ends[0]].x if len(ends) == 1 else (1 + steps) / 2
    output = graph.add("ŷ", "output", x, y + 1)
    graph.join(ends, output)
    graph.join([output], graph.add("L", "loss", x, y + 2))
    graph.rows += [("output", y + 1), ("loss", y + 2)]


def _encoder_decoder(graph: UnrolledGraph, model: EncoderDecoder, steps: int, letters: str) -> None:
    times = range(1, steps + 1)
    sources = [[graph.add(_at("x", t), "input", t, 0)] for t in times]
    tops, height = _stack(graph, [model.encoder], sources, times, letters, label="encoder: ")
    last = len(graph.nodes) - 1
    targets = [[graph.add("bos" if t == 1 else _at("y", t - 1), "input", t + steps, 0)] for t in times]
    before = len(graph.rows)
    written, y = _stack(graph, [model.decoder], targets, times, letters, shift=steps, label="decoder: ")
    graph.rows = [(label, at) for label, at in graph.rows[:before] if at != 1.0] + [
        ("input", 0.0),
        ("encoder, decoder", 1.0),
    ]
    first = next(i for i in range(last + 1, len(graph.nodes)) if graph.nodes[i].kind == "state")
    graph.join([tops[-1][0], *([tops[0][1]] if model.encoder.bidirectional else [])], first)
    if model.attention is not None:
        # One node for all that the encoder wrote, where arrows from each of its steps to each context would be a knot.
        memory = graph.add("m = all its outputs", "vector", (1 + steps) / 2, max(y, height) + 1)
        graph.join([node for top in tops for node in top], memory)
        context = [graph.add("Σ α m", "vector", t + steps, max(y, height) + 2) for t in times]
        for t in range(steps):
            graph.join([memory, *written[t]], context[t])
        written, y = [[node] for node in context], graph.nodes[context[0]].y
        graph.rows.append(("attention", y))
    _outputs(graph, written, y, times, shift=float(steps))


def _box(axes: "Axes", node: Node) -> "FancyBboxPatch":
    from matplotlib.patches import FancyBboxPatch

    wide = 0.17 + 0.035 * max(len(node.text) - 2, 0)
    face, edge = {
        "input": ("#ffffff", RULE), "state": ("#ffffff", INK), "vector": ("#ffffff", INK), "output": ("#ffffff", RULE),
        "loss": ("#ffffff", _BACKWARD),
    }[node.kind]  # fmt: skip
    box = FancyBboxPatch(
        (node.x - wide, node.y - 0.17), 2 * wide, 0.34, boxstyle="round,pad=0.03", facecolor=face, edgecolor=edge,
        linewidth=1.1, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(node.x, node.y, node.text, ha="center", va="center", fontsize=10, color=INK, zorder=4)
    return box


def _arrow(axes: "Axes", graph: UnrolledGraph, boxes: "list[FancyBboxPatch]", edge: Edge, backward: bool) -> None:
    from matplotlib.patches import FancyArrowPatch

    start, end = graph.nodes[edge.start], graph.nodes[edge.end]
    ways = [(start, end, edge.start, edge.end, _FORWARD if edge.kind == "flow" else QUIET_INK)]
    if backward and edge.kind == "flow":
        ways.append((end, start, edge.end, edge.start, _BACKWARD))
    dx, dy = end.x - start.x, end.y - start.y
    length = (dx * dx + dy * dy) ** 0.5
    for i, (a, b, from_, to, colour) in enumerate(ways):
        side = (0.055 if i else -0.055) if len(ways) > 1 else 0.0
        ox, oy = -dy / length * side, dx / length * side
        axes.add_patch(
            FancyArrowPatch(
                (a.x + ox, a.y + oy),
                (b.x + ox, b.y + oy),
                patchA=boxes[from_],
                patchB=boxes[to],
                shrinkA=1,
                shrinkB=1,
                arrowstyle="-|>",
                mutation_scale=8,
                color=colour,
                linewidth=1.0,
                zorder=2,
                linestyle="-" if edge.kind == "flow" else (0, (3, 2)),
            )
        )
