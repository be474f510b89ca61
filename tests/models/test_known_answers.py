"""Each topology learns a task of which every answer is known: from a fixed seed, in seconds, on the fused kernels.

Legend: T time, B batch, S source steps.
"""

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers import assert_close
from tests.kernels.test_torch_ops import Spy
from tests.nn.layers import state_tensors
from throughtime.datasets import ADDING_BASELINE, adding, patterns, reversal, running_maximum, xor
from throughtime.kernels import stack, torch_ops
from throughtime.models import (
    Aligned,
    EncoderDecoder,
    ManyToOne,
    OneToMany,
    OneToOne,
    Sampler,
    sequence_cross_entropy,
    sequence_mse,
)
from throughtime.nn import GRU, RNN, AdditiveAttention
from throughtime.training import TensorSource, TrainingConfig, mean_loss, train

EOS = 2


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """Every test here trains on the native kernels, forward and backward."""
    spy = Spy()
    for module in (torch_ops, stack):
        monkeypatch.setattr(module, "_native", spy)
    yield
    assert spy.calls["sequence_forward_raw"] > 0
    assert spy.calls["sequence_backward_raw"] > 0


def tensors(arrays):
    return [torch.from_numpy(array) for array in arrays]


def fit(model, loss, data, **options):
    """Train from the weights drawn by the caller; every option of the loop is fixed."""
    options = {"epochs": 10, "batch_size": 50, "learning_rate": 0.01, **options}
    return train(model, loss, TensorSource(*data), config=TrainingConfig(seed=0, **options))


def with_end(tokens, lengths):
    """`EOS` after each string, so that one more step is valid."""
    tokens = np.pad(tokens, ((0, 0), (0, 1)))
    tokens[np.arange(len(tokens)), lengths] = EOS
    return tokens, lengths + 1


def rows(decoded):
    return decoded.rows(without=EOS)


def strings(tokens, lengths):
    return [row[:n] for row, n in zip(tokens.tolist(), lengths.tolist(), strict=True)]


def test_one_to_one_learns_exclusive_or():
    inputs, targets = xor()
    line, *_ = np.linalg.lstsq(np.c_[inputs, np.ones(4)], targets, rcond=None)
    np.testing.assert_allclose(np.c_[inputs, np.ones(4)] @ line, 0.5)  # what a model without a hidden layer answers

    torch.manual_seed(0)
    model = OneToOne(RNN(2, 8), nn.Linear(8, 1))
    x, y = tensors((inputs, targets))
    fit(model, lambda m, batch: nn.functional.mse_loss(m(batch[0]), batch[1]), (x, y), epochs=200, learning_rate=0.05)
    assert (model(x) - y).abs().max() < 0.1


def test_many_to_one_learns_to_add():
    """Twenty steps; always answering 1 is at 1/6. The model is below a hundredth of that."""

    def loss(model, batch):
        return nn.functional.mse_loss(model(batch[0].transpose(0, 1)), batch[1])

    torch.manual_seed(0)
    model = ManyToOne(GRU(2, 24), nn.Linear(24, 1))
    fit(model, loss, tensors(adding(5000, 20, seed=0)))
    test = TensorSource(*tensors(adding(1000, 20, seed=1)))
    assert mean_loss(model, loss, test) < ADDING_BASELINE / 100


def test_aligned_learns_the_running_maximum_and_streams_it():
    """Offline, and fed in pieces of any length: the layer bit for bit, the whole within 1e-6, the same decisions."""

    def loss(model, batch):
        x_TBI, y_TBO = (part.transpose(0, 1) for part in batch)
        return sequence_mse(model(x_TBI)[0], y_TBO)

    torch.manual_seed(0)
    model = Aligned(GRU(1, 24), nn.Linear(24, 1))
    data = tensors(running_maximum(2000, 20, seed=0))
    fit(model, loss, data, epochs=20, learning_rate=0.02, schedule="onecycle")
    x_BTI, y_BTO = tensors(running_maximum(200, 20, seed=1))
    t = torch.arange(1, 21)
    without_input = (t / ((t + 1) ** 2 * (t + 2))).mean().item()  # the best answer that only knows t
    with torch.no_grad():
        x_TBI = x_BTI.transpose(0, 1)
        whole_TBO, state = model(x_TBI)
    assert (whole_TBO - y_BTO.transpose(0, 1)).square().mean() < without_input / 20

    stream = model.stream(keep=True)
    for piece in x_TBI.split([1, 7, 1, 1, 10]):
        stream.feed(piece)
    assert_close(state_tensors(stream.state), state_tensors(state), k=0)
    assert (stream.outputs - whole_TBO).abs().max() <= 1e-6
    assert torch.equal(stream.outputs > 0.9, whole_TBO > 0.9)


@pytest.mark.parametrize("feedback", ["output", "none"])
def test_one_to_many_writes_the_pattern_of_a_class(feedback):
    """Eight patterns of five symbols, with and without what was written before: every one to the letter."""
    tokens, lengths = patterns(8, seed=0)
    targets_BT, steps_B = tensors(with_end(tokens, lengths))
    torch.manual_seed(0)
    embedding = nn.Embedding(8, 16) if feedback == "output" else None
    model = OneToMany(embedding, GRU(16, 32), nn.Linear(32, 8), classes=8, feedback=feedback, writes="ids")

    def loss(model, batch):
        class_ids, targets_BT, lengths_B = batch
        logits_TBV = model(targets_BT.T, class_ids=class_ids, lengths=lengths_B)
        return sequence_cross_entropy(logits_TBV, targets_BT.T, lengths_B)

    fit(model, loss, (torch.arange(8), targets_BT, steps_B), epochs=150, batch_size=8)
    written = model.generate(20, sampler=Sampler(greedy=True), class_ids=torch.arange(8), stop=EOS)
    assert bool(written.stopped.all())
    assert rows(written) == strings(tokens, lengths)


def exact_reversals(attention):
    """The share of unseen strings of 1 to 10 symbols that a trained model reverses without a mistake."""
    torch.manual_seed(0)
    model = EncoderDecoder(
        nn.Embedding(11, 16),
        GRU(16, 32, bidirectional=True),
        nn.Embedding(11, 16),
        GRU(16, 64),
        nn.Linear(64, 11),
        attention=AdditiveAttention(64, 64, 32) if attention else None,
        eos=EOS,
    )

    def loss(model, batch):
        source_BS, lengths_B, target_BT, steps_B = batch
        logits_TBV = model(source_BS.T, lengths_B, target_BT.T, steps_B)
        return sequence_cross_entropy(logits_TBV, target_BT.T, steps_B)

    drawn = reversal(4000, seed=0)
    data = tensors((drawn.sources, drawn.lengths, *with_end(drawn.targets, drawn.lengths)))
    fit(model, loss, data, epochs=8, learning_rate=0.02, schedule="cosine", warmup_steps=40)
    seen = set(map(tuple, drawn.sources.tolist()))
    test = reversal(2000, seed=1)
    unseen = [row for row, source in enumerate(test.sources.tolist()) if tuple(source) not in seen]
    sources, targets, lengths = (part[unseen] for part in test)
    found, _ = model.greedy(torch.from_numpy(sources).T, torch.from_numpy(lengths), limit=15)
    right = [a == b for a, b in zip(rows(found), strings(targets, lengths), strict=True)]
    assert len(right) > 1000
    return sum(right) / len(right)


def test_encoder_decoder_reverses_strings_of_unequal_length():
    """On unseen strings 99.9 % without a mistake; the same model without attention, trained alike, 60 %."""
    with_it, without_it = exact_reversals(attention=True), exact_reversals(attention=False)
    print(f"strings reversed without a mistake: {with_it:.4f} with attention, {without_it:.4f} without")
    assert with_it >= 0.99
    assert without_it < with_it - 0.1
