"""Gaps filled: each rule against pandas, and never across the border of two series."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import SeriesSet, fill_missing, read_series
from throughtime.errors import ArgumentError, DataError

NAN = float("nan")


def series(*values: list[float]) -> SeriesSet:
    frames = [
        pd.DataFrame({"unique_id": f"s{i}", "ds": pd.date_range("2020-01-01", periods=len(each)), "y": each})
        for i, each in enumerate(values)
    ]
    return read_series(pd.concat(frames), missing="keep", freq="D")


FILLED_BY_PANDAS = {
    "linear": lambda each: each.interpolate(limit_direction="both"),
    "last": lambda each: each.ffill().bfill(),
    "zero": lambda each: each.fillna(0.0),
    "mean": lambda each: each.fillna(each.mean()),
    "median": lambda each: each.fillna(each.groupby(np.arange(len(each)) % 7).transform("median")).fillna(
        each.median()
    ),
}


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99), tail=st.integers(1, 40))
@pytest.mark.parametrize("how", FILLED_BY_PANDAS)
def test_each_rule_is_that_of_pandas(how: str, lengths: list[int], seed: int, tail: int) -> None:
    rng = np.random.default_rng(seed)
    given = []
    for length in lengths:
        values = np.where(rng.random(length) < 0.5, np.nan, 1000 + rng.standard_normal(length))
        values[[0, -1]] = 1000 + rng.standard_normal(2)
        given.append(values.tolist())
    # The last few steps begin with a gap at times.
    gaps = series(*given).tail(tail)
    filled = fill_missing(gaps, how)
    for number in range(len(gaps)):
        expected = FILLED_BY_PANDAS[how](pd.Series(gaps.values(number)))
        np.testing.assert_allclose(filled.values(number), expected, rtol=1e-13)
    kept = ~np.isnan(gaps.flat_values)
    np.testing.assert_array_equal(filled.flat_values[kept], gaps.flat_values[kept])
    assert filled.offsets is gaps.offsets


def test_the_median_is_that_of_the_same_weekday_as_for_nn5() -> None:
    values = [float(day) for day in range(21)]
    values[10] = NAN
    filled = fill_missing(series(values), "median")
    assert filled.values(0)[10] == (3 + 17) / 2


def test_nothing_missing_is_the_same_object_and_a_gap_leaves_the_input_alone() -> None:
    whole = series([1.0, 2.0])
    assert fill_missing(whole, "mean") is whole
    gaps = series([1.0, NAN, 3.0])
    assert fill_missing(gaps, "linear").flat_values.tolist() == [1, 2, 3]
    assert np.isnan(gaps.flat_values[1])


def test_what_cannot_be_filled() -> None:
    with pytest.raises(ArgumentError, match="one of linear, last, zero, mean, median, got 'spline'"):
        fill_missing(series([1.0]), "spline")
    tail = series([1.0, 2.0, NAN, 3.0], [1.0, NAN, 3.0]).cut(1).tail(1)
    with pytest.raises(DataError, match="a value in every series to fill from, got none in series 's0'; leave"):
        fill_missing(tail, "last")
    assert fill_missing(tail, "zero").flat_values.tolist() == [0, 0]
