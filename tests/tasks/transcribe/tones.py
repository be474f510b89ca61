"""Sound that a small net learns in seconds: each word is a tone of its own."""

import functools

import numpy as np

from throughtime import Transcriber

RATE = 8000
TONES = {"low": 350.0, "mid": 900.0, "high": 2200.0}
TINY = {
    "hidden_size": 16, "num_layers": 1, "dropout": 0.0, "speed": 0.0, "warp": 0.0, "gain": 0.0, "noise": 0.0,
    "masks": 0.0, "batch_size": 8, "learning_rate": 8e-3,
}  # fmt: skip


def say(words, seed=0, gap=0.12):
    """Samples of words one after another."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(int(0.1 * RATE))]
    for word in words:
        n = int(rng.uniform(0.12, 0.2) * RATE)
        fade = np.minimum(np.minimum(np.arange(n), np.arange(n)[::-1]) / 80, 1)
        parts += [0.3 * fade * np.sin(2 * np.pi * TONES[word] * np.arange(n) / RATE), np.zeros(int(gap * RATE))]
    samples = np.concatenate(parts)
    return (samples + 1e-4 * rng.standard_normal(len(samples))).astype(np.float32)


def sentences(n, seed=0):
    """Pairs (samples, rate), and texts in which no word comes twice."""
    rng = np.random.default_rng(seed)
    drawn = [[str(w) for w in rng.permutation(list(TONES))[: rng.integers(1, 4)]] for _ in range(n)]
    return [(say(words, seed=1000 * seed + i), RATE) for i, words in enumerate(drawn)], [" ".join(w) for w in drawn]


@functools.cache
def one_way():
    """A model that streams."""
    return Transcriber(bidirectional=False, lookahead_ms=60, epochs=24, **TINY).fit(*sentences(80))


@functools.cache
def both_ways():
    """One that does not, by characters."""
    options = TINY | {"unit": "character", "epochs": 2, "hidden_size": 8}
    return Transcriber(**options).fit(*sentences(32))
