"""Figures of windows, worked out again step by step."""

import numpy as np
import pytest
import torch

from tests.tasks.recognize.data import TINY, recordings
from throughtime import Recognizer
from throughtime.errors import ArgumentError
from throughtime.tasks.recognize.windows import FIGURES, radii_of, windowed


def test_figures_are_those_of_the_valid_steps_around():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 2, 3)).astype(np.float32)
    lengths = [9, 5]
    padded = x.copy()
    padded[5:, 1] = np.nan
    found = windowed(torch.from_numpy(padded), torch.tensor(lengths), (1, 4)).numpy()
    assert found.shape == (9, 2, 3 * FIGURES * 2)
    for row, length in enumerate(lengths):
        own = x[:length, row].astype(np.float64)
        change = np.abs(np.diff(own, axis=0, prepend=own[:1]))
        for t in range(length):
            expected = []
            for radius in (1, 4):
                part = slice(max(t - radius, 0), t + radius + 1)
                seen = own[part]
                expected += [seen.mean(0), seen.std(0), seen.min(0), seen.max(0), change[part].mean(0)]
            np.testing.assert_allclose(found[t, row], np.concatenate(expected), atol=2e-3)
        assert (found[length:, row] == 0).all()


def test_windows_are_said_in_seconds_and_read_where_they_help():
    assert radii_of(1.5, 20.0) == (5, 15, 30)
    assert radii_of(1.5, 1.0) == (1, 1, 2)
    short = TINY | {"epochs": 1, "batch_size": 2}
    long = recordings(4, 2)
    assert Recognizer(**short).fit(long).model_.design.radii == (5, 15, 30)
    assert Recognizer(**short, around=0).fit(long).model_.design.radii == ()
    assert Recognizer(**short, bidirectional=False).fit(long).model_.design.radii == ()
    frames = [np.zeros((4, 8, 8), np.uint8)] * 4
    with pytest.raises(ArgumentError, match=r"expected around=0 for frames, .* got 2"):
        Recognizer(**short, around=2).fit(frames, [0, 1] * 2)
