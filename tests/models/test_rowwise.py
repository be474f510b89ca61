"""What Sampler does to rows of a vocabulary, at the sizes at which the way it is done changes.

Legend: B rows, V vocabulary.
"""

import numpy as np
import pytest
import torch

from throughtime.models import Sampler, rowwise, sampling

SIZES = [1, 2, 63, 64, 65, 100, 101, 1000, 4100]

every_size = pytest.mark.parametrize("V", SIZES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def weights(V, dtype, rows=40):
    """Positive and zero weights over six orders of magnitude; some rows have one possible id alone."""
    g = torch.Generator().manual_seed(V)
    found = torch.rand(rows, V, generator=g, dtype=torch.float64).pow(torch.arange(rows)[:, None] % 5 * 3.0)
    found = found * (torch.rand(rows, V, generator=g) < 0.7)
    lonely = torch.arange(0, rows, 8)
    found[lonely] = 0.0
    found[torch.arange(rows), torch.randint(0, V, (rows,), generator=g)] += 0.1
    return found.to(dtype)


@every_dtype
@every_size
def test_the_place_that_a_draw_hits(V, dtype):
    """Σ before the place ≤ u Σ all < Σ with the place, within the rounding of the sums; never a weight of zero."""
    w = weights(V, dtype)
    u = torch.rand(len(w), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u[:4] = torch.tensor([0.0, 1 - 2.0**-53, 0.0, 1 - 2.0**-53], dtype=torch.float64)
    place = rowwise.first_above(w, u)
    assert place.shape == (len(w), 1)
    assert bool((w.gather(1, place) > 0).all())
    reached = np.cumsum(w.double().numpy(), axis=1)
    tolerance = 100 * torch.finfo(dtype).eps * reached[:, -1]
    rows, at, wanted = np.arange(len(w)), place[:, 0].numpy(), u.numpy() * reached[:, -1]
    before = np.where(at > 0, reached[rows, np.maximum(at, 1) - 1], 0.0)
    assert (before <= wanted + tolerance).all()
    assert (wanted < reached[rows, at] + tolerance).all()
    if V > 2:
        assert len(set(at.tolist())) > 2


@every_dtype
@pytest.mark.parametrize("K", [1, 3, 64])
@every_size
def test_the_largest(V, K, dtype):
    w, K = weights(V, dtype), min(K, V)
    before = w.clone()
    assert torch.equal(rowwise.largest(w, K), w.sort(-1, descending=True).values[:, :K])
    assert torch.equal(w, before)


@every_size
def test_the_first_of_the_largest(V):
    w = torch.randint(0, 4, (40, V), generator=torch.Generator().manual_seed(V)).float()
    expected = [row.index(max(row)) for row in w.tolist()]
    assert rowwise.argmax(w)[:, 0].tolist() == expected


@every_dtype
def test_what_stays_from_a_border_on(dtype):
    w = weights(100, dtype)
    border = w[:, 7:8].clone()
    assert torch.equal(rowwise.keep_from(w, border), torch.where(w >= border, w, 0.0))


@pytest.mark.parametrize("V", [7, 1000])
@pytest.mark.parametrize(
    "sampler", [Sampler(greedy=True), Sampler(), Sampler(0.7, 5, 0.9), Sampler(top_p=0.6)], ids=repr
)
def test_rows_in_parts_are_the_rows(sampler, V, monkeypatch):
    """However many rows are taken at a time, the last part being a short one."""
    logits = 2 * torch.randn(50, V, generator=torch.Generator().manual_seed(3))
    draws = torch.rand(50, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    ids, log_probs = sampler(logits, draws)
    for rows in (1, 7, 49):
        monkeypatch.setattr(sampling, "_AT_ONCE", rows * V)
        ids_in_parts, log_probs_in_parts = sampler(logits, draws)
        assert torch.equal(ids_in_parts, ids)
        assert torch.equal(log_probs_in_parts, log_probs)


def test_logits_that_want_a_gradient():
    logits = torch.randn(3, 200, requires_grad=True)
    for sampler in (Sampler(greedy=True), Sampler(top_k=9, top_p=0.5)):
        _, log_probs = sampler(logits, torch.full((3,), 0.5, dtype=torch.float64))
        (grad,) = torch.autograd.grad(log_probs.sum(), logits)
        assert grad.abs().sum() > 0
