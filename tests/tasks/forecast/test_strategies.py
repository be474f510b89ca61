"""What each strategy computes and trains on.

Legend: T time, B batch, K steps of the horizon.
"""

import numpy as np
import pytest
import torch

from tests.tasks.forecast.series import counting, net, series_of, whole_batch
from throughtime.nn.layers import LAYERS
from throughtime.tasks.forecast.strategies import STRATEGIES, Batch, build
from throughtime.tasks.forecast.windows import windows_at

K = 5


def batch_of(*lengths: int, L: int = 8) -> Batch:
    """One row a length, in float64, values of the order of one."""
    windows = windows_at(series_of(40), np.zeros(len(lengths), dtype=np.int64), np.array(lengths), L, K)
    batch = whole_batch(windows)
    return Batch(batch.values_TB.double(), batch.lengths, batch.history)


def recomputed(model, history: list[float], m: int, anchor: str) -> list[float]:
    """The recursive forecast of one row: the whole sequence anew for every step, features and anchors by hand."""
    own = list(history)
    for _ in range(K):
        x = [[v] if m == 1 else [v, v - own[max(t - m, 0)]] for t, v in enumerate(own)]
        hidden, _ = model.net.recurrent(torch.tensor(x, dtype=torch.float64).unsqueeze(1))
        correction = model.net.head.module(hidden[-1, 0]).item()
        rule = {"level": 0.0, "last": own[-1], "seasonal": own[max(len(own) - m, 0)]}[anchor]
        own.append(rule + correction)
    return own[len(history) :]


@pytest.mark.parametrize("cell", sorted(LAYERS))
@pytest.mark.parametrize(
    ("anchor", "m"), [("level", 1), ("last", 3), ("seasonal", 3), ("seasonal", 7), ("seasonal", 12)]
)
def test_roll_is_a_loop_over_the_whole_sequence(cell, anchor, m):
    model = net("recursive", horizon=K, cell=cell, anchor=anchor, season_length=m)
    batch = batch_of(8, 2, 5, 30, 1)
    with torch.no_grad():
        found = model(batch)
        for b, length in enumerate([8, 2, 5, 8, 1]):
            history = batch.values_TB[:length, b].tolist()
            np.testing.assert_allclose(found[b].numpy(), recomputed(model, history, m, anchor), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("anchor", ["level", "last", "seasonal"])
def test_every_step_of_the_forecast_sees_the_last_value(strategy, anchor):
    # K > m: the seasonal anchor of step m + 1 and later is not the last value's.
    model = net(strategy, horizon=K, anchor=anchor, season_length=3)
    batch = batch_of(8, 4, 6)
    batch.values_TB.requires_grad_()
    found = model(batch)
    for b, length in enumerate([8, 4, 6]):
        for k in range(K):
            (gradient,) = torch.autograd.grad(found[b, k], batch.values_TB, retain_graph=True)
            assert gradient[length - 1, b] != 0, f"step {k + 1} does not see the last value"
            assert gradient[0, b] != 0, f"step {k + 1} does not see the first value"
            assert (gradient[length:, b] == 0).all(), f"step {k + 1} sees the future"
            others = [c for c in range(3) if c != b]
            assert (gradient[:, others] == 0).all(), "a row sees another"


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_new_net_is_the_anchor_itself(strategy):
    model = build(
        strategy, cell="lstm", hidden_size=3, num_layers=1, dropout=0.0, horizon=K, anchor="seasonal", season_length=3
    )
    windows = windows_at(counting(40), np.array([0]), np.array([20]), 8, K)
    with torch.no_grad():
        assert model(whole_batch(windows)).tolist() == [[17.0, 18.0, 19.0, 17.0, 18.0]]


def test_sequence_gives_k_values_at_every_step_and_trains_on_all_of_them():
    model = net("sequence", horizon=K)
    batch = batch_of(8, 3)
    outputs = model.everywhere(batch)
    assert outputs.shape == (8, 2, K)
    (error,) = model.errors(batch)
    assert error.shape == (8 + 3, K)
    target = batch.horizons(K)
    expected = torch.cat(
        [torch.stack([outputs[t, b] - target[t, b] for b in range(2) if t < [8, 3][b]]) for t in range(8)]
    )
    assert torch.equal(error, expected)


@pytest.mark.parametrize("strategy", ["recursive", "sequence"])
def test_the_training_loss_reaches_the_output_of_every_step(strategy):
    model = net(strategy, horizon=K)
    batch = batch_of(8, 8)
    outputs = {}
    model.net.recurrent.register_forward_hook(lambda _m, _i, out: outputs.update(h=out[0]))
    loss = sum((error**2).mean() for error in model.errors(batch))
    gradient_TBH = torch.autograd.grad(loss, outputs["h"])[0]
    assert (gradient_TBH.abs().sum(-1) > 0).all(), "an output that the loss does not reach"


def test_direct_trains_on_the_origin_alone():
    model = net("direct", horizon=K)
    batch = batch_of(8, 3)
    (error,) = model.errors(batch)
    assert torch.equal(error, model(batch) - torch.stack([batch.values_TB[8:13, 0], batch.values_TB[3:8, 1]]))


def test_recursive_trains_as_it_is_used_and_one_step_ahead():
    model = net("recursive", horizon=K)
    batch = batch_of(8, 3)
    fed_back, ahead = model.errors(batch)
    assert torch.equal(fed_back, model(batch) - torch.stack([batch.values_TB[8:13, 0], batch.values_TB[3:8, 1]]))
    assert ahead.shape == (8 + 3,)
    one, _ = model.one_ahead(batch)
    expected = [one[t, b] - batch.values_TB[t + 1, b] for t in range(8) for b in range(2) if t < [8, 3][b]]
    assert torch.equal(ahead, torch.stack(expected))


def test_the_fed_back_error_flows_through_what_was_fed_back():
    """Trained as used: step 5's error moves through steps 1 to 4, not through the data alone."""
    model = net("recursive", horizon=K)
    batch = batch_of(8)
    ahead, state = model.one_ahead(batch)
    ahead = ahead.detach().requires_grad_()
    last = model.roll(batch, ahead, tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach())
    (gradient,) = torch.autograd.grad(last[0, -1], ahead)
    assert gradient[7, 0] != 0
