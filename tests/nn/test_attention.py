"""Attention against loops over single numbers: scores, weights under lengths, contexts, gradients, empty rows.

Legend: T queries, S source steps, B batch, Q query features, K key features, A features of the score.
"""

import copy
import math

import numpy as np
import pytest
import torch

from tests.helpers import assert_close, assert_zero
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import AdditiveAttention, Attention, DotAttention, MultiplicativeAttention, masked_softmax

T, S, B, Q, K, A = 3, 5, 4, 6, 7, 2
LENGTHS = [5, 0, 1, 3]
KINDS = {
    "additive": lambda dtype: AdditiveAttention(Q, K, A, dtype=dtype),
    "multiplicative": lambda dtype: MultiplicativeAttention(Q, K, dtype=dtype),
    "dot": lambda dtype: DotAttention(K, K),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def problem(kind, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    attention = KINDS[kind](dtype)
    g = torch.Generator().manual_seed(seed + 1)
    memory = torch.randn(S, B, K, generator=g, dtype=torch.float64).to(dtype)
    query = torch.randn(T, B, attention.query_size, generator=g, dtype=torch.float64).to(dtype)
    return attention, query, memory


def score(kind, attention, q, k):
    """e of one query and one key, from the equation."""
    weights = {name: p.detach().double().numpy() for name, p in attention.named_parameters()}
    if kind == "additive":
        return weights["v"] @ np.tanh(weights["query.weight"] @ q + weights["key.weight"] @ k + weights["key.bias"])
    return q @ weights["key.weight"] @ k if kind == "multiplicative" else q @ k


def by_hand(kind, attention, query, memory, lengths):
    """Contexts (T, B, K) and weights (T, B, S), a number at a time."""
    query, memory = query.double().numpy(), memory.double().numpy()
    context, weights = np.zeros((T, B, K)), np.zeros((T, B, S))
    for t in range(T):
        for b in range(B):
            e = [score(kind, attention, query[t, b], memory[s, b]) for s in range(lengths[b])]
            total = math.fsum(math.exp(x) for x in e)
            for s, x in enumerate(e):
                weights[t, b, s] = math.exp(x) / total
                context[t, b] += weights[t, b, s] * memory[s, b]
    return context, weights


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@every_kind
def test_scores_weights_and_contexts(kind, lengths, dtype):
    attention, query, memory = problem(kind, dtype)
    context, weights = attention(query, attention.precompute(memory, lengths))
    expected = by_hand(kind, attention, query, memory, lengths or [S] * B)
    assert context.dtype == weights.dtype == dtype
    assert_close((context, weights), expected, k=100)


@every_kind
def test_one_query_is_one_of_many(kind):
    """Bit for bit is not promised: torch's products differ in the last place by the number of rows."""
    attention, query, memory = problem(kind)
    made = attention.precompute(memory, LENGTHS)
    together = attention(query, made)
    for t in range(T):
        assert_close(attention(query[t], made), (together[0][t], together[1][t]), k=10)


@every_kind
def test_the_weights_of_a_row_add_up_to_one_over_its_valid_steps(kind):
    attention, query, memory = problem(kind)
    _, weights = attention(query, attention.precompute(memory, LENGTHS))
    assert_close(weights.sum(-1), torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(T, B))
    for b, length in enumerate(LENGTHS):
        assert_zero(weights[:, b, length:])
        assert bool((weights[:, b, :length] > 0).all())


@every_kind
def test_padding_and_empty_rows_reach_nothing(kind):
    """NaN past every length, and a row of length zero: no value, no gradient of memory, query or parameter sees it."""
    attention, query, memory = problem(kind)
    dirty = memory.clone()
    for b, length in enumerate(LENGTHS):
        dirty[length:, b] = float("nan")
    dirty.requires_grad_()
    query.requires_grad_()
    context, weights = attention(query, attention.precompute(dirty, LENGTHS))
    assert_close((context, weights), by_hand(kind, attention, query.detach(), memory, LENGTHS), k=100)
    empty = LENGTHS.index(0)
    assert_zero(context[:, empty])
    assert_zero(weights[:, empty])
    (context.sin().sum() + weights.cos().sum()).backward()
    for b, length in enumerate(LENGTHS):
        assert_zero(dirty.grad[length:, b])
        assert bool((dirty.grad[:length, b] != 0).all())
    assert_zero(query.grad[:, empty])
    assert bool(query.grad.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) and bool(p.grad.abs().max() > 0) for p in attention.parameters())


@every_kind
def test_a_row_alone_is_the_row_in_the_batch(kind):
    attention, query, memory = problem(kind)
    context, weights = attention(query, attention.precompute(memory, LENGTHS))
    for b, length in enumerate(LENGTHS):
        alone = attention(query[:, [b]], attention.precompute(memory[:length, [b]]))
        assert_close(context[:, [b]], alone[0], k=20)
        assert_close(weights[:, [b], :length], alone[1], k=20)


@every_kind
def test_gradients_by_finite_differences(kind):
    attention, query, memory = problem(kind)
    names = list(dict(attention.named_parameters()))

    def run(query, memory, *parameters):
        changed = dict(zip(names, parameters, strict=True))
        inner = {f"inner.{name}": p for name, p in changed.items()}
        return torch.func.functional_call(_Whole(attention), inner, (query, memory))

    inputs = [t.detach().clone().requires_grad_() for t in (query, memory, *attention.parameters())]
    assert torch.autograd.gradcheck(run, inputs)


class _Whole(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, query, memory):
        return self.inner(query, self.inner.precompute(memory, LENGTHS))


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_keys_are_computed_once_a_source(kind):
    attention, query, memory = problem(kind)
    calls = []
    attention.key.register_forward_hook(lambda *_: calls.append(1))
    made = attention.precompute(memory, LENGTHS)
    for q in query:
        attention(q, made)
    assert len(calls) == 1


def test_far_apart_scores_do_not_overflow():
    """The plain product of large vectors: exp would overflow without the shift by the largest."""
    attention = DotAttention(2, 2)
    memory = torch.tensor([[[1e3, 0.0]], [[-1e3, 0.0]], [[1e3, 1.0]]])
    context, weights = attention(torch.tensor([[1e3, 0.0]]), attention.precompute(memory))
    assert_close(weights, torch.tensor([[0.5, 0.0, 0.5]]))
    assert_close(context, torch.tensor([[1e3, 0.5]]))


def test_a_source_without_any_step_gives_zeros():
    attention = MultiplicativeAttention(Q, K)
    context, weights = attention(torch.zeros(B, Q), attention.precompute(torch.zeros(0, B, K)))
    assert weights.shape == (B, 0)
    assert_zero(context)


def test_masked_softmax_where_everything_is_masked():
    scores = torch.tensor([[1.0, 2.0], [float("nan"), float("inf")]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[True, True], [False, False]]))
    assert_close(weights[0], torch.tensor([1.0, 2.0]).softmax(0))
    assert_zero(weights[1])
    # No NaN on the way back either, which the mask would only cover up.
    with torch.autograd.set_detect_anomaly(True):
        weights.square().sum().backward()
    assert_zero(scores.grad[1])
    assert bool((scores.grad[0] != 0).all())


def test_a_plain_softmax_would_not_do():
    """The negative control of the test above: −∞ in place of the lowest finite number is NaN."""
    masked = torch.tensor([[1.0, 2.0]]).masked_fill(torch.tensor([[True, True]]), -torch.inf)
    assert bool(masked.softmax(-1).isnan().all())


def test_dot_is_multiplicative_with_the_identity():
    dot, query, memory = problem("dot")
    general = MultiplicativeAttention(K, K, dtype=torch.float64)
    torch.nn.init.eye_(general.key.weight)
    expected = dot(query, dot.precompute(memory, LENGTHS))
    assert_close(general(query, general.precompute(memory, LENGTHS)), expected, k=20)


@every_kind
def test_copies_and_state_dicts(kind):
    attention, query, memory = problem(kind)
    expected = attention(query, attention.precompute(memory))
    twin = copy.deepcopy(attention)
    assert_close(twin(query, twin.precompute(memory)), expected, k=0)
    other = problem(kind, seed=9)[0]
    other.load_state_dict(attention.state_dict())
    assert_close(other(query, other.precompute(memory)), expected, k=0)


def test_reset_parameters_draws_anew():
    for kind in ("additive", "multiplicative"):
        attention, _, _ = problem(kind)
        before = [p.detach().clone() for p in attention.parameters()]
        attention.reset_parameters()
        assert all(not torch.equal(p, old) for p, old in zip(attention.parameters(), before, strict=True))


def test_a_score_of_ones_own():
    """Subclassing: the negative squared distance, with keys as they are."""

    class Distance(Attention):
        def _keys(self, values_BSK):
            return values_BSK

        def _scores(self, query_BTQ, keys_BSA):
            return -torch.cdist(query_BTQ, keys_BSA).square()

    attention = Distance(K, K)
    memory = torch.eye(S, K).unsqueeze(1) * 50
    context, weights = attention(memory[2], attention.precompute(memory))
    assert_close(weights, torch.nn.functional.one_hot(torch.tensor([2]), S).float())
    assert_close(context, memory[2])


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: AdditiveAttention(0, 4, 5), ArgumentError, r"AdditiveAttention.*query_size > 0, got 0; "),
        (lambda: AdditiveAttention(3, -4, 5), ArgumentError, r"AdditiveAttention.*key_size > 0, got -4; "),
        (lambda: AdditiveAttention(3, 4, 0), ArgumentError, r"AdditiveAttention.*attention_size > 0, got 0; "),
        (lambda: MultiplicativeAttention(2.5, 4), ArgumentTypeError, r"Multiplicative.*query_size.*int, got 2\.5; "),
        (lambda: DotAttention(3, 4), ArgumentError, r"DotAttention: .*query_size equal to key_size, got 3 and 4; "),
    ],
)
def test_refused_at_construction(build, error, match):
    with pytest.raises(error, match=match):
        build()


@pytest.mark.parametrize(
    ("use", "error", "match"),
    [
        (lambda a: a.precompute(torch.zeros(S, B, 3)), ArgumentError, r"\(S, B, 7\), got \(5, 4, 3\); "),
        (lambda a: a.precompute(torch.zeros(S, K)), ArgumentError, r"\(S, B, 7\), got \(5, 7\); "),
        (lambda a: a.precompute(torch.zeros(S, B, K), [6, 1, 1, 1]), ArgumentError, r"between 0 and T = 5, got 6; "),
        (lambda a: a.precompute(torch.zeros(S, B, K), [1, 1]), ArgumentError, r"\(4,\), got \(2,\); "),
        (lambda a: a.precompute(torch.zeros(S, B, K), [0.5] * B), ArgumentTypeError, r"integer dtype, got .*float32; "),
        (
            lambda a: a(torch.zeros(3, Q), a.precompute(torch.zeros(S, B, K))),
            ArgumentError,
            r"query of shape \(4, 6\) or \(T, 4, 6\), got \(3, 6\); ",
        ),
        (
            lambda a: a(torch.zeros(T, B, 9), a.precompute(torch.zeros(S, B, K))),
            ArgumentError,
            r"\(T, 4, 6\), got \(3, 4, 9\); ",
        ),
    ],
)
def test_refused_in_use(use, error, match):
    with pytest.raises(error, match=rf"MultiplicativeAttention.*{match}"):
        use(MultiplicativeAttention(Q, K))
