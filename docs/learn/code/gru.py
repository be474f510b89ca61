"""The GRU, simplified and full, in the notes' letters; and what the misprint does."""

import torch

from throughtime.nn import GRUResetBefore

torch.manual_seed(0)
I, H, T = 3, 4, 6
layer = GRUResetBefore(I, H)
x = torch.randn(T, 1, I)

# The library holds r, z, n; the notes' Γ_u is 1 − z. Since 1 − σ(v) = σ(−v), it has z's
# weights with the other sign.
r, z, n = (
    torch.cat((hh, ih), 1)
    for hh, ih in zip(layer.weight_hh_l0.chunk(3), layer.weight_ih_l0.chunk(3), strict=True)
)
b_r, b_z, b_n = (layer.bias_ih_l0 + layer.bias_hh_l0).chunk(3)
W_r, W_u, W_c = r, -z, n
b_u, b_c = -b_z, b_n


def step(c, x_t, full: bool = True):
    gamma_u = torch.sigmoid(W_u @ torch.cat((c, x_t)) + b_u)
    gamma_r = torch.sigmoid(W_r @ torch.cat((c, x_t)) + b_r) if full else torch.ones(H)
    candidate = torch.tanh(W_c @ torch.cat((gamma_r * c, x_t)) + b_c)
    return gamma_u, candidate, gamma_u * candidate + (1 - gamma_u) * c


def shown(values) -> str:
    return "[" + " ".join(f"{value:5.2f}" for value in values.tolist()) + "]"


with torch.no_grad():
    simple = full = printed = torch.zeros(H)
    for t in range(T):
        simple = step(simple, x[t, 0], full=False)[2]
        gamma_u, _, full = step(full, x[t, 0])
        print(f"t = {t + 1}: Γ_u {shown(gamma_u)}  c {shown(full)}")
    torch.testing.assert_close(full, layer(x)[1][0, 0])
    print("the full form is the library's GRUResetBefore")
    print(f"without the relevance gate (Γ_r = 1) c ends at {shown(simple)}")

    # As the figure prints it, + c in the place of ∗ c: nothing is ever forgotten.
    right = torch.zeros(H)
    for t, x_t in enumerate(torch.randn(1000, I), 1):
        right = step(right, x_t)[2]
        gamma_u, candidate, _ = step(printed, x_t)
        printed = gamma_u * candidate + (1 - gamma_u) + printed
        if t in (10, 100, 1000):
            print(
                f"after {t:4d} steps: largest |c| {right.abs().max():.2f}; "
                f"as printed {printed.abs().max():.1f}"
            )
assert right.abs().max() <= 1
assert printed.abs().max() > 100
