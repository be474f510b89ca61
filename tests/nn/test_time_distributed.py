"""TimeDistributed: a module at every time step."""

import pytest
import torch

from tests.helpers import assert_close, assert_zero
from throughtime.errors import ArgumentError, ThroughtimeError
from throughtime.nn import GRU, TimeDistributed

LENGTHS = torch.tensor([3, 0, 5, 1])
both_layouts = pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])


def linear() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2, dtype=torch.float64)


def sequences(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(function, x, module):
    x = x.clone().requires_grad_()
    output = function(x)
    return output.detach(), *torch.autograd.grad((output**3).sum(), (x, *module.parameters()))


@both_layouts
def test_dense_is_linear_on_the_last_axis_and_the_reshape(batch_first):
    """The notes' three ways to say it: every step, the last axis, and (batch × steps, features) and back."""
    module, x = linear(), sequences(5, 4, 3)
    layer = TimeDistributed(module, batch_first=batch_first)
    got = gradients(layer, x, module)
    assert_close(got, gradients(module, x, module))
    assert_close(got, gradients(lambda x: module(x.reshape(20, 3)).reshape(5, 4, 2), x, module))
    assert_close(got, gradients(lambda x: torch.stack([module(step) for step in x]), x, module))


@both_layouts
def test_any_module(batch_first):
    """One that does not work on the last axis: images in, vectors out."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, dtype=torch.float64), torch.nn.Flatten())
    x = sequences(5, 4, 1, 6, 6)
    got = TimeDistributed(module, batch_first=batch_first)(x)
    assert got.shape == (5, 4, 32)
    assert_close(got, torch.stack([torch.stack([module(image[None])[0] for image in row]) for row in x]))


def test_a_module_that_takes_whole_numbers_or_gives_no_axis():
    embedding = torch.nn.Embedding(7, 2)
    tokens = torch.tensor([[1, 2], [3, 4], [5, 6]])
    assert torch.equal(TimeDistributed(embedding)(tokens), embedding(tokens))

    class Norm(torch.nn.Module):
        def forward(self, x):
            return x.norm(dim=-1)

    x = sequences(5, 4, 3)
    assert_close(TimeDistributed(Norm())(x), x.norm(dim=-1))
    assert_close(TimeDistributed(Norm())(x, torch.tensor([5, 5, 5, 5])), x.norm(dim=-1))


@both_layouts
def test_lengths_are_respected(batch_first):
    """Valid steps are as without lengths, the rest is zero, and NaN there reaches no value and no gradient."""
    module = linear()
    layer = TimeDistributed(module, batch_first=batch_first)
    x_TBI = sequences(5, 4, 3)
    dirty = x_TBI.clone()
    valid = torch.arange(5)[:, None] < LENGTHS
    dirty[~valid] = float("nan")
    x, dirty = (x_TBI.transpose(0, 1), dirty.transpose(0, 1)) if batch_first else (x_TBI, dirty)
    valid = valid.T if batch_first else valid

    got = gradients(lambda x: layer(x, LENGTHS), dirty, module)
    assert_zero(got[0][~valid])
    assert_zero(got[1][~valid])
    assert_close(got[0][valid], module(x[valid]))
    expected = gradients(lambda x: torch.where(valid[..., None], module(x), 0.0), x, module)
    assert_close(got, expected)


def test_only_valid_steps_are_seen_by_the_module():
    """Batch normalisation's statistics are those of the valid steps."""
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x):
            seen.append(tuple(x.shape))
            return x

    TimeDistributed(Spy())(sequences(5, 4, 3), LENGTHS)
    assert seen == [(9, 3)]


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3)], ids=["T=0", "B=0"])
def test_empty(shape):
    layer = TimeDistributed(linear())
    assert layer(torch.zeros(shape, dtype=torch.float64)).shape == (*shape[:2], 2)
    lengths = torch.zeros(shape[1], dtype=torch.int64)
    assert layer(torch.zeros(shape, dtype=torch.float64), lengths).shape == (*shape[:2], 2)


def test_all_lengths_zero():
    got = TimeDistributed(linear())(sequences(5, 4, 3), torch.zeros(4, dtype=torch.int64))
    assert got.shape == (5, 4, 2)
    assert_zero(got)


def test_after_a_recurrent_layer():
    gru, module = GRU(3, 3, dtype=torch.float64), linear()
    hidden, _ = gru(sequences(5, 4, 3), lengths=LENGTHS)
    got = TimeDistributed(module)(hidden, LENGTHS)
    assert_zero(got[3:, 0])
    assert_close(got[:3, 0], module(hidden[:3, 0]))


def test_derivatives():
    module = linear()
    layer = TimeDistributed(module)
    x = sequences(3, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x, torch.tensor([3, 1])), (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, torch.tensor([3, 1])) ** 2, (x,))


def test_parameters_are_the_modules():
    module = linear()
    assert [name for name, _ in TimeDistributed(module).named_parameters()] == ["module.weight", "module.bias"]
    assert next(iter(TimeDistributed(module).parameters())) is module.weight


def test_too_few_axes():
    with pytest.raises(ArgumentError, match=r"TimeDistributed: expected .*got \(3,\); "):
        TimeDistributed(linear())(torch.zeros(3))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([3, 1]), r"\(4,\), got \(2,\); "),
        (torch.tensor([3, 0, 6, 1]), r"T = 5, got 6; "),
        (torch.tensor([3, -2, 5, 1]), r"T = 5, got -2; "),
        (torch.tensor([3.0, 0.0, 5.0, 1.0]), r"integer.*got torch\.float32; "),
    ],
    ids=["shape", "too long", "negative", "float"],
)
def test_wrong_lengths(lengths, message):
    with pytest.raises(ThroughtimeError, match=f"TimeDistributed.*: expected .*lengths.*{message}"):
        TimeDistributed(linear())(sequences(5, 4, 3), lengths)
