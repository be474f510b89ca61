"""Cells whose two products are layer-normalised, one time step of one example, forward and backward: float64 NumPy.

In torch's letters and row order, since a normalisation runs over all rows of a weight: `w` holds the parameters as
torch stacks them, every one present. A normalisation's derivative is the whole matrix of partial derivatives.

    unit(a)_k = (a_k − μ) / √(σ² + ε)      μ, σ²: mean and variance of a's n elements, ε = 10⁻⁵
    ∂unit_k / ∂a_l = ([k = l] − 1/n − unit_k unit_l / n) / √(σ² + ε)

    a_x = γ_ih ∗ unit(W_ih x) + b_ih,   a_h = γ_hh ∗ unit(W_hh h) + b_hh,   then as in the plain cell; the LSTM's
    h' = o ∗ tanh(γ_c ∗ unit(c') + b_c)
"""

from typing import Any

import numpy as np

from tests.oracles.cells import CELLS, State, Step, Vector, Weights, sigmoid

EPSILON = 1e-5


def unit(a: Vector) -> Vector:
    return (a - a.mean()) / np.sqrt(((a - a.mean()) ** 2).mean() + EPSILON)


def partial(a: Vector) -> Vector:
    """The matrix ∂unit(a)_k / ∂a_l."""
    n, u = len(a), unit(a)
    return (np.eye(n) - 1 / n - np.outer(u, u) / n) / np.sqrt(((a - a.mean()) ** 2).mean() + EPSILON)


class _Normalized:
    """The two normalised products; a cell below turns them into its new state."""

    state: tuple[str, ...] = ("h",)

    def forward(self, w: Weights, x: Vector, before: State) -> Step:
        a_x = w["weight_ln_ih"] * unit(w["weight_ih"] @ x) + w["bias_ih"]
        a_h = w["weight_ln_hh"] * unit(w["weight_hh"] @ before[0]) + w["bias_hh"]
        after, values = self.new(w, a_x, a_h, before)
        return Step(x, before, after, values)

    def backward(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, State]:
        da_x, da_h, d_before = self.back(w, step, d_after, grad)
        passed = []
        for side, seen, da in (("ih", step.x, da_x), ("hh", step.before[0], da_h)):
            weight = w[f"weight_{side}"]
            grad[f"bias_{side}"] += da
            grad[f"weight_ln_{side}"] += da * unit(weight @ seen)
            d_product = (da * w[f"weight_ln_{side}"]) @ partial(weight @ seen)
            grad[f"weight_{side}"] += np.outer(d_product, seen)
            passed.append(weight.T @ d_product)
        return passed[0], (d_before[0] + passed[1], *d_before[1:])

    def new(self, w: Weights, a_x: Vector, a_h: Vector, before: State) -> tuple[State, dict[str, Any]]:
        """The state after the step, and what the way back needs."""
        raise NotImplementedError

    def back(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, Vector, State]:
        """Gradients of a_x, a_h, and of the state before, what comes through a_h left out."""
        raise NotImplementedError


class Rnn(_Normalized):
    """h' = g(a_x + a_h)."""

    def __init__(self, g: str) -> None:
        self.g = g

    def new(self, w: Weights, a_x: Vector, a_h: Vector, before: State) -> tuple[State, dict[str, Any]]:
        a = a_x + a_h
        return (np.tanh(a) if self.g == "tanh" else np.maximum(a, 0.0),), {"a": a}

    def back(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, Vector, State]:
        a = step.values["a"]
        da = d_after[0] * (1 - np.tanh(a) ** 2 if self.g == "tanh" else a > 0.0)
        return da, da, (np.zeros_like(a),)


class Gru(_Normalized):
    """r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r ∗ h_n), h' = (1 − z) ∗ n + z ∗ h."""

    def new(self, w: Weights, a_x: Vector, a_h: Vector, before: State) -> tuple[State, dict[str, Any]]:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(a_x, 3), np.split(a_h, 3)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        return ((1 - z) * n + z * before[0],), {"r": r, "z": z, "n": n, "h_n": h_n}

    def back(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, Vector, State]:
        (h,), (d,) = step.before, d_after
        r, z, n, h_n = (step.values[key] for key in ("r", "z", "n", "h_n"))
        da_n = d * (1 - z) * (1 - n**2)
        da_z = d * (h - n) * z * (1 - z)
        da_r = da_n * h_n * r * (1 - r)
        return np.concatenate((da_r, da_z, da_n)), np.concatenate((da_r, da_z, da_n * r)), (d * z,)


class Lstm(_Normalized):
    """c' = f ∗ c + i ∗ g, h' = o ∗ tanh(γ_c ∗ unit(c') + b_c)."""

    state = ("h", "c")

    def new(self, w: Weights, a_x: Vector, a_h: Vector, before: State) -> tuple[State, dict[str, Any]]:
        a_i, a_f, a_g, a_o = np.split(a_x + a_h, 4)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * before[1] + i * g
        t = np.tanh(w["weight_ln_c"] * unit(c) + w["bias_ln_c"])
        return (o * t, c), {"i": i, "f": f, "g": g, "o": o, "c": c, "t": t}

    def back(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, Vector, State]:
        dh, dc = d_after
        i, f, g, o, c, t = (step.values[key] for key in ("i", "f", "g", "o", "c", "t"))
        d_normalized = dh * o * (1 - t**2)
        grad["bias_ln_c"] += d_normalized
        grad["weight_ln_c"] += d_normalized * unit(c)
        dc = dc + (d_normalized * w["weight_ln_c"]) @ partial(c)
        da = np.concatenate(
            (
                dc * g * i * (1 - i),
                dc * step.before[1] * f * (1 - f),
                dc * i * (1 - g**2),
                dh * t * o * (1 - o),
            )
        )
        return da, da, (np.zeros_like(c), dc * f)


NORMALIZED: dict[str, _Normalized] = {
    "layer_norm_rnn_tanh": Rnn("tanh"),
    "layer_norm_rnn_relu": Rnn("relu"),
    "layer_norm_gru": Gru(),
    "layer_norm_lstm": Lstm(),
}
EVERY_CELL: dict[str, Any] = {**CELLS, **NORMALIZED}
