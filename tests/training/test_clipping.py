"""Clipping, by its effect."""

import math

import pytest
import torch
from torch import nn

from tests.training.problems import Recorder
from throughtime.training import TensorSource, TrainingConfig, train
from throughtime.training.clipping import clip_by_norm, global_norm, gradients_of


def gradients(scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) * scale for shape in [(3, 4), (5,), (), (2, 1, 2)]]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e10])
def test_it_is_torchs(scale):
    ours = gradients(scale)
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in ours]
    for parameter, gradient in zip(parameters, gradients(scale), strict=True):
        parameter.grad = gradient
    expected = nn.utils.clip_grad_norm_(parameters, 1.0).item()
    norm, clipped = clip_by_norm(ours, 1.0)
    assert norm == pytest.approx(expected, rel=1e-6)
    assert clipped == (expected > 1.0)
    for gradient, parameter in zip(ours, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=3e-6, atol=0)


def test_a_norm_within_the_limit_changes_nothing():
    ours = gradients()
    norm = global_norm(ours)
    assert clip_by_norm(ours, norm) == (norm, False)
    assert clip_by_norm(ours, None) == (norm, False)
    assert all(torch.equal(a, b) for a, b in zip(ours, gradients(), strict=True))


def test_a_clipped_gradient_has_the_limit_as_its_norm_and_keeps_its_direction():
    ours = gradients(50.0)
    clip_by_norm(ours, 2.5)
    assert global_norm(ours) == pytest.approx(2.5, rel=1e-6)
    flat, before = (torch.cat([g.flatten() for g in some]) for some in (ours, gradients(50.0)))
    assert nn.functional.cosine_similarity(flat, before, dim=0).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_norm_that_is_not_finite_is_told_and_scales_nothing(value):
    ours = [torch.ones(2), torch.tensor([value, 1.0])]
    norm, clipped = clip_by_norm(ours, 1.0)
    assert not math.isfinite(norm)
    assert not clipped
    assert ours[0].tolist() == [1, 1]


def test_no_gradient_has_norm_zero():
    assert gradients_of([nn.Parameter(torch.zeros(3))]) == []
    assert clip_by_norm([], 1.0) == (0.0, False)


class Slope(nn.Module):
    """loss = 300 a + 400 b: a gradient of norm 500 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(()))
        self.b = nn.Parameter(torch.zeros(()))


@pytest.mark.parametrize(
    ("clip_norm", "expected", "share"),
    [(5.0, (-3.0, -4.0), 1.0), (None, (-300.0, -400.0), 0.0), (501.0, (-300.0, -400.0), 0.0)],
)
def test_the_loop_steps_by_the_clipped_gradient(clip_norm, expected, share):
    model, recorder = Slope(), Recorder()
    config = TrainingConfig(epochs=1, learning_rate=1.0, optimizer="sgd", clip_norm=clip_norm)
    train(model, lambda m, _: 300 * m.a + 400 * m.b, TensorSource(torch.zeros(1)), None, config, [recorder])
    assert (model.a.item(), model.b.item()) == pytest.approx(expected, rel=1e-6)
    assert recorder.steps[0].grad_norm == pytest.approx(500.0)
    assert recorder.steps[0].clipped == bool(share)
    assert recorder.epochs[0].clipped_share == share


def test_clipping_at_one_is_the_default():
    model = Slope()
    config = TrainingConfig(epochs=1, learning_rate=1.0, optimizer="sgd")
    train(model, lambda m, _: 300 * m.a + 400 * m.b, TensorSource(torch.zeros(1)), config=config)
    assert (model.a.item(), model.b.item()) == pytest.approx((-0.6, -0.8), rel=1e-6)
