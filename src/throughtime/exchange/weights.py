"""A layer's weights as NumPy arrays, and their blocks in the order of another library.

Gates have one letter each, as in `throughtime.cells`: i f g o and r z n. Another library's order is such letters, too;
its own letters stand in its own file.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.layers import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM
from throughtime.nn.recurrent import Recurrent

Array = NDArray[Any]

PLAIN = (RNN, GRU, GRUResetBefore, LSTM, PeepholeLSTM)
"""The layers whose equations other libraries have."""


def check_layer(who: str, layer: Any, kinds: tuple[type[Recurrent], ...], *, zoneout: bool = False) -> Recurrent:
    """The layer, where it is one of these kinds with nothing added to its equations, but zoneout if that is allowed.

    Raises:
        ArgumentTypeError: it is no layer of `throughtime.nn`.
        ArgumentError: a cell, projection, zoneout or learned state that the other side has not.
    """
    if not isinstance(layer, Recurrent):
        raise ArgumentTypeError(
            f"{who}: expected a recurrent layer of throughtime.nn, got {type(layer).__name__}; pass one, or copy "
            "torch.nn's weights into it by load_state_dict"
        )
    name = type(layer).__name__
    if type(layer) not in kinds:
        wanted = ", ".join(kind.__name__ for kind in kinds)
        raise ArgumentError(f"{who}: expected one of {wanted}, got {name}, which has no counterpart; pass one of them")
    if layer.proj_size:
        raise ArgumentError(
            f"{who}: expected proj_size=0, got {layer.proj_size}, which has no counterpart; use a layer without it"
        )
    if any(layer.dropouts.zoneout) and not zoneout:
        raise ArgumentError(
            f"{who}: expected zoneout=0, got {layer.dropouts.zoneout}, which changes the equations in evaluation, too; "
            "use a layer without it"
        )
    return layer


def gates(layer: Recurrent) -> str:
    """The letters of the layer's blocks, in order; "h" for the simple recurrent layer's only one."""
    return "".join(layer.cell.gates) if len(layer.cell.gates) > 1 else "h"


def reorder(blocks: Array, own: str, other: str) -> Array:
    """Blocks along the first axis, named by the letters of `own`, in the order of `other`."""
    if own == other:
        return blocks
    parts = dict(zip(own, np.split(blocks, len(own)), strict=True))
    return np.concatenate([parts[letter] for letter in other])


def arrays(layer: Recurrent, index: int) -> dict[str, Array | None]:
    """The parameters of one layer and direction (at layer * num_directions + direction), None where there is none.

    Raises:
        ArgumentError: a weight is not finite, or of a dtype that NumPy has not.
    """
    found: dict[str, Array | None] = {}
    for field, tensor in layer.layer_params(index)._asdict().items():
        found[field] = None if tensor is None else to_array(tensor, f"{type(layer).__name__}.{field}")
    return found


def to_array(tensor: Tensor, what: str) -> Array:
    """A parameter's values, copied.

    Raises:
        ArgumentError: one is not finite, or the dtype is neither float32 nor float64.
    """
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ArgumentError(
            f"{what}: expected a weight of torch.float32 or torch.float64, got {tensor.dtype}; convert the layer with "
            ".float()"
        )
    array: Array = tensor.detach().cpu().numpy().copy()
    check_finite(array, what)
    return array


def check_finite(array: Array, what: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ArgumentError: there is one; the message says where the first stands.
    """
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise ArgumentError(
            f"{what}: expected finite weights, got {array[place]} at {place} ({len(wrong)} of {array.size} are not "
            "finite); train the model again, or take an earlier checkpoint"
        )


@torch.no_grad()
def fill(layer: Recurrent, index: int, values: dict[str, Array]) -> None:
    """Set the parameters of one layer and direction; a bias that the layer has and `values` has not becomes zero.

    Raises:
        ArgumentError: a shape is another than the layer's, or a value is not finite.
    """
    who = type(layer).__name__
    for field, tensor in layer.layer_params(index)._asdict().items():
        if tensor is None:
            continue
        if field not in values:
            tensor.zero_()
            continue
        value = np.asarray(values[field])
        if value.shape != tuple(tensor.shape):
            raise ArgumentError(
                f"{who}: expected {field} of shape {tuple(tensor.shape)}, got {value.shape}; give weights of one model"
            )
        check_finite(value, f"{who}.{field}")
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))
