"""The waves: their formula, their bits, and the facts that the docstring states."""

import hashlib
import math

import numpy as np
import polars as pl
import pytest

from throughtime.data import read_series
from throughtime.datasets import waves, waves_frame, waves_splits
from throughtime.datasets.waves import NOISE_FLOOR
from throughtime.errors import ArgumentError

SHA256 = "6c2bb9ace8b048e566f24a6eeabd529b127837b126817e66e0128d73d0d6cbaf"


def test_the_formula_point_by_point() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    f1, f2, o1, o2 = (rng.random(4).tolist() for _ in range(4))
    x = waves(4, seed=5, n_steps=7)
    for series in range(4):
        for step, u in enumerate(rng.random(7).tolist()):
            t = step / 6
            expected = 0.5 * math.sin((t - o1[series]) * (10 + 10 * f1[series]))
            expected += 0.2 * math.sin((t - o2[series]) * (20 + 20 * f2[series])) + 0.1 * (u - 0.5)
            # One rounding to float32 of a value below 1: 2^-25, and float64's own error.
            assert abs(float(x[series, step]) - expected) <= 2.0**-25 + 1e-14


def test_a_seed_gives_the_same_bits_everywhere() -> None:
    x = waves(1000, seed=7)
    assert (x.shape, x.dtype) == ((1000, 60), np.float32)
    assert hashlib.sha256(x.astype("<f4").tobytes()).hexdigest() == SHA256
    assert not np.array_equal(x, waves(1000, seed=8))


def test_splits_are_one_draw_in_the_published_sizes() -> None:
    train, validation, test = waves_splits(3)
    assert (train.shape, validation.shape, test.shape) == ((7000, 60), (2000, 60), (1000, 60))
    assert np.concatenate([train, validation, test]).tobytes() == waves(10_000, 3).tobytes()


def test_the_noise_floor_and_the_naive_forecast() -> None:
    assert pytest.approx(0.00083, abs=5e-6) == NOISE_FLOOR
    u = np.random.Generator(np.random.PCG64(0)).random(1_000_000)
    assert np.var(0.1 * (u - 0.5)) == pytest.approx(NOISE_FLOOR, rel=0.01)
    x = waves_splits(42).validation.astype(np.float64)
    # The mean over 2000 series of errors of this size has a standard error of about 0.006.
    assert np.mean((x[:, 50:] - x[:, 49:50]) ** 2) == pytest.approx(0.257, abs=0.02)


def test_the_frame_holds_the_same_waves() -> None:
    frame = waves_frame(3, seed=1)
    assert frame.schema == {"unique_id": pl.Int64, "ds": pl.Int64, "y": pl.Float64}
    series = read_series(frame)
    np.testing.assert_array_equal(series.flat_values.reshape(3, 60), waves(3, seed=1).astype(np.float64))
    assert (series.ids, series.times(2).tolist()) == ([0, 1, 2], list(range(60)))


def test_no_series_is_no_error_and_a_wrong_number_is() -> None:
    assert waves(0, seed=0).shape == (0, 60)
    for arguments in ((-1, 0, 60), (1, 0, 1), (1, -2, 60)):
        shown = f"got {arguments[0]}, {arguments[2]} and {arguments[1]}"
        with pytest.raises(ArgumentError, match=shown):
            waves(*arguments)
