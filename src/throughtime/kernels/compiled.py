"""The reference scan with each step through torch.compile: what runs on an accelerator where no kernel does.

The cell's `values` and `step_backward` become one fused kernel or a few, so that a step costs a few launches instead of
a dozen. A second derivative goes through the plain equations, since torch.compile gives no derivative of a derivative.
"""

from dataclasses import replace
from typing import Any

import torch

from throughtime.cells import Cell

_made: dict[str, Cell] = {}


def compiled(cell: Cell, **options: Any) -> Cell:
    """The cell with its two functions compiled, once a process; `options` are torch.compile's, for the first call."""
    if cell.name not in _made:
        _made[cell.name] = replace(
            cell,
            values=torch.compile(cell.values, **options),
            step_backward=torch.compile(cell.step_backward, **options),
        )
    return _made[cell.name]
