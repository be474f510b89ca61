"""Clips whose class is in the order of their frames alone."""

import numpy as np
import pytest

from throughtime.datasets import MOTIONS, motions
from throughtime.datasets.motions import _ORDERED, _in_order
from throughtime.errors import ArgumentError


def test_every_order_visits_every_value_once():
    for _, way in _ORDERED:
        assert sorted(_in_order(16, way)) == list(range(16))
    assert len(_ORDERED) == len(MOTIONS)
    assert _in_order(8, 0).tolist() == [0, 2, 4, 6, 7, 5, 3, 1]


def test_what_is_named_is_what_is_seen():
    clips = motions(80, seed=2, frames=12)
    bright = (clips.frames[:, :, 8:, 8:] > 100).sum((2, 3)).astype(float)
    by = {name: clips.frames[clips.labels == k] for k, name in enumerate(MOTIONS)}
    areas = {name: bright[clips.labels == k] for k, name in enumerate(MOTIONS)}
    assert (np.median(np.diff(areas["growing"], axis=1), axis=1) > 0).all()
    assert (np.median(np.diff(areas["shrinking"], axis=1), axis=1) < 0).all()
    assert all(len(found) for found in by.values())
    # The column of the brightest mass goes round to the right, step by step.
    phase = np.exp(2j * np.pi * np.arange(32) / 32)
    for name, way in (("moving right", 1), ("moving left", -1)):
        mass = (by[name][:, :, :8].astype(float) - 40).sum(2) @ phase
        turned = np.angle(mass[:, 1:] / mass[:, :-1]) * way
        assert np.median(turned, axis=1).min() > 0.2


def test_no_frame_tells_the_class():
    clips = motions(3000, seed=4, frames=4, size=16)
    bright = clips.frames.astype(float).sum((2, 3))
    for t in range(4):
        means = [bright[clips.labels == k, t].mean() for k in range(len(MOTIONS))]
        assert np.ptp(means) < 5 * bright[:, t].std() / np.sqrt(3000 / len(MOTIONS))


def test_frames_must_come_in_pairs():
    with pytest.raises(ArgumentError, match="got 1"):
        motions(1, 0, frames=9)
    with pytest.raises(ArgumentError, match="size >= 16, got 8"):
        motions(1, 0, size=8)
