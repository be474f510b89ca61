"""ManyToOne's poolings, and OneToOne.

Legend: T time, B batch, I input, O output, F features of the recurrent output.
"""

import math

import pytest
import torch

from tests.helpers import assert_close, assert_zero
from tests.nn.layers import LAYERS, build, random_state
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import AttentionPooling, ManyToOne, MaxPooling, MeanPooling, OneToOne

T, B, FEATURES, H, OUTPUTS = 6, 4, 3, 5, 2
LENGTHS = torch.tensor([3, 0, 6, 1])
POOLINGS = ["mean", "max", "attention"]

every_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def hidden(seed=2, features=H):
    return torch.randn(T, B, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(pooling, features=H):
    torch.manual_seed(1)
    if pooling == "attention":
        return AttentionPooling(features, 7, dtype=torch.float64)
    return MeanPooling() if pooling == "mean" else MaxPooling()


def by_hand(module, row_TF):
    """One row of at least one step."""
    if isinstance(module, MeanPooling):
        return row_TF.sum(0) / len(row_TF)
    if isinstance(module, MaxPooling):
        return torch.stack([max(column) for column in row_TF.T])
    W, b, v = module.project.weight, module.project.bias, module.score.weight[0]
    e = [(v * torch.tanh(W @ h + b)).sum().item() for h in row_TF]
    total = sum(math.exp(x) for x in e)
    return sum(math.exp(x) / total * h for x, h in zip(e, row_TF, strict=True))


@every_pooling
def test_pooling_by_hand(pooling):
    module, h = make(pooling), hidden()
    got = module(h, LENGTHS)
    for row, n in enumerate(LENGTHS.tolist()):
        expected = by_hand(module, h[:n, row]) if n else torch.zeros(H)
        assert_close(got[row], expected, f"row {row}", k=50)
    for row, pooled in enumerate(module(h)):
        assert_close(pooled, by_hand(module, h[:, row]), k=50)


@every_pooling
def test_nothing_in_the_padding_reaches_value_or_gradient(pooling):
    module, past = make(pooling), (torch.arange(T)[:, None] >= LENGTHS)[..., None]
    dirty = hidden().masked_fill(past, math.nan).requires_grad_()
    got = module(dirty, LENGTHS)
    assert_close(got, module(hidden(), LENGTHS), k=0)
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way back either, masked afterwards or not
        (got * torch.arange(1.0, 1 + H, dtype=torch.float64)).sum().backward()
    assert_zero(dirty.grad.masked_select(past))
    assert dirty.grad.abs().sum() > 0
    assert all(bool(p.grad.isfinite().all()) and p.grad.abs().max() > 0 for p in module.parameters())


@every_pooling
def test_gradients_by_differences(pooling):
    module = make(pooling)
    h = hidden().requires_grad_()
    assert torch.autograd.gradcheck(lambda h, *p: module(h, LENGTHS), (h, *module.parameters()))


@every_pooling
def test_no_steps_at_all(pooling):
    got = make(pooling)(hidden()[:0])
    assert got.shape == (B, H)
    assert_zero(got)


def test_attention_weights_add_up_to_one_over_the_valid_steps():
    module, h = make("attention"), hidden()
    weights = module.weights(h, LENGTHS)
    assert weights.shape == (T, B)
    assert_close(weights.sum(0), torch.tensor([1.0, 0.0, 1.0, 1.0]), k=20)
    assert_zero(weights[torch.arange(T)[:, None] >= LENGTHS])
    assert_close((weights.unsqueeze(2) * h).sum(0), module(h, LENGTHS), k=20)


@pytest.mark.parametrize("batch_first", [False, True])
@every_pooling
def test_many_to_one_pools_the_outputs(pooling, batch_first):
    """T = B, so that mixed-up axes give no shape error."""
    recurrent = build("GRU", FEATURES, H, 2, bidirectional=True, batch_first=batch_first)
    module = make(pooling, 2 * H)
    model = ManyToOne(
        recurrent, torch.nn.Linear(2 * H, OUTPUTS).double(), module if pooling == "attention" else pooling
    )
    x = hidden(3, FEATURES)[:B]
    lengths = torch.tensor([3, 0, 4, 1])
    outputs, _ = recurrent(x, lengths=lengths)
    time_first = outputs.transpose(0, 1) if batch_first else outputs
    assert_close(model(x, lengths=lengths), model.head(module(time_first, lengths)), k=20)
    assert type(model.pooling) is type(module)


def test_last_is_the_default_and_adds_nothing_to_the_state_dict():
    recurrent = build("LSTM", FEATURES, H)
    default = ManyToOne(recurrent, torch.nn.Linear(H, OUTPUTS).double())
    named = ManyToOne(recurrent, default.head, pooling="last")
    assert torch.equal(default(hidden(3, FEATURES), lengths=LENGTHS), named(hidden(3, FEATURES), lengths=LENGTHS))
    assert {name.split(".")[0] for name in default.state_dict()} == {"recurrent", "head"}


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: ManyToOne(build("GRU", 3, 5), torch.nn.Linear(5, 1), "median"),
            ArgumentError,
            r"ManyToOne: expected pooling to be one of last, mean, max or a module, got 'median'; ",
        ),
        (
            lambda: ManyToOne(build("GRU", 3, 5), torch.nn.Linear(5, 1), MeanPooling),
            ArgumentTypeError,
            r"ManyToOne: expected pooling .* got type; ",
        ),
        (lambda: MeanPooling()(hidden()[0]), ArgumentError, r"MeanPooling: expected hidden .* got \(4, 5\); "),
        (lambda: MaxPooling()(hidden(), [9] * B), ArgumentError, r"MaxPooling: expected lengths .* T = 6, got 9; "),
    ],
)
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("kind", LAYERS)
def test_one_to_one_is_one_step(kind, bidirectional):
    recurrent = build(kind, FEATURES, H, 2, bidirectional=bidirectional)
    model = OneToOne(recurrent, torch.nn.Linear(H * (1 + bidirectional), OUTPUTS).double())
    x, state = hidden(3, FEATURES)[0], random_state(recurrent, B)
    state = state[0] if len(state) == 1 else state
    for given in (None, state):
        outputs, _ = recurrent(x.unsqueeze(0), given)
        assert_close(model(x, given), model.head(outputs[0]), k=20)
    assert not torch.equal(model(x), model(x, state))
    assert (model.bidirectional, model.streams) == (bidirectional, False)


def test_one_to_one_with_a_batch_first_layer():
    plain, turned = build("LSTM", FEATURES, H), build("LSTM", FEATURES, H, batch_first=True)
    head, x = torch.nn.Linear(H, OUTPUTS).double(), hidden(3, FEATURES)[0]
    assert torch.equal(OneToOne(plain, head)(x), OneToOne(turned, head)(x))


@pytest.mark.parametrize("shape", [(4, 2), (1, 4, 3), (3,)])
def test_one_to_one_refuses_what_is_not_one_step(shape):
    model = OneToOne(build("GRU", FEATURES, H), torch.nn.Linear(H, OUTPUTS).double())
    with pytest.raises(ArgumentError, match=rf"OneToOne: expected x of shape \(B, 3\), got \({shape[0]},.*\); "):
        model(torch.zeros(shape, dtype=torch.float64))
