"""Ten steps ahead, three ways: feed back, all at once, all at once at every step."""

import time

import torch
from torch import Tensor, nn

from throughtime.datasets import waves
from throughtime.models import Aligned, ManyToOne
from throughtime.nn import RNN
from throughtime.training import Callback, TensorSource, TrainingConfig, train

HORIZON = 10
x = torch.from_numpy(waves(2500, seed=0)).unsqueeze(-1)  # 60 points: 50 in, 10 out
known, future = x[:, :50], x[:, 50:, 0]
# Scheme 3's target: at every one of the 50 steps, the ten values that follow.
following = x[:, 1:, 0].unfold(1, HORIZON, 1)


def last(model: Aligned, history: Tensor) -> Tensor:
    return model(history)[0][:, -1]


def feed_back(model: Aligned, history: Tensor) -> Tensor:
    """Scheme 1: predict one value, append it, go on from the state."""
    output, state = model(history)
    values = [output[:, -1]]
    while len(values) < HORIZON:
        output, state = model.step(values[-1], state)
        values.append(output)
    return torch.cat(values, 1)


def every(model: Aligned, history: Tensor) -> Tensor:
    return model(history)[0]


# The topology, the values at each answer, the target, what is trained, what is asked.
SCHEMES = {
    "1 one step, fed back": (Aligned, 1, x[:, 1:51], every, feed_back),
    "2 ten at the end": (
        ManyToOne,
        HORIZON,
        future,
        ManyToOne.__call__,
        ManyToOne.__call__,
    ),
    "3 ten at every step": (Aligned, HORIZON, following, every, last),
}


class Watch(Callback):
    """The error of the ten steps after each epoch, and when it was reached."""

    def __init__(self, model, predict) -> None:
        self.model, self.predict, self.errors, self.seconds = model, predict, [], []
        self.began = time.process_time()

    @torch.no_grad()
    def on_epoch(self, record) -> None:
        error = nn.functional.mse_loss(
            self.predict(self.model, known[2000:]), future[2000:]
        )
        self.errors.append(error.item())
        self.seconds.append(time.process_time() - self.began)


def run(scheme: str, seed: int) -> Watch:
    """Train one scheme for 20 epochs."""
    topology, values, target, answer, predict = SCHEMES[scheme]
    torch.manual_seed(seed)
    model = topology(RNN(1, 20, num_layers=2, batch_first=True), nn.Linear(20, values))

    def loss(model, batch):
        return nn.functional.mse_loss(answer(model, batch[0]), batch[1])

    ears = Watch(model, predict)
    config = TrainingConfig(epochs=20, learning_rate=0.005, batch_size=32, seed=seed)
    train(
        model,
        loss,
        TensorSource(known[:2000], target[:2000]),
        config=config,
        callbacks=[ears],
    )
    return ears


one, two, three = SCHEMES
naive = nn.functional.mse_loss(known[2000:, -1].expand(-1, HORIZON), future[2000:]).item()
print(f"repeating the last value   error {naive:.4f}")
print(f"{one:22s} seed 0, error {min(run(one, 0).errors):.4f}")
earlier = []
for seed in range(3):
    second, third = run(two, seed), run(three, seed)
    goal = min(second.errors)
    when = second.errors.index(goal)
    reached = [i for i, error in enumerate(third.errors) if error <= goal]
    there = reached[0] if reached else len(third.errors) - 1
    print(
        f"{two:22s} seed {seed}, error {goal:.4f} "
        f"in epoch {when + 1}, {second.seconds[when]:.1f} s"
    )
    print(
        f"{three:22s} seed {seed}, error {min(third.errors):.4f}; "
        f"scheme 2's by epoch {there + 1}, {third.seconds[there]:.1f} s"
    )
    earlier.append(when - there)
print(f"epochs that scheme 3 saves: {sum(earlier) / len(earlier):.1f} on average")
assert sum(earlier) > 0
