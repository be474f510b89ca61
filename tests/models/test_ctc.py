"""CTC's decoding, against every path written out."""

import itertools
import math

import numpy as np
import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.models import CTCBeam, ctc_align, ctc_beam_search, ctc_greedy, ctc_least_steps


def drawn(T: int, B: int, V: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(T, B, V, generator=generator, dtype=torch.float64)).log_softmax(-1)


def collapsed(path, blank=0):
    return tuple(v for t, v in enumerate(path) if v != blank and (t == 0 or path[t - 1] != v))


def by_hand(told_TV, scorer=lambda ids: 0.0):
    """Every sequence with log p, summed over all paths, by falling score."""
    T, V = told_TV.shape
    total: dict[tuple[int, ...], list[float]] = {}
    for path in itertools.product(range(V), repeat=T):
        total.setdefault(collapsed(path), []).append(sum(float(told_TV[t, v]) for t, v in enumerate(path)))
    sums = {ids: float(np.logaddexp.reduce(found)) for ids, found in total.items()}
    return sorted(sums.items(), key=lambda item: -(item[1] + scorer(item[0])))


class Bigrams:
    """A score for each pair of neighbours, the ends among them."""

    def __init__(self, V: int) -> None:
        self.score = np.random.default_rng(1).normal(0, 2, (V, V))

    def start(self):
        return 0

    def extend(self, state, symbol):
        return symbol, float(self.score[state, symbol])

    def finish(self, state):
        return float(self.score[state, 0])

    def whole(self, ids):
        places = (0, *ids, 0)
        return sum(float(self.score[a, b]) for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_every_path_written_out_gives(seed):
    told = drawn(5, 2, 3, seed)
    found = ctc_beam_search(told, width=400, n_best=6, margin=math.inf)
    for b in range(2):
        want = by_hand(told[:, b].numpy())[:6]
        assert [one.ids for one in found[b]] == [ids for ids, _ in want]
        np.testing.assert_allclose([one.log_prob for one in found[b]], [p for _, p in want], rtol=1e-12)


def test_a_scorer_counts_as_if_it_had_seen_every_sequence():
    told, scorer = drawn(5, 1, 3, 7), Bigrams(3)
    found = ctc_beam_search(told, width=400, n_best=5, margin=math.inf, scorer=scorer)[0]
    want = by_hand(told[:, 0].numpy(), scorer.whole)[:5]
    assert [one.ids for one in found] == [ids for ids, _ in want]
    assert [ids for ids, _ in want] != [ids for ids, _ in by_hand(told[:, 0].numpy())[:5]], "the scorer changed nothing"
    np.testing.assert_allclose([one.score for one in found], [p + scorer.whole(ids) for ids, p in want], rtol=1e-12)


def test_pieces_find_what_the_whole_finds():
    told_TV = drawn(30, 1, 6)[:, 0].numpy()
    whole, pieces = CTCBeam(8), CTCBeam(8)
    whole.feed(told_TV)
    for begin in range(0, 30, 7):
        pieces.feed(told_TV[begin : begin + 7])
    pieces.feed(told_TV[:0])
    assert whole.best(8) == pieces.best(8)


def test_greedy_is_the_likeliest_path_and_padding_reaches_nothing():
    told = drawn(9, 3, 4)
    told[5:, 1] = math.nan
    found = ctc_greedy(told, [9, 5, 0])
    for b, length in ((0, 9), (1, 5)):
        path = told[:length, b].argmax(-1).tolist()
        assert found[b].ids == collapsed(path)
        assert found[b].log_prob == pytest.approx(float(told[:length, b].max(-1).values.sum()))
    assert found[2] == ((), 0.0, 0.0)
    assert ctc_beam_search(told, [9, 5, 0], width=4)[1] == ctc_beam_search(told[:5, 1:2], width=4)[0]


@pytest.mark.parametrize("ids", [(1,), (1, 2), (2, 2), (1, 2, 1, 1)])
def test_the_alignment_is_the_likeliest_path_of_the_sequence(ids):
    told_TV = drawn(7, 1, 3, 3)[:, 0].numpy()
    paths = [p for p in itertools.product(range(3), repeat=7) if collapsed(p) == ids]
    best = max(paths, key=lambda p: sum(told_TV[t, v] for t, v in enumerate(p)))
    want, last = [], 0
    for t, v in enumerate(best):
        if v and v == last:
            want[-1][1] = t
        elif v:
            want.append([t, t])
        last = v
    assert ctc_align(told_TV, ids).tolist() == want


def test_two_of_the_same_need_a_blank_between():
    assert [ctc_least_steps(ids) for ids in ([], [3], [3, 3], [3, 4, 3], [5, 5, 5])] == [0, 1, 3, 3, 5]
    with pytest.raises(ArgumentError, match="ctc_align: expected at least 3 steps for 2 symbols, got 2"):
        ctc_align(drawn(2, 1, 3)[:, 0].numpy(), (1, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ctc_greedy(drawn(2, 1, 3)[:, 0]), r"expected log_probs of shape \(T, B, V\), got \(2, 3\)"),
        (lambda: ctc_greedy(drawn(2, 1, 3), blank=3), r"expected blank in \[0, 3\), got 3"),
        (lambda: ctc_beam_search(drawn(2, 1, 3), width=2, n_best=4), "at most the width, 2, got 4"),
        (lambda: CTCBeam(0), "expected width > 0, got 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
