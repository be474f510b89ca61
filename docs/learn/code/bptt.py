"""Backpropagation through time by hand, with the library's own `step_backward`."""

import sys
from pathlib import Path

import torch
from torch import nn

from throughtime.models import Aligned
from throughtime.nn import RNN
from throughtime.report import unrolled_plot

PICTURES = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
T, I, H = 4, 2, 3
torch.manual_seed(0)
model = Aligned(RNN(I, H), nn.Linear(H, 1))
layer, head = model.recurrent, model.head.module
x, target = torch.randn(T, 1, I), torch.randn(T, 1, 1)

# Forward, left to right: remember the state in which each step began. Losses add up.
params = layer.layer_params(0)
a, began, states = torch.zeros(1, H), [], []
for t in range(T):
    began.append(a)
    (a,) = layer.cell.step(x[t], (a,), params)
    states.append(a)
loss = sum(((head(a) - y) ** 2).sum() for a, y in zip(states, target, strict=True))

# Backward, right to left. A state has two uses, its own step's output and the next step:
# its gradient is the sum of what both send back.
with torch.no_grad():
    from_next, d_params = torch.zeros(1, H), torch.zeros(H, H)
    for t in reversed(range(T)):
        d_output = 2 * (head(states[t]) - target[t])  # ∂L_t/∂ŷ_t
        d_state = d_output @ head.weight + from_next
        # One step back in the notes' letters, and the same by the library's own line.
        dz = d_state * (1 - states[t] ** 2)
        dW_aa, da_before = dz.T @ began[t], dz @ layer.weight_hh_l0
        found = layer.cell.step_backward((d_state,), x[t], (began[t],), params)
        torch.testing.assert_close(found.dparams.weight_hh, dW_aa)
        torch.testing.assert_close(found.dstate[0], da_before)
        share = found.dparams.weight_hh
        d_params += share  # the same W_aa at every step: shares add up
        print(
            f"t = {t + 1}: |∂L/∂a| {d_state.norm():.4f}, the part from the right "
            f"{from_next.norm():.4f}; its share of |dW_aa| {share.norm():.4f}"
        )
        (from_next,) = found.dstate

loss.backward()  # the same by autograd, through the equations
torch.testing.assert_close(d_params, layer.weight_hh_l0.grad)
by_equations = layer.weight_hh_l0.grad.clone()
model.zero_grad()
((model(x)[0] - target) ** 2).sum().backward()  # and by the layer's C++ kernels
torch.testing.assert_close(layer.weight_hh_l0.grad, by_equations)
print(f"dW_aa by hand, by autograd and by the kernels agree: norm {d_params.norm():.6f}")

unrolled_plot(
    PICTURES / "bptt.png", model, letters="notes", title="Backpropagation through time"
)
