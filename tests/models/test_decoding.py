"""The decoding loop: against a loop over rows in plain Python, and the ends of rows.

Legend: T steps, B rows, V vocabulary, O features.
"""

import math

import pytest
import torch

from tests.helpers import assert_close
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import DecodingState, Draws, Sampler, decode, decode_vectors
from throughtime.models.sampling import read_seeds

V, STOP, PAD = 7, 6, 5
CPU = torch.device("cpu")


class Chain:
    """A Markov chain as a step function: the logits follow from the last id, the state counts the steps of each row."""

    def __init__(self, B, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.table_VV = torch.randn(V, V, generator=g, dtype=torch.float64)
        self.first_BV = torch.randn(B, V, generator=g, dtype=torch.float64)
        self.calls = []

    def __call__(self, ids_B, state):
        self.calls.append(ids_B.clone())
        assert not torch.is_grad_enabled()
        return self.table_VV[ids_B], state + 1

    def run(self, **options):
        options = {"limit": 12, "sampler": Sampler(), "stop": STOP, "pad": PAD, "seed": 3} | options
        return decode(self.first_BV, torch.zeros(len(self.first_BV)), self, **options)


def one_row(chain, row, limit, stop=(STOP,), sampler=None, seed=3):
    """A row by itself: ids, log-probabilities, and whether it stopped before the limit."""
    sampler, draws = sampler or Sampler(), Draws(read_seeds("test", [seed + row], 1), CPU)
    logits, ids, log_probs = chain.first_BV[row], [], []
    while len(ids) < limit:
        id, _ = sampler(logits[None], draws.at(len(ids)))
        ids.append(int(id))
        log_probs.append(float(logits.log_softmax(-1)[ids[-1]]))
        if ids[-1] in stop:
            return ids, log_probs, True
        logits = chain.table_VV[ids[-1]]
    return ids, log_probs, False


@pytest.mark.parametrize("sampler", [Sampler(), Sampler(greedy=True), Sampler(top_k=3, temperature=2.0)], ids=repr)
def test_every_row_is_what_it_is_alone(sampler):
    chain = Chain(9)
    found = chain.run(sampler=sampler)
    rows = [one_row(chain, row, 12, sampler=sampler) for row in range(9)]
    assert found.lengths.tolist() == [len(ids) for ids, _, _ in rows]
    assert found.stopped.tolist() == [stopped for _, _, stopped in rows]
    T = max(len(ids) for ids, _, _ in rows)
    assert found.ids.shape == found.log_probs.shape == (T, 9)
    for row, (ids, log_probs, _) in enumerate(rows):
        assert found.ids[:, row].tolist() == ids + [PAD] * (T - len(ids))
        expected = torch.tensor(log_probs + [0.0] * (T - len(ids)), dtype=torch.float64)
        assert_close(found.log_probs[:, row], expected, k=50)
    assert len(chain.calls) == T - 1, "the step after the last id was run for nothing"
    assert len({len(ids) for ids, _, _ in rows}) > 1


@pytest.mark.parametrize("sampler", [Sampler(), Sampler(greedy=True)], ids=repr)
def test_rows_that_have_ended_are_let_go_and_the_others_are_what_they_were(sampler):
    class Own(Chain):
        """Each row has a table of its own, which the step has to find."""

        at_R = torch.arange(40)

        def __call__(self, ids_R, state):
            logits_RV, state = super().__call__(ids_R, state)
            return logits_RV + self.first_BV[self.at_R], state

        def keep(self, state, rows_R):
            self.at_R = self.at_R[rows_R]
            return state[rows_R]

    whole, narrowed = Own(40), Own(40)
    limit = torch.arange(40) % 9 + 4
    expected = whole.run(sampler=sampler, limit=limit)
    found = narrowed.run(sampler=sampler, limit=limit, keep=narrowed.keep)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert torch.equal(one, other), name
    sizes = [len(ids) for ids in narrowed.calls]
    assert len(sizes) == len(whole.calls)
    for t, size in enumerate(sizes):
        left = int((expected.lengths > t + 1).sum())
        assert left <= size < max(left / 0.75, left + 1), f"step {t}: {size} rows of which {left} go on"


def test_the_limit_ends_a_row_and_a_limit_a_row():
    chain = Chain(5)
    assert chain.run(stop=None, limit=3).lengths.tolist() == [3] * 5
    found = chain.run(stop=None, limit=torch.tensor([2, 0, 4, 1, 3]))
    assert found.lengths.tolist() == [2, 0, 4, 1, 3]
    assert not found.stopped.any()
    for row, n in enumerate([2, 0, 4, 1, 3]):
        assert found.ids[:, row].tolist() == one_row(chain, row, n, stop=())[0] + [PAD] * (4 - n)


def test_rows_that_get_nothing():
    chain = Chain(2)
    found = chain.run(limit=torch.tensor([0, 0]))
    assert found.ids.shape == found.log_probs.shape == (0, 2)
    assert found.ids.dtype == torch.int64
    assert found.rows() == [[], []]
    assert chain.calls == []


def test_several_stop_ids():
    chain = Chain(9)
    rows = [one_row(chain, row, 12, stop=(0, 2)) for row in range(9)]
    found = chain.run(stop=[0, 2])
    assert found.rows() == [ids for ids, _, _ in rows]
    assert found.rows(without=(0, 2)) == [ids[:-1] if stopped else ids for ids, _, stopped in rows]
    assert found.rows(without=0) == [ids[:-1] if ids[-1] == 0 else ids for ids, _, _ in rows]
    assert {ids[-1] for ids in found.rows()} == {0, 2}


def test_until_sees_all_that_was_written():
    chain, seen = Chain(6), []

    def until(ids_TB):
        seen.append(ids_TB.clone())
        return (ids_TB == 1).sum(0) >= 2

    found = chain.run(stop=None, limit=15, until=until)
    for row, ids in enumerate(found.rows()):
        full = one_row(chain, row, 15, stop=())[0]
        ends = [t + 1 for t in range(15) if full[: t + 1].count(1) == 2]
        assert ids == full[: ends[0] if ends else 15]
        assert bool(found.stopped[row]) == bool(ends)
    assert found.stopped.any()
    assert [len(ids) for ids in seen] == list(range(1, len(seen) + 1))
    assert torch.equal(seen[-1], found.ids)


def test_more_steps_than_one_buffer_and_one_block_of_draws():
    chain = Chain(3)
    found = chain.run(stop=None, limit=150)
    assert found.rows() == [one_row(chain, row, 150, stop=())[0] for row in range(3)]


def test_seeds_a_row():
    chain = Chain(3)
    chain.first_BV = chain.first_BV[:1].expand(3, V)
    rows = chain.run(stop=None, limit=20, seed=[11, 12, 11]).rows()
    assert rows[0] == rows[2] != rows[1]


def test_gradients_are_not_recorded():
    logits = torch.zeros(2, V, requires_grad=True)
    found = decode(logits, None, lambda ids, state: (logits * 2, state), limit=3, sampler=Sampler())
    assert not found.log_probs.requires_grad


def doubling(output_BO, state):
    return output_BO * 2, state + 1


def test_vectors():
    first = torch.tensor([[1.0, 3.0], [5.0, 2.0], [0.5, 0.0]])
    found = decode_vectors(first, 0, doubling, limit=4, until=lambda y_TBO: y_TBO[-1, :, 0] > 3.5)
    assert found.lengths.tolist() == [3, 1, 4]
    assert found.stopped.tolist() == [True, True, True]
    assert found.outputs.tolist() == [
        [[1, 3], [5, 2], [0.5, 0]],
        [[2, 6], [0, 0], [1, 0]],
        [[4, 12], [0, 0], [2, 0]],
        [[0, 0], [0, 0], [4, 0]],
    ]
    whole = decode_vectors(first, 0, doubling, limit=20)
    assert whole.outputs[:, 0, 0].tolist() == [2.0**t for t in range(20)]
    assert not whole.stopped.any()
    assert decode_vectors(first, 0, doubling, limit=torch.zeros(3, dtype=torch.long)).outputs.shape == (0, 3, 2)


def test_decoding_state():
    state = DecodingState(torch.tensor([3, 1, 0]))
    assert (state.finished.tolist(), state.done) == ([False, False, True], False)
    state.advance(torch.tensor([False, False, True]))
    assert state.lengths.tolist() == [1, 1, 0]
    assert state.finished.tolist() == [False, True, True]
    assert not state.stopped.any(), "a finished row does not stop again"
    state.advance(torch.tensor([True, True, True]))
    assert (state.lengths.tolist(), state.stopped.tolist(), state.done) == ([2, 1, 0], [True, False, False], True)


def no_flags(ids_TB):
    return ids_TB[-1]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"limit": 0}, ArgumentError, r"decode: expected limit >= 1, got 0; "),
        ({"limit": -3}, ArgumentError, r"got -3; "),
        ({"limit": 2.0}, ArgumentTypeError, r"limit to be an int, got 2\.0; "),
        ({"limit": True}, ArgumentTypeError, r"got True; "),
        ({"limit": torch.tensor([1.0, 2.0])}, ArgumentTypeError, r"got torch\.float32; "),
        ({"limit": torch.tensor([1, 2, 3])}, ArgumentError, r"shape \(2,\), got \(3,\); "),
        ({"limit": torch.tensor([1, -2])}, ArgumentError, r"got -2; "),
        ({"stop": V}, ArgumentError, r"expected stop in \[0, 7\), the vocabulary, got 7; "),
        ({"stop": [1, -1]}, ArgumentError, r"expected stop .* got -1; "),
        ({"stop": "end"}, ArgumentTypeError, r"expected stop to be an int, got 'e'; "),
        ({"pad": 99}, ArgumentError, r"expected pad in \[0, 7\), the vocabulary, got 99; "),
        ({"seed": [1]}, ArgumentError, r"each of the 2 rows, got shape \(1,\); "),
        ({"until": no_flags}, ArgumentTypeError, r"torch\.bool, got torch\.int64; "),
        ({"until": lambda ids: True}, ArgumentTypeError, r"torch\.bool, got bool; "),
        ({"until": lambda ids: (ids > 0).any()}, ArgumentError, r"return shape \(2,\), got \(\); "),
        ({"sampler": Sampler(top_k=8)}, ArgumentError, r"vocabulary's 7, got 8; "),
    ],
)
def test_what_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        Chain(2).run(**options)


def test_logits_that_turn_into_nan_are_refused():
    with pytest.raises(ArgumentError, match=r"Sampler: .* got nan in row 0; "):
        decode(torch.zeros(1, 3), None, lambda ids, s: (torch.full((1, 3), math.nan), s), limit=3, sampler=Sampler())


def test_a_row_that_has_ended_is_not_read():
    """NaN after its end stops nobody else."""
    first = torch.zeros(2, 5)

    def step(ids, state):
        logits = torch.zeros(2, 5)
        logits[0] = float("nan")
        return logits, state

    found = decode(first, None, step, limit=torch.tensor([1, 3]), sampler=Sampler(greedy=True))
    assert found.lengths.tolist() == [1, 3]
