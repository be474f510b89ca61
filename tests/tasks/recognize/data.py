"""Recordings to learn from: a slow and a fast oscillation."""

import numpy as np

from throughtime.data.recording import Recording

TINY = {"hidden_size": 12, "num_layers": 1, "epochs": 12, "learning_rate": 2e-2, "batch_size": 8}
RATE = 20.0


def wave(rng, slow, steps, channels=2):
    """(T, C): sines of one speed and noise."""
    t = np.arange(steps)[:, None] / RATE
    phase = rng.random(channels) * 6
    found = np.sin(2 * np.pi * (0.5 if slow else 2.0) * t + phase) + 0.1 * rng.normal(size=(steps, channels))
    return found.astype(np.float32)


def clips(count, seed, steps=30):
    """Clips with a label each, by turns."""
    rng = np.random.default_rng(seed)
    labels = ["slow" if k % 2 else "fast" for k in range(count)]
    return [wave(rng, label == "slow", steps) for label in labels], labels


def recordings(count, seed, half=60, groups=4):
    """First slow, then fast, with times and a label on every sample."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        values = np.concatenate([wave(rng, True, half), wave(rng, False, half)])
        labels = np.array(["slow"] * half + ["fast"] * half, dtype=object)
        times = np.arange(2 * half) / RATE
        found.append(Recording(values, f"r{k}", times, labels=labels, group=f"p{k % groups}", channels=("a", "b")))
    return found
