"""Which batches an epoch has: token budgets, accumulation, streams, files, threads, small data."""

import re
import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.problems import LastOutput, Recorder, fresh, squared_error, walk, waves, weights
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.training import (
    NpySource,
    SequenceSource,
    StreamSource,
    TensorSource,
    TrainingConfig,
    WeightedLoss,
    fingerprint,
    mean_loss,
    train,
)
from throughtime.training.batches import Batches, cut_by_tokens


def sequences(count=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 40, (count,), generator=generator).tolist()
    return SequenceSource([torch.full((n, 1), float(i)) for i, n in enumerate(lengths)], torch.arange(count))


def epoch(source, seed=0, **options):
    return list(Batches(source, TrainingConfig(**options)).epoch(torch.Generator().manual_seed(seed), 0))


def test_a_token_budget_holds_and_every_example_comes_once():
    batches = epoch(sequences(), max_tokens=100)
    assert all(fetched.batch[0].shape[:2].numel() == fetched.slots <= 100 for fetched in batches)
    assert all(int(fetched.batch[1].sum()) == fetched.tokens for fetched in batches)
    assert sorted(torch.cat([fetched.batch[2] for fetched in batches]).tolist()) == list(range(50))


def test_the_count_of_batches_is_known_beforehand_and_the_order_is_the_seeds():
    source = sequences()
    counts = {len(epoch(source, seed, max_tokens=100)) for seed in range(10)}
    assert counts == {Batches(source, TrainingConfig(max_tokens=100)).count}
    first, again, other = (
        [fetched.batch[2].tolist() for fetched in epoch(source, seed, max_tokens=100)] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_padding_is_measured_and_less_than_with_random_batches():
    shares = []
    for options in ({"max_tokens": 200}, {"batch_size": 8}):
        batches = epoch(sequences(), **options)
        by_hand = 1 - sum(f.tokens for f in batches) / sum(f.batch[0].shape[:2].numel() for f in batches)
        model = nn.Linear(1, 1)
        result = train(model, lambda m, b: m(b[0]).mean(), sequences(), config=TrainingConfig(epochs=1, **options))
        assert result.history[0].padding == pytest.approx(by_hand)
        shares.append(by_hand)
    assert shares[0] < 0.15 < 0.3 < shares[1]


def test_no_lengths_no_padding():
    assert walk()[1].history[0].padding is None


def test_an_example_longer_than_the_budget_says_both_numbers():
    with pytest.raises(ArgumentError, match=r"max_tokens of at least 7, .* \(number 1\), got 6; raise max_tokens"):
        cut_by_tokens(torch.tensor([2, 7, 3]), 6)


def test_a_budget_needs_lengths():
    with pytest.raises(ArgumentError, match="for max_tokens=9, got TensorSource without; use a SequenceSource"):
        train(nn.Linear(1, 1), squared_error, TensorSource(torch.ones(3, 1)), config=TrainingConfig(max_tokens=9))


def test_lengths_must_fit():
    source = TensorSource(torch.ones(3, 1))
    source.lengths = torch.tensor([1, 2])
    with pytest.raises(DataError, match=r"hold 3 whole numbers from 0, got torch.int64 of shape \(2,\)"):
        train(nn.Linear(1, 1), squared_error, source, config=TrainingConfig(max_tokens=9))


def test_empty_sequences_take_a_place_each():
    assert cut_by_tokens(torch.zeros(5, dtype=torch.long), 2) == [2, 2, 1]


@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_batches_are_as_one(weighted):
    """Three batches of four and one of two, against one of fourteen."""

    def loss(model, batch):
        errors = (model(batch[0]) - batch[1]).square()
        return WeightedLoss(errors.sum() / (2 * len(errors)), 2 * len(errors)) if weighted else errors.mean()

    found = []
    for options in ({"batch_size": 14}, {"batch_size": 4, "accumulate": 4}):
        model, recorder = fresh(0, LastOutput).double(), Recorder()
        data = TensorSource(*(tensor.double() for tensor in waves(14).tensors))
        train(model, loss, data, config=TrainingConfig(epochs=2, clip_norm=None, **options), callbacks=[recorder])
        found.append((weights(model), torch.tensor([r.loss for r in recorder.steps]), recorder.starts[0].total_steps))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-9, atol=1e-12)
    assert found[0][2] == found[1][2] == 2


def test_steps_of_accumulated_batches():
    _, result = walk(steps_per_epoch=7, accumulate=3, epochs=2)
    assert [record.steps for record in result.history] == [3, 3]


def stream(count, **options):
    return StreamSource(lambda: iter(range(count)), torch.tensor, **options)


def test_a_stream_is_shuffled_within_its_buffer():
    order = list(stream(100, buffer=10).read(torch.Generator().manual_seed(0)))
    assert sorted(order) == list(range(100)) != order
    assert max(value - place for place, value in enumerate(order)) <= 10
    assert order == list(stream(100, buffer=10).read(torch.Generator().manual_seed(0)))
    assert list(stream(100, buffer=1).read(torch.Generator())) == list(range(100)) == list(stream(100).read())


def test_training_on_a_stream():
    x, y = waves(64).tensors
    source = StreamSource(
        lambda: zip(x, y, strict=True), lambda pairs: tuple(torch.stack(part) for part in zip(*pairs, strict=True))
    )
    assert len(source) == 64
    model = fresh(0, LastOutput)
    assert mean_loss(model, squared_error, source) == mean_loss(model, squared_error, waves(64))
    result = train(model, squared_error, source, source, TrainingConfig(epochs=20, learning_rate=0.02))
    assert result.best_loss < 0.02


@pytest.mark.parametrize(("stated", "got"), [(4, "more"), (9, "only 6")])
def test_a_stream_of_another_length_is_refused(stated, got):
    source = stream(6, examples=stated)
    with pytest.raises(DataError, match=f"expected {stated} examples from open\\(\\), got {got}; give as many"):
        train(nn.Linear(1, 1), lambda m, b: m(b[:, None].float()).mean(), source)


def test_files_are_mapped_and_not_read(tmp_path):
    x, y = (tensor.numpy() for tensor in waves(40).tensors)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    source = NpySource(tmp_path / "x.npy", tmp_path / "y.npy")
    assert all(isinstance(array, np.memmap) for array in source.arrays)
    ends = []
    for data in (source, waves(40)):
        model = fresh(0, LastOutput)
        train(model, squared_error, data, data, TrainingConfig(epochs=2))
        ends.append(weights(model))
    assert torch.equal(*ends)


def test_files_that_are_no_data(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    np.save(tmp_path / "b.npy", np.zeros((4, 2)))
    np.save(tmp_path / "number.npy", np.zeros(()))
    np.save(tmp_path / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    for names, message in (
        (("a", "b"), "one number of examples, got 3, 4"),
        (("number",), "number.npy: expected an array with an axis of examples"),
        (("objects",), "objects.npy: expected an array in a .npy file, got"),
        (("text",), "text.npy: expected an array in a .npy file, got"),
        (("missing",), "missing.npy: expected an array in a .npy file, got"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            NpySource(*(tmp_path / f"{name}.npy" for name in names))
    with pytest.raises(ArgumentError, match=r"expected one or more \.npy files, got none"):
        NpySource()


@pytest.mark.parametrize("kind", ["sequences", "stream"])
def test_the_same_bits_whatever_the_number_of_workers(kind):
    def loss(model, batch):
        x = batch[0] if kind == "sequences" else batch[:, None].float()
        return nn.functional.dropout(model(x / 50), 0.3, training=model.training).square().mean()

    ends = []
    for workers in (0, 1, 3):
        model = fresh(0, lambda: nn.Linear(1, 1))
        options = {"max_tokens": 90} if kind == "sequences" else {"batch_size": 8}
        source = sequences() if kind == "sequences" else stream(50, buffer=16)
        result = train(model, loss, source, config=TrainingConfig(epochs=3, workers=workers, **options))
        ends.append((weights(model), [record.train_loss for record in result.history]))
    assert all(torch.equal(end[0], ends[0][0]) and end[1] == ends[0][1] for end in ends)


def test_workers_fetch_on_threads_of_their_own_and_errors_come_through():
    class Source:
        def __init__(self):
            self.threads = set()

        def __len__(self):
            return 12

        def batch(self, indices):
            self.threads.add(threading.current_thread())
            if 7 in indices:
                raise RuntimeError("unreadable")
            return indices

    source = Source()
    with pytest.raises(RuntimeError, match="unreadable"):
        train(
            nn.Linear(1, 1),
            lambda m, b: m(b[:, None].float()).mean(),
            source,
            config=TrainingConfig(batch_size=2, workers=2),
        )
    assert threading.main_thread() not in source.threads
    assert not any(thread.is_alive() for thread in source.threads)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SequenceSource([]), ArgumentError, "expected sequences with an axis of time, got none"),
        (lambda: SequenceSource([torch.tensor(1.0)]), ArgumentError, "got a number as sequence 0"),
        (
            lambda: SequenceSource([torch.ones(2)], torch.ones(3)),
            ArgumentError,
            "with 1 entries, one a sequence, got shape (3,)",
        ),
        (lambda: SequenceSource([[1.0]]), ArgumentTypeError, "expected tensors, got list"),
        (lambda: StreamSource(3, list), ArgumentTypeError, "expected functions open and collate, got 3"),
        (lambda: stream(3, buffer=0), ArgumentError, "expected buffer of at least 1, got 0"),
        (lambda: stream(3, examples=-1), ArgumentError, "expected examples of at least 0, got -1"),
    ],
)
def test_sources_refuse_what_they_cannot_hold(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_data_sets_of_none_and_one():
    with pytest.raises(ArgumentError, match="at least 1 example in train_data, got 0"):
        train(nn.Linear(1, 1), squared_error, stream(0))
    with pytest.raises(ArgumentError, match="in validation_data, got 0; give more data or no validation_data at all"):
        train(nn.Linear(1, 1), squared_error, TensorSource(torch.ones(1, 1), torch.ones(1, 1)), stream(0))
    one = SequenceSource([torch.ones(3, 1)])
    options = {"epochs": 2, "max_tokens": 3, "accumulate": 4, "workers": 2, "ema": 0.5}
    result = train(nn.Linear(1, 1), lambda m, b: m(b[0]).mean(), one, one, TrainingConfig(**options))
    assert (result.stopped, result.steps, result.history[0].padding) == ("epochs", 2, 0.0)


def test_fingerprints_tell_data_apart():
    plain = {"x": torch.ones(2, 3), "n": [1, "a", None, 2.5], "y": np.arange(3)}
    assert fingerprint(plain) == fingerprint({**plain, "x": torch.ones(3, 2).T.clone()})
    for other in (
        {"x": torch.ones(3, 2)},
        {"x": torch.ones(2, 3, dtype=torch.float64)},
        {"n": [1, "a", None, 2.6]},
        {"y": np.arange(3, dtype=np.int32)},
    ):
        assert fingerprint({**plain, **other}) != fingerprint(plain)
    assert fingerprint([1, 2]) != fingerprint([12])
