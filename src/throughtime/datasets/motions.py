"""Clips whose class is visible only in the motion, never in a single frame, nor in all frames without their order.

Axes in names: N clips, T frames, H height, W width.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.datasets.arguments import check_whole

__all__ = ["MOTIONS", "Motions", "motions"]

MOTIONS = (
    "moving right", "moving left", "moving down", "moving up", "bouncing", "turning clockwise",
    "turning counter-clockwise", "growing", "shrinking",
)  # fmt: skip
# Of each class: what moves in order (0 across, 1 down, 2 the angle, 3 the size), and how it goes through its values.
_ORDERED = ((0, 1), (0, -1), (1, 1), (1, -1), (1, 0), (2, 1), (2, -1), (3, 1), (3, -1))
_DARK = 40  # of 255: the ground


class Motions(NamedTuple):
    """Clips, examples first."""

    frames: NDArray[np.uint8]
    """(N, T, H, W) grey."""
    labels: NDArray[np.int64]
    """(N,): numbers of `MOTIONS`."""


def motions(examples: int, seed: int, *, frames: int = 16, size: int = 32) -> Motions:
    """Clips of a disc with a bright sector, on a ground whose edges are joined.

    In every clip the disc goes through the same number of places across and down, of angles and of sizes, each once.
    One of these four goes through its values in order, from a random one on, and that is the class: it moves, turns,
    grows or shrinks steadily (bouncing: down and up again), and after the last value comes the first. The other three
    take their values in random order. So any single frame is as likely under every class, and so are all frames
    together without their order: whoever sees one frame, or shuffled ones, is right once in nine times.

    Shapes:
        frames (N, T, size, size) uint8, labels (N,) int64.

    Raises:
        ArgumentError: `examples` or `seed` is negative, `frames` below 4 or odd, or `size` below 16.
        ArgumentTypeError: one of them is not an int.

    >>> clips = motions(3, seed=0, frames=8)
    >>> clips.frames.shape, [MOTIONS[label] for label in clips.labels]
    ((3, 8, 32, 32), ['growing', 'turning clockwise', 'bouncing'])
    """
    check_whole("motions", "examples", examples, 0)
    check_whole("motions", "seed", seed, 0)
    check_whole("motions", "frames", frames, 4)
    check_whole("motions", "size", size, 16)
    check_whole("motions", "frames % 2", frames % 2, 0, 0)
    rng = np.random.Generator(np.random.PCG64(seed))
    labels = rng.integers(len(MOTIONS), size=examples)
    found = np.empty((examples, frames, size, size), np.uint8)
    for clip, label in zip(found, labels, strict=True):
        ordered, way = _ORDERED[label]
        phases_T4 = np.stack([rng.permutation(frames) for _ in range(4)], axis=1)
        phases_T4[:, ordered] = _in_order(frames, way)
        start_4 = rng.random(4)
        turns_T4 = (phases_T4 / frames + start_4) % 1
        clip[:] = _draw(turns_T4, size)
    return Motions(found, labels)


def _in_order(frames: int, way: int) -> NDArray[np.int64]:
    """Every phase once: up, down, or up in twos and down in the twos between."""
    steps = np.arange(frames)
    if way:
        return steps if way > 0 else steps[::-1]
    return np.concatenate((steps[::2], steps[::-1][::2]))


def _draw(turns_T4: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """(T, H, W), edges soft by one pixel."""
    across_T, down_T, angle_T, large_T = (turns_T4[:, i, None, None] for i in range(4))
    place = np.arange(size) + 0.5
    x_TW = (place[None, None, :] - across_T * size + size / 2) % size - size / 2
    y_TH = (place[None, :, None] - down_T * size + size / 2) % size - size / 2
    x, y = np.broadcast_arrays(x_TW, y_TH)
    radius = size * (0.16 + 0.2 * large_T)
    inside = np.clip(radius - np.hypot(x, y) + 0.5, 0, 1)
    # Image rows go down, so that a growing angle turns clockwise as seen.
    away = np.abs((np.arctan2(y, x) / (2 * np.pi) - angle_T + 0.5) % 1 - 0.5)
    bright = np.clip((0.17 - away) * 2 * np.pi * radius * 0.7 + 0.5, 0, 1)
    found: NDArray[np.uint8] = (_DARK + inside * (80 + 135 * bright)).astype(np.uint8)
    return found
