"""The gates that a native forward pass saved for its backward pass, as tensors along time.

Axes in names: T time, B batch, H hidden units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.kernels import _native
from throughtime.kernels.torch_arguments import CELL_CODES, DTYPE_CODES, address, addresses, as_whole

_GRU = ("q", "r", "z", "n")
_LSTM = ("i", "f", "g", "o")
# The names of each cell's slots, in the order of csrc/cells.h; a cell with the state alone has no gates.
_SLOTS = {
    "gru": _GRU,
    "gru_reset_before": ("r", "z", "n"),
    "lstm": _LSTM,
    "peephole_lstm": _LSTM,
    "previous_peephole_lstm": _LSTM,
    "layer_norm_gru": _GRU,
    "layer_norm_lstm": _LSTM,
}


def read(
    cell: Cell,
    saved: Tensor,
    like_TBH: Tensor,
    lengths: Tensor | None,
    *,
    reverse: bool,
    norm: Sequence[Tensor | None] | None = None,
) -> dict[str, Tensor]:
    """The gates by name, each (T, B, H) of the dtype of `like_TBH`, zero past a length.

    Of a cell with layer normalisation only the normalised products are saved; `norm` are the gains and shifts that make
    gates of them: weight_ln_ih, weight_ln_hh, weight_ln_c, bias_ln_c, bias_ih, bias_hh.
    """
    names = _SLOTS.get(cell.name)
    if names is None:
        return {}
    T, B, H = like_TBH.shape
    gates = like_TBH.new_empty((len(names), T, B, H))
    # Bound to names, so that what a conversion made lives as long as the call.
    lengths = as_whole(lengths)
    whole = None if norm is None else [as_whole(tensor) for tensor in norm]
    _native.saved_gates(
        CELL_CODES[cell.name],
        DTYPE_CODES[like_TBH.dtype],
        T,
        B,
        H,
        address(saved),
        address(lengths),
        reverse,
        torch.get_num_threads(),
        address(gates),
        None if whole is None else tuple(addresses(whole)),
    )
    return dict(zip(names, gates.unbind(0), strict=True))
