"""The recurrent cells of the lecture notes: one time step of one example, forward and backward.

Every array is a float64 vector or matrix, there is no batch, and no derivative is automatic.

    notes    torch   what it is
    x_t      x       input, (I,)
    a_t      h       activation that the next step and the output see, (H,)
    c_t      c, h    memory cell; in the GRU it is also the activation, so torch calls it h
    c̃_t      g, n    candidate for the memory cell
    Γ_u      i, 1-z  update gate: 1 takes the candidate; torch's i in the LSTM. The GRU's z means *keep*: z = 1 − Γ_u
    Γ_f      f       forget gate: 1 keeps the old memory
    Γ_o      o       output gate
    Γ_r      r       relevance (reset) gate
    p_u ...  p_i ..  peepholes: one weight for each element of the cell
    W_ua     W_hi    the part of W_u = [W_ua | W_ux] that multiplies a_{t-1}; W_ux multiplies x_t

`forward(w, x, before)` gives a `Step` that remembers what the way back needs. `backward(w, step, d_after, grad)` takes
the derivatives of the loss by the state after the step, adds the parameters' share to `grad`, and gives (dx, d_before).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Weights = dict[str, NDArray[np.float64]]
State = tuple[Vector, ...]


class Step(NamedTuple):
    """What a forward step saw and made."""

    x: Vector
    before: State
    after: State
    values: dict[str, Vector]


def sigmoid(v: Vector) -> Vector:
    return 0.5 * (1.0 + np.tanh(0.5 * v))  # 1 / (1 + e^-v), without its overflow


def _add_affine(grad: Weights, gate: str, source: str, dpre: Vector, seen: Vector, x: Vector) -> None:
    """The parameters' share of pre = W_{gate,source} seen + W_{gate,x} x + b_gate."""
    grad[f"W_{gate}{source}"] += np.outer(dpre, seen)
    grad[f"W_{gate}x"] += np.outer(dpre, x)
    grad[f"b_{gate}"] += dpre


class Rnn:
    """a_t = g(W_aa a_{t-1} + W_ax x_t + b_a), with g = tanh or relu.

    torch: h = a, weight_hh = W_aa, weight_ih = W_ax, bias_ih + bias_hh = b_a.
    """

    state = ("a",)

    def __init__(self, g: str) -> None:
        self.g = g

    def forward(self, w: Weights, x: Vector, before: State) -> Step:
        (a_prev,) = before
        pre = w["W_aa"] @ a_prev + w["W_ax"] @ x + w["b_a"]
        a = np.tanh(pre) if self.g == "tanh" else np.maximum(pre, 0.0)
        return Step(x, before, (a,), {"pre": pre, "a": a})

    def backward(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, State]:
        (a_prev,), (da,) = step.before, d_after
        if self.g == "tanh":
            dpre = da * (1.0 - step.values["a"] ** 2)  # tanh' = 1 − tanh²
        else:
            dpre = da * (step.values["pre"] > 0.0)
        _add_affine(grad, "a", "a", dpre, a_prev, step.x)
        return w["W_ax"].T @ dpre, (w["W_aa"].T @ dpre,)


class Gru:
    """The GRU of cuDNN and torch: the relevance gate acts *after* the matrix.

    Γ_u = σ(W_uc c_{t-1} + W_ux x_t + b_u)
    Γ_r = σ(W_rc c_{t-1} + W_rx x_t + b_r)
    c̃   = tanh(W_cx x_t + b_cx + Γ_r ∗ (W_cc c_{t-1} + b_cc))
    c_t = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c_{t-1}

    torch: h = c, r = Γ_r, n = c̃, z = 1 − Γ_u, hence weight_z = −W_u and bias_z = −b_u; b_cx = b_in and b_cc = b_hn.
    """

    state = ("c",)

    def forward(self, w: Weights, x: Vector, before: State) -> Step:
        (c_prev,) = before
        gamma_u = sigmoid(w["W_uc"] @ c_prev + w["W_ux"] @ x + w["b_u"])
        gamma_r = sigmoid(w["W_rc"] @ c_prev + w["W_rx"] @ x + w["b_r"])
        recurrent = w["W_cc"] @ c_prev + w["b_cc"]
        candidate = np.tanh(w["W_cx"] @ x + w["b_cx"] + gamma_r * recurrent)
        c = gamma_u * candidate + (1.0 - gamma_u) * c_prev
        values = {"Γ_u": gamma_u, "Γ_r": gamma_r, "c̃": candidate, "recurrent": recurrent, "c": c}
        return Step(x, before, (c,), values)

    def backward(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, State]:
        (c_prev,), (dc,) = step.before, d_after
        gamma_u, gamma_r, candidate = step.values["Γ_u"], step.values["Γ_r"], step.values["c̃"]
        # c_t = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c_{t-1}
        dpre_u = dc * (candidate - c_prev) * gamma_u * (1.0 - gamma_u)
        dpre_c = dc * gamma_u * (1.0 - candidate**2)
        dc_prev = dc * (1.0 - gamma_u)
        # the candidate's pre-activation holds Γ_r ∗ (W_cc c_{t-1} + b_cc)
        dpre_r = dpre_c * step.values["recurrent"] * gamma_r * (1.0 - gamma_r)
        d_recurrent = dpre_c * gamma_r

        grad["W_cx"] += np.outer(dpre_c, step.x)
        grad["b_cx"] += dpre_c
        grad["W_cc"] += np.outer(d_recurrent, c_prev)
        grad["b_cc"] += d_recurrent
        _add_affine(grad, "u", "c", dpre_u, c_prev, step.x)
        _add_affine(grad, "r", "c", dpre_r, c_prev, step.x)

        dx = w["W_ux"].T @ dpre_u + w["W_rx"].T @ dpre_r + w["W_cx"].T @ dpre_c
        dc_prev = dc_prev + w["W_uc"].T @ dpre_u + w["W_rc"].T @ dpre_r + w["W_cc"].T @ d_recurrent
        return dx, (dc_prev,)


class GruResetBefore:
    """The GRU of the notes: the relevance gate acts on the memory, *before* the matrix.

    Γ_u and Γ_r as in `Gru`
    c̃   = tanh(W_c [Γ_r ∗ c_{t-1}, x_t] + b_c) = tanh(W_cc (Γ_r ∗ c_{t-1}) + W_cx x_t + b_c)
    c_t = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c_{t-1}

    torch's letters: n = tanh(W_in x + b_in + W_hn (r ∗ h) + b_hn), so b_c = b_in + b_hn; z = 1 − Γ_u.
    """

    state = ("c",)

    def forward(self, w: Weights, x: Vector, before: State) -> Step:
        (c_prev,) = before
        gamma_u = sigmoid(w["W_uc"] @ c_prev + w["W_ux"] @ x + w["b_u"])
        gamma_r = sigmoid(w["W_rc"] @ c_prev + w["W_rx"] @ x + w["b_r"])
        candidate = np.tanh(w["W_cc"] @ (gamma_r * c_prev) + w["W_cx"] @ x + w["b_c"])
        c = gamma_u * candidate + (1.0 - gamma_u) * c_prev
        return Step(x, before, (c,), {"Γ_u": gamma_u, "Γ_r": gamma_r, "c̃": candidate, "c": c})

    def backward(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, State]:
        (c_prev,), (dc,) = step.before, d_after
        gamma_u, gamma_r, candidate = step.values["Γ_u"], step.values["Γ_r"], step.values["c̃"]
        # c_t = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c_{t-1}
        dpre_u = dc * (candidate - c_prev) * gamma_u * (1.0 - gamma_u)
        dpre_c = dc * gamma_u * (1.0 - candidate**2)
        dc_prev = dc * (1.0 - gamma_u)
        # the candidate's pre-activation holds W_cc (Γ_r ∗ c_{t-1})
        d_relevant = w["W_cc"].T @ dpre_c
        dpre_r = d_relevant * c_prev * gamma_r * (1.0 - gamma_r)
        dc_prev = dc_prev + d_relevant * gamma_r

        _add_affine(grad, "c", "c", dpre_c, gamma_r * c_prev, step.x)
        _add_affine(grad, "u", "c", dpre_u, c_prev, step.x)
        _add_affine(grad, "r", "c", dpre_r, c_prev, step.x)

        dx = w["W_ux"].T @ dpre_u + w["W_rx"].T @ dpre_r + w["W_cx"].T @ dpre_c
        dc_prev = dc_prev + w["W_uc"].T @ dpre_u + w["W_rc"].T @ dpre_r
        return dx, (dc_prev,)


class Lstm:
    """Long short-term memory, with or without peepholes.

    c̃   = tanh(W_ca a_{t-1} + W_cx x_t + b_c)
    Γ_u = σ(W_ua a_{t-1} + W_ux x_t + b_u [+ p_u ∗ c_{t-1}])
    Γ_f = σ(W_fa a_{t-1} + W_fx x_t + b_f [+ p_f ∗ c_{t-1}])
    c_t = Γ_u ∗ c̃ + Γ_f ∗ c_{t-1}
    Γ_o = σ(W_oa a_{t-1} + W_ox x_t + b_o [+ p_o ∗ c_{t-1} in the notes' peepholes, + p_o ∗ c_t in Gers's])
    a_t = Γ_o ∗ tanh(c_t)

    torch: h = a, i = Γ_u, f = Γ_f, g = c̃, o = Γ_o; b = bias_ih + bias_hh; weight_ch = [p_u; p_f; p_o].
    """

    state = ("a", "c")

    def __init__(self, peephole: str | None = None) -> None:
        """peephole: None, "new" (Γ_o sees c_t; Gers, ONNX) or "previous" (all three see c_{t-1}; the notes)."""
        self.peephole = peephole

    def forward(self, w: Weights, x: Vector, before: State) -> Step:
        a_prev, c_prev = before
        pre: dict[str, Any] = {
            gate: w[f"W_{gate}a"] @ a_prev + w[f"W_{gate}x"] @ x + w[f"b_{gate}"] for gate in ("u", "f", "o", "c")
        }
        if self.peephole is not None:
            pre["u"] = pre["u"] + w["p_u"] * c_prev
            pre["f"] = pre["f"] + w["p_f"] * c_prev
        gamma_u, gamma_f, candidate = sigmoid(pre["u"]), sigmoid(pre["f"]), np.tanh(pre["c"])
        c = gamma_u * candidate + gamma_f * c_prev
        if self.peephole is not None:
            pre["o"] = pre["o"] + w["p_o"] * (c if self.peephole == "new" else c_prev)
        gamma_o = sigmoid(pre["o"])
        a = gamma_o * np.tanh(c)
        return Step(x, before, (a, c), {"Γ_u": gamma_u, "Γ_f": gamma_f, "Γ_o": gamma_o, "c̃": candidate, "c": c, "a": a})

    def backward(self, w: Weights, step: Step, d_after: State, grad: Weights) -> tuple[Vector, State]:
        (a_prev, c_prev), (da, dc) = step.before, d_after
        gamma_u, gamma_f, gamma_o = step.values["Γ_u"], step.values["Γ_f"], step.values["Γ_o"]
        candidate, c = step.values["c̃"], step.values["c"]
        # a_t = Γ_o ∗ tanh(c_t)
        dpre_o = da * np.tanh(c) * gamma_o * (1.0 - gamma_o)
        dc = dc + da * gamma_o * (1.0 - np.tanh(c) ** 2)
        if self.peephole == "new":  # Γ_o saw c_t, so c_t has one more reader
            dc = dc + dpre_o * w["p_o"]
        # c_t = Γ_u ∗ c̃ + Γ_f ∗ c_{t-1}
        dpre_u = dc * candidate * gamma_u * (1.0 - gamma_u)
        dpre_f = dc * c_prev * gamma_f * (1.0 - gamma_f)
        dpre_c = dc * gamma_u * (1.0 - candidate**2)
        dc_prev = dc * gamma_f
        if self.peephole is not None:
            grad["p_u"] += dpre_u * c_prev
            grad["p_f"] += dpre_f * c_prev
            grad["p_o"] += dpre_o * (c if self.peephole == "new" else c_prev)
            dc_prev = dc_prev + dpre_u * w["p_u"] + dpre_f * w["p_f"]
        if self.peephole == "previous":
            dc_prev = dc_prev + dpre_o * w["p_o"]

        dx, da_prev = np.zeros_like(step.x), np.zeros_like(a_prev)
        for gate, dpre in (("u", dpre_u), ("f", dpre_f), ("o", dpre_o), ("c", dpre_c)):
            _add_affine(grad, gate, "a", dpre, a_prev, step.x)
            dx += w[f"W_{gate}x"].T @ dpre
            da_prev += w[f"W_{gate}a"].T @ dpre
        return dx, (da_prev, dc_prev)


Cell = Rnn | Gru | GruResetBefore | Lstm

CELLS: dict[str, Cell] = {
    "rnn_tanh": Rnn("tanh"),
    "rnn_relu": Rnn("relu"),
    "gru": Gru(),
    "gru_reset_before": GruResetBefore(),
    "lstm": Lstm(),
    "peephole_lstm": Lstm(peephole="new"),
    "previous_peephole_lstm": Lstm(peephole="previous"),
}
