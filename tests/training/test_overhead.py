"""What the loop costs beside the model, the loss and the optimizer."""

import time

import pytest
import torch

from tests.training.problems import LastOutput, Recorder, fresh, squared_error, waves
from throughtime.training import TrainingConfig, train

STEPS = 50
ROUNDS = 60
LIMIT_US = 100.0


def bare(model, data):
    """The bare torch loop: order, batch, loss, backward, fused Adam. Gives the time after each step."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    generator = torch.Generator().manual_seed(0)
    ends = []
    for indices in torch.randperm(len(data), generator=generator).split(8):
        optimizer.zero_grad()
        squared_error(model, data.batch(indices)).backward()
        optimizer.step()
        ends.append(time.perf_counter())
    return ends


def ours(model, data):
    """The loop with clipping that bites at every step, and a callback: the bare loop has neither."""
    recorder = Recorder()
    config = TrainingConfig(epochs=1, batch_size=8, clip_norm=1e-3)
    result = train(model, squared_error, data, config=config, callbacks=[recorder])
    assert result.history[0].clipped_share > 0.9
    return [record.seconds for record in recorder.steps]


def quick_step(runs):
    """The first decile of the times of single steps, in µs: what else runs makes steps slower, not faster."""
    steps = torch.cat([torch.tensor(ends, dtype=torch.float64).diff() for ends in runs])
    return steps.quantile(0.1).item() * 1e6


@pytest.mark.slow
def test_a_step_costs_at_most_100_microseconds_more_than_bare_torch():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = waves(8 * STEPS, length=4)
        pairs = [(ours(fresh(0, LastOutput), data), bare(fresh(0, LastOutput), data)) for _ in range(ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    our_step, bare_step = (quick_step(runs) for runs in zip(*pairs, strict=True))
    print(f"\nbare {bare_step:.0f} µs a step, the loop {our_step:.0f}: {our_step - bare_step:.0f} more")
    assert our_step - bare_step <= LIMIT_US
