"""Layers on layers, one way and both ways, in torch's layout and order of states.

Legend: T time, B batch, I input, H hidden, D directions.

Layer l reads the output of layer l−1; with two directions a layer's output is [forward | reverse] on the last axis.
State row l·D + d belongs to layer l, direction d. Parameters have torch's names: weight_ih_l0_reverse and so on.
"""

from dataclasses import dataclass

import numpy as np

from tests.oracles import batch
from tests.oracles.layout import Array, TorchParams

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch")


@dataclass
class DeepRun:
    output_TBH: Array  # (T, B, D·H)
    final_state: tuple[Array, ...]  # each (L·D, B, H)
    runs: list[list[batch.Run]]  # [layer][direction]


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")


def scan(
    name: str,
    x_TBI: Array,
    state: tuple[Array, ...],
    params: TorchParams,
    *,
    num_layers: int,
    bidirectional: bool,
    lengths: Array | None = None,
    reset: Array | None = None,
) -> DeepRun:
    D = 2 if bidirectional else 1
    runs: list[list[batch.Run]] = []
    for layer in range(num_layers):
        row = []
        for d in range(D):
            suffix = _suffix(layer, d)
            own = {kind: params[kind + suffix] for kind in KINDS if kind + suffix in params}
            start = tuple(s[layer * D + d] for s in state)
            row.append(batch.scan(name, x_TBI, start, own, lengths=lengths, reset=reset, reverse=bool(d)))
        runs.append(row)
        x_TBI = np.concatenate([run.output_TBH for run in row], axis=-1)
    final = tuple(np.stack([run.final_state[k] for row in runs for run in row]) for k in range(len(state)))
    return DeepRun(x_TBI, final, runs)


def bptt(deep: DeepRun, d_output_TBH: Array, d_final_state: tuple[Array, ...]) -> batch.Gradients:
    """Gradients by the input, the initial state and every parameter, by torch's names."""
    D = len(deep.runs[0])
    d_initial = [np.zeros_like(s) for s in deep.final_state]
    grads: TorchParams = {}
    for layer in reversed(range(len(deep.runs))):
        shares = np.split(d_output_TBH, D, axis=-1)
        d_output_TBH = np.zeros_like(deep.runs[layer][0].x_TBI)
        for d, run in enumerate(deep.runs[layer]):
            g = batch.bptt(run, shares[d], tuple(s[layer * D + d] for s in d_final_state))
            d_output_TBH = d_output_TBH + g.x_TBI
            grads |= {kind + _suffix(layer, d): value for kind, value in g.params.items()}
            for k, value in enumerate(g.state):
                d_initial[k][layer * D + d] = value
    return batch.Gradients(d_output_TBH, tuple(d_initial), grads)
