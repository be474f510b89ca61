"""OneToMany: teacher forcing by hand, writing by hand, the fast path, beginnings, ends, refusals.

Legend: T time, B batch, I input features, V vocabulary, O output features.
"""

import logging
import math

import pytest
import torch

from tests.helpers import assert_close, assert_zero
from tests.nn.layers import LAYERS, build, random_state
from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.models import OneToMany, Sampler, sequence_cross_entropy
from throughtime.nn import Stepper

T, B, FEATURES, H, V, OUTPUTS = 6, 4, 3, 5, 7, 3
LENGTHS = torch.tensor([3, 0, 6, 1])
GREEDY = Sampler(greedy=True)

every_layer = pytest.mark.parametrize("kind", LAYERS)
conditions = pytest.mark.parametrize("condition", ["first", "every"])


def make_ids(kind="GRU", num_layers=2, **options):
    recurrent = build(kind, FEATURES, H, num_layers)
    embedding = torch.nn.Embedding(V, FEATURES, dtype=torch.float64)
    return OneToMany(embedding, recurrent, torch.nn.Linear(H, V).double(), **options)


def make_vectors(kind="GRU", **options):
    return OneToMany(None, build(kind, FEATURES, H, 2), torch.nn.Linear(H, OUTPUTS).double(), **options)


def ids(seed=1):
    return torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(seed))


def vectors(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def beginning(model, class_ids=None, context=None):
    """c of equation (1), written out."""
    c = torch.zeros(B, FEATURES, dtype=torch.float64)
    if class_ids is not None:
        c = c + model.beginning.class_embedding.weight[class_ids]
    if context is not None:
        c = c + context @ model.beginning.context_projection.weight.T + model.beginning.context_projection.bias
    return c


def by_hand(model, c, previous, state=None, steps=T):
    """The outputs of every step: `previous(t, output)` gives the input that follows step t."""
    x, outputs = c, []
    for t in range(steps):
        hidden, state = model.recurrent.step(x, state)
        outputs.append(model.head.module(hidden))
        x = previous(t, outputs[-1]) + (c if model.condition == "every" else 0)
    return torch.stack(outputs)


@conditions
@every_layer
def test_teacher_forcing_of_ids_by_hand(kind, condition):
    model, target = make_ids(kind, classes=3, condition=condition), ids()
    classes = torch.tensor([2, 0, 1, 2])
    expected = by_hand(model, beginning(model, classes), lambda t, _: model.embedding(target[t]))
    assert_close(model(target, class_ids=classes), expected, k=50)


@conditions
def test_teacher_forcing_of_vectors_by_hand(condition):
    model, target, context = make_vectors("LSTM", context_size=2, condition=condition), vectors(T, B, 3), vectors(B, 2)
    expected = by_hand(model, beginning(model, context=context), lambda t, _: target[t])
    assert_close(model(target, context=context), expected, k=50)


@conditions
def test_no_feedback_by_hand(condition):
    model = make_vectors(classes=2, context_size=2, feedback="none", condition=condition)
    classes, context = torch.tensor([1, 0, 1, 1]), vectors(B, 2)
    expected = by_hand(model, beginning(model, classes, context), lambda t, _: torch.zeros(B, FEATURES).double())
    assert_close(model(torch.empty(T, B), class_ids=classes, context=context), expected, k=50)
    assert_close(model.unroll(T, class_ids=classes, context=context).outputs, expected, k=50)


def test_ids_without_feedback():
    model = OneToMany(
        None, build("GRU", FEATURES, H), torch.nn.Linear(H, V).double(), feedback="none", writes="ids", classes=3
    )
    logits = model(torch.empty(T, 3), class_ids=[0, 1, 2])
    assert torch.equal(model.generate(T, class_ids=[0, 1, 2], sampler=GREEDY).ids, logits.argmax(-1))


def test_an_embedding_of_vectors():
    torch.manual_seed(0)
    embedding, head = torch.nn.Linear(2, FEATURES).double(), torch.nn.Linear(H, 2).double()
    model = OneToMany(embedding, build("GRU", FEATURES, H), head, context_size=2)
    context = vectors(B, 2)
    expected = by_hand(model, beginning(model, context=context), lambda t, y: embedding(y))
    assert model.writes == "vectors"
    assert_close(model.unroll(T, context=context).outputs, expected, k=50)


@every_layer
def test_lengths(kind):
    """Zero past each length; NaN and ids that do not exist in the padding reach neither value nor gradient."""
    past = torch.arange(T)[:, None] >= LENGTHS
    words = make_ids(kind)
    expected = words(ids())
    got = words(ids().masked_fill(past, -100), lengths=LENGTHS)
    assert_zero(got[past])
    assert_close(got[~past], expected[~past], k=50)

    torch.manual_seed(3)
    embedding = torch.nn.Linear(OUTPUTS, FEATURES).double()
    model = OneToMany(embedding, build(kind, FEATURES, H), torch.nn.Linear(H, OUTPUTS).double())
    expected = model(vectors(T, B, OUTPUTS))
    dirty = vectors(T, B, OUTPUTS).masked_fill(past[..., None], math.nan).requires_grad_()
    got = model(dirty, lengths=LENGTHS)
    assert_close(got[~past], expected[~past], k=50)
    got.sum().backward()
    assert_zero(dirty.grad[past])
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_no_steps():
    assert make_ids()(ids()[:0]).shape == (0, B, V)
    assert make_vectors()(torch.zeros(0, B, OUTPUTS).double()).shape == (0, B, OUTPUTS)


@conditions
@every_layer
def test_greedy_writing_by_hand(kind, condition):
    model = make_ids(kind, classes=3, condition=condition)
    classes = torch.tensor([2, 0, 1, 2])
    logits = by_hand(model, beginning(model, classes), lambda t, z: model.embedding(z.argmax(-1)))
    found = model.generate(T, class_ids=classes, sampler=GREEDY)
    assert torch.equal(found.ids, logits.argmax(-1))
    assert_close(found.log_probs, logits.log_softmax(-1).amax(-1), k=50)


@conditions
@every_layer
def test_unrolling_by_hand(kind, condition):
    model, context = make_vectors(kind, context_size=2, condition=condition), vectors(B, 2)
    expected = by_hand(model, beginning(model, context=context), lambda t, y: y)
    found = model.unroll(T, context=context)
    assert_close(found.outputs, expected, k=100)
    assert found.lengths.tolist() == [T] * B


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6, "top_k": 5, "top_p": 0.9}], ids=str)
def test_what_was_written_has_the_probability_that_training_gives_it(options):
    """Σ log-probabilities while writing = −cross-entropy of the same ids under teacher forcing, stops included."""
    model = make_ids("LSTM", classes=3)
    found = model.generate(20, class_ids=[0, 1, 2, 0], sampler=Sampler(**options), seed=4, stop=2)
    assert found.lengths.min() < found.lengths.max()
    logits = model(found.ids, class_ids=[0, 1, 2, 0], lengths=found.lengths)
    mean, weight = sequence_cross_entropy(logits, found.ids, found.lengths)
    assert_close(found.log_probs.sum(), -mean * weight, k=200)


@every_layer
def test_a_prefix_is_gone_on_from(kind):
    """Ragged, one of them empty: each row goes on as it would alone, step by step."""
    model, prefix = make_ids(kind, classes=3), ids()
    classes, limit = torch.tensor([2, 0, 1, 2]), 9
    past = torch.arange(T)[:, None] >= LENGTHS
    found = model.generate(
        limit, class_ids=classes, prefix=prefix.masked_fill(past, -1), prefix_lengths=LENGTHS, sampler=GREEDY
    )
    assert found.lengths.tolist() == [limit - n for n in LENGTHS.tolist()]
    for row, n in enumerate(LENGTHS.tolist()):
        given = prefix[:n, row : row + 1]
        logits = by_hand(
            model,
            beginning(model, classes)[row : row + 1],
            lambda t, z, given=given: model.embedding(given[t] if t < len(given) else z.argmax(-1)),
            steps=limit,
        )
        assert found.ids[: limit - n, row].tolist() == logits.argmax(-1)[n:, 0].tolist()


def test_a_prefix_of_vectors():
    model, prefix = make_vectors("LSTM"), vectors(3, B, OUTPUTS)
    c = torch.zeros(B, FEATURES).double()
    expected = by_hand(model, c, lambda t, y: prefix[t] if t < 3 else y, steps=8)
    assert_close(model.unroll(8, prefix=prefix).outputs, expected[3:], k=100)


def test_a_prefix_as_long_as_the_limit_leaves_nothing_to_write():
    found = make_ids().generate(T, prefix=ids())
    assert found.ids.shape == (0, B)
    assert found.lengths.tolist() == [0] * B


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_state_to_begin_with(kind):
    model = make_ids(kind)
    state = random_state(model.recurrent, B)
    state = state[0] if len(state) == 1 else state
    target = ids()
    c = torch.zeros(B, FEATURES).double()
    expected = by_hand(model, c, lambda t, _: model.embedding(target[t]), state)
    assert_close(model(target, state=state), expected, k=50)
    written = by_hand(model, c, lambda t, z: model.embedding(z.argmax(-1)), state)
    assert torch.equal(model.generate(T, state=state, sampler=GREEDY).ids, written.argmax(-1))


def test_a_row_depends_on_its_own_seed_only():
    model, seeds = make_ids("LSTM", classes=3), [5, 100, 5, 8]
    together = model.generate(30, class_ids=[0, 1, 0, 2], seed=seeds)
    for row, (label, seed) in enumerate(zip([0, 1, 0, 2], seeds, strict=True)):
        assert model.generate(30, class_ids=[label], seed=[seed]).rows()[0] == together.rows()[row]
    rows = together.rows()
    assert rows[0] == rows[2]
    assert len({tuple(r) for r in rows}) == 3


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, 1),
        ({"rows": 3}, 3),
        ({"state": torch.zeros(2, 5, H, dtype=torch.float64)}, 5),
        ({"prefix": [[1, 2], [3, 4]]}, 2),
    ],
)
def test_how_many_rows(options, rows):
    assert make_ids().generate(4, **options).ids.shape == (4 - len(options.get("prefix", [])), rows)


@every_layer
def test_writing_takes_the_fast_path(kind, monkeypatch):
    """One stepper is made, each step after the first is one call of it, and no step is taken the slow way."""
    model = make_ids(kind)
    calls, made = [], []
    run, make = Stepper.__call__, Stepper.__init__
    monkeypatch.setattr(Stepper, "__init__", lambda self, layer: (made.append(layer), make(self, layer))[1])
    monkeypatch.setattr(Stepper, "__call__", lambda self, *a, **k: (calls.append(a[0].shape), run(self, *a, **k))[1])
    monkeypatch.setattr(type(model.recurrent), "step", None)
    model.generate(10, rows=B)
    assert made == [model.recurrent]
    assert calls == [(B, FEATURES)] * 9


def test_a_layer_without_a_stepper_goes_on_and_says_so(monkeypatch, caplog):
    model = make_ids("LSTM", classes=3)
    expected = model.generate(10, class_ids=[0, 1, 2])

    def refuse(self):
        raise BackendError("no stepper on this device")

    monkeypatch.setattr(type(model.recurrent), "stepper", refuse)
    with caplog.at_level(logging.INFO, "throughtime"):
        got = model.generate(10, class_ids=[0, 1, 2])
    assert torch.equal(got.ids, expected.ids)
    assert "LSTM goes step by step without a stepper: no stepper on this device" in caplog.text


def test_eval_mode_while_writing_and_the_mode_as_it_was_afterwards():
    torch.manual_seed(0)
    embedding = torch.nn.Sequential(torch.nn.Embedding(V, FEATURES), torch.nn.Dropout(0.9)).double()
    model = OneToMany(embedding, build("GRU", FEATURES, H, 2, dropout=0.9), torch.nn.Linear(H, V).double())
    model.head.eval()
    before = [module.training for module in model.modules()]
    first, second = (model.generate(40, rows=2, seed=1) for _ in range(2))
    assert [module.training for module in model.modules()] == before
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.ids, model.eval().generate(40, rows=2, seed=1).ids)
    assert not first.log_probs.requires_grad

    def fail(ids_TB):
        raise RuntimeError("the caller's own")

    model.train()
    with pytest.raises(RuntimeError, match="the caller's own"):
        model.generate(4, until=fail)
    assert all(module.training for module in model.modules())


def test_until_of_ids_and_vectors():
    found = make_ids().generate(30, rows=6, until=lambda ids_TB: ids_TB[-1] == 3)
    assert all(
        row.count(3) == 1 and row[-1] == 3 for row, ended in zip(found.rows(), found.stopped, strict=True) if ended
    )
    assert found.stopped.any()
    model = make_vectors(context_size=2)
    whole = model.unroll(T, context=vectors(B, 2))
    cut = model.unroll(T, context=vectors(B, 2), until=lambda y_TBO: torch.tensor(len(y_TBO) >= 4).expand(B))
    assert torch.equal(cut.outputs, whole.outputs[:4])


def test_gradients_reach_every_parameter():
    model = make_ids("PeepholeLSTM", classes=3, context_size=2)
    model(ids(), class_ids=[0, 1, 2, 0], context=vectors(B, 2)).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_float32_and_state_dict():
    model = make_ids(classes=3, context_size=2)
    single = make_ids(classes=3, context_size=2).float()
    single.load_state_dict({k: v.float() for k, v in model.state_dict().items()})
    options = {"class_ids": [0, 1, 2, 0], "context": vectors(B, 2)}
    expected = model(ids(), **options)
    options["context"] = options["context"].float()
    assert_close(single(ids(), **options), expected, k=200, dtype=torch.float32)
    assert single.generate(5, **options).log_probs.dtype == torch.float32


def test_what_it_says_of_itself():
    model = make_ids()
    assert (model.streams, model.bidirectional, model.writes, model.vocabulary) == (True, False, "ids", V)
    assert (make_vectors().writes, make_vectors().vocabulary) == ("vectors", None)


LAYER = build("GRU", FEATURES, H)
HEAD = torch.nn.Linear(H, V).double()
WORDS = torch.nn.Embedding(V, FEATURES).double()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: OneToMany(WORDS, build("GRU", FEATURES, H, bidirectional=True), HEAD),
            r"OneToMany: expected a one-way layer, got bidirectional=True, .*; build with bidirectional=False",
        ),
        (lambda: OneToMany(WORDS, build("GRU", FEATURES, H, batch_first=True), HEAD), r"got batch_first=True; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, feedback="input"), r"feedback to be one of .*, got 'input'; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, condition="last"), r"condition to be one of .*, got 'last'; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, writes="words"), r"writes to be .*, got 'words'; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, writes="vectors"), r"takes vectors, .* got one that takes ids; "),
        (lambda: OneToMany(None, LAYER, HEAD, writes="ids"), r"takes ids, .* got one that takes vectors; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, feedback="none"), r"expected no embedding .*, got Embedding; "),
        (lambda: OneToMany(torch.nn.Embedding(V, 4), LAYER, HEAD), r"the layer's 3 features, got 4; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, classes=0), r"OneToMany: expected classes > 0, got 0; "),
        (lambda: OneToMany(WORDS, LAYER, HEAD, context_size=2.5), r"expected context_size to be an int, got 2\.5; "),
    ],
)
def test_constructions_that_are_refused(call, match):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
        call()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"class_ids": [0, 3]}, ArgumentError, r"generate: expected class_ids in \[0, 3\), got 3; "),
        ({"class_ids": [0, -1]}, ArgumentError, r"got -1; "),
        ({"class_ids": 0}, ArgumentTypeError, r"expected class_ids with one for each row, got 0; pass a list"),
        ({"class_ids": torch.tensor(1)}, ArgumentTypeError, r"one for each row, got tensor\(1\); pass a list"),
        ({"class_ids": [0.5]}, ArgumentTypeError, r"class_ids of an integer dtype, got torch\.float32; "),
        ({"class_ids": [[0, 1]]}, ArgumentError, r"class_ids of shape \(B,\), got \(1, 2\); "),
        ({}, ArgumentError, r"expected class_ids, since the model was built with classes, got None; "),
        (
            {"class_ids": [0], "context": torch.zeros(1, 2)},
            ArgumentError,
            r"expected no context, since the model was built without context_size, got Tensor; ",
        ),
        ({"class_ids": [0, 1], "rows": 3}, ArgumentError, r"expected class_ids for 3 rows, got 2; "),
        ({"class_ids": [0], "rows": 0}, ArgumentError, r"expected rows >= 1 or None, got 0; "),
        ({"class_ids": [0] * B, "prefix": ids(), "limit": 5}, ArgumentError, r"at most limit = 5 steps, got 6; "),
        (
            {"class_ids": [0] * B, "prefix": ids(), "prefix_lengths": [5, 2, 4, 1], "limit": 4},
            ArgumentError,
            r"at most limit = 4 steps, got 5; ",
        ),
        ({"class_ids": [0] * 2, "prefix": ids()}, ArgumentError, r"expected class_ids for 4 rows, got 2; "),
        ({"class_ids": [0] * 2, "rows": 2, "prefix": ids()}, ArgumentError, r"prefix for 2 rows, got 4; "),
        ({"class_ids": [0] * B, "prefix": ids() + 1}, ArgumentError, r"prefix in \[0, 7\), got 7; "),
        ({"class_ids": [0], "prefix": [1, 2]}, ArgumentError, r"prefix of shape \(P, B\), got \(2,\); "),
        ({"class_ids": [0], "prefix": 1}, ArgumentError, r"prefix of shape \(P, B\), got \(\); "),
        ({"class_ids": [0], "prefix": [[[1]]]}, ArgumentError, r"prefix of shape \(P, B\), got \(1, 1, 1\); "),
        ({"class_ids": [0], "rows": 1, "prefix": [1, 2]}, ArgumentError, r"prefix of shape \(P, B\), got \(2,\); "),
        ({"class_ids": [0], "prefix_lengths": [1]}, ArgumentError, r"prefix with prefix_lengths, got None; "),
        ({"class_ids": [0], "limit": 0}, ArgumentError, r"generate: expected limit >= 1, got 0; "),
        ({"class_ids": [0], "stop": 7}, ArgumentError, r"expected stop in \[0, 7\), the vocabulary, got 7; "),
        ({"class_ids": [0], "sampler": Sampler(top_k=9)}, ArgumentError, r"vocabulary's 7, got 9; "),
    ],
)
def test_writing_that_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        make_ids(classes=3).generate(**({"limit": 10} | options))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: make_ids().unroll(3), r"unroll: expected a model that writes vectors, got .* ids; call generate"),
        (lambda: make_vectors().generate(3), r"generate: expected a model that writes ids, .* call unroll"),
        (lambda: make_vectors().unroll(3, prefix=vectors(2, 1)), r"prefix of shape \(P, B, O\), got \(2, 1\); "),
        (lambda: make_vectors(feedback="none").unroll(3, prefix=vectors(1, 1, 3)), r"expected no prefix, .* got one; "),
        (lambda: make_vectors(context_size=2).unroll(3, context=vectors(B, 3)), r"\(B, 2\), got \(4, 3\); "),
        (lambda: make_ids()(ids() + 1), r"forward: expected target in \[0, 7\), got 7; "),
        (lambda: make_ids()(vectors(T, B, 3)), r"expected target ids of shape \(T, B\), got \(6, 4, 3\); "),
        (lambda: make_vectors()(vectors(T, B)), r"target vectors of shape \(T, B, O\), got \(6, 4\); "),
        (lambda: make_vectors()(vectors(T, B, 2)), r"the layer's 3 features, got 2; "),
    ],
)
def test_calls_that_are_refused(call, match):
    with pytest.raises(ArgumentError, match=match):
        call()


def test_a_limit_for_each_row_counts_its_prefix():
    model, prefix = make_ids(), ids()[:3]
    found = model.generate(torch.tensor([3, 5, 9, 4]), prefix=prefix, prefix_lengths=[3, 1, 2, 3])
    assert found.lengths.tolist() == [0, 4, 7, 1]
    with pytest.raises(ArgumentError, match=r"at most limit = 2 steps, got 3; "):
        model.generate(torch.tensor([9, 9, 9, 2]), prefix=prefix)


def test_a_target_that_is_no_tensor():
    with pytest.raises(ArgumentTypeError, match=r"OneToMany\.forward: expected target to be a tensor, got list; "):
        make_ids()(ids().tolist())
