"""A whole recurrent net on one example: forward from left to right, loss at every step, backward from right to left.

    a_t  = cell(a_{t-1}, x_t)                     cells.py
    ŷ_t  = g'(W_ya a_t + b_y)                     g' = identity or softmax
    L    = Σ_t L_t(ŷ_t, y_t)                      half squared error, or cross-entropy

Backpropagation through time: a_t has two readers, ŷ_t and step t+1, so two arrows meet in it,

    dL/da_t = W_ya^T · dL_t/d(W_ya a_t + b_y)  +  what step t+1 sends back,

and every step adds its share to the gradient of the *same* parameters. For both pairs of g' and L_t the derivative by
the argument of g' is ŷ_t − y_t.
"""

import numpy as np

from tests.oracles.cells import Cell, State, Step, Vector, Weights


def forward(cell: Cell, w: Weights, x: Vector, initial: State) -> list[Step]:
    """Left to right: x (T, I) → one Step for each t."""
    steps, state = [], initial
    for x_t in x:
        steps.append(cell.forward(w, x_t, state))
        state = steps[-1].after
    return steps


def backward(
    cell: Cell, w: Weights, steps: list[Step], d_activations: Vector, d_final: State, grad: Weights
) -> tuple[list[Vector], State]:
    """Right to left: d_activations (T, H) arrives at every step from above, d_final at the last state.

    Adds to `grad`; gives the gradients of x_1 ... x_T and of the initial state.
    """
    d_inputs, d_state = [], d_final
    for step, da_from_above in zip(reversed(steps), d_activations[::-1], strict=True):
        d_state = (d_state[0] + da_from_above, *d_state[1:])
        dx, d_state = cell.backward(w, step, d_state, grad)
        d_inputs.append(dx)
    return d_inputs[::-1], d_state


def predictions(w: Weights, steps: list[Step], loss: str) -> Vector:
    """ŷ_t = g'(W_ya a_t + b_y) for every t, (T, O); g' is the identity for "squared", softmax for "cross_entropy"."""
    rows = []
    for step in steps:
        z = w["W_ya"] @ step.after[0] + w["b_y"]
        if loss == "cross_entropy":
            z = np.exp(z - z.max())
            z = z / z.sum()
        rows.append(z)
    return np.array(rows).reshape(len(steps), len(w["b_y"]))


def total_loss(y_hat: Vector, y: Vector, loss: str) -> float:
    """Σ_t L_t: ½ ‖ŷ_t − y_t‖² or −Σ_k y_tk log ŷ_tk (y_t one-hot)."""
    total = 0.0
    for y_hat_t, y_t in zip(y_hat, y, strict=True):
        if loss == "squared":
            total += 0.5 * float(np.sum((y_hat_t - y_t) ** 2))
        else:
            total -= float(np.sum(y_t * np.log(y_hat_t)))
    return total


def loss_and_gradients(
    cell: Cell, w: Weights, x: Vector, y: Vector, initial: State, loss: str
) -> tuple[float, Weights, Vector, State]:
    """The loss, and its gradients by every parameter (W_ya and b_y too), by x (T, I) and by the initial state."""
    steps = forward(cell, w, x, initial)
    y_hat = predictions(w, steps, loss)
    grad = {name: np.zeros_like(value) for name, value in w.items()}
    d_activations = []
    for step, y_hat_t, y_t in zip(steps, y_hat, y, strict=True):
        dz = y_hat_t - y_t
        grad["W_ya"] += np.outer(dz, step.after[0])
        grad["b_y"] += dz
        d_activations.append(w["W_ya"].T @ dz)
    nothing_from_the_future = tuple(np.zeros_like(s) for s in initial)
    d_inputs, d_initial = backward(cell, w, steps, np.array(d_activations), nothing_from_the_future, grad)
    return total_loss(y_hat, y, loss), grad, np.array(d_inputs), d_initial
