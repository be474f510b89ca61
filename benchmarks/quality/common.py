"""What the quality scripts share: where and with what a figure was made, and how it is written down."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from throughtime import Forecaster, __version__
from throughtime.nn import Recurrent

DEFAULT_MACHINE = "2-core x86-64 (Zen 4)"


def surroundings(machine: str, model: Forecaster | Recurrent) -> dict[str, Any]:
    """Machine class, versions, and the backend of the recurrent layers."""
    whole = model if isinstance(model, Recurrent) else model.model_
    layer = next(module for module in whole.modules() if isinstance(module, Recurrent))
    packages = {"throughtime": __version__} | {name: version(name) for name in ("torch", "numpy", "polars")}
    return {
        "machine": machine,
        "versions": {"python": platform.python_version(), **packages},
        "backend": layer.backend,
    }


def write(content: dict[str, Any], out: Path | None) -> None:
    """Write the figures as JSON, if a path was given."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"written to {out}")


def measured_before(content: dict[str, Any], out: Path | None, derived: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The runs in `out`, if it was made with these very settings: an interrupted benchmark goes on where it was.

    `derived` names what follows from the runs.
    """
    if out is None or not out.exists():
        return []
    found = json.loads(out.read_text())
    runs: list[dict[str, Any]] = found.pop("runs")
    for name in derived:
        found.pop(name, None)
    if json.loads(json.dumps(content)) == found:
        return runs
    print(f"{out} was made with other settings: it is measured anew")
    return []


class Enough(Exception):
    """Raised by a callback where the training error is as low as it needs to be: the run ends there."""


@torch.no_grad()
def open_to_the_past(layer: Recurrent, steps: int) -> None:
    """Chrono initialisation (Tallec and Ollivier 2018): a gate σ(b) keeps for about 1 + exp b steps.

    b ~ log U(1, steps − 1) for the LSTM's forget gate, −b for its input gate; b for the GRU's z, whose 1 is keep.
    """
    H = layer.hidden_size
    b = torch.empty(H).uniform_(1, max(steps - 1, 1)).log()
    gates = {"lstm": {"i": -b, "f": b}, "gru": {"z": b}}[layer.cell_name]
    for gate, bias in gates.items():
        rows = slice(layer.cell.gates.index(gate) * H, (layer.cell.gates.index(gate) + 1) * H)
        layer.bias_ih_l0[rows] = bias
        layer.bias_hh_l0[rows] = 0
