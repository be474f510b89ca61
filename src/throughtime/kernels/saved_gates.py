"""The gates that a native forward pass saved for its backward pass, as tensors along time.

The kernels write [step, unit vector, position, slot, lane] (csrc/sequence_forward.h). A step is counted in running
order, a position is a row's place with the longest rows first, a slot is one value of a unit, and a vector has as many
lanes as a register of the instruction set holds.

Axes in names: T time, B batch, H hidden units.
"""

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.kernels import _native
from throughtime.kernels.torch_arguments import DTYPE_CODES

_LSTM = ("i", "f", "g", "o")
# What each cell's slots hold, in the order of csrc/cells.h; a cell with the state alone saves nothing.
_SLOTS = {
    "gru": ("q", "r", "z", "n"),
    "gru_reset_before": ("r", "z", "n"),
    "lstm": _LSTM,
    "peephole_lstm": _LSTM,
    "previous_peephole_lstm": _LSTM,
}


def read(cell: Cell, saved: Tensor, like_TBH: Tensor, lengths: Tensor | None, *, reverse: bool) -> dict[str, Tensor]:
    """The gates by name, each (T, B, H) of the dtype of `like_TBH`, zero past a length."""
    slots = _SLOTS.get(cell.name, ())
    T, B, H = like_TBH.shape
    lanes = _native.saved_lanes(DTYPE_CODES[like_TBH.dtype], H)
    vectors = -(-H // lanes)
    laid = saved.flatten()[: T * vectors * B * len(slots) * lanes].view(T, vectors, B, len(slots), lanes)
    found = {name: _along_time(laid[:, :, :, slot], H, lengths, reverse) for slot, name in enumerate(slots)}
    return {name: value.to(like_TBH.dtype) for name, value in found.items()}


def _along_time(laid: Tensor, H: int, lengths: Tensor | None, reverse: bool) -> Tensor:
    """One slot, from [step, vector, position, lane] to (T, B, H)."""
    T, vectors, B, lanes = laid.shape
    value = laid.transpose(1, 2).reshape(T, B, vectors * lanes)[..., :H]
    if lengths is None:
        return value.flip(0) if reverse else value
    time = torch.arange(T).unsqueeze(1)
    valid = time < lengths
    # The place of each row among the rows sorted as the kernels sort them.
    place_B = lengths.argsort(descending=True, stable=True).argsort()
    step_TB = (lengths - 1 - time if reverse else time.expand(T, B)).clamp(0, max(T - 1, 0))
    # What stands in the padding was never written.
    return torch.where(valid.unsqueeze(-1), value[step_TB, place_B], value.new_zeros(()))
