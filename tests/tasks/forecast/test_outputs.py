"""Outputs against torch.distributions, formulas written anew, and sums over every count."""

import math

import numpy as np
import pytest
import torch

from throughtime.errors import DataError
from throughtime.tasks.forecast.outputs import LEVELS, OUTPUTS, Distribution, StudentT, output_named
from throughtime.tasks.forecast.quantile_functions import negative_binomial_quantiles, student_t_quantiles

B, K = 5, 3
PROBABILISTIC = ("quantiles", "gaussian", "student-t", "negative-binomial")


def case(name, dtype=torch.float64, seed=0):
    output = output_named(name)
    g = torch.Generator().manual_seed(seed)
    raw = torch.randn(B, K, output.size, generator=g, dtype=torch.float64)
    scale = torch.tensor([[0.5], [1.0], [3.0], [10.0], [200.0]], dtype=torch.float64)
    target = torch.randn(B, K, generator=g, dtype=torch.float64)
    if output.counts:
        target = torch.poisson(2.0 * scale.expand(B, K), generator=g) / scale
    return output, raw.to(dtype), target.to(dtype), scale.to(dtype)


def softplus(x):
    return torch.log1p(torch.exp(x))


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_loss_is_the_one_of_the_name(name):
    output, raw, target, scale = case(name)
    found = output.loss(raw, target, scale)
    assert found.shape == (B, K)
    error = raw[..., 0] - target
    if name == "mse":
        expected = error**2
    elif name == "mae":
        expected = error.abs()
    elif name == "huber":
        expected = torch.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5)
    elif name == "quantiles":
        by_level = [
            torch.where(target > raw[..., j], q * (target - raw[..., j]), (1 - q) * (raw[..., j] - target))
            for j, q in enumerate(LEVELS)
        ]
        expected = 2 * sum(by_level) / len(LEVELS)
    elif name == "negative-binomial":
        mean, alpha = scale * softplus(raw[..., 0]), softplus(raw[..., 1] + math.log(math.exp(0.5) - 1)) + 1e-6
        truth = torch.distributions.NegativeBinomial(1 / alpha, logits=torch.log(alpha * mean))
        assert torch.allclose(truth.mean, scale * output.point(raw))
        assert torch.allclose(truth.variance, mean + alpha * mean**2)
        expected = -truth.log_prob((scale * target).round())
    else:
        width = softplus(raw[..., 1] + math.log(math.e - 1)) + 1e-3
        truth = torch.distributions.Normal(raw[..., 0], width)
        if name == "student-t":
            df = 2 + 98 / (1 + torch.exp(-raw[..., 2] - math.log(4 / 94)))
            truth = torch.distributions.StudentT(df, raw[..., 0], width)
        expected = -truth.log_prob(target)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OUTPUTS)
def test_loss_and_gradient_are_finite_at_extremes(name, dtype):
    output = output_named(name)
    extremes = torch.tensor([-1e4, -40.0, 0.0, 40.0, 1e4], dtype=dtype)
    raw = torch.cartesian_prod(*[extremes] * min(output.size, 3)).reshape(-1, min(output.size, 3))
    raw = raw.repeat(1, -(-output.size // 3))[:, : output.size].clone().requires_grad_()
    for target in (0.0, 1.0, 1e6):
        for scale in (1e-3, 1.0, 1e6):
            value = torch.full(raw.shape[:1], target, dtype=dtype)
            loss = output.loss(raw, value, torch.full_like(value, scale))
            (gradient,) = torch.autograd.grad(loss.sum(), raw)
            assert loss.dtype == dtype
            assert loss.isfinite().all()
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_are_those_of_differences(name):
    output, raw, target, scale = case(name, seed=1)
    assert torch.autograd.gradcheck(lambda r: output.loss(r, target, scale), raw.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("name", OUTPUTS)
def test_raw_zeros_moved_by_an_anchor_are_the_anchor(name):
    output = output_named(name)
    anchor = torch.rand(B, K, dtype=torch.float64) * torch.tensor([[0.1], [1.0], [5.0], [40.0], [900.0]])
    anchor = anchor if output.counts else anchor - 0.5
    found = output.point(output.shift(torch.zeros(B, K, output.size, dtype=torch.float64), anchor))
    torch.testing.assert_close(found, anchor.clamp(min=0.01) if output.counts else anchor, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", PROBABILISTIC)
def test_quantiles_rise_and_the_point_is_the_mean_or_the_median(name):
    output, raw, _, scale = case(name, seed=2)
    assert isinstance(output, Distribution)
    q = [0.001, 0.01, 0.1, 0.33, 0.5, 0.77, 0.9, 0.999]
    found = output.quantiles(raw, q, scale)
    assert found.shape == (B, K, len(q))
    assert (found.diff(dim=-1) >= 0).all()
    if not output.counts:
        torch.testing.assert_close(found[..., 4], output.point(raw))


@pytest.mark.parametrize("name", PROBABILISTIC)
def test_draws_follow_the_quantiles_and_the_seed(name):
    output, raw, _, scale = case(name, seed=3)
    n = 4000
    many, scales = raw.expand(n, B, K, output.size), scale.expand(n, B, 1)
    draws = output.sample(many, scales, torch.Generator().manual_seed(1))
    assert draws.shape == (n, B, K)
    assert draws.isfinite().all()
    assert torch.equal(draws, output.sample(many, scales, torch.Generator().manual_seed(1)))
    assert not torch.equal(draws, output.sample(many, scales, torch.Generator().manual_seed(2)))
    for q in (0.05, 0.5, 0.95):
        at = output.quantiles(raw, [q], scale)[..., 0]
        below, upto = (draws < at - 1e-9).double().mean(0), (draws <= at + 1e-9).double().mean(0)
        slack = 4.5 * math.sqrt(q * (1 - q) / n)
        assert (below <= q + slack).all()
        assert (upto >= q - slack).all()


def test_quantiles_between_levels_are_linear_in_the_normal_quantile():
    output, raw, _, scale = case("quantiles")
    normal = torch.distributions.Normal(0.0, 1.0)
    z = normal.icdf(torch.tensor(LEVELS, dtype=torch.float64))
    raw[0, 0] = (3 + 2 * z)[torch.randperm(len(LEVELS), generator=torch.Generator().manual_seed(0))]
    q = torch.tensor([0.0005, 0.015, 0.42, 0.5, 0.999], dtype=torch.float64)
    torch.testing.assert_close(output.quantiles(raw, q.tolist(), scale)[0, 0], 3 + 2 * normal.icdf(q))
    assert output.point(raw)[0, 0] == pytest.approx(3.0)


# 2, 4: closed forms. The others: NIST's table of upper critical values, to three decimals.
@pytest.mark.parametrize(
    ("df", "q", "expected", "tolerance"),
    [
        *((2.0, q, (2 * q - 1) * math.sqrt(2 / (4 * q * (1 - q))), 1e-8) for q in (0.51, 0.9, 0.975, 0.999)),
        (5.0, 0.975, 2.571, 5e-4),
        (10.0, 0.9, 1.372, 5e-4),
        (30.0, 0.99, 2.457, 5e-4),
        (100.0, 0.975, 1.984, 5e-4),
    ],
)
def test_quantiles_of_students_t(df, q, expected, tolerance):
    found = student_t_quantiles([q, 1 - q], torch.tensor(df, dtype=torch.float64))
    assert found.tolist() == pytest.approx([expected, -expected], abs=tolerance * abs(expected) + 1e-12)


@pytest.mark.parametrize("df", [2.3, 3.7, 7.0, 41.5])
def test_quantiles_of_students_t_hold_their_share_of_the_density(df):
    q = [0.6, 0.9, 0.99]
    for level, t in zip(q, student_t_quantiles(q, torch.tensor(df, dtype=torch.float64)).tolist(), strict=True):
        x = torch.linspace(0.0, t, 20_001, dtype=torch.float64)
        density = torch.distributions.StudentT(torch.tensor(df, dtype=torch.float64)).log_prob(x).exp()
        assert 0.5 + torch.trapezoid(density, x).item() == pytest.approx(level, abs=2e-8)


def test_degrees_of_freedom_stay_between_2_and_100():
    raw = torch.tensor([[0.0, 0.0, -1e4], [0.0, 0.0, 0.0], [0.0, 0.0, 1e4]], dtype=torch.float64)
    assert StudentT().degrees_of_freedom(raw).tolist() == pytest.approx([2.0, 6.0, 100.0])


@pytest.mark.parametrize(
    ("mean", "dispersion"), [(0.03, 0.5), (0.9, 3.0), (7.0, 1e-6), (40.0, 0.2), (3.0, 20.0), (900.0, 0.01), (1e-9, 1.0)]
)
def test_quantiles_of_counts_are_the_least_that_reach_the_level(mean, dispersion):
    q = [0.01, 0.1, 0.5, 0.9, 0.975, 0.999]
    r, odds = 1 / dispersion, mean * dispersion
    total, k, expected = 0.0, -1, []
    for level in q:
        while total < level:
            k += 1
            total += math.exp(
                math.lgamma(k + r)
                - math.lgamma(r)
                - math.lgamma(k + 1)
                - (k + r) * math.log1p(odds)
                + k * math.log(odds)
            )
        expected.append(k)
    found = negative_binomial_quantiles(q, *(torch.tensor([v], dtype=torch.float64) for v in (mean, dispersion)))
    assert found.tolist() == [expected]


def test_quantiles_of_large_counts_reach_their_normal_limit():
    mean, dispersion = torch.tensor([1e7], dtype=torch.float64), torch.tensor([1e-6], dtype=torch.float64)
    found = negative_binomial_quantiles([0.1, 0.9], mean, dispersion)[0]
    width = math.sqrt(1e7 + 1e-6 * 1e14) * 1.2815515655446004
    assert found.tolist() == pytest.approx([1e7 - width, 1e7 + width], rel=2e-5)


def test_counts_are_refused_with_the_value_that_is_none():
    counts = output_named("negative-binomial")
    counts.check(np.array([0.0, 3.0, np.nan]), "Forecaster.fit")
    for value in (-1.0, 2.5):
        with pytest.raises(DataError, match=rf"Forecaster.fit: expected counts .* got {value:g};"):
            counts.check(np.array([1.0, value]), "Forecaster.fit")
    output_named("gaussian").check(np.array([-0.5]), "Forecaster.fit")
