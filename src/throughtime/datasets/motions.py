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
    """Clips of two balls on rails, one across and one down, and of a disc with a bright sector.

    In every clip a ball goes through the same number of places across, the other down, and the disc through as many
    angles and sizes, each once. One of these four goes through its values in order, from a random one on, and that is
    the class: something moves, turns, grows or shrinks steadily (bouncing: down and up again), and after the last value
    comes the first. The other three take their values in random order. So any single frame is as likely under every
    class, and so are all frames together without their order: whoever sees one frame, or shuffled ones, is right once
    in nine times.

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
    """(T, H, W), edges soft by one pixel: the rails above and at the left are a quarter of the image wide."""
    across_T, down_T, angle_T, large_T = (turns_T4[:, i, None, None] for i in range(4))
    rail = size // 4
    wide = size - rail
    y_HW, x_HW = np.mgrid[:size, :size] + 0.5
    above = _ball(_joined(x_HW - across_T * size, size), y_HW - rail / 2, rail) * (y_HW < rail)
    beside = _ball(x_HW - rail / 2, _joined(y_HW - rail - down_T * wide, wide), rail) * (y_HW > rail)
    x_HW, y_HW = x_HW - rail - wide / 2, y_HW - rail - wide / 2
    radius = wide * (0.2 + 0.28 * large_T)
    inside = np.clip(radius - np.hypot(x_HW, y_HW) + 0.5, 0, 1)
    # Image rows go down, so that a growing angle turns clockwise as seen.
    away = np.abs((np.arctan2(y_HW, x_HW) / (2 * np.pi) - angle_T + 0.5) % 1 - 0.5)
    bright = np.clip((0.2 - away) * 2 * np.pi * radius * 0.7 + 0.5, 0, 1)
    light = np.maximum(above, beside) * (1 - inside) + inside * (1 + 2 * bright) / 3
    found: NDArray[np.uint8] = (_DARK + 215 * light).astype(np.uint8)
    return found


def _joined(away: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The same distances the short way round, where the ends of a rail are joined."""
    return (away + length / 2) % length - length / 2


def _ball(x: NDArray[np.float64], y: NDArray[np.float64], rail: int) -> NDArray[np.float64]:
    return np.clip(0.4 * rail - np.hypot(x, y) + 0.5, 0, 1)
