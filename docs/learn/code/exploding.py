"""A gradient that explodes: seen, located, clipped."""

import torch
from torch import nn

from throughtime.models import ManyToOne
from throughtime.nn import RNN
from throughtime.training import Callback, TensorSource, TrainingConfig, train, watch

torch.manual_seed(0)
layer = RNN(2, 16, nonlinearity="relu")
with torch.no_grad():
    layer.weight_hh_l0.copy_(1.5 * torch.eye(16))  # every step multiplies by 1.5

for T in (10, 50, 100, 300):
    with watch(layer) as ears:
        output, _ = layer(torch.rand(T, 4, 2))
        layer.zero_grad()
        output[-1].sum().backward()
    norm = layer.weight_hh_l0.grad.norm().item()
    place = ears.nonfinite.sentence if ears.nonfinite else ""
    print(f"T = {T:3d}: |dW_aa| {norm:9.3g}  {place}")
assert not torch.isfinite(layer.weight_hh_l0.grad).all()


# What is the sum of 60 numbers? The same net, the same rate, with and without clipping.
class Norms(Callback):
    largest = 0.0

    def on_step(self, record) -> None:
        self.largest = max(self.largest, record.grad_norm)


def model() -> ManyToOne:
    torch.manual_seed(1)
    net = ManyToOne(RNN(1, 16, nonlinearity="relu", batch_first=True), nn.Linear(16, 1))
    with torch.no_grad():
        net.recurrent.weight_hh_l0.copy_(1.1 * torch.eye(16))
    return net


def loss(net, batch):
    return nn.functional.mse_loss(net(batch[0]), batch[1])


x = torch.rand(1000, 60, 1) / 60
data = TensorSource(x, x.sum(1))
ends = {}
for clip in (None, 1.0):
    norms = Norms()
    config = TrainingConfig(
        optimizer="sgd",
        learning_rate=0.01,
        clip_norm=clip,
        epochs=5,
        on_nonfinite="stop",
    )
    done = train(net := model(), loss, data, config=config, callbacks=[norms])
    ends[clip] = loss(net, (x, x.sum(1))).item()
    print(
        f"clip_norm {clip}: largest |g| {norms.largest:.3g}, "
        f"{done.stopped} after {done.steps} steps, loss {ends[clip]:.4g}"
    )
assert ends[1.0] < 0.1
