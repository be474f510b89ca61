"""Which kernel runs a layer: the one place that chooses.

native      the fused C++ kernels: CPU, float32, float64 and bfloat16
cudnn       cuDNN's own: CUDA, the cells that torch.nn has, no resets
compiled    the cell's own step through torch.compile, in a loop: any device, any dtype
reference   the cell's own step in a loop: any device, any dtype, any order of derivative
auto        native where it can run, on CUDA cudnn where that can, else compiled, elsewhere reference; said once
            through `logging`
"""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from throughtime.cells import LAYER_NORM_CELLS, Cell, Params, State
from throughtime.errors import ArgumentError, BackendError
from throughtime.kernels import cudnn, masks, reference
from throughtime.kernels.compiled import compiled
from throughtime.kernels.health import Listener, hear
from throughtime.kernels.recording import traced
from throughtime.kernels.variation import Variation

BACKENDS = ("auto", "native", "cudnn", "compiled", "reference")

_log = logging.getLogger("throughtime")


def check_backend(backend: str, cell_name: str | None = None) -> None:
    """Refuse a backend that does not exist, or that never has this cell.

    Raises:
        ArgumentError: `backend` is not one of `BACKENDS`.
        BackendError: it is "cudnn", which has no such cell.
    """
    if backend not in BACKENDS:
        raise ArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}; pass one of these")
    if backend == "cudnn" and cell_name is not None and not cudnn.has(cell_name):
        raise BackendError(
            f"backend='cudnn': expected an RNN, a GRU or an LSTM, got {cell_name}, which cuDNN does not have; "
            "pass backend='auto' or 'compiled'"
        )


def _load(name: str) -> ModuleType | None:
    """A module that needs the native kernels; None where the extension was not built."""
    if importlib.util.find_spec("throughtime.kernels._native") is None:
        return None
    return importlib.import_module(f"throughtime.kernels.{name}")


# Looked for once, when this module is imported: torch.compile could not trace the search, and warns of caches.
_native_ops = _load("torch_ops")
_native_stack = _load("stack_ops")
_native_normalized = _load("normalized_ops")


def _why_not_native(device_type: str, dtype: torch.dtype, cell_name: str | None = None) -> str | None:
    """What keeps the native kernels from running on such tensors, in words, or None."""
    if _native_ops is None:
        return "this installation has no compiled kernels"
    if device_type != "cpu":
        return f"tensors are on {device_type}"
    if dtype not in _native_ops.DTYPES:
        return f"tensors are {dtype}"
    if cell_name in LAYER_NORM_CELLS and dtype is torch.bfloat16:
        return f"the compiled kernels have no {cell_name} in {dtype}"
    return None


def _choose(backend: str, device_type: str, dtype: torch.dtype, cell_name: str | None, has_reset: bool) -> str:
    if backend in ("compiled", "reference"):
        return backend
    why_not = _why_not_native(device_type, dtype, cell_name)
    if backend == "native" and why_not is not None:
        raise BackendError(
            f"backend='native': expected float32, float64 or bfloat16 tensors on the CPU, got none: {why_not}; "
            "pass backend='auto' or 'reference'"
        )
    if why_not is None and backend != "cudnn":
        return "native"
    why_not_cudnn = cudnn.why_not(cell_name, device_type, dtype, has_reset)
    if backend == "cudnn" and why_not_cudnn is not None:
        raise BackendError(
            "backend='cudnn': expected an RNN, a GRU or an LSTM without resets, on CUDA, got none: "
            f"{why_not_cudnn}; pass backend='auto' or 'compiled'"
        )
    if why_not_cudnn is None:
        return "cudnn"
    return "compiled" if device_type == "cuda" else "reference"


@cache
def _choose_and_say(backend: str, device_type: str, dtype: torch.dtype, cell_name: str | None, has_reset: bool) -> str:
    chosen = _choose(backend, device_type, dtype, cell_name, has_reset)
    if backend == "auto":
        why_not = _why_not_native(device_type, dtype, cell_name)
        if chosen == "compiled":
            why_not = cudnn.why_not(cell_name, device_type, dtype, has_reset)
        reason = "" if why_not is None else f", since {why_not}"
        _log.info("recurrent layers on %s in %s run on the %s backend%s", device_type, dtype, chosen, reason)
    return chosen


def choose(
    backend: str, device_type: str, dtype: torch.dtype, cell_name: str | None = None, has_reset: bool = False
) -> str:
    """The backend that runs tensors of this device and dtype: "native", "cudnn", "compiled" or "reference".

    Args:
        backend: one of `BACKENDS`.
        device_type: "cpu", "cuda", ...
        dtype: the tensors'.
        cell_name: the cell; None for any of those that cuDNN has.
        has_reset: whether rows start anew inside the sequence.

    Raises:
        BackendError: "native" or "cudnn" was asked for and cannot run them.
    """
    told = cell_name in LAYER_NORM_CELLS and dtype is torch.bfloat16
    if device_type != "cuda" and backend != "cudnn" and not told:
        cell_name, has_reset = None, False  # of no weight there, and the choice is said once
    choose = _choose if torch.compiler.is_compiling() else _choose_and_say
    return choose(backend, device_type, dtype, cell_name, has_reset)


def varied(backend: str, chosen: str) -> str:
    """What runs a call with recurrent dropout or zoneout, where `choose` gave `chosen`.

    Raises:
        BackendError: "cudnn" was asked for, which has neither.
    """
    if chosen != "cudnn":
        return chosen
    if backend == "cudnn":
        raise BackendError(
            "backend='cudnn': expected the plain equations, got recurrent_dropout or zoneout, which cuDNN does not "
            "have; pass backend='auto' or 'compiled'"
        )
    return "compiled"


def transformed() -> bool:
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
    listener: Listener | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, State]:
    """One layer in one direction over a whole sequence.

    **Shapes** x (T, B, I), state each (B, H), lengths (B,), reset (T, B); output (T, B, H), final state each (B, H).

    `listener` is told of the backward pass; inside torch.compile, forward mode and functorch transforms it is not.

    Raises:
        BackendError: the backend named cannot run these tensors.
    """
    where: dict[str, Any] = {"lengths": lengths, "reset": reset, "reverse": reverse, "variation": variation}
    if transformed():
        output_TBH, final_state, _ = reference.scan(cell, x_TBI, state, params, **where)
        return output_TBH, final_state
    chosen = choose(backend, x_TBI.device.type, x_TBI.dtype, cell.name, reset is not None)
    if variation is not None:
        chosen = varied(backend, chosen)
    if chosen == "native":
        ops = _native_normalized if cell.name in LAYER_NORM_CELLS else _native_ops
        assert ops is not None
        found: tuple[Tensor, State] = ops.run(cell, x_TBI, state, params, **where, listener=listener)
        return found
    if chosen == "cudnn":
        found = cudnn.run(cell, x_TBI, state, params, lengths=lengths, reverse=reverse)
    else:
        fast = compiled(cell) if chosen == "compiled" and not torch.compiler.is_compiling() else None
        found = reference.run(cell, x_TBI, state, params, **where, fast=fast)
    if listener is None or torch.compiler.is_compiling():
        return found
    return hear(cell, x_TBI, state, params, where, listener, found)


def run_stack(
    cell: Cell,
    x_TBI: Tensor,
    state: State | None,
    params: Sequence[Params],
    D: int,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, State] | None:
    """Layers upon each other, each with its D directions, in one call of the kernels, where nothing but the kernels
    comes between them; None where that cannot be had, and `run` is to be called for each.

    **Shapes** as `run`; state each (L*D, B, H), zeros where None; output (T, B, D*H).

    Raises:
        BackendError: the backend named cannot run these tensors.
    """
    if _native_stack is None or cell.name in LAYER_NORM_CELLS or transformed():
        return None
    if choose(backend, x_TBI.device.type, x_TBI.dtype, cell.name, reset is not None) != "native":
        return None
    where: dict[str, Any] = {"lengths": lengths, "reset": reset, "traced": traced()}
    found: tuple[Tensor, State] = _native_stack.run(cell, x_TBI, state, params, D, **where)
    return found


def states(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: Params,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    backend: str,
) -> tuple[tuple[Tensor, ...], State, dict[str, Tensor] | None] | None:
    """Every field of the state along time, each (T, B, H), the final state, and the gates' values where the kernels
    kept them; None where no kernel gives them. The gates have no history.

    Raises:
        BackendError: the backend named cannot run these tensors.
    """
    chosen = choose(backend, x_TBI.device.type, x_TBI.dtype, cell.name, reset is not None)
    if chosen != "native" or transformed():
        return None
    ops = _native_normalized if cell.name in LAYER_NORM_CELLS else _native_ops
    assert ops is not None
    found: tuple[tuple[Tensor, ...], State, dict[str, Tensor] | None] = ops.states(
        cell, x_TBI, state, params, lengths=lengths, reset=reset, reverse=reverse
    )
    return found


def drop_mask(
    seed: Tensor, stream: int, kind: masks.Kind, p: float, rows: int, units: int, dtype: torch.dtype
) -> Tensor:
    """`masks.drop_mask`, by the kernels where they are and can read the seed."""
    known = dtype in (torch.float32, torch.float64)
    if _native_ops is None or not known or seed.device.type != "cpu" or traced() or transformed():
        return masks.drop_mask(seed, stream, kind, p, rows, units, dtype)
    mask: Tensor = _native_ops.drop_mask(seed, stream, kind, p, rows, units, dtype)
    return mask


StepFunction = Callable[[Tensor, State, Tensor | None], State]


def step_function(
    cell: Cell, params: Sequence[Params], backend: str, zoneout: tuple[float, ...] | None = None
) -> StepFunction:
    """One time step through layers whose weights are fixed now: (x (B, I), state (L, B, H), reset (B,)) to the state.

    Args:
        cell: the equations.
        params: of each layer, one direction.
        backend: as `choose` gave it; only "native" has a step of its own.
        zoneout: the shares of the old state in the new one, by its fields.
    """
    if backend == "native":
        assert _native_ops is not None
        function: StepFunction = _native_ops.step_function(cell, params, zoneout)
        return function
    return reference.step_function(cell, params, zoneout)


def check_lengths(who: str, lengths: Tensor, T: int) -> None:
    """Refuse a length outside [0, T]; while tracing, the operator itself does it when it runs.

    Raises:
        ArgumentError: a length is negative or greater than T.
    """
    if torch.compiler.is_compiling() or transformed() or lengths.numel() == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(lengths))
    if low < 0 or high > T:
        raise ArgumentError(
            f"{who}: expected lengths between 0 and T = {T}, got {low if low < 0 else high}; "
            "a length counts the valid time steps of a row"
        )
