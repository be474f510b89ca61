"""Beam search against a search in plain Python, against all sequences there are, and against greedy.

Legend: B rows, K width, N hypotheses kept, V vocabulary, R rows of a step, T steps.
"""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DETERMINISTIC, assert_close, assert_zero
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import beam_search, length_penalty
from throughtime.models.rowwise import largest_and_places

EOS, BOS, PAD = 0, 1, 2


class Tree:
    """Logits for every prefix of every row, from tables: node 0 is the empty prefix, n·V + v + 1 is n, then v."""

    def __init__(self, rows, V, limit, seed=0, eos_bias=0.0, dtype=torch.float64):
        g = torch.Generator().manual_seed(seed)
        nodes = sum(V**depth for depth in range(limit))
        self.rows, self.V, self.limit = rows, V, limit
        self.table = torch.randn(rows, nodes, V, generator=g, dtype=torch.float64).mul(1.5).to(dtype)
        self.table[:, :, EOS] += eos_bias
        self.calls: list[int] = []

    def step(self, ids_R, state):
        row_R, node_R = state
        self.calls.append(len(ids_R))
        node_R = torch.where(node_R < 0, 0, node_R * self.V + ids_R + 1)
        # What the step saw, to be told from what the search says it saw.
        return self.table[row_R, node_R], (row_R, node_R), torch.stack([ids_R, node_R], dim=1).double()

    def start(self):
        return torch.arange(self.rows), torch.full((self.rows,), -1)

    def search(self, **options):
        self.calls = []
        first = torch.full((self.rows,), BOS)
        options = {"limit": self.limit, "eos": EOS, "pad": PAD, **options}
        return beam_search(self.step, self.start(), lambda s, rows: (s[0][rows], s[1][rows]), first, **options)

    def log_probs(self, row, prefix):
        node = 0
        for v in prefix:
            node = node * self.V + v + 1
        return self.table[row, node].log_softmax(-1).tolist()


def plain_beam(tree, row, width, alpha, n_best):
    """Best first: (score, log p, ids). No early stop: every step to the limit is taken."""
    live, finished = [(0.0, ())], []
    for length in range(1, tree.limit + 1):
        grown = [(s + p, (*y, v)) for s, y in live for v, p in enumerate(tree.log_probs(row, y)) if s + p > -math.inf]
        grown.sort(reverse=True)
        finished += [(s / ((5 + length) / 6) ** alpha, s, y) for s, y in grown[:width] if y[-1] == EOS]
        live = [(s, y) for s, y in grown if y[-1] != EOS][:width]
    finished += [(s / ((5 + tree.limit) / 6) ** alpha, s, y) for s, y in live]
    return sorted(finished, reverse=True)[:n_best]


def every_sequence(tree, row, alpha):
    """Every sequence that the end token or the limit closes, best first."""
    found = []
    for length in range(1, tree.limit + 1):
        for y in itertools.product(range(tree.V), repeat=length):
            if EOS in y[:-1] or (y[-1] != EOS and length < tree.limit):
                continue
            s = sum(tree.log_probs(row, y[:t])[v] for t, v in enumerate(y))
            if s > -math.inf:
                found.append((s / ((5 + length) / 6) ** alpha, s, y))
    return sorted(found, reverse=True)


def assert_found(hypotheses, row, expected, k=500.0):
    """The hypotheses of a row are these, each with its score, log p, length and end."""
    n = len(expected)
    assert_close(hypotheses.scores[row, :n], torch.tensor([e[0] for e in expected], dtype=torch.float64), "score", k=k)
    assert_close(
        hypotheses.log_probs[row, :n], torch.tensor([e[1] for e in expected], dtype=torch.float64), "log p", k=k
    )
    for place, (_, _, y) in enumerate(expected):
        assert hypotheses.lengths[row, place] == len(y)
        assert tuple(hypotheses.ids[: len(y), row, place].tolist()) == y
        assert bool((hypotheses.ids[len(y) :, row, place] == PAD).all())
        assert bool(hypotheses.stopped[row, place]) == (y[-1] == EOS)
    assert bool((hypotheses.scores[row, n:] == -torch.inf).all())
    assert bool((hypotheses.lengths[row, n:] == 0).all())


@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 5),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    keep=st.integers(1, 5),
    limit=st.integers(1, 5),
    eos_bias=st.sampled_from([-2.0, 0.0, 2.0]),
)
@DETERMINISTIC
def test_it_finds_what_a_plain_search_finds(seed, width, alpha, keep, limit, eos_bias):
    """And since the plain search stops at the limit alone, the early stop loses nothing."""
    tree, n_best = Tree(3, 5, limit, seed, eos_bias), min(keep, width)
    found = tree.search(width=width, alpha=alpha, n_best=n_best)
    assert found.ids.shape == (found.lengths.max(), 3, n_best)
    for row in range(3):
        assert_found(found, row, plain_beam(tree, row, width, alpha, n_best))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.5])
def test_a_beam_that_holds_everything_finds_the_best_of_all(alpha):
    """Three ids are possible after each of the first two, two after the third: never more candidates than the width."""
    tree = Tree(4, 8, 3, seed=3)
    g = torch.Generator().manual_seed(4)
    for row, node in itertools.product(range(4), range(tree.table.shape[1])):
        others = (torch.randperm(7, generator=g) + 1)[: 2 if node < 9 else 1]
        barred = torch.ones(8, dtype=torch.bool)
        barred[[EOS, *others.tolist()]] = False
        tree.table[row, node, barred] = -torch.inf
    found = tree.search(width=8, alpha=alpha, n_best=8)
    for row in range(4):
        everything = every_sequence(tree, row, alpha)
        assert len(everything) == 11
        assert_found(found, row, everything[:8])


def test_a_narrow_beam_can_miss_what_a_wide_one_finds():
    """The negative control: on these tables greedy is not the best there is, and wider is nearer to it."""
    tree = Tree(20, 5, 5, seed=1)
    scores = [tree.search(width=width, alpha=0.0).scores[:, 0] for width in (1, 2, 5)]
    best = torch.tensor([every_sequence(tree, row, 0.0)[0][0] for row in range(20)], dtype=torch.float64)
    totals = [float(s.sum()) for s in scores]
    assert totals[0] < totals[1] < totals[2] <= float(best.sum())
    assert bool((scores[2] <= best + 1e-12).all())


@pytest.mark.parametrize("options", [{"n_best": 3}, {"beta": 0.3}, {"no_repeat": 2}, {"width": 1}], ids=str)
def test_rows_that_are_done_are_let_go_and_the_others_are_what_they_were(options):
    tree, options = Tree(30, 4, 7, seed=5, eos_bias=0.5), {"width": 3, "alpha": 0.6, **options}
    limit = torch.arange(30) % 4 + 4
    step, weigh = tree.step, torch.rand(30, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    at_B = torch.arange(30)

    def aligned(ids_R, state):
        logits, state, _ = step(ids_R, state)
        own_R = at_B.repeat_interleave(len(ids_R) // len(at_B))
        assert torch.equal(state[0], own_R), "the state is not of the rows that were kept"
        return logits, state, weigh[own_R] * (ids_R[:, None] + 1) / 9

    def narrow(rows_B):
        nonlocal at_B
        at_B = at_B[rows_B]

    tree.step = aligned
    expected, calls = tree.search(limit=limit, **options), tree.calls
    found = tree.search(limit=limit, narrow=narrow, **options)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert torch.equal(one, other), name
    assert len(tree.calls) == len(calls)
    assert tree.calls[-1] < calls[-1] / 2


def test_width_one_without_penalty_is_greedy():
    tree = Tree(6, 5, 6, seed=2)
    found = tree.search(width=1, alpha=0.0)
    for row in range(6):
        y: tuple[int, ...] = ()
        while len(y) < 6 and EOS not in y:
            log_probs = tree.log_probs(row, y)
            y = (*y, log_probs.index(max(log_probs)))
        assert tuple(found.ids[: len(y), row, 0].tolist()) == y
        assert found.lengths[row, 0] == len(y)


def test_a_row_alone_is_the_row_in_the_batch():
    """Bit for bit: the search itself mixes no rows, whenever the others are done."""
    tree = Tree(5, 5, 5, seed=5, eos_bias=1.0)
    together = tree.search(width=4, n_best=3)
    for row in range(5):
        alone = Tree(1, 5, 5)
        alone.table = tree.table[[row]]
        found = alone.search(width=4, n_best=3)
        assert torch.equal(found.scores[0], together.scores[row])
        assert torch.equal(found.lengths[0], together.lengths[row])
        T = len(found.ids)
        assert torch.equal(found.ids[:, 0], together.ids[:T, row])
        assert bool((together.ids[T:, row] == PAD).all())


def test_weights_are_those_that_each_id_was_chosen_from():
    """The step's third result follows a hypothesis through every change of place, the end token's included."""
    tree = Tree(3, 5, 5, seed=6)
    found = tree.search(width=5, n_best=5)
    assert found.weights.shape == (*found.ids.shape, 2)
    for row, place in itertools.product(range(3), range(5)):
        n, node = int(found.lengths[row, place]), 0
        y = found.ids[:n, row, place].tolist()
        for t, before in enumerate([BOS, *y[:-1]]):
            node = 0 if t == 0 else node * 5 + before + 1
            assert found.weights[t, row, place].tolist() == [before, node]
        assert_zero(found.weights[n:, row, place])


def test_one_step_call_a_token_for_all_rows_at_once():
    tree = Tree(3, 5, 5, seed=7, eos_bias=-9.0)
    tree.search(width=4)
    assert tree.calls == [3, 12, 12, 12, 12]


def test_it_stops_once_no_live_hypothesis_can_win():
    """An end token nearly certain from the start: one step more than greedy needs, not the limit."""
    tree = Tree(3, 5, 6, seed=8, eos_bias=12.0)
    found = tree.search(width=4, alpha=1.0)
    assert found.lengths.flatten().tolist() == [1, 1, 1]
    assert len(tree.calls) < 3
    tree.search(width=4, alpha=1.0, n_best=4)
    assert len(tree.calls) > 2


def test_a_likely_end_does_not_hide_a_better_longer_one():
    """What a search that stops at the first finished hypothesis would lose: under the penalty the longer one wins."""
    tree = Tree(1, 3, 4)
    tree.table[:] = torch.tensor([-9.0, -9.0, 0.0])
    tree.table[0, 0] = torch.tensor([0.51, -9.0, 0.49]).log()
    tree.table[0, 0, 1] = -9.0
    short = tree.search(width=2, alpha=0.0)
    assert short.lengths.item() == 1
    long = tree.search(width=2, alpha=2.0)
    assert long.ids.flatten().tolist() == [2, 2, 2, 2]
    assert not long.stopped.item()


def test_fewer_hypotheses_than_asked_for():
    """Only one id is ever possible: one hypothesis, and places that say so."""
    tree = Tree(2, 3, 3)
    tree.table[:] = -torch.inf
    tree.table[:, :, 2] = 0.0
    found = tree.search(width=3, n_best=3)
    for row in range(2):
        assert_found(found, row, [(0.0, 0.0, (2, 2, 2))])
    assert found.weights.isfinite().all()


def test_a_row_that_is_done_is_left_alone():
    """Row 0 is done after one step; what its tables hold deeper down, NaN here, is not read."""
    tree = Tree(2, 5, 4, seed=10, eos_bias=-3.0)
    tree.table[0, 0] = torch.tensor([0.0, -50.0, -50.0, -50.0, -50.0])
    tree.table[0, 1:] = math.nan
    found = tree.search(width=3)
    assert len(tree.calls) > 2
    assert_found(found, 0, [(0.0, 0.0, (EOS,))])
    assert_found(found, 1, plain_beam(tree, 1, 3, 0.6, 1))


def test_an_impossible_prefix_may_lead_anywhere():
    """Logits from a trie: what no word begins with has no way on, and is no reason to stop the others."""
    tree = Tree(1, 3, 3)
    tree.table[:] = -torch.inf
    tree.table[0, 0, 2] = 0.0
    tree.table[0, 3, EOS] = tree.table[0, 3, 1] = 0.0
    tree.table[0, 11, EOS] = 0.0
    half = math.log(0.5)
    found = tree.search(width=3, n_best=3, alpha=1.0)
    assert_found(found, 0, [(half / (8 / 6), half, (2, 1, EOS)), (half / (7 / 6), half, (2, EOS))])


def test_rows_are_lists_of_ids():
    tree = Tree(3, 5, 4, seed=11)
    found = tree.search(width=4, n_best=3)
    plain = [[y for _, _, y in plain_beam(tree, row, 4, 0.6, 3)] for row in range(3)]
    assert found.rows() == [[list(y) for y in row] for row in plain]
    assert found.rows(without=EOS) == [[[v for v in y if v != EOS] for y in row] for row in plain]
    few = Tree(1, 3, 3)
    few.table[:] = torch.tensor([-math.inf, -math.inf, 0.0])
    assert few.search(width=3, n_best=3).rows() == [[[2, 2, 2]]]


def test_no_rows():
    found = Tree(0, 5, 3).search(width=2, n_best=2)
    assert found.ids.shape == (0, 0, 2)
    assert found.scores.shape == (0, 2)


def test_half_precision_logits_are_summed_in_float32():
    tree = Tree(2, 5, 5, seed=9, dtype=torch.bfloat16)
    found = tree.search(width=3, n_best=2)
    assert found.scores.dtype == torch.float32
    tree.table = tree.table.double()
    for row in range(2):
        assert_found(found, row, plain_beam(tree, row, 3, 0.6, 2))


def test_float32_logits_stay_float32():
    assert Tree(2, 5, 2, dtype=torch.float32).search(width=2).log_probs.dtype == torch.float32


@pytest.mark.parametrize("V", [999, 1000, 1003, 20_000])
def test_the_largest_of_long_rows(V):
    """In blocks: the same values, and places where they stand; ties and infinities included."""
    g = torch.Generator().manual_seed(V)
    values = torch.randn(2, 3, V, generator=g)
    values[0, 0, :] = torch.randint(0, 3, (V,), generator=g).float()
    values[0, 1, 5:] = -torch.inf
    values[0, 2, V - 1] = 99.0
    values[1, 1] = -torch.inf
    top, places = largest_and_places(values, 6)
    assert torch.equal(top, values.topk(6).values)
    assert torch.equal(values.gather(-1, places), top)
    assert all(len(set(row)) == 6 for row in places.flatten(0, 1).tolist())


def test_the_largest_of_long_rows_see_a_nan():
    values = torch.zeros(1, 5000)
    values[0, 1234] = float("nan")
    assert bool(largest_and_places(values, 2)[0][0, 0].isnan())


def test_the_penalty():
    assert length_penalty(9, 0.0) == 1.0
    assert length_penalty(1, 3.0) == 1.0
    assert length_penalty(13, 1.0) == 3.0


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"width": 0}, ArgumentError, r"width > 0, got 0; "),
        ({"width": 6}, ArgumentError, r"width of at most 5, the vocabulary, got 6; "),
        ({"width": 2.0}, ArgumentTypeError, r"width to be an int, got 2\.0; "),
        ({"limit": 0}, ArgumentError, r"limit > 0, got 0; "),
        ({"n_best": 0}, ArgumentError, r"n_best > 0, got 0; "),
        ({"width": 2, "n_best": 3}, ArgumentError, r"n_best of at most the width, 2, got 3; "),
        ({"alpha": -0.5}, ArgumentError, r"alpha finite and at least 0, got -0\.5; "),
        ({"alpha": math.inf}, ArgumentError, r"alpha finite and at least 0, got inf; "),
        ({"eos": 5}, ArgumentError, r"eos in \[0, 5\), got 5; "),
        ({"pad": 5}, ArgumentError, r"pad in \[0, 5\), the vocabulary, got 5; "),
        ({"pad": -1}, ArgumentError, r"pad in \[0, 5\), the vocabulary, got -1; "),
        ({"pad": 0.0}, ArgumentTypeError, r"pad to be an int, got 0\.0; "),
        ({"eos": -1}, ArgumentError, r"eos in \[0, 5\), got -1; "),
    ],
)
def test_refused(options, error, match):
    with pytest.raises(error, match=f"beam_search: expected .*{match}"):
        Tree(2, 5, 3).search(**options)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_no_numbers(bad):
    tree = Tree(2, 5, 4)
    tree.table[1, 1:, 3] = bad
    with pytest.raises(ArgumentError, match=r"beam_search: expected logits .*step 2; look for NaN"):
        tree.search(width=3)


def test_logits_without_any_way_on():
    tree = Tree(1, 5, 4)
    tree.table[0, 0] = -torch.inf
    with pytest.raises(ArgumentError, match=r"beam_search: expected logits .*step 1; "):
        tree.search(width=3)
