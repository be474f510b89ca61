"""The oracle's scan with recurrent dropout and zoneout, row by row.

Masks are given: how they are drawn is not its affair.

Legend: T time, B batch, I input, H hidden.

- Recurrent dropout, m (B,H): W_hh (m ∗ h) = (W_hh diag m) h. A row runs with its own weights, whose columns are masked.
- Zoneout, k (T,B,H) for each field of the state: s_t = k ∗ s_{t−1} + (1 − k) ∗ (what the cell gives).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracles.batch import Gradients, pieces_of
from tests.oracles.layout import Array, TorchParams, gradients_to_torch, to_notes
from tests.oracles.normalized import EVERY_CELL


@dataclass
class VariedRun:
    name: str
    params: TorchParams
    x_TBI: Array
    output_TBH: Array
    final_state: tuple[Array, ...]
    mask_BH: Array | None
    keep: tuple[Array, ...] | None
    rows: list[list[tuple[Any, list[tuple[int, Any]]]]]  # of a row: pieces, each with (time, the cell's step)


def _weights_of_row(params: TorchParams, mask_BH: Array | None, b: int) -> TorchParams:
    return params if mask_BH is None else {**params, "weight_hh": params["weight_hh"] * mask_BH[b]}


def scan(
    name: str,
    x_TBI: Array,
    state: tuple[Array, ...],
    params: TorchParams,
    *,
    mask_BH: Array | None,
    keep: tuple[Array, ...] | None,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
) -> VariedRun:
    """As `batch.scan`, with a mask and what zoneout keeps."""
    cell, (T, B, _) = EVERY_CELL[name], x_TBI.shape
    output_TBH = np.zeros((T, *state[0].shape))
    final, rows = [s.copy() for s in state], []
    for b in range(B):
        w = to_notes(name, _weights_of_row(params, mask_BH, b))
        length = T if lengths is None else int(lengths[b])
        pieces = []
        for piece in pieces_of(length, None if reset is None else reset[:, b], reverse):
            current = tuple(s[b] if piece.from_initial else np.zeros_like(s[b]) for s in state)
            steps = []
            for t in piece.times:
                step = cell.forward(w, x_TBI[t, b], current)
                after = step.after
                if keep is not None:
                    after = tuple(k[t, b] * o + (1 - k[t, b]) * n for k, o, n in zip(keep, current, after, strict=True))
                steps.append((t, step))
                current = after
                output_TBH[t, b] = current[0]
            for field, value in zip(final, current, strict=True):
                field[b] = value
            pieces.append((piece, steps))
        rows.append(pieces)
    return VariedRun(name, params, x_TBI, output_TBH, tuple(final), mask_BH, keep, rows)


def bptt(run: VariedRun, d_output_TBH: Array, d_final_state: tuple[Array, ...]) -> Gradients:
    """As `batch.bptt`."""
    cell = EVERY_CELL[run.name]
    dx_TBI, d_initial = np.zeros_like(run.x_TBI), [np.zeros_like(s) for s in run.final_state]
    totals: TorchParams = {key: np.zeros_like(value) for key, value in run.params.items()}
    for b, pieces in enumerate(run.rows):
        w = to_notes(run.name, _weights_of_row(run.params, run.mask_BH, b))
        grad = {key: np.zeros_like(value) for key, value in w.items()}
        if not pieces:
            for field, d in zip(d_initial, d_final_state, strict=True):
                field[b] = d[b]
        for index, (piece, steps) in enumerate(pieces):
            last = index == len(pieces) - 1
            d_state = tuple(d[b] if last else np.zeros_like(d[b]) for d in d_final_state)
            for t, step in reversed(steps):
                d_state = (d_state[0] + d_output_TBH[t, b], *d_state[1:])
                kept = tuple(np.zeros_like(d) for d in d_state)
                if run.keep is not None:
                    kept = tuple(k[t, b] * d for k, d in zip(run.keep, d_state, strict=True))
                    d_state = tuple((1 - k[t, b]) * d for k, d in zip(run.keep, d_state, strict=True))
                dx_TBI[t, b], d_before = cell.backward(w, step, d_state, grad)
                d_state = tuple(d + k for d, k in zip(d_before, kept, strict=True))
            if piece.from_initial:
                for field, d in zip(d_initial, d_state, strict=True):
                    field[b] = d
        of_row = gradients_to_torch(run.name, grad, run.params)
        if run.mask_BH is not None:
            of_row["weight_hh"] = of_row["weight_hh"] * run.mask_BH[b]
        for key, value in of_row.items():
            totals[key] += value
    return Gradients(dx_TBI, tuple(d_initial), totals)
