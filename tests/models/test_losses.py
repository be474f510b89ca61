"""Losses under lengths: against torch on the valid steps alone.

Legend: T time, B batch, V vocabulary, O output features.
"""

import math

import pytest
import torch

from tests.helpers import assert_close, assert_zero
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import sequence_cross_entropy, sequence_mse
from throughtime.training import WeightedLoss

T, B, V = 6, 4, 5
LENGTHS = torch.tensor([3, 0, 6, 1])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def targets():
    return torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(1))


def valid_steps(values):
    return torch.cat([values[:n, row] for row, n in enumerate(LENGTHS.tolist())])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_on_the_valid_steps(smoothing):
    logits, ids = random(T, B, V), targets()
    mean, weight = sequence_cross_entropy(logits, ids, LENGTHS, label_smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(valid_steps(logits), valid_steps(ids), label_smoothing=smoothing)
    assert weight == 10
    assert_close(mean, expected, k=20)
    whole = sequence_cross_entropy(logits, ids, label_smoothing=smoothing)
    flat = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), label_smoothing=smoothing)
    assert whole.weight == T * B
    assert_close(whole.mean, flat, k=20)


def test_cross_entropy_by_the_equation():
    logits, ids = random(T, B, V), targets()
    total = sum(
        logits[t, b].logsumexp(0) - logits[t, b, ids[t, b]] for b, n in enumerate(LENGTHS.tolist()) for t in range(n)
    )
    assert_close(sequence_cross_entropy(logits, ids, LENGTHS.tolist()).mean, total / 10, k=20)


def test_mse_by_the_equation():
    y, target = random(T, B, 3), random(T, B, 3, seed=2)
    mean, weight = sequence_mse(y, target, LENGTHS)
    assert weight == 10
    assert_close(mean, (valid_steps(y) - valid_steps(target)).pow(2).sum() / 30, k=20)
    assert_close(sequence_mse(y, target).mean, torch.nn.functional.mse_loss(y, target), k=20)


@pytest.mark.parametrize("loss", ["cross entropy", "mse"])
def test_nothing_in_the_padding_reaches_value_or_gradient(loss):
    past = torch.arange(T)[:, None] >= LENGTHS
    y = random(T, B, V)
    dirty = y.masked_fill(past[..., None], math.nan).requires_grad_()
    if loss == "mse":
        target = random(T, B, V, seed=2)
        expected, _ = sequence_mse(y, target, LENGTHS)
        mean, _ = sequence_mse(dirty, target.masked_fill(past[..., None], math.nan), LENGTHS)
    else:
        expected, _ = sequence_cross_entropy(y, targets(), LENGTHS)
        mean, _ = sequence_cross_entropy(dirty, targets().masked_fill(past, -100), LENGTHS)
    assert_close(mean, expected, k=20)
    mean.backward()
    assert_zero(dirty.grad[past])
    assert bool((dirty.grad[~past] != 0).all())


def test_means_and_weights_of_parts_make_the_mean_of_the_whole():
    logits, ids = random(T, B, V), targets()
    parts = [sequence_cross_entropy(logits[:, i : i + 2], ids[:, i : i + 2], LENGTHS[i : i + 2]) for i in (0, 2)]
    whole = sequence_cross_entropy(logits, ids, LENGTHS)
    assert [part.weight for part in parts] == [3, 7]
    assert_close(sum(p.mean * p.weight for p in parts) / whole.weight, whole.mean, k=20)
    assert isinstance(whole, WeightedLoss)
    assert whole.weight == 10


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: sequence_cross_entropy(random(T, V), targets()), ArgumentError, r"got \(6, 5\) and \(6, 4\); "),
        (lambda: sequence_cross_entropy(random(T, B, V), targets()[:5]), ArgumentError, r"and \(5, 4\); "),
        (lambda: sequence_cross_entropy(random(T, B, V), random(T, B)), ArgumentTypeError, r"got torch\.float64; "),
        (lambda: sequence_cross_entropy(random(T, B, 3), targets() + 1), ArgumentError, r"in \[0, 3\).*got 5; "),
        (lambda: sequence_cross_entropy(random(T, B, V), targets() - 100), ArgumentError, r"in \[0, 5\).*got -100; "),
        (
            lambda: sequence_cross_entropy(random(T, B, V), targets(), label_smoothing=1.5),
            ArgumentError,
            r"label_smoothing in \[0, 1\], got 1\.5; ",
        ),
        (lambda: sequence_cross_entropy(random(T, B, V), targets(), [0] * B), ArgumentError, r"valid step, got 0 "),
        (lambda: sequence_cross_entropy(random(0, B, V), targets()[:0]), ArgumentError, r"\(T = 0, B = 4\); "),
        (lambda: sequence_mse(random(T, B, V), random(T, B, 1)), ArgumentError, r"got \(6, 4, 5\) and \(6, 4, 1\); "),
        (lambda: sequence_mse(random(T, B), random(T, B)), ArgumentError, r"got \(6, 4\) and \(6, 4\); "),
        (lambda: sequence_mse(random(T, B, V), random(T, B, V), [7] * B), ArgumentError, r"T = 6, got 7; "),
    ],
)
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_the_largest_wrong_target_is_named():
    ids = targets()
    ids[2, 2] = 77
    with pytest.raises(ArgumentError, match=r"got 77; "):
        sequence_cross_entropy(random(T, B, V), ids)
    assert sequence_cross_entropy(random(T, B, V), ids, [2] * B).weight == 8
