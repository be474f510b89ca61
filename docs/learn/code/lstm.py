"""An LSTM step in the notes' letters, its partial derivatives, and how far they carry."""

import torch

from throughtime.cells import CELLS
from throughtime.nn import LSTM

torch.manual_seed(0)
I, H = 3, 4
layer, cell = LSTM(I, H), CELLS["lstm"]
params = layer.layer_params(0)
x, a, c = torch.randn(1, I), torch.randn(1, H), torch.randn(1, H)

with torch.no_grad():
    W = torch.cat((params.weight_hh, params.weight_ih), 1)  # [a, x] in one stack
    z = torch.cat((a, x), 1) @ W.T + params.bias_ih + params.bias_hh
    u, f, candidate, o = z.chunk(4, 1)
    gamma_u, gamma_f, gamma_o = torch.sigmoid(u), torch.sigmoid(f), torch.sigmoid(o)
    candidate = torch.tanh(candidate)
    c_new = gamma_u * candidate + gamma_f * c
    a_new = gamma_o * torch.tanh(c_new)

values = cell.values(x, (a, c), params)  # the library's own step
for ours, notes in (
    (values.i, gamma_u),
    (values.f, gamma_f),
    (values.o, gamma_o),
    (values.c, c_new),
    (values.h, a_new),
):
    torch.testing.assert_close(ours, notes)
print("Γ_u, Γ_f, Γ_o, c_t and a_t are the library's i, f, o, c and h")

# The partial derivatives of the gates, for a loss L = sum(a_t) + sum(c_t).
with torch.no_grad():
    da, dc = torch.ones(1, H), torch.ones(1, H)
    delta = dc + da * gamma_o * (1 - torch.tanh(c_new) ** 2)
    d_gates = torch.cat(
        (
            delta * candidate * gamma_u * (1 - gamma_u),  # dγ_u
            delta * c * gamma_f * (1 - gamma_f),  # dγ_f
            delta * gamma_u * (1 - candidate**2),  # dγ_c
            da * torch.tanh(c_new) * gamma_o * (1 - gamma_o),  # dγ_o
        ),
        1,
    )
    found = cell.step_backward((da, dc), x, (a, c), params)
    torch.testing.assert_close(found.dparams.weight_hh, d_gates.T @ a)  # dW = dγ aᵀ
    torch.testing.assert_close(found.dstate[1], delta * gamma_f)  # dc_{t−1} = δ ∗ Γ_f
print("dγ_u, dγ_f, dγ_c, dγ_o and dW are what step_backward gives")

# Open the forget gate: what comes back through c is multiplied by Γ_f at every step.
for bias in (0.0, 2.0, 5.0):
    with torch.no_grad():
        layer.bias_ih_l0[H : 2 * H], layer.bias_hh_l0[H : 2 * H] = bias, 0
    state = torch.zeros(1, 1, H), torch.zeros(1, 1, H, requires_grad=True)
    _, (_, last) = layer(torch.zeros(100, 1, I), state)
    (back,) = torch.autograd.grad(last.sum(), state[1])
    print(
        f"b_f = {bias:.0f}: after 100 steps {back.abs().max():.1e} of the gradient is left"
    )
assert back.abs().max() > 0.1
