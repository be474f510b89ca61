"""What a layer is given, checked where it enters: one sentence for each way to hold it wrong.

`who` names the speaker in a message: "LSTM" for a constructor, "LSTM.forward" for a call.
"""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import State
from throughtime.errors import ArgumentError, ArgumentTypeError

_MOST = 2**31 - 1


def check_size(who: str, name: str, value: Any) -> int:
    """A positive whole number, NumPy's too, as an int.

    Raises:
        ArgumentTypeError: `value` is no whole number.
        ArgumentError: it is not positive, or more than 32 bits can count.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{who}: expected {name} to be an int, got {value!r}; pass a whole number")
    if value <= 0:
        raise ArgumentError(f"{who}: expected {name} > 0, got {value}; pass a positive number")
    if int(value) > _MOST:
        raise ArgumentError(f"{who}: expected {name} up to {_MOST}, got {value}; pass a smaller number")
    return int(value)


def check_flag(who: str, name: str, value: Any) -> None:
    """True or False; a number here is an argument in the wrong place.

    Raises:
        ArgumentTypeError: `value` is no bool.
    """
    if not isinstance(value, bool):
        raise ArgumentTypeError(
            f"{who}: expected {name} to be True or False, got {value!r}; name the arguments to put each in its place"
        )


def check_dropout(who: str, value: Any) -> None:
    """A probability.

    Raises:
        ArgumentError: `value` is no number in [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ArgumentError(
            f"{who}: expected dropout in [0, 1], got {value!r}; "
            "it is the probability of zeroing an element between layers"
        )


def check_proj_size(who: str, value: Any, hidden_size: int) -> int:
    """0, or a number of projected units below `hidden_size`, as an int.

    Raises:
        ArgumentTypeError: `value` is no int.
        ArgumentError: it is outside [0, hidden_size).
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{who}: expected proj_size to be an int, got {value!r}; pass a whole number")
    if not 0 <= int(value) < hidden_size:
        raise ArgumentError(
            f"{who}: expected proj_size in [0, hidden_size) = [0, {hidden_size}), got {value}; "
            "pass 0 for no projection, or fewer units than hidden_size"
        )
    return int(value)


def check_nonlinearity(who: str, value: Any) -> None:
    """ "tanh" or "relu".

    Raises:
        ArgumentError: `value` is neither.
    """
    if value not in ("tanh", "relu"):
        raise ArgumentError(f"{who}: expected nonlinearity 'tanh' or 'relu', got {value!r}; pass one of these")


def check_reset_state(who: str, value: Any) -> None:
    """ "zero" or "learned".

    Raises:
        ArgumentError: `value` is neither.
    """
    if value not in ("zero", "learned"):
        raise ArgumentError(
            f"{who}: expected reset_state 'zero' or 'learned', got {value!r}; "
            "a state of your own goes in with each call, as forward's reset_state"
        )


def check_place(who: str, what: str, tensor: Tensor, weight: Tensor) -> None:
    """A tensor of the parameters' dtype, on their device.

    Raises:
        ArgumentTypeError: another dtype.
        ArgumentError: another device.
    """
    if tensor.dtype != weight.dtype:
        advice = "convert one of them" if tensor.is_floating_point() else "convert it"
        dtype = tensor.dtype if tensor.is_floating_point() else weight.dtype
        raise ArgumentTypeError(
            f"{who}: expected {what} of dtype {weight.dtype}, the parameters' own, got {tensor.dtype}; "
            f"{advice} with .to({dtype})"
        )
    if tensor.device != weight.device:
        raise ArgumentError(
            f"{who}: expected {what} on {weight.device}, where the parameters are, got {tensor.device}; "
            f"move one of them with .to('{tensor.device}')"
        )


def read_tensors(who: str, given: Any, fields: Sequence[str], name: str = "hx") -> State:
    """A state as a tuple of tensors, one for each field.

    Raises:
        ArgumentTypeError: too few or too many, or something that is no tensor.
    """
    read = tuple(given) if isinstance(given, tuple | list) else (given,)
    if len(read) != len(fields) or not all(isinstance(s, Tensor) for s in read):
        got = type(given).__name__
        if isinstance(given, tuple | list):
            kinds = ", ".join(type(s).__name__ for s in read)
            got = f"{len(read)} values" if len(read) != len(fields) else f"({kinds})"
        want = f"a tuple of tensors ({', '.join(fields)})" if len(fields) > 1 else f"one tensor {fields[0]}"
        raise ArgumentTypeError(f"{who}: expected {name} to be {want}, got {got}; pass the state that forward returned")
    return read


def check_state(
    who: str,
    state: State,
    fields: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    axes: str,
    x: Tensor,
    name: str = "hx",
) -> None:
    """State tensors of these shapes, with the input's dtype and device.

    Raises:
        ArgumentError: another shape or device.
        ArgumentTypeError: another dtype.
    """
    for field, tensor, shape in zip(fields, state, shapes, strict=True):
        if tuple(tensor.shape) != shape:
            raise ArgumentError(
                f"{who}: expected {field} in {name} of shape {shape}, got {tuple(tensor.shape)}; the axes are {axes}"
            )
        if tensor.dtype != x.dtype:
            raise ArgumentTypeError(
                f"{who}: expected {field} in {name} of dtype {x.dtype}, the input's, got {tensor.dtype}; "
                f"convert it with .to({x.dtype})"
            )
        if tensor.device != x.device:
            raise ArgumentError(
                f"{who}: expected {field} in {name} on {x.device}, where the input is, got {tensor.device}; "
                f"move it with .to('{x.device}')"
            )


def read_reset(who: str, given: Any, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """A mask of borders of this shape, on `device`.

    Raises:
        ArgumentTypeError: it is not bool.
        ArgumentError: another shape.
    """
    reset: Tensor = torch.as_tensor(given)
    if reset.dtype != torch.bool:
        raise ArgumentTypeError(f"{who}: expected reset of dtype torch.bool, got {reset.dtype}; pass reset.bool()")
    if tuple(reset.shape) != shape:
        raise ArgumentError(
            f"{who}: expected reset of shape {shape}, got {tuple(reset.shape)}; pass one flag for each step and row"
        )
    return reset.to(device)
