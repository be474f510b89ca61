"""The gates that a native forward pass saved for its backward pass, as tensors along time.

The kernels write [step, unit vector, position, slot, lane] (csrc/sequence_forward.h); those of the cells with layer
normalisation [step, position, unit vector, slot, lane], the slots being the normalised products (csrc/norm.h). A step
is counted in running order, a position is a row's place with the longest rows first, a slot is one value of a unit, and
a vector has as many lanes as a register of the instruction set holds.

Axes in names: T time, B batch, H hidden units.
"""

import torch
from torch import Tensor

from throughtime.cells import Cell, LayerNormParams
from throughtime.cells.layer_norm_gru import gates as gru_gates
from throughtime.cells.layer_norm_lstm import gates as lstm_gates
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
# What makes the gates of the normalised products, and their names.
_NORMALIZED = {"layer_norm_gru": (gru_gates, ("r", "z", "q", "n")), "layer_norm_lstm": (lstm_gates, _LSTM)}


def read(cell: Cell, saved: Tensor, like_TBH: Tensor, lengths: Tensor | None, *, reverse: bool) -> dict[str, Tensor]:
    """The gates by name, each (T, B, H) of the dtype of `like_TBH`, zero past a length."""
    slots = _SLOTS.get(cell.name, ())
    T, B, H = like_TBH.shape
    lanes = _native.saved_lanes(DTYPE_CODES[like_TBH.dtype], H)
    vectors = -(-H // lanes)
    laid = saved.flatten()[: T * vectors * B * len(slots) * lanes].view(T, vectors, B, len(slots), lanes)
    found = {}
    for slot, name in enumerate(slots):
        value = laid[:, :, :, slot].transpose(1, 2).reshape(T, B, vectors * lanes)[..., :H]
        found[name] = _along_time(value, lengths, reverse).to(like_TBH.dtype)
    return found


def read_normalized(
    cell: Cell, saved: Tensor, like_TBH: Tensor, params: LayerNormParams, lengths: Tensor | None, *, reverse: bool
) -> dict[str, Tensor]:
    """`read` for a cell with layer normalisation: its gates of the normalised products, gains and shifts."""
    if cell.name not in _NORMALIZED:
        return {}
    gates, names = _NORMALIZED[cell.name]
    T, B, H = like_TBH.shape
    lanes = _native.saved_lanes(DTYPE_CODES[like_TBH.dtype], H)
    vectors, slots = -(-H // lanes), 2 * len(cell.gates)
    row = saved.shape[-1] - slots * (-(-H // _native.saved_unit_multiple) * _native.saved_unit_multiple)
    row += vectors * slots * lanes
    laid = saved.flatten()[: T * B * row].view(T, B, row)[..., : vectors * slots * lanes]
    units = laid.view(T, B, vectors, slots, lanes)
    products = []
    # Slot by slot, so that what is worked on stays in the caches.
    for first, gain, shift in (
        (0, params.weight_ln_ih, params.bias_ih),
        (len(cell.gates), params.weight_ln_hh, params.bias_hh),
    ):
        shift = torch.zeros_like(gain) if shift is None else shift
        product = []
        for slot, (of_gain, of_shift) in enumerate(zip(gain.view(-1, H), shift.view(-1, H), strict=True), first):
            unit = units[:, :, :, slot].reshape(T, B, vectors * lanes)[..., :H]
            of_gain, of_shift = of_gain.detach().to(unit.dtype), of_shift.detach().to(unit.dtype)
            product.append(torch.addcmul(of_shift, _along_time(unit, lengths, reverse), of_gain))
        products.append(product)
    found = dict(zip(names, gates(*products), strict=True))
    if lengths is not None:
        past = (torch.arange(T).unsqueeze(1) >= lengths).unsqueeze(-1)
        found = {name: value.masked_fill(past, 0.0) for name, value in found.items()}
    return {name: value.to(like_TBH.dtype) for name, value in found.items()}


def _along_time(value: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """From [step, position, ...] to (T, B, ...)."""
    T, B, _ = value.shape
    if lengths is None:
        return value.flip(0) if reverse else value
    time = torch.arange(T).unsqueeze(1)
    valid = time < lengths
    # The place of each row among the rows sorted as the kernels sort them.
    place_B = lengths.argsort(descending=True, stable=True).argsort()
    step_TB = (lengths - 1 - time if reverse else time.expand(T, B)).clamp(0, max(T - 1, 0))
    # What stands in the padding was never written.
    return torch.where(valid.unsqueeze(-1), value[step_TB, place_B], value.new_zeros(()))
