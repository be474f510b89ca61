"""Which kernel runs a layer: the one place that chooses.

native      the fused C++ kernels: CPU, float32, float64 and bfloat16
reference   the cell's own step in a loop: any device, any dtype, any order of derivative
auto        native where it can run, else reference; said once through `logging`
"""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import forward_ad

from throughtime.cells import Cell, Params, State
from throughtime.errors import ArgumentError, BackendError
from throughtime.kernels import reference

BACKENDS = ("auto", "native", "reference")

_log = logging.getLogger("throughtime")


def check_backend(backend: str) -> None:
    """Refuse a backend that does not exist.

    Raises:
        ArgumentError: `backend` is not one of `BACKENDS`.
    """
    if backend not in BACKENDS:
        raise ArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}; pass one of these")


def _load_native_ops() -> ModuleType | None:
    """The torch operators of the native kernels; None where the extension was not built."""
    if importlib.util.find_spec("throughtime.kernels._native") is None:
        return None
    return importlib.import_module("throughtime.kernels.torch_ops")


# Looked for once, when this module is imported: torch.compile could not trace the search, and warns of caches.
_native_ops = _load_native_ops()


def _why_not_native(device_type: str, dtype: torch.dtype) -> str | None:
    """What keeps the native kernels from running on such tensors, in words, or None."""
    if _native_ops is None:
        return "this installation has no compiled kernels"
    if device_type != "cpu":
        return f"tensors are on {device_type}"
    if dtype not in _native_ops.DTYPES:
        return f"tensors are {dtype}"
    return None


def _choose(backend: str, device_type: str, dtype: torch.dtype) -> str:
    why_not = _why_not_native(device_type, dtype)
    if backend == "native" and why_not is not None:
        raise BackendError(
            f"backend='native': expected float32, float64 or bfloat16 tensors on the CPU, but {why_not}; "
            "pass backend='auto' or 'reference'"
        )
    return "reference" if backend == "reference" or why_not is not None else "native"


@cache
def _choose_and_say(backend: str, device_type: str, dtype: torch.dtype) -> str:
    chosen = _choose(backend, device_type, dtype)
    if backend == "auto":
        why_not = _why_not_native(device_type, dtype)
        reason = "" if why_not is None else f", since {why_not}"
        _log.info("recurrent layers on %s in %s run on the %s backend%s", device_type, dtype, chosen, reason)
    return chosen


def choose(backend: str, device_type: str, dtype: torch.dtype) -> str:
    """The backend that runs tensors of this device and dtype: "native" or "reference".

    Raises:
        BackendError: "native" was asked for and cannot run them.
    """
    if torch.compiler.is_compiling():
        return _choose(backend, device_type, dtype)
    return _choose_and_say(backend, device_type, dtype)


def _transformed() -> bool:
    """Whether a functorch transform or forward-mode differentiation is at work here.

    A custom op with a registered backward would return zero tangents there without an error.
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def run(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """One layer in one direction over a whole sequence.

    **Shapes** x (T, B, I), state each (B, H), lengths (B,), reset (T, B); output (T, B, H), final state each (B, H).

    Raises:
        BackendError: the backend named cannot run these tensors.
    """
    if _transformed():
        output_TBH, final_state, _ = reference.scan(
            cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse
        )
        return output_TBH, final_state
    if choose(backend, x_TBI.device.type, x_TBI.dtype) == "native":
        assert _native_ops is not None
        found: tuple[Tensor, State] = _native_ops.run(
            cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse
        )
        return found
    return reference.run(cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse)


StepFunction = Callable[[Tensor, State, Tensor | None], State]


def step_function(cell: Cell, params: Sequence[Params], backend: str) -> StepFunction:
    """One time step through layers whose weights are fixed now: (x (B, I), state (L, B, H), reset (B,)) to the state.

    Args:
        cell: the equations.
        params: of each layer, one direction.
        backend: "native" or "reference", as `choose` gave it.
    """
    if backend == "native":
        assert _native_ops is not None
        function: StepFunction = _native_ops.step_function(cell, params)
        return function
    return reference.step_function(cell, params)


def check_lengths(who: str, lengths: Tensor, T: int) -> None:
    """Refuse a length outside [0, T]; while tracing, the operator itself does it when it runs.

    Raises:
        ArgumentError: a length is negative or greater than T.
    """
    if torch.compiler.is_compiling() or _transformed() or lengths.numel() == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(lengths))
    if low < 0 or high > T:
        raise ArgumentError(
            f"{who}: expected lengths between 0 and T = {T}, got {low if low < 0 else high}; "
            "a length counts the valid time steps of a row"
        )
