"""One, two, three recurrent layers on waves: what each costs and brings."""

import time

import torch
from torch import nn

from throughtime.datasets import waves
from throughtime.models import ManyToOne
from throughtime.nn import GRU
from throughtime.training import TensorSource, TrainingConfig, train

x = torch.from_numpy(waves(1500, seed=0)).unsqueeze(-1)  # 50 points in, the next 10 out
data = TensorSource(x[:1000, :50], x[:1000, 50:, 0])
test, target = x[1000:, :50], x[1000:, 50:, 0]


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


errors = {}
for depth in (1, 2, 3):
    torch.manual_seed(0)
    model = ManyToOne(GRU(1, 20, num_layers=depth, batch_first=True), nn.Linear(20, 10))
    began = time.process_time()
    train(model, loss, data, config=TrainingConfig(epochs=20, learning_rate=0.01))
    seconds = time.process_time() - began
    with torch.no_grad():
        errors[depth] = loss(model, (test, target)).item()
    count = sum(p.numel() for p in model.parameters())
    print(
        f"{depth} layers: {count:6,d} parameters, "
        f"{seconds:4.1f} s, error {errors[depth]:.4f}"
    )
assert max(errors.values()) < 0.05  # repeating the last value has 0.257
