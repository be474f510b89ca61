"""Automatic mixed precision: under torch.autocast every recurrent layer computes in autocast's dtype.

torch.nn's layers differ from each other there: on a CPU its LSTM and RNN run in bfloat16 and its GRU, without a word,
in float32. Here all do the same: input, state and parameters are converted on entry (float64 is left alone, as
autocast leaves it), and output and state come back in autocast's dtype. Gradients of the parameters arrive in the
parameters' own dtype.
"""

import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import Params
from throughtime.nn.projection import ProjectedParams

_log = logging.getLogger("throughtime")


@cache
def _say(device_type: str, dtype: torch.dtype) -> None:
    _log.info("recurrent layers under autocast on %s compute in %s", device_type, dtype)


def active_dtype(device_type: str) -> torch.dtype | None:
    """What autocast asks for on this type of device, said once; None where it is off."""
    if not torch.amp.is_autocast_available(device_type) or not torch.is_autocast_enabled(device_type):
        return None
    dtype = torch.get_autocast_dtype(device_type)
    if not torch.compiler.is_compiling():
        _say(device_type, dtype)
    return dtype


def lower(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor as autocast converts it: floating point but for float64."""
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor


def lower_params(params: Params | ProjectedParams, dtype: torch.dtype) -> Any:
    """Parameters as autocast converts them."""
    kind: Any = type(params)
    return kind(*(None if p is None else lower(p, dtype) for p in params))
