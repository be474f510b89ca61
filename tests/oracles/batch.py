"""One layer in one direction over a batch with lengths and resets, in torch's layout: what `lengths` and `reset` mean.

Legend: T time, B batch, I input, H hidden.

A row is an example of its own: it is cut to its length, cut again at its resets, and each piece is run apart by
network.py. Nothing past the length is ever looked at.

- Forward, pieces run from left to right. The first starts from the initial state, unless reset[0]; the others start
  from zeros.
- Reverse, pieces run from right to left, each from its right end. The one run first (it starts at length − 1) starts
  from the initial state, the others from zeros; reset[0] cuts nothing.
- The final state is that of the piece run last; with no valid step it is the initial state.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from tests.oracles import network
from tests.oracles.cells import State, Step
from tests.oracles.layout import Array, TorchParams, gradients_to_torch, to_notes
from tests.oracles.normalized import EVERY_CELL


@dataclass
class Piece:
    """A stretch of one row that is run on its own: its time steps in the order of running."""

    times: list[int]
    from_initial: bool
    steps: list[Step] = field(default_factory=list)


@dataclass
class Run:
    """Values of a scan, and what `bptt` needs of it."""

    name: str
    params: TorchParams
    x_TBI: Array
    output_TBH: Array
    final_state: tuple[Array, ...]
    rows: list[list[Piece]]


def pieces_of(length: int, reset_T: Array | None, reverse: bool) -> list[Piece]:
    """The pieces of one row in the order of running."""
    if length == 0:
        return []
    is_border = [reset_T is not None and bool(reset_T[t]) for t in range(length)]
    cuts = [0, *[t for t in range(1, length) if is_border[t]], length]
    stretches = [list(range(lo, hi)) for lo, hi in itertools.pairwise(cuts)]
    if reverse:
        stretches = [stretch[::-1] for stretch in stretches[::-1]]
    first_is_fresh = is_border[0] and not reverse
    return [Piece(times, from_initial=(k == 0 and not first_is_fresh)) for k, times in enumerate(stretches)]


def scan(
    name: str,
    x_TBI: Array,
    state: State,
    params: TorchParams,
    *,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
) -> Run:
    """x (T,B,I) and a state of (B,H) arrays → output (T,B,H), zero past the lengths, and the final state."""
    cell, w = EVERY_CELL[name], to_notes(name, params)
    (T, B, _), H = x_TBI.shape, params["weight_hh"].shape[1]
    output_TBH = np.zeros((T, B, H))
    final = [s.copy() for s in state]
    rows = []
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        pieces = pieces_of(length, None if reset is None else reset[:, b], reverse)
        for piece in pieces:
            start = tuple(s[b] if piece.from_initial else np.zeros(H) for s in state)
            piece.steps = network.forward(cell, w, x_TBI[piece.times, b], start)
            for t, step in zip(piece.times, piece.steps, strict=True):
                output_TBH[t, b] = step.after[0]
            for k, value in enumerate(piece.steps[-1].after):
                final[k][b] = value
        rows.append(pieces)
    return Run(name, params, x_TBI, output_TBH, tuple(final), rows)


@dataclass
class Gradients:
    x_TBI: Array
    state: tuple[Array, ...]
    params: TorchParams


def bptt(run: Run, d_output_TBH: Array, d_final_state: tuple[Array, ...]) -> Gradients:
    """Gradients of Σ output ∗ d_output + Σ final_state ∗ d_final_state: input, initial state and parameters."""
    cell, w = EVERY_CELL[run.name], to_notes(run.name, run.params)
    grad = {key: np.zeros_like(value) for key, value in w.items()}
    dx_TBI = np.zeros_like(run.x_TBI)
    d_initial = [np.zeros_like(s) for s in run.final_state]
    for b, pieces in enumerate(run.rows):
        if not pieces:  # no valid step: the final state is the initial one
            for k, d in enumerate(d_final_state):
                d_initial[k][b] = d[b]
        for piece in pieces:
            is_last = piece is pieces[-1]
            d_end = tuple(d[b] if is_last else np.zeros_like(d[b]) for d in d_final_state)
            dx, d_start = network.backward(cell, w, piece.steps, d_output_TBH[piece.times, b], d_end, grad)
            for t, dx_t in zip(piece.times, dx, strict=True):
                dx_TBI[t, b] = dx_t
            if piece.from_initial:
                for k, d in enumerate(d_start):
                    d_initial[k][b] = d
    return Gradients(dx_TBI, tuple(d_initial), gradients_to_torch(run.name, grad, run.params))
