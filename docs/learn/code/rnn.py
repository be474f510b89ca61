"""The RNN by hand, with two matrices and with one; the library's layer gives the same."""

import torch

from throughtime.nn import RNN

torch.manual_seed(0)
layer = RNN(input_size=3, hidden_size=5)
x = torch.randn(4, 1, 3)  # four steps of one sequence

# In the notes' letters; torch keeps two biases, and b_a is their sum.
W_ax, W_aa = layer.weight_ih_l0, layer.weight_hh_l0
b_a = layer.bias_ih_l0 + layer.bias_hh_l0
W_a = torch.cat((W_aa, W_ax), dim=1)  # the simplified formula: [W_aa, W_ax] on [a, x]

a = simplified = torch.zeros(5)
for t in range(4):
    a = torch.tanh(W_aa @ a + W_ax @ x[t, 0] + b_a)
    simplified = torch.tanh(W_a @ torch.cat((simplified, x[t, 0])) + b_a)
    print(f"a_{t + 1} = [{', '.join(f'{value:+.3f}' for value in a.tolist())}]")

output, last = layer(x)
torch.testing.assert_close(a, last[0, 0])
torch.testing.assert_close(simplified, last[0, 0])
print(
    f"the layer's last state is the same; "
    f"W_a is {tuple(W_a.shape)}, b_a is {tuple(b_a.shape)}"
)
print(f"parameters {sum(p.numel() for p in layer.parameters())}, however long the sequence")
