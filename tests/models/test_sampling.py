"""Sampler and Draws: against an oracle in NumPy, against counts, and at the edges.

Legend: T steps, B rows, V vocabulary.
"""

import math

import numpy as np
import pytest
import torch

from tests.helpers import assert_close
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Draws, Sampler, sampling

CPU = torch.device("cpu")
WORD = 2**64

# SplitMix64 from the state 1234567, as published with the reference implementation's ports.
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def mix(z):
    """SplitMix64's output function in Python's whole numbers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % WORD
    return z ^ (z >> 31)


def sequence(state, count):
    return [mix((state + (t + 1) * 0x9E3779B97F4A7C15) % WORD) for t in range(count)]


def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """One row of `Sampler.probabilities`, by sorting, in float64."""
    z = np.asarray(logits, dtype=np.float64) / temperature
    p = np.exp(z - z.max())
    if top_k is not None:
        p = np.where(p >= np.sort(p)[-top_k], p, 0.0)
    p /= p.sum()
    if top_p is not None:
        best = np.sort(p)[::-1]
        last = next((i for i, mass in enumerate(np.cumsum(best)) if mass >= top_p), len(p) - 1)
        p = np.where(p >= best[last], p, 0.0)
    return p / p.sum()


def draws(seeds, step=0):
    return Draws(sampling.read_seeds("test", seeds, len(seeds)), CPU).at(step)


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


def test_draws_are_splitmix64():
    assert sequence(1234567, 5) == PUBLISHED
    seeds = [0, 1, 1234567, 2**63 - 1]
    found = Draws(sampling.read_seeds("test", seeds, 4), CPU)
    for t in (0, 1, 63, 64, 65, 1000, 3):
        expected = [(sequence(mix((s + 0x9E3779B97F4A7C15) % WORD), t + 1)[t] >> 11) / 2**53 for s in seeds]
        assert found.at(t).tolist() == expected


@pytest.mark.parametrize("where", ["over rows", "over steps", "from row to row", "from step to step"])
def test_draws_are_uniform_and_unrelated(where):
    """Chi-square over 16 equal boxes, or 16 × 16 for pairs: within 5 deviations of its mean."""
    rows = Draws(sampling.read_seeds("test", 0, 4096), CPU)
    steps = Draws(sampling.read_seeds("test", 7, 1), CPU)
    u = rows.at(0) if where.endswith(("rows", "row")) else torch.cat([steps.at(t) for t in range(4096)])
    box = (u * 16).long()
    boxes = 16
    if where.startswith("from"):
        box, boxes = box[:-1] * 16 + box[1:], 256
    counts = torch.bincount(box, minlength=boxes).double().numpy()
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(chi_square(counts, len(box) / boxes) - (boxes - 1)) < 5 * math.sqrt(2 * (boxes - 1))


def test_a_seed_for_each_row():
    assert sampling.read_seeds("test", 5, 3).tolist() == [5, 6, 7]
    assert sampling.read_seeds("test", [9, 5, 5], 3).tolist() == [9, 5, 5]
    assert sampling.read_seeds("test", torch.tensor([9, 5]), 2).tolist() == [9, 5]
    assert torch.equal(draws([4, 5, 6], 70)[1:2], draws([5], 70))


@pytest.mark.parametrize(
    ("seed", "error", "match"),
    [
        (-1, ArgumentError, r"who: expected seeds in \[0, 2\^63\), got -1; "),
        (2**63, ArgumentError, r"got 9223372036854775808; "),
        ([1, 2], ArgumentError, r"each of the 3 rows, got shape \(2,\); "),
        (0.5, ArgumentTypeError, r"got 0\.5; "),
        (None, ArgumentTypeError, r"got None; "),
        (True, ArgumentTypeError, r"got True; "),
    ],
)
def test_seeds_that_are_refused(seed, error, match):
    with pytest.raises(error, match=match):
        sampling.read_seeds("who", seed, 3)


OPTIONS = [
    {},
    {"temperature": 0.5},
    {"temperature": 3},
    {"top_k": 1},
    {"top_k": 4},
    {"top_k": 11},
    {"top_p": 0.3},
    {"top_p": 0.9},
    {"top_p": 1.0},
    {"top_k": 5, "top_p": 0.6},
    {"temperature": 0.7, "top_k": 7, "top_p": 0.8},
    {"temperature": 2.0, "top_p": 0.999},
]
some_options = pytest.mark.parametrize("options", OPTIONS, ids=str)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@some_options
def test_probabilities_against_the_oracle(options, dtype):
    logits = 3 * torch.randn(40, 11, generator=torch.Generator().manual_seed(1), dtype=dtype)
    logits[1, 3] = -math.inf
    expected = np.stack([probabilities(row, **options) for row in logits.numpy()])
    got = Sampler(**options).probabilities(logits)
    assert got.dtype == dtype
    assert_close(got, expected, k=50)
    assert torch.equal(got > 0, torch.from_numpy(expected > 0))


@some_options
def test_probabilities_with_ties(options):
    """What is as likely as the last that stays, stays."""
    logits = torch.randint(0, 3, (40, 11), generator=torch.Generator().manual_seed(2)).double()
    expected = np.stack([probabilities(row, **options) for row in logits.numpy()])
    got = Sampler(**options).probabilities(logits)
    assert torch.equal(got > 0, torch.from_numpy(expected > 0))
    assert_close(got, expected, k=50)


def test_a_nucleus_wider_than_the_first_look():
    """Rows whose nuclei are found among the best 64, the best 1024, and in all 3000, in one batch."""
    g = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 3000, generator=g, dtype=torch.float64) * torch.tensor([9.0, 1.5, 0.01] * 2)[:, None]
    expected = np.stack([probabilities(row, top_p=0.7) for row in logits.numpy()])
    got = Sampler(top_p=0.7).probabilities(logits)
    kept = (got > 0).sum(1).tolist()
    assert kept == (expected > 0).sum(1).tolist()
    assert kept[0] < 64 < kept[1] < 1024 < kept[2]
    assert_close(got, expected, k=200)


def test_the_order_is_temperature_then_top_k_then_nucleus():
    """Of 0.4, 0.3, 0.2, 0.1: top-k first leaves a nucleus of two, the nucleus first would leave three."""
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]], dtype=torch.float64).log()
    both = Sampler(top_k=3, top_p=0.75).probabilities(logits)
    assert_close(both, np.array([[4 / 7, 3 / 7, 0.0, 0.0]]), k=20)
    assert Sampler(top_p=0.75).probabilities(logits).count_nonzero() == 3
    # Squared: 16, 9, 4, 1 of 30: a nucleus of 0.75 is two; without the temperature it is three.
    tempered = Sampler(temperature=0.5, top_p=0.75).probabilities(logits)
    assert_close(tempered, np.array([[16 / 25, 9 / 25, 0.0, 0.0]]), k=20)


@some_options
def test_draws_follow_the_probabilities(options):
    """20,000 rows, one draw each: chi-square within 5 deviations, and nothing impossible."""
    logits = 1.5 * torch.randn(11, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    n = 20_000
    ids, _ = Sampler(**options)(logits.expand(n, 11), draws(list(range(n))))
    p = probabilities(logits.numpy(), **options)
    counts = torch.bincount(ids, minlength=11).numpy()
    assert (counts[p == 0] == 0).all()
    freedom = int((p > 0).sum()) - 1
    statistic = chi_square(counts[p > 0], n * p[p > 0])
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom)
    other = probabilities(logits.numpy(), temperature=1.3)
    assert chi_square(counts, n * other) > 10 + 5 * math.sqrt(20), "another distribution would pass as well"


def test_an_id_alone_or_in_a_batch_is_the_same():
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(5))
    sampler, seeds = Sampler(temperature=1.2, top_k=90, top_p=0.8), list(range(100, 150))
    together, log_probs = sampler(logits, draws(seeds, 3))
    for row, seed in enumerate(seeds):
        id, log_prob = sampler(logits[row : row + 1], draws([seed], 3))
        assert id[0] == together[row]
        assert log_prob[0] == log_probs[row]
    assert len(set(together.tolist())) > 25


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_the_ends_of_the_draw_find_possible_ids(u):
    logits = torch.full((1, 9), -math.inf)
    logits[0, [3, 5]] = torch.tensor([0.1, 0.2])
    ids, _ = Sampler()(logits, torch.tensor([u], dtype=torch.float64))
    assert ids.item() == (3 if u == 0 else 5)


def test_a_million_ids_and_the_largest_draw():
    """The cumulative sum's last bits must not let the draw past the end."""
    ids, _ = Sampler()(torch.zeros(1, 1_000_003), torch.tensor([1 - 2**-53], dtype=torch.float64))
    assert ids.item() == 1_000_002


def test_greedy_takes_the_first_of_the_likeliest():
    ids, log_probs = Sampler(greedy=True)(torch.tensor([[0.0, 1.0, 1.0], [2.0, 0.0, 2.0]], dtype=torch.float64))
    assert ids.tolist() == [1, 0]
    assert_close(log_probs, np.array([1 - math.log(2 * math.e + 1), 2 - math.log(2 * math.e**2 + 1)]), k=20)
    assert Sampler(greedy=True).probabilities(torch.tensor([[0.0, 1.0, 1.0]])).tolist() == [[0.0, 1.0, 0.0]]


@some_options
def test_log_probabilities_are_the_models_own(options):
    logits = torch.randn(30, 11, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    ids, log_probs = Sampler(**options)(logits, draws(list(range(30))))
    assert_close(log_probs, logits.log_softmax(-1)[torch.arange(30), ids], k=20)


@pytest.mark.parametrize("temperature", [1e-300, 1e-45, 1e-3])
def test_a_tiny_temperature_is_greedy(temperature):
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 1.0, -40.0]])
    assert Sampler(temperature=temperature)(logits, draws([1, 2]))[0].tolist() == [2, 0]


def test_half_precision_logits_are_read_in_float32():
    logits = torch.randn(7, 20, generator=torch.Generator().manual_seed(7)).bfloat16()
    ids, log_probs = Sampler()(logits, draws(list(range(7))))
    expected_ids, expected = Sampler()(logits.float(), draws(list(range(7))))
    assert log_probs.dtype == torch.float32
    assert torch.equal(ids, expected_ids)
    assert torch.equal(log_probs, expected)


def test_no_rows():
    ids, log_probs = Sampler(top_p=0.5)(torch.zeros(0, 5), torch.zeros(0, dtype=torch.float64))
    assert ids.shape == log_probs.shape == (0,)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"temperature": 0}, ArgumentError, r"Sampler: expected temperature > 0 and finite, got 0; "),
        ({"temperature": -0.5}, ArgumentError, r"got -0\.5; "),
        ({"temperature": math.inf}, ArgumentError, r"got inf; "),
        ({"temperature": math.nan}, ArgumentError, r"got nan; "),
        ({"temperature": "hot"}, ArgumentTypeError, r"temperature to be a number, got 'hot'; "),
        ({"temperature": True}, ArgumentTypeError, r"temperature to be a number, got True; "),
        ({"top_k": 0}, ArgumentError, r"expected top_k >= 1, got 0; "),
        ({"top_k": 2.0}, ArgumentTypeError, r"top_k to be an int or None, got 2\.0; "),
        ({"top_p": 0}, ArgumentError, r"expected top_p in \(0, 1\], got 0; "),
        ({"top_p": 1.01}, ArgumentError, r"got 1\.01; "),
        ({"top_p": math.nan}, ArgumentError, r"got nan; "),
        ({"top_p": "most"}, ArgumentTypeError, r"top_p to be a number or None, got 'most'; "),
        ({"greedy": True, "temperature": 0.5}, ArgumentError, r"greedy=True alone, got temperature=0\.5, "),
        ({"greedy": True, "top_k": 3}, ArgumentError, r"top_k=3, "),
        ({"greedy": True, "top_p": 0.4}, ArgumentError, r"top_p=0\.4; "),
    ],
)
def test_options_that_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        Sampler(**options)


@pytest.mark.parametrize(
    ("sampler", "logits", "match"),
    [
        (Sampler(top_k=6), torch.zeros(2, 5), r"expected top_k <= the vocabulary's 5, got 6; "),
        (Sampler(), torch.zeros(5), r"expected logits of shape \(B, V\), got \(5,\); "),
        (Sampler(), torch.zeros(3, 0), r"got \(3, 0\); "),
        (Sampler(), torch.tensor([[0.0, 1.0], [0.0, math.nan]]), r"got nan in row 1; "),
        (Sampler(greedy=True), torch.full((1, 3), -math.inf), r"got -inf in row 0; "),
        (Sampler(), torch.tensor([[0.0, math.inf]]), r"got inf in row 0; "),
    ],
)
def test_logits_that_are_refused(sampler, logits, match):
    with pytest.raises(ArgumentError, match=match):
        sampler(logits, torch.zeros(len(logits), dtype=torch.float64))


def test_draws_are_needed_unless_greedy():
    with pytest.raises(ArgumentError, match=r"expected draws, one a row, got None; "):
        Sampler()(torch.zeros(1, 2))
