"""Two peephole LSTMs, and why each element of the cell moves one element of each gate."""

import torch

from throughtime.nn import PeepholeLSTM, PreviousPeepholeLSTM

torch.manual_seed(0)
H = 100
gers, notes = PeepholeLSTM(3, H), PreviousPeepholeLSTM(3, H)
notes.load_state_dict(gers.state_dict())  # the same parameters
print(
    f"peepholes: {tuple(gers.weight_ch_l0.shape)}, three diagonals p_i, p_f, p_o; "
    f"full matrices would be {3 * H * H:,d} numbers"
)

x, h, c = torch.randn(1, 3), torch.randn(1, H), torch.randn(1, H)
nudged = c.clone()
nudged[0, 49] += 0.1  # the 50th element of the cell
for layer in (gers, notes):
    before, after = (
        layer.cell.values(x, (h, cell), layer.layer_params(0)) for cell in (c, nudged)
    )
    moved = {
        gate: (getattr(after, gate) - getattr(before, gate)).nonzero()[:, 1].add(1).tolist()
        for gate in "ifo"
    }
    print(f"{type(layer).__name__}: element 50 moves of each gate the element {moved}")
    assert all(places == [50] for places in moved.values())

same = gers.cell.values(x, (h, c), gers.layer_params(0))
other = notes.cell.values(x, (h, c), notes.layer_params(0))
assert torch.equal(same.i, other.i)  # i and f see c_{t−1} in both
assert torch.equal(same.c, other.c)
print(
    "with the same weights i, f and c agree, "
    f"o differs by up to {(same.o - other.o).abs().max():.3f}:"
)
print(
    "o sees the new cell in PeepholeLSTM (Gers, ONNX), "
    "the previous one in PreviousPeepholeLSTM (the notes)"
)
