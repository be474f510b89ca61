"""LSTMs whose output is a projection of their hidden units: torch.nn.LSTM's `proj_size`.

(1) m  = the cell's own h, from x, the projected h and c
(2) h' = W_hr m

h has P = proj_size features and c has H; the recurrent product reads h, so W_hh is (4*H, P). The fused kernels keep one
width for h and c, hence the loop over the cell's equations.

Axes in names: T time, B batch, I input features, H hidden units, P projected units.

**Source** [Sak2014], where the gates have peepholes as well.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from throughtime.cells import CELLS, Cell, State, StepGradients
from throughtime.errors import ArgumentError, BackendError
from throughtime.kernels import reference
from throughtime.kernels.variation import Variation

_log = logging.getLogger("throughtime")


class ProjectedParams(NamedTuple):
    """`throughtime.cells.Params`, and the projection."""

    weight_ih: Tensor  # (4*H, I)
    weight_hh: Tensor  # (4*H, P)
    bias_ih: Tensor | None  # (4*H,)
    bias_hh: Tensor | None  # (4*H,)
    weight_ch: Tensor | None  # (3*H,)
    weight_hr: Tensor  # (P, H)


def _project(cell: Cell) -> Cell:
    """The cell with (2) after it; its parameters are `ProjectedParams`."""

    def values(x_BI: Tensor, state: State, params: Any, mask: Tensor | None = None) -> Any:
        v = cell.values(x_BI, state, params, mask)
        return v._replace(h=linear(v.h, params.weight_hr))

    def step_backward(
        dstate: State, x_BI: Tensor, state: State, params: Any, mask: Tensor | None = None
    ) -> StepGradients:
        dh_new, *dc_new = dstate
        m = cell.values(x_BI, state, params, mask).h
        # h' = W_hr m
        inner = cell.step_backward((dh_new @ params.weight_hr, *dc_new), x_BI, state, params, mask)
        return inner._replace(dparams=ProjectedParams._make((*inner.dparams, dh_new.mT @ m)))

    return replace(
        cell, name=f"{cell.name}_projected", values=values, step_backward=step_backward, params=ProjectedParams
    )


# Made once, when this module is imported: torch.compile warns of caches.
PROJECTED = {cell.name: _project(cell) for cell in CELLS.values() if "c" in cell.state_fields}


def check_backend(who: str, proj_size: int, backend: str) -> None:
    """Refuse a backend that has no projections.

    Raises:
        BackendError: `backend` is neither "auto" nor "reference".
    """
    if backend not in ("auto", "reference"):
        raise BackendError(
            f"{who}: expected backend 'auto' or 'reference' with a projection, got backend={backend!r} and "
            f"proj_size={proj_size}, which it does not have here; pass backend='auto', or proj_size=0 and a "
            "torch.nn.Linear after the layer"
        )


def check_cell(who: str, proj_size: int, cell_name: str) -> None:
    """Refuse a cell that has no projection.

    Raises:
        ArgumentError: it is not among `PROJECTED`.
    """
    if cell_name not in PROJECTED:
        raise ArgumentError(
            f"{who}: expected proj_size=0, got {proj_size}, which {cell_name} does not have; "
            "put a torch.nn.Linear after the layer"
        )


@cache
def _say() -> None:
    """Tell once what projected layers run on."""
    _log.info("recurrent layers with proj_size run on the reference backend, since the native kernels do not have it")


def scan(
    cell: Cell,
    x_TBI: Tensor,
    state: State,
    params: ProjectedParams,
    *,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    reset_state: State | None = None,
    variation: Variation | None = None,
) -> tuple[Tensor, State, Any]:
    """One layer in one direction, as `reference.scan` gives it: output (T, B, P), final state, values of every step."""
    if not torch.compiler.is_compiling():
        _say()
    return reference.scan(
        PROJECTED[cell.name],
        x_TBI,
        state,
        params,  # type: ignore[arg-type]
        lengths=lengths,
        reset=reset,
        reverse=reverse,
        reset_state=reset_state,
        variation=variation,
    )


def step_function(
    cell: Cell, params: Sequence[ProjectedParams], zoneout: tuple[float, ...] | None = None
) -> Callable[[Tensor, State, Tensor | None], State]:
    """One time step through layers with copies of these weights; as `dispatch.step_function`, state (L, B, P or H)."""
    return reference.step_function(PROJECTED[cell.name], params, zoneout)  # type: ignore[arg-type]
