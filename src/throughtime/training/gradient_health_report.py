"""What is known of a model's gradients along time, in numbers and in words.

Thresholds, where a number becomes a sentence:

FADED      1e-6   a gradient smaller than this part of its largest teaches nothing in float32, whose ε is 1.2e-7
GROWN      1e3    a gradient that grows by more on its way back ends in a step that clipping alone decides
SATURATED  0.9    a share of saturated values above which little can be learnt by what feeds them
IDLE       1e-6   a weight that moves by less than this part of itself in a step hardly moves
WILD       0.1    a weight that moves by more in one step does not converge

Axes in names: T time, K steps back from the end.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FADED = 1e-6
GROWN = 1e3
SATURATED = 0.9
IDLE = 1e-6
WILD = 0.1

Direction = Literal["forward", "reverse"]


@dataclass(frozen=True)
class NonFinite:
    """The first value that is not finite: of the forward pass if there is one, else of the backward pass."""

    during: Literal["forward", "backward"]
    module: str
    """The recurrent module's name in the model; "" for the model itself."""
    layer: int
    direction: Direction
    gate: str
    """As the cell names it; "c" for the LSTM's cell state."""
    step: int
    row: int
    unit: int
    cause: str
    """"the input", "the initial state", a parameter with its index, "the gradient from above", or "this step"."""

    @property
    def sentence(self) -> str:
        """In words."""
        what = f"gate {self.gate}" if self.gate != "c" else "the cell state"
        if self.during == "backward":
            what = f"the gradient of {what}"
        place = f"step {self.step}, row {self.row}, unit {self.unit}"
        return (
            f"{_where(self.module, self.layer, self.direction)}: the first value that is not finite is {what} at "
            f"{place}, in the {self.during} pass; it comes from {self.cause}"
        )


@dataclass(frozen=True, eq=False)
class LayerHealth:
    """One layer in one direction.

    **Shapes** dh and dc (T,): |∂L/∂h_t| and |∂L/∂c_t| over the whole batch, of the last backward pass; dc is None for a
    cell without c. `reach` (K,): the root mean square over rows of |∂(u·h_end)/∂(h, c)| at k steps back from a row's
    end, u a random direction: what a loss at the end alone sends back, whatever the loss is.
    """

    module: str
    cell: str
    layer: int
    direction: Direction
    dh: NDArray[np.float64]
    dc: NDArray[np.float64] | None
    reach: NDArray[np.float64]
    saturated: Mapping[str, float]
    """By gate: the share of its values within the margin of an end of their range."""

    @property
    def name(self) -> str:
        """Where it stands in the model."""
        return _where(self.module, self.layer, self.direction)

    @property
    def steps(self) -> int:
        """K: the steps of the longest row."""
        return len(self.reach)

    @property
    def memory(self) -> int | None:
        """The effective memory: the steps back from the end after which `reach` stays below `FADED` of its largest.

        None where it cannot be measured: a single step, no gradient at all, or one that is not finite.
        """
        if self.steps < 2 or not np.isfinite(self.reach).all() or not self.reach.any():
            return None
        return int(np.flatnonzero(self.reach >= FADED * self.reach.max())[-1]) + 1

    @property
    def growth(self) -> float:
        """The largest of `reach` as a multiple of its value at the end."""
        if not self.steps or not self.reach[0] > 0:
            return math.nan
        return float(self.reach.max() / self.reach[0])

    def sentences(self) -> list[str]:
        """What to know, and what to try."""
        said = []
        if self.memory is not None:
            said.append(self._memory_sentence(self.memory))
        if self.growth > GROWN:
            said.append(
                f"{self.name}: the gradient grows {self.growth:.1e} times on its way back over {self.steps} steps; "
                "clip it (clip_norm=1.0), lower the learning rate, or try a gated cell"
            )
        for gate, share in self.saturated.items():
            if share > SATURATED and self.cell == "rnn_relu":
                said.append(f"{self.name}: {share:.0%} of its outputs are zero, where no gradient passes; try tanh")
            elif share > SATURATED:
                said.append(
                    f"{self.name}: gate {gate} is saturated in {share:.0%} of its values; "
                    "scale the input to about unit variance, or lower the learning rate"
                )
        return said

    def _memory_sentence(self, memory: int) -> str:
        if memory >= self.steps:
            return f"{self.name}: the gradient reaches back over all {self.steps} steps"
        remedy = "try a gated cell (GRU or LSTM) whose gates begin open"
        if self.cell[:3] != "rnn":
            remedy = "begin with gates open to the past (a bias above 0 on f or z), or bring the past nearer: attention"
        return (
            f"{self.name}: the gradient falls below {FADED:g} of its largest after {memory} of {self.steps} "
            f"steps; what lies further back teaches it nothing: {remedy}"
        )

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "module": self.module,
            "cell": self.cell,
            "layer": self.layer,
            "direction": self.direction,
            "memory": self.memory,
            "steps": self.steps,
            "growth": self.growth,
            "saturated": dict(self.saturated),
            "dh": self.dh.tolist(),
            "dc": None if self.dc is None else self.dc.tolist(),
            "reach": self.reach.tolist(),
        }


@dataclass(frozen=True, eq=False)
class HealthReport:
    """The layers of a model, in the order of its modules, and what went wrong first."""

    layers: tuple[LayerHealth, ...]
    nonfinite: NonFinite | None
    margin: float
    """What counts as saturated: closer than this to an end of a gate's range."""
    update_ratios: Mapping[str, float] = field(default_factory=dict)
    """By parameter |Δw| / |w| of the last step looked at; only a training has them."""

    def sentences(self) -> list[str]:
        """What to know, the worst first."""
        said = [] if self.nonfinite is None else [self.nonfinite.sentence]
        for layer in self.layers:
            said += layer.sentences()
        for name, ratio in self.update_ratios.items():
            if ratio < IDLE:
                said.append(f"{name}: a step moves it by {ratio:.1e} of its size; raise the learning rate")
            elif ratio > WILD:
                said.append(f"{name}: a step moves it by {ratio:.1e} of its size; lower the learning rate")
        return said or ["no backward pass went through the recurrent layers while they were watched"]

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "layers": [layer.as_dict() for layer in self.layers],
            "nonfinite": None if self.nonfinite is None else vars(self.nonfinite) | {"text": self.nonfinite.sentence},
            "update_ratios": dict(self.update_ratios),
            "margin": self.margin,
            "sentences": self.sentences(),
        }


def _where(module: str, layer: int, direction: Direction) -> str:
    way = ", reverse" if direction == "reverse" else ""
    return f"{module + ' ' if module else ''}layer {layer}{way}"
