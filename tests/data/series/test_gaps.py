"""Values that are missing: kept as NaN on a regular grid, or refused."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import read_series
from throughtime.data.times.frequency import parse_alias
from throughtime.errors import DataError

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
NAN = float("nan")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_and_missing_rows_are_nan_and_the_ends_are_cut(kind: str) -> None:
    series = read_series(
        KINDS[kind](
            {
                "unique_id": ["a"] * 6 + ["b"] * 3,
                "ds": [1, 2, 3, 5, 6, 7, 3, 4, 5],
                "y": [None, 1.0, None, 4.0, None, None, 7.0, 8.0, 9.0],
            }
        ),
        missing="keep",
    )
    assert series.offsets.tolist() == [0, 4, 7]
    np.testing.assert_array_equal(series.values(0), [1, NAN, NAN, 4])
    assert series.times(0).tolist() == [2, 3, 4, 5]
    assert series.values(1).tolist() == [7, 8, 9]
    assert series.last_times.tolist() == [5, 5]


@pytest.mark.parametrize("text", [None, "", " ", "NA", "n/a", "NaN", "null", "None", "<NA>", "?"])
def test_text_that_stands_for_no_value(text: str | None) -> None:
    column = {"ds": [1, 2, 3], "y": ["1", text, "3"]}
    np.testing.assert_array_equal(read_series(pl.DataFrame(column), missing="keep").flat_values, [1, NAN, 3])
    mixed = pd.DataFrame({"ds": [1, 2, 3], "y": pd.Series([1, text, 3], dtype=object)})
    np.testing.assert_array_equal(read_series(mixed, missing="keep").flat_values, [1, NAN, 3])


def test_types_with_a_missing_value_of_their_own() -> None:
    for column in (pd.Series([1, None, 3], dtype="Int64"), pd.Series([1, pd.NA, 3], dtype=object)):
        series = read_series(pd.DataFrame({"ds": [1, 2, 3], "y": column}), missing="keep")
        np.testing.assert_array_equal(series.flat_values, [1, NAN, 3])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, float("inf"), 3.0], "inf"),
        (["1", "x", "3"], "'x'"),
        (["1", "-", "3"], "'-'"),
        (["1", "-inf", "NA"], "'-inf'"),
    ],
)
def test_what_is_no_number_is_refused_all_the_same(kind: str, values: list[object], shown: str) -> None:
    with pytest.raises(
        DataError, match=f"every row of y, got {shown} at row 1 .counted from 0., series 'series', ds 2;"
    ):
        read_series(KINDS[kind]({"ds": [1, 2, 3], "y": values}), missing="keep")


def test_a_series_without_a_value_is_named() -> None:
    frame = pl.DataFrame({"unique_id": ["a", "a", "b", "b"], "ds": [1, 2, 1, 2], "y": [1.0, 2.0, None, None]})
    with pytest.raises(DataError, match="expected a value of y in every series, got none in series 'b'; leave"):
        read_series(frame, missing="keep")
    with pytest.raises(DataError, match=r"got none in series 'b' \(2 series have none\)"):
        read_series(pl.concat([frame, frame.with_columns(unique_id=pl.lit("c"))[2:]]), missing="keep")
    with pytest.raises(DataError, match="expected 2 or more values in every series, got 1 in series 'b'"):
        read_series(
            pl.DataFrame({"unique_id": ["a", "a", "b", "b"], "ds": [1, 2, 1, 2], "y": [1.0, 2.0, None, 3.0]}),
            missing="keep",
            min_length=2,
        )


@settings(max_examples=60, deadline=None)
@given(
    freq=st.sampled_from(["15min", "h", "D", "B", "W-WED", "MS", "ME", "QE", "YS", "M-30"]),
    keep=st.lists(st.booleans(), min_size=12, max_size=80),
    zone=st.sampled_from([None, "Europe/Berlin", "America/Sao_Paulo"]),
)
def test_gaps_come_back_on_every_grid(freq: str, keep: list[bool], zone: str | None) -> None:
    keep = [True, *keep, True]
    start = np.datetime64("2018-09-26T12:00", "us")  # a Wednesday
    grid = parse_alias(freq).future(start, len(keep))
    values = np.arange(len(keep), dtype=np.float64)
    rows = np.flatnonzero(keep)
    ds = pl.Series(grid[rows])
    if zone is not None:
        ds = ds.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        if ds.null_count() or (freq in ("15min", "h") and ds.n_unique() < ds.len()):
            return
    series = read_series(pl.DataFrame({"ds": ds, "y": values[rows]}), freq=freq, missing="keep")
    if zone is not None and freq in ("15min", "h"):
        # Steps of the clock itself, so a change of the clock adds or takes some.
        np.testing.assert_array_equal(series.flat_values[~np.isnan(series.flat_values)], values[rows])
        return
    np.testing.assert_array_equal(series.flat_values, np.where(keep, values, NAN))
    if zone is None:
        np.testing.assert_array_equal(series.flat_times, grid)


def test_keeping_changes_nothing_where_nothing_is_missing() -> None:
    frame = pl.DataFrame({"unique_id": ["b", "a", "b", "a"], "ds": [2, 1, 1, 2], "y": [1, 2, 3, 4]})
    kept, refused = read_series(frame, missing="keep"), read_series(frame)
    for name in ("flat_values", "flat_times", "offsets"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(refused, name))
    assert kept.frequency == refused.frequency


def test_stamps_off_the_grid_are_named() -> None:
    times = [datetime.datetime(2020, 1, 1, hour, minute) for hour, minute in ((1, 0), (2, 0), (3, 0), (4, 30), (6, 0))]
    with pytest.raises(
        DataError,
        match=r"grid of freq 'h' that starts at 2020-01-01 01:00 .*, got 2020-01-01 04:30; give the freq",
    ):
        read_series(pl.DataFrame({"ds": times, "y": [1.0] * 5}), missing="keep")
    kept = read_series(pl.DataFrame({"ds": times, "y": [1.0] * 5}), missing="keep", freq="30min")
    assert kept.lengths.tolist() == [11]
    other = {
        "unique_id": list("aaaabbb"),
        "ds": ["2020-01-01", "2020-01-08", "2020-01-15", "2020-01-22"],
        "y": [1.0] * 7,
    }
    other["ds"] = [*other["ds"], "2020-01-02", "2020-01-12", "2020-01-22"]
    with pytest.raises(DataError, match="every series to step by W, got series 'b', which steps by 10D"):
        read_series(pl.DataFrame(other), missing="keep")


def test_a_freq_that_was_given_holds_for_stamps_that_keep_a_longer_one() -> None:
    frame = pl.DataFrame({"ds": ["2018-09-26 12:00", "2018-09-26 14:00", "2018-09-26 16:00"], "y": [1.0, 2.0, 3.0]})
    kept = read_series(frame, missing="keep", freq="15min")
    assert kept.lengths.tolist() == [17]
    with pytest.raises(DataError, match="every series to step by 15min, got series 'series', which steps by 2h"):
        read_series(frame, missing="keep", freq=kept.frequency)


def test_a_step_far_too_short_is_refused_before_it_takes_memory() -> None:
    frame = pl.DataFrame({"ds": ["1970-01-01", "2020-01-01"], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match="a freq that fits the stamps, got 's', by which 2 rows span 1577836801 steps"):
        read_series(frame, freq="s", missing="keep")


def test_ten_thousand_series_with_gaps_take_no_loop() -> None:
    S, T = 10_000, 60
    rng = np.random.default_rng(0)
    y = np.where(rng.random(S * T) < 0.1, np.nan, 1.0)
    y[::T] = y[T - 1 :: T] = 0.0
    keep = rng.random(S * T) > 0.1
    keep[::T] = keep[T - 1 :: T] = True
    frame = pl.DataFrame({"unique_id": np.repeat(np.arange(S), T), "ds": np.tile(np.arange(T), S), "y": y})
    series = read_series(frame.filter(pl.Series(keep)), missing="keep")
    assert (series.lengths == T).all()
    np.testing.assert_array_equal(np.isnan(series.flat_values), np.isnan(y) | ~keep)
