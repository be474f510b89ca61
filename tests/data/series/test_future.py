"""Known-future columns of the steps to forecast."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime.data import SeriesSet, read_future, read_series
from throughtime.errors import ArgumentTypeError, DataError

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


@pytest.fixture
def series() -> SeriesSet:
    """Series "b" ends on day 3, series "a" on day 2."""
    return read_series(
        pl.DataFrame(
            {
                "unique_id": ["b"] * 3 + ["a"] * 2,
                "ds": [f"2020-01-0{day}" for day in (1, 2, 3, 1, 2)],
                "y": [1.0, 2, 3, 4, 5],
                "open": [1, 1, 0, 0, 1],
                "price": [0.1, 0.2, 0.3, 0.4, 0.5],
            }
        ),
        future=["open", "price"],
    )


COLUMNS = {
    "unique_id": ["a", "a", "b", "b", "c", "b"],
    "ds": [f"2020-01-0{day}" for day in (4, 3, 4, 5, 4, 1)],
    "open": [1, 0, 0, 1, None, None],
    "price": [4.0, 3.0, 7.0, 8.0, None, None],
}


def rows(kind: str = "polars", **columns: object):  # type: ignore[no-untyped-def]
    return KINDS[kind](COLUMNS | columns)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_find_their_series_and_step_whatever_their_order(kind: str, series: SeriesSet) -> None:
    found = read_future(rows(kind), series, 2)
    assert found.tolist() == [[[0, 7], [1, 8]], [[0, 3], [1, 4]]]
    assert read_future(rows(kind), series.subset([1]), 1).tolist() == [[[0, 3]]]


def test_the_frame_of_the_history_may_go_on_with_empty_values() -> None:
    frame = pl.DataFrame(
        {"ds": [1, 2, 3, 4, 5], "y": [1.0, None, 3.0, None, None], "open": [True, True, False, True, False]}
    )
    series = read_series(frame, future="open", missing="keep")
    assert series.last_times.tolist() == [3]
    assert read_future(frame, series, 2).tolist() == [[[1], [0]]]


def test_rows_without_ids_hold_for_every_series(series: SeriesSet) -> None:
    frame = pl.DataFrame(
        {"ds": ["2020-01-05", "2020-01-03", "2020-01-04"], "open": [5, 3, 4], "price": [0.5, 0.3, 0.4]}
    )
    assert read_future(frame, series, 2)[..., 0].tolist() == [[4, 5], [3, 4]]
    with pytest.raises(DataError, match=r"one row for each time, got two for 2020-01-04: row 2 .* and row 3"):
        read_future(pl.concat([frame, frame[2:]]), series, 2)


def test_no_columns_need_no_frame(series: SeriesSet) -> None:
    bare = read_series(series.to_frame())
    assert read_future(None, bare, 4).shape == (2, 4, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ds": [f"2020-01-0{day}" for day in (4, 3, 4, 6, 4, 1)]}, "all 2 steps .* 'b', got none for 2020-01-05; add"),
        ({"unique_id": ["x", "x", "b", "b", "c", "b"]}, "all 2 steps .* 'a', got none for 2020-01-03; add"),
        ({"unique_id": ["x"] * 6}, r"series 'b', got none for 2020-01-04 \(2 series lack values\); add .* open, price"),
        ({"price": [4.0, 3.0, None, 8.0, 0.0, 0.0]}, "a value of price in all 2 steps .* 'b', got none for 2020-01-04"),
        ({"price": ["4", "3", "high", "8", "", ""]}, r"every row of price, got 'high' at row 2 .*'b', ds 2020-01-04"),
        ({"price": [4.0, 3.0, float("inf"), 8.0, 0.0, 0.0]}, r"every row of price, got inf at row 2"),
        ({"unique_id": ["a", "a", "b", "b", "c", "a"], "ds": [f"2020-01-0{d}" for d in (4, 3, 4, 5, 4, 4)]},
         r"one row for series 'a' and each time, got two for 2020-01-04: row 0 .* and row 5"),
        ({"ds": [4, 3, 4, 5, 4, 1]}, "expected dates in ds as in the history, got integers"),
        ({"ds": [f"2020-01-0{day}T00:00Z" for day in (4, 3, 4, 5, 4, 1)]}, "no time zone in ds .*, got a time zone"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(
    kind: str, change: dict[str, object], message: str, series: SeriesSet
) -> None:
    with pytest.raises(DataError, match=message):
        read_future(rows(kind, **change), series, 2)


def test_a_frame_that_is_none_or_lacks_a_column(series: SeriesSet) -> None:
    with pytest.raises(DataError, match="a frame with open, price for the 2 steps after 2020-01-03, got none"):
        read_future(None, series, 2)
    with pytest.raises(
        DataError, match="predict: expected a column 'price', got the columns 'unique_id', 'ds', 'open'"
    ):
        read_future(rows().drop("price"), series, 2, who="predict")
    with pytest.raises(ArgumentTypeError, match=r"got builtins.list"):
        read_future([1], series, 2)


def test_ids_as_text_find_series_of_numbers_and_the_other_way_round() -> None:
    base = {"ds": [1, 2, 3], "y": [1.0, 2.0, None], "open": [1, 2, 3]}
    for there, here in ((7, "7"), ("7", 7)):
        series = read_series(pl.DataFrame({"unique_id": [there] * 3, **base}), future="open", missing="keep")
        assert read_future(pl.DataFrame({"unique_id": [here] * 3, **base}), series, 1).tolist() == [[[3]]]


def test_steps_across_clock_changes_and_month_ends() -> None:
    berlin = pd.date_range("2021-10-29", periods=5, freq="D", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": berlin, "y": [1.0, 2, None, None, None], "x": np.arange(5.0)})
    assert read_future(frame, read_series(frame, future="x", missing="keep"), 3).ravel().tolist() == [2, 3, 4]
    ends = pd.date_range("2020-01-31", periods=5, freq="ME")
    frame = pd.DataFrame({"ds": ends, "y": [1.0, 2, None, None, None], "x": np.arange(5.0)})
    assert read_future(frame, read_series(frame, future="x", missing="keep"), 3).ravel().tolist() == [2, 3, 4]
    assert datetime.datetime(2020, 5, 31) == ends[-1]


def test_ten_thousand_series_take_no_loop() -> None:
    S, T, K = 10_000, 20, 4
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(S), T),
            "ds": np.tile(np.arange(T), S),
            "y": np.where(np.tile(np.arange(T), S) < T - K, 1.0, np.nan),
            "x": np.arange(S * T),
        }
    )
    series = read_series(frame, future="x", missing="keep")
    np.testing.assert_array_equal(read_future(frame, series, K)[..., 0], np.arange(S * T).reshape(S, T)[:, -K:])
