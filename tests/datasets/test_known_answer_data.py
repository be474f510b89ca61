"""The generators with a known answer: each answer worked out again the slow way, and the facts the docstrings state."""

import hashlib
import inspect
import math

import numpy as np
import pytest

from throughtime import datasets
from throughtime.datasets import (
    ADDING_BASELINE,
    AGREEMENT_WORDS,
    adding,
    agreement,
    copy_memory,
    copy_memory_baseline,
    patterns,
    reversal,
    running_maximum,
    xor,
)
from throughtime.errors import ArgumentError, ArgumentTypeError

# A small call of every generator that draws, and the first half of the SHA-256 of what it gives.
DRAWN = {
    "adding": (lambda seed: adding(5, 7, seed), "ba35b0ebe180581e2812b3fc4289a5ce"),
    "agreement": (
        lambda seed: agreement(5, seed, min_distance=3, max_distance=9, lead=6),
        "a169dee8b6e6be3cce19b8062c2d6f84",
    ),
    "copy_memory": (lambda seed: copy_memory(5, 6, seed), "2d66b5d6ab00aafe774af7960ab94b0a"),
    "patterns": (lambda seed: patterns(5, seed), "67749c33dd74cc6690911518815c8283"),
    "reversal": (lambda seed: reversal(5, seed), "6e6333897265e4f79035c6006e0be118"),
    "running_maximum": (lambda seed: running_maximum(5, 6, seed), "571bbc00effebaccdc7ec1f4d6b9a12d"),
}


def digest(parts):
    little = [part.astype(part.dtype.newbyteorder("<")).tobytes() for part in parts]
    return hashlib.sha256(b"".join(little)).hexdigest()[:32]


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_gives_the_same_bits_everywhere(name):
    draw, expected = DRAWN[name]
    assert digest(draw(7)) == expected
    assert digest(draw(8)) != expected


def test_xor_is_the_truth_table():
    table = {tuple(map(int, x)): int(y[0]) for x, y in zip(*xor(), strict=True)}
    assert table == {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 0}
    assert (xor().inputs.dtype, xor().targets.dtype) == (np.float32, np.float32)


def test_parity_of_more_bits():
    inputs, targets = xor(5)
    assert sorted(map(tuple, inputs.tolist())) == sorted(np.ndindex(*(2,) * 5))
    assert [y[0] for y in targets.tolist()] == [sum(x) % 2 for x in inputs.tolist()]


@pytest.mark.parametrize("steps", [2, 3, 20])
def test_adding_marks_one_number_in_each_half_and_sums_them(steps):
    inputs, targets = adding(2000, steps, seed=3)
    assert inputs.shape == (2000, steps, 2)
    assert 0 <= inputs[:, :, 0].min() <= inputs[:, :, 0].max() < 1
    places = []
    for x, y in zip(inputs.astype(np.float64), targets, strict=True):
        marked = np.flatnonzero(x[:, 1])
        assert len(marked) == 2
        assert marked[0] < steps // 2 <= marked[1]
        # One rounding to float32 of a sum below 2.
        assert abs(x[marked, 0].sum() - y[0]) <= 2.0**-24
        places += marked.tolist()
    assert set(places) == set(range(steps))


def test_adding_without_memory_is_at_its_baseline():
    """Σ (1 − u − v)² of 200 000 rows: the mean's own deviation is 0.2 / √200000 = 0.0005."""
    _, targets = adding(200_000, 2, seed=0)
    assert np.mean((targets - 1) ** 2) == pytest.approx(ADDING_BASELINE, abs=0.002)


@pytest.mark.parametrize(("delay", "length", "n_symbols"), [(1, 1, 1), (1, 3, 4), (9, 4, 8)])
def test_copy_memory_word_by_word(delay, length, n_symbols):
    inputs, targets = copy_memory(50, delay, 1, length=length, n_symbols=n_symbols)
    blank, signal = n_symbols, n_symbols + 1
    for x, y in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols = x[:length]
        assert all(0 <= symbol < n_symbols for symbol in symbols)
        assert x[length:] == [blank] * (delay - 1) + [signal] + [blank] * length
        assert y == [blank] * (delay + length) + symbols
    assert set(inputs[:, :length].ravel()) == set(range(n_symbols))


def test_copy_memory_baseline_is_the_cross_entropy_of_a_blind_answer():
    """Sure of the blanks, uniform over the symbols: counted over a drawn target."""
    _, targets = copy_memory(3, 20, seed=0, length=4, n_symbols=5)
    nats = np.where(targets == 5, 0.0, math.log(5)).mean()
    assert copy_memory_baseline(20, length=4, n_symbols=5) == pytest.approx(nats)


def test_running_maximum_step_by_step():
    inputs, targets = running_maximum(4000, 6, seed=2)
    for x, y in zip(inputs[:50].tolist(), targets[:50].tolist(), strict=True):
        assert [v[0] for v in y] == [max(v[0] for v in x[: t + 1]) for t in range(6)]
    t = np.arange(1, 7)
    error = ((targets[:, :, 0] - t / (t + 1)) ** 2).mean(0)
    np.testing.assert_allclose(error, t / ((t + 1) ** 2 * (t + 2)), rtol=0.1)


def test_reversal_reverses_within_the_length():
    sources, targets, lengths = reversal(500, seed=4, n_symbols=6, min_length=2, max_length=7, first_symbol=2)
    for source, target, length in zip(sources.tolist(), targets.tolist(), lengths.tolist(), strict=True):
        assert target[:length] == source[:length][::-1]
        assert set(source[length:]) | set(target[length:]) <= {0}
    assert set(lengths) == {2, 3, 4, 5, 6, 7}
    assert set(sources.ravel()) == {0, *range(2, 8)}


def test_patterns_differ_and_none_begins_another():
    tokens, lengths = patterns(12, seed=0, n_symbols=3, min_length=4, max_length=9)
    words = [tuple(row[:length]) for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
    assert all(set(row[length:]) <= {0} for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True))
    assert all(4 <= length <= 9 for length in lengths)
    assert {word[0] for word in words} == {3}
    assert {symbol for word in words for symbol in word} == {3, 4, 5}
    assert not any(a != b and b[: len(a)] == a for a in words for b in words)
    assert len(set(words)) == 12


def test_as_many_patterns_as_are_promised_are_found():
    """A half of all patterns of the one length that there is: the draw ends, and all differ."""
    tokens, lengths = patterns(16, seed=1, n_symbols=2, min_length=6, max_length=6)
    assert len({tuple(row) for row in tokens.tolist()}) == 16
    assert set(lengths) == {6}


def words_of(found):
    return [[AGREEMENT_WORDS[i] for i in row[:n]] for row, n in zip(found.tokens, found.lengths, strict=True)]


def test_agreement_reads_as_the_docstring_says():
    found = agreement(400, seed=2, min_distance=5, max_distance=14, lead=8)
    assert set(found.distances) == set(range(5, 15))
    adverbs = {"already", "often", "again", "still"}
    for words, target, distance in zip(words_of(found), found.targets, found.distances, strict=True):
        assert len(words) == 8 + 2 + distance
        subject, between = words[9], words[10:]
        assert words[8] == "the"
        assert target == subject.endswith("s")
        assert set(words[:3]) <= adverbs
        assert words[3] in {"near", "behind", "above", "beside"}
        if distance < 7:
            assert set(between) <= adverbs
        else:
            assert between[:2] == [",", "which"]
            assert between[-1] == ","
            assert between.count(",") == 1 + (distance - 2) // 5
    # The padding is 0, and 0 is nothing else.
    assert all(not row[n:].any() and row[:n].all() for row, n in zip(found.tokens, found.lengths, strict=True))


def test_agreement_is_decided_by_the_subject_and_by_nothing_else():
    """Number of the subject: a coin; of each other noun: a coin of its own (within 5 standard deviations)."""
    found = agreement(4000, seed=3, min_distance=12, max_distance=12, lead=5)
    five_sigma = 5 * 0.5 / math.sqrt(4000)
    assert abs(found.targets.mean() - 0.5) < five_sigma
    plural = np.char.endswith(np.array(AGREEMENT_WORDS), "s") & (np.arange(len(AGREEMENT_WORDS)) != 0)
    nouns = [AGREEMENT_WORDS.index(word) for word in ("cat", "dog", "bird", "horse", "cats", "dogs", "birds", "horses")]
    for place in range(found.tokens.shape[1]):
        if np.isin(found.tokens[:, place], nouns).all():
            agrees = (plural[found.tokens[:, place]] == found.targets).mean()
            assert agrees == 1.0 if place == 6 else abs(agrees - 0.5) < five_sigma
    # Every word is used.
    assert set(found.tokens.ravel()) | {0} == {
        i for i, word in enumerate(AGREEMENT_WORDS) if word not in ("already", "often", "again", "still")
    }


def test_distances_zero_to_six_have_a_sentence_too():
    found = agreement(1, seed=0, min_distance=0, max_distance=0)
    assert words_of(found)[0][0] == "the"
    assert (len(words_of(found)[0]), found.tokens.shape) == (2, (1, 2))


@pytest.mark.parametrize(
    ("call", "shapes"),
    [
        (lambda: adding(0, 5, 0), [(0, 5, 2), (0, 1)]),
        (lambda: copy_memory(0, 5, 0), [(0, 25), (0, 25)]),
        (lambda: running_maximum(0, 5, 0), [(0, 5, 1), (0, 5, 1)]),
        (lambda: reversal(0, 0), [(0, 10), (0, 10), (0,)]),
        (lambda: patterns(0, 0), [(0, 12), (0,)]),
        (lambda: agreement(0, 0, min_distance=1, max_distance=2), [(0, 4), (0,), (0,), (0,)]),
    ],
    ids=["adding", "copy_memory", "running_maximum", "reversal", "patterns", "agreement"],
)
def test_no_example_is_no_error(call, shapes):
    assert [part.shape for part in call()] == shapes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xor(0), "xor: expected n_bits from 1 to 16, got 0; "),
        (lambda: xor(17), "n_bits from 1 to 16, got 17"),
        (lambda: adding(-1, 4, 0), "adding: expected n >= 0, got -1; "),
        (lambda: adding(1, 1, 0), "steps >= 2, got 1"),
        (lambda: adding(1, 4, -3), "seed >= 0, got -3"),
        (lambda: copy_memory(-2, 1, 0), "copy_memory: expected n >= 0, got -2"),
        (lambda: copy_memory(1, 0, 0), "delay >= 1, got 0"),
        (lambda: copy_memory(1, 1, -1), "seed >= 0, got -1"),
        (lambda: copy_memory(1, 1, 0, length=0), "length >= 1, got 0"),
        (lambda: copy_memory(1, 1, 0, n_symbols=0), "n_symbols >= 1, got 0"),
        (lambda: copy_memory_baseline(0), "copy_memory_baseline: expected delay >= 1, got 0"),
        (lambda: copy_memory_baseline(1, length=-1), "length >= 1, got -1"),
        (lambda: copy_memory_baseline(1, n_symbols=0), "n_symbols >= 1, got 0"),
        (lambda: running_maximum(-1, 1, 0), "running_maximum: expected n >= 0, got -1"),
        (lambda: running_maximum(1, 0, 0), "steps >= 1, got 0"),
        (lambda: running_maximum(1, 1, -1), "seed >= 0, got -1"),
        (lambda: reversal(-1, 0), "reversal: expected n >= 0, got -1"),
        (lambda: reversal(1, -1), "seed >= 0, got -1"),
        (lambda: reversal(1, 0, n_symbols=0), "n_symbols >= 1, got 0"),
        (lambda: reversal(1, 0, min_length=0), "min_length >= 1, got 0"),
        (lambda: reversal(1, 0, min_length=5, max_length=4), "max_length >= 5, got 4"),
        (lambda: reversal(1, 0, first_symbol=0), "first_symbol >= 1, got 0"),
        (lambda: patterns(-1, 0), "patterns: expected n_classes from 0 to 62, got -1"),
        (lambda: patterns(5, 0, n_symbols=2), "n_classes from 0 to 4, got 5"),
        (lambda: patterns(1, -1), "seed >= 0, got -1"),
        (lambda: patterns(1, 0, n_symbols=1), "n_symbols >= 2, got 1"),
        (lambda: patterns(1, 0, min_length=1), "min_length >= 2, got 1"),
        (lambda: patterns(1, 0, max_length=3), "max_length >= 4, got 3"),
        (lambda: patterns(1, 0, first_symbol=0), "first_symbol >= 1, got 0"),
        (lambda: agreement(-1, 0, min_distance=1, max_distance=2), "agreement: expected n >= 0, got -1"),
        (lambda: agreement(1, -1, min_distance=1, max_distance=2), "seed >= 0, got -1"),
        (lambda: agreement(1, 0, min_distance=-1, max_distance=2), "min_distance >= 0, got -1"),
        (lambda: agreement(1, 0, min_distance=4, max_distance=2), "max_distance >= 4, got 2"),
        (lambda: agreement(1, 0, min_distance=1, max_distance=2, lead=-5), "lead >= 0, got -5"),
    ],
)
def test_a_number_out_of_range_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("value", [2.0, "3", None, True])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=f"adding: expected steps to be an int, got {value!r}; "):
        adding(1, value, 0)


def test_every_generator_of_the_room_is_here():
    """A new generator comes with its draw in DRAWN."""
    old = {"load", "waves", "waves_frame", "waves_splits", "copy_memory_baseline", "xor"}
    # No arrays to digest: tests/datasets/test_weather.py, test_notices.py, test_reviews.py, test_speech.py,
    # test_phrasebook.py. Pixels of motions hang on the last bit of an angle: test_motions.py.
    text = {"weather", "weather_log_prob", "notices", "reviews", "phrasebook", "spoken", "joined_clips"} | {
        "motions",
        "folk_tunes",
    }
    functions = {name for name in datasets.__all__ if inspect.isfunction(getattr(datasets, name))}
    assert functions - old - text == set(DRAWN)
