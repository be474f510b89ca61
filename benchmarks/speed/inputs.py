"""The arrays of a case: every participant of a race reads the same ones, torch's names and gate order."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.cases import CELLS, Case

Array = NDArray[np.float32] | NDArray[np.int64]

POINTS_IN, POINTS_OUT = 50, 10


def lengths(case: Case, seed: int) -> NDArray[np.int64]:
    """Uniform in 0..T, both ends included."""
    return np.random.default_rng([seed, 1]).integers(0, case.T + 1, case.B)


def weights(case: Case, cell: str, seed: int) -> dict[str, NDArray[np.float32]]:
    """U(−1/√H, 1/√H), as torch initialises."""
    rng = np.random.default_rng([seed, 2])
    H, rows, features, made = case.H, CELLS[cell] * case.H, case.I, {}
    for layer in range(case.L):
        shapes = {"weight_ih": (rows, features), "weight_hh": (rows, H), "bias_ih": (rows,), "bias_hh": (rows,)}
        if "peephole" in cell:
            shapes["weight_ch"] = (3 * H,)
        for name, shape in shapes.items():
            made[f"{name}_l{layer}"] = rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(H**0.5)
        features = H
    return made


def make(case: Case, seed: int) -> dict[str, Array]:
    """x (T, B, I), dy (T, B, H), weights; lengths (B,) where ragged; series and order in an epoch."""
    rng = np.random.default_rng([seed, 0])
    arrays: dict[str, Array] = dict(weights(case, case.cell, seed))
    if case.base:
        arrays |= {f"base.{name}": value for name, value in weights(case, case.base, seed).items()}
    if case.mode == "epoch":
        from throughtime.datasets import waves

        arrays["series"] = waves(case.examples, seed, n_steps=POINTS_IN + POINTS_OUT)
        arrays["order"] = rng.permutation(case.examples)
        return arrays
    steps = 20 if case.mode == "step" else case.T
    arrays["x"] = rng.standard_normal((steps, case.B, case.I), dtype=np.float32)
    arrays["dy"] = rng.standard_normal((steps, case.B, case.H), dtype=np.float32)
    if case.mode == "ragged":
        arrays["lengths"] = lengths(case, seed)
    return arrays
