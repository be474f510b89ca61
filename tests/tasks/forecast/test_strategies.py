"""What each strategy computes and trains on, over single steps and over segments.

Legend: B batch, L steps of history, K steps of the horizon, n segments of s steps.
"""

import numpy as np
import pytest
import torch

from tests.tasks.forecast.series import counting, design, double, net, series_of, whole_batch
from throughtime.nn.layers import LAYERS
from throughtime.tasks.forecast.network import Batch
from throughtime.tasks.forecast.outputs import output_named
from throughtime.tasks.forecast.strategies import STRATEGIES, build
from throughtime.tasks.forecast.windows import windows_at

K = 5


def batch_of(*origins: int, L: int = 8) -> Batch:
    """One row an origin, in float64, values of the order of one."""
    windows = windows_at(series_of(40), np.zeros(len(origins), dtype=np.int64), np.array(origins), L, K)
    return double(whole_batch(windows))


def recomputed(model, history: list[float]) -> list[float]:
    """The recursive forecast of one row: the whole sequence anew for every segment, inputs and anchors by hand."""
    d = model.design
    own, s, m = list(history), d.segment, d.season_length
    while len(own) < len(history) + K:
        x, before = [], None
        for i in range(0, len(own), s):
            segment, so_far = own[i : i + s], own[: i + s]
            if d.anchor == "last":
                centre = so_far[-1]
            else:
                centre = float(np.mean(so_far[-m:])) if d.anchor == "seasonal" else 0.0
            row = [v - (centre if s > 1 else 0.0) for v in segment]
            if d.seasonal:
                row += [v - own[t - m if t >= m else t] for t, v in enumerate(segment, start=i)]
            if s > 1 and d.anchor != "level":
                row.append(0.0 if before is None else centre - before)
            before = centre
            x.append(row)
        x_n1X = torch.tensor(x, dtype=torch.float64).unsqueeze(1)
        if s > 1:
            x_n1X = torch.relu(model.encoder.inward(x_n1X))
        for number, layer in enumerate(model.encoder.stack.layers):
            h = layer(x_n1X)[0]
            x_n1X = h if number == 0 else x_n1X + h
        correction = model.out(x_n1X[-1, 0]).tolist()
        for k in range(s):
            rule = {"level": 0.0, "last": own[len(own) - 1 - k], "seasonal": own[len(own) - m]}[d.anchor]
            own.append(rule + correction[k])
    return own[len(history) : len(history) + K]


@pytest.mark.parametrize("cell", sorted(LAYERS))
@pytest.mark.parametrize(
    ("anchor", "m", "s"), [("level", 1, 1), ("last", 3, 1), ("seasonal", 3, 1), ("seasonal", 7, 2)]
)
def test_roll_is_a_loop_over_the_whole_sequence(cell, anchor, m, s):
    model = net("recursive", cell=cell, anchor=anchor, season_length=m, segment=s)
    batch = batch_of(8, 30, 21)
    with torch.no_grad():
        found = model(batch)
        for b in range(3):
            history = batch.history_BL[b].tolist()
            np.testing.assert_allclose(found[b].numpy(), recomputed(model, history), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("anchor", ["level", "last", "seasonal"])
@pytest.mark.parametrize("segment", [1, 2])
def test_every_step_of_the_forecast_sees_the_last_value(strategy, anchor, segment):
    # K > m: the seasonal anchor of step m + 1 and later is not the last value's.
    model = net(strategy, anchor=anchor, season_length=3, segment=segment)
    batch = batch_of(8, 12, 26)
    batch.values.requires_grad_()
    found = model(batch)
    for b in range(3):
        for k in range(K):
            (gradient,) = torch.autograd.grad(found[b, k], batch.values, retain_graph=True)
            assert gradient[b, 7] != 0, f"step {k + 1} does not see the last value"
            assert gradient[b, 0] != 0, f"step {k + 1} does not see the first value"
            assert (gradient[b, 8:] == 0).all(), f"step {k + 1} sees the future"
            assert (gradient[[c for c in range(3) if c != b]] == 0).all(), "a row sees another"


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize(("segment", "linear"), [(1, False), (1, True), (4, False), (2, True)])
def test_a_new_net_is_the_anchor_itself(strategy, segment, linear):
    model = build(
        design(strategy, cell="lstm", anchor="seasonal", season_length=3, segment=segment, linear=linear),
        output_named("mae"),
    ).eval()
    windows = windows_at(counting(40), np.array([0]), np.array([20]), 8, K)
    with torch.no_grad():
        assert model(whole_batch(windows)).tolist() == [[17.0, 18.0, 19.0, 17.0, 18.0]]


@pytest.mark.parametrize("loss", ["quantiles", "gaussian", "student-t"])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_point_of_a_distribution_begins_at_the_anchor(strategy, loss):
    output = output_named(loss)
    model = build(design(strategy, segment=2, outputs=output.size), output).eval()
    with torch.no_grad():
        found = model(whole_batch(windows_at(counting(40), np.array([0]), np.array([20]), 8, K)))
    np.testing.assert_allclose(found, [[19.0] * K], rtol=1e-6)


@pytest.mark.parametrize("segment", [1, 2])
def test_sequence_gives_k_values_after_every_segment_and_trains_on_all_and_the_last(segment):
    model = net("sequence", segment=segment).train()
    batch = batch_of(8, 23)
    raw = model.everywhere(batch)
    n = 8 // segment
    assert raw.shape == (2, n, K, 1)
    errors = [
        (raw[b, i, k, 0] - batch.values[b, (i + 1) * segment + k]).square().item()
        for b in range(2) for i in range(n) for k in range(K)
    ]  # fmt: skip
    everywhere, last = model.losses(batch)
    assert everywhere.item() == pytest.approx(np.mean(errors), rel=1e-10)
    assert last.item() == pytest.approx(np.mean(np.reshape(errors, (2, n, K))[:, -1]), rel=1e-10)
    assert model.loss(batch).item() == pytest.approx((everywhere.item() + last.item()) / 2, rel=1e-10)
    assert torch.equal(model.raw(batch), raw[:, -1])


@pytest.mark.parametrize("strategy", ["recursive", "sequence"])
def test_the_training_loss_reaches_the_output_of_every_segment(strategy):
    model = net(strategy, segment=2).train()
    outputs = {}
    model.encoder.stack.register_forward_hook(lambda _m, _i, out: outputs.update(h=out[0]))
    gradient_nBH = torch.autograd.grad(model.loss(batch_of(8, 8)), outputs["h"])[0]
    assert (gradient_nBH.abs().sum(-1) > 0).all(), "an output that the loss does not reach"


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("segment", [1, 2, 8])
def test_judged_by_the_forecast_alone(strategy, segment):
    model = net(strategy, segment=segment)
    batch = batch_of(8, 23)
    expected = ((model(batch) - batch.horizon_BK) ** 2).mean()
    assert model.loss(batch).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("segment", [1, 2])
def test_recursive_trains_as_it_is_used_and_one_segment_ahead(segment):
    model = net("recursive", segment=segment).train()
    batch = batch_of(8, 23)
    fed_back, ahead = model.losses(batch)
    assert fed_back.item() == pytest.approx(((model(batch) - batch.horizon_BK) ** 2).mean().item(), rel=1e-12)
    one = model.one_ahead(batch)[0][..., 0]
    n = 8 // segment
    errors = [
        (one[b, i, j] - batch.values[b, (i + 1) * segment + j]).square().item()
        for b in range(2) for i in range(n) for j in range(segment)
    ]  # fmt: skip
    assert ahead.item() == pytest.approx(np.mean(errors), rel=1e-10)


def test_the_fed_back_error_flows_through_what_was_fed_back():
    """Trained as used: step 5's error moves through steps 1 to 4, not through the data alone."""
    model = net("recursive")
    batch = batch_of(8)
    raw_B1sR, states, _ = model.one_ahead(batch, last=True)
    first = raw_B1sR[:, -1].detach().requires_grad_()
    last = model.roll(batch, first, [state.detach() for state in states], None)
    (gradient,) = torch.autograd.grad(last[0, -1, 0], first)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("segment", [1, 2])
def test_what_is_known_of_the_future_reaches_its_own_step_and_the_past_reaches_all(strategy, segment):
    model = net(strategy, segment=segment, past=1, future=1, static=1, categories=(3,), n_series=4, missing=True)
    plain = batch_of(8, 23)
    torch.manual_seed(0)
    extra = {
        "series": torch.tensor([1, 4]), "past": torch.randn(2, 8, 1).double(),
        "future": torch.randn(2, 8 + K, 1).double(), "static": torch.randn(2, 1).double(),
        "categories": torch.tensor([[0], [2]]),
    }  # fmt: skip
    batch = Batch(**{**vars(plain), **extra})
    for name in ("past", "future", "static"):
        extra[name].requires_grad_()
    found = model(batch)
    for k in range(K):
        past, future, static = torch.autograd.grad(
            found[0, k], [extra[n] for n in ("past", "future", "static")], retain_graph=True
        )
        assert past[0].abs().sum() > 0
        assert future[0, 8 + k] != 0, f"step {k + 1} does not see what is known of it"
        assert static[0] != 0
        assert past[1].abs().sum() == future[1].abs().sum() == static[1].abs().sum() == 0
    other = Batch(**{**vars(batch), "series": torch.tensor([2, 4]), "categories": torch.tensor([[0], [1]])})
    changed = (model(other) != found).any(dim=1)
    assert changed.all(), "neither the series nor its category is read"


def test_a_series_is_shown_as_unknown_in_training_alone():
    model = net("direct", n_series=3)
    batch = Batch(**{**vars(batch_of(*[8] * 400)), "series": torch.full((400,), 2)})
    with torch.no_grad():
        assert len(set(model(batch)[:, 0].tolist())) == 1
        torch.manual_seed(0)
        values, counts = np.unique(model.train()(batch)[:, 0].numpy(), return_counts=True)
    assert len(values) == 2
    assert 20 <= counts.min() <= 65  # one in ten
