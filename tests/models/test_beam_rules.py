"""Coverage, repeats and limits of a beam, against searches in plain Python.

Legend: B rows, K width, V vocabulary, S source steps, R rows of a step.
"""

import math

import pytest
import torch

from tests.models.test_beam import BOS, EOS, PAD, Tree, assert_found
from throughtime.errors import ArgumentError
from throughtime.models import beam_search, length_penalty

S = 3


class Looking(Tree):
    """A tree whose steps look at S source steps, each node otherwise; of row 0 the last is padding."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        g = torch.Generator().manual_seed(9)
        self.looks = torch.rand(*self.table.shape[:2], S, generator=g, dtype=torch.float64)
        self.looks[0, :, -1] = 0
        self.looks /= self.looks.sum(2, keepdim=True)

    def step(self, ids_R, state):
        logits_RV, (row_R, node_R), _ = super().step(ids_R, state)
        return logits_RV, (row_R, node_R), self.looks[row_R, node_R]

    def coverage(self, row, y):
        """Σ_s log min(Σ_t α_ts, 1) over the steps that wrote y."""
        node, covered = 0, torch.zeros(S, dtype=torch.float64)
        for t in range(len(y)):
            covered += self.looks[row, node]
            node = node * self.V + y[t] + 1
        return sum(math.log(min(c, 1.0)) for c in covered.tolist() if c > 0)


def plain(tree, row, width, n_best, *, limit, alpha=0.6, beta=0.0, no_repeat=0):
    """Best first: (score, log p, ids). No early stop."""

    def scored(s, y):
        return s / length_penalty(len(y), alpha) + (beta * tree.coverage(row, y) if beta else 0.0)

    def again(y):
        grams = [y[i : i + no_repeat] for i in range(len(y) - no_repeat + 1)]
        return no_repeat and len(set(grams)) < len(grams)

    live, finished = [(0.0, ())], []
    for _ in range(limit):
        grown = [(s + p, (*y, v)) for s, y in live for v, p in enumerate(tree.log_probs(row, y)) if not again((*y, v))]
        grown.sort(reverse=True)
        finished += [(scored(s, y), s, y) for s, y in grown[:width] if y[-1] == EOS]
        live = [(s, y) for s, y in grown if y[-1] != EOS][:width]
    finished += [(scored(s, y), s, y) for s, y in live]
    return sorted(finished, reverse=True)[:n_best]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beta", [0.2, 2.0])
def test_what_was_hardly_looked_at_counts_against_a_hypothesis(seed, beta):
    tree = Looking(2, 5, 4, seed=seed, eos_bias=1.0)
    found = tree.search(width=3, n_best=3, beta=beta)
    for row in range(2):
        assert_found(found, row, plain(tree, row, 3, 3, limit=4, beta=beta))


def test_coverage_changes_what_wins():
    winners = {}
    for beta in (0.0, 3.0):
        found = [Looking(2, 5, 4, seed=seed, eos_bias=1.0).search(width=3, beta=beta).rows() for seed in range(8)]
        winners[beta] = found
    assert winners[0.0] != winners[3.0]


@pytest.mark.parametrize("no_repeat", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_no_sequence_comes_twice(no_repeat, seed):
    tree = Tree(2, 3, 6, seed=seed, eos_bias=-2.0)
    found = tree.search(width=3, n_best=2, no_repeat=no_repeat)
    for row in range(2):
        expected = plain(tree, row, 3, 2, limit=6, no_repeat=no_repeat)
        assert_found(found, row, [e for e in expected if e[1] > -math.inf])


def test_each_row_has_its_own_limit():
    tree = Tree(3, 5, 5, seed=3, eos_bias=-9.0)
    found = tree.search(width=2, n_best=2, limit=torch.tensor([5, 1, 3]))
    assert found.lengths[:, 0].tolist() == [5, 1, 3]
    for row, limit in enumerate([5, 1, 3]):
        assert_found(found, row, plain(tree, row, 2, 2, limit=limit))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"beta": -0.1}, r"expected beta finite and at least 0, got -0\.1; "),
        ({"beta": math.nan}, "expected beta finite and at least 0, got nan; "),
        ({"no_repeat": -1}, "expected no_repeat to be a whole number from 0, got -1; "),
        ({"no_repeat": True}, "expected no_repeat to be a whole number from 0, got True; "),
        ({"limit": torch.tensor([3, 0])}, "expected a limit of at least 1 in each row, got 0; "),
    ],
)
def test_refused(options, match):
    with pytest.raises(ArgumentError, match=f"beam_search: {match}"):
        Tree(2, 5, 3).search(**options)


def test_coverage_needs_weights():
    tree = Tree(1, 5, 3)

    def step(ids, state):
        logits, state, _ = tree.step(ids, state)
        return logits, state, None

    with pytest.raises(ArgumentError, match=r"expected attention weights from the step with beta=0\.5, got None; "):
        beam_search(step, tree.start(), None, torch.tensor([BOS]), eos=EOS, pad=PAD, limit=3, beta=0.5)
