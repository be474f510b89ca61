"""Long frames in: every kind of frame, every kind of time, and every way to hold it wrong."""

import datetime
import re
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import SeriesSet, read_series
from throughtime.data.times.clock import format_time
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, MissingExtraError

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
DAYS = [datetime.datetime(2020, 1, day) for day in (1, 2, 3)]


def frame(kind: str = "polars", **columns: object):  # type: ignore[no-untyped-def]
    base: dict[str, object] = {"unique_id": ["a"] * 3, "ds": DAYS, "y": [1.0, 2.0, 3.0]}
    return KINDS[kind](base | columns)


@pytest.mark.parametrize("kind", KINDS)
def test_unsorted_rows_of_several_series(kind: str) -> None:
    series = read_series(
        KINDS[kind](
            {"unique_id": ["b", "a", "b", "a", "a"], "ds": [2, 9, 1, 7, 8], "y": [4, 3, 5, 1, 2], "other": [None] * 5}
        )
    )
    assert series.ids == ["b", "a"]
    assert series.values(0).tolist() == [5, 4]
    assert series.times(1).tolist() == [7, 8, 9]
    assert series.values(1).tolist() == [1, 2, 3]
    assert series.flat_values.dtype == np.float64
    assert series.frequency.name == "1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("times", "name", "first"),
    [
        (DAYS, "D", "2020-01-01"),
        ([day.date() for day in DAYS], "D", "2020-01-01"),
        (["2020-01-01", "2020-01-02", "2020-01-03"], "D", "2020-01-01"),
        (["2020-01", "2020-02", "2020-03"], "MS", "2020-01-01"),
        (["20200101", "20200102", "20200103"], "D", "2020-01-01"),
        ([" 2020-01-01 10:30", "2020-01-01T11:30 ", "2020-01-01 12:30:00.000"], "h", "2020-01-01 10:30"),
        (["2020-01-01T00:00Z", "2020-01-01T01:00Z", "2020-01-01T02:00Z"], "h", "2020-01-01 00:00+00:00"),
        (["2020-01-01T01:30+01:30", "2020-01-01T02:00+01:00", "2019-12-31T21:00-0500"], "h", "2020-01-01 00:00+00:00"),
        (["1", "3", "5"], "2", "1"),
        (["202001", "202002", "202003"], "1", "202001"),
        ([1700, 1701, 1702], "1", "1700"),
        ([1700.0, 1701.0, 1702.0], "1", "1700"),
    ],
)
def test_times_of_every_kind(kind: str, times: list[object], name: str, first: str) -> None:
    series = read_series(frame(kind, ds=times))
    assert series.frequency.name == name
    assert format_time(series.times(0)[0], series.frequency.time_zone) == first


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [["x", "x", "x"], [7, 7, 7], [-1, -1, -1]])
def test_ids_of_every_kind(kind: str, ids: list[object]) -> None:
    assert read_series(frame(kind, unique_id=ids)).ids == ids[:1]


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series(["x"] * 3, dtype="category"),
        pd.Series(["x"] * 3, dtype=object),
        pl.Series(["x"] * 3, dtype=pl.Categorical),
    ],
)
def test_categories_and_objects_are_ids(ids: object) -> None:
    assert read_series(frame("pandas" if isinstance(ids, pd.Series) else "polars", unique_id=ids)).ids == ["x"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [[1, 2, 3], [1.0, 2.0, 3.0], ["1", " 2.0", "3e0"], [True + 0, 2, 3]])
def test_values_of_every_kind(kind: str, values: list[object]) -> None:
    assert read_series(frame(kind, y=values)).flat_values.tolist() == [1, 2, 3]


def test_values_in_types_of_their_own() -> None:
    for values in (
        pd.Series([1, 2, 3], dtype="Int64"),
        pd.Series([1, 2, 3], dtype="float32"),
        pd.Series([1, "2", 3.0]),
    ):
        assert read_series(frame("pandas", y=values)).flat_values.tolist() == [1, 2, 3]
    assert read_series(frame(y=pl.Series(["1.5", "2", "3"]).cast(pl.Decimal(10, 2)))).flat_values.tolist() == [
        1.5,
        2,
        3,
    ]


def test_a_constant_series_and_other_column_names() -> None:
    series = read_series(
        pl.DataFrame({"shop": ["a", "a"], "day": DAYS[:2], "sales": [5, 5]}),
        id_col="shop",
        time_col="day",
        target_col="sales",
    )
    assert series.flat_values.tolist() == [5, 5]
    assert (series.id_col, series.time_col, series.target_col) == ("shop", "day", "sales")


def test_without_an_id_column_it_is_one_series() -> None:
    bare = frame().drop("unique_id")
    for series in (read_series(bare), read_series(bare, id_col=None), read_series(frame(), id_col=None)):
        assert series.ids == ["series"]
        assert series.id_col == "unique_id"


def test_without_an_id_column_no_stamp_may_occur_twice() -> None:
    with pytest.raises(
        DataError,
        match=r"a column 'unique_id', .* got 2020-01-02 twice, at row 1 \(counted from 0\) and row 2 \(counted",
    ):
        read_series(frame(ds=[DAYS[0], DAYS[1], DAYS[1]]).drop("unique_id"))


@pytest.mark.parametrize("name", ["id_col", "time_col", "target_col"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_column_lists_those_there(kind: str, name: str) -> None:
    with pytest.raises(
        DataError, match="read_series: expected a column 'shop', got the columns 'unique_id', 'ds', 'y'"
    ):
        read_series(frame(kind), **{name: "shop"})


def test_column_mistakes() -> None:
    with pytest.raises(DataError, match=r"expected a column 'ds', got the columns 'y'; .*reset_index"):
        read_series(frame("pandas").set_index(["unique_id", "ds"]))
    with pytest.raises(DataError, match=r"column names that differ, got \['ds', 'y', 'y'\]"):
        read_series(pd.DataFrame([[1, 2, 3]], columns=["ds", "y", "y"]))
    with pytest.raises(DataError, match="columns that differ, got 'y' named twice"):
        read_series(frame(), time_col="y")
    with pytest.raises(DataError, match=r"got the columns \(none\)"):
        read_series(pl.DataFrame())


@pytest.mark.parametrize("wrong", [[1, 2], {"ds": [1], "y": [1]}, None, "frame.csv"])
def test_what_is_no_frame_is_named(wrong: object) -> None:
    with pytest.raises(ArgumentTypeError, match=f"got builtins.{type(wrong).__name__}"):
        read_series(wrong)


def test_a_lazy_frame_says_collect() -> None:
    with pytest.raises(ArgumentTypeError, match=r"got polars.LazyFrame; call .collect\(\) first"):
        read_series(frame().lazy())


def test_an_empty_frame() -> None:
    with pytest.raises(DataError, match="expected one row or more, got an empty frame; give rows of ds and y"):
        read_series(frame().head(0))


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (["2020-01-01", "2020-02-30", "x"], r"'2020-02-30' at row 1 \(counted from 0\) \(and in 1 more row\)"),
        (["2020-01-01", "2020-01-02", "01/03/2020"], r"'01/03/2020' at row 2"),
        (["2020-01-01", "2020-01-02", "2020-0103"], r"'2020-0103' at row 2"),
        (["2020-01-01", "today", "2020-01-03"], r"'today' at row 1"),
        (["2020-01-01", "2020-01-02 25:00", "2020-01-03"], r"'2020-01-02 25:00' at row 1"),
        (["2020-01-01", "", "2020-01-03"], r"'' at row 1"),
        (["", "-", "NA"], r"'' at row 0 \(counted from 0\) \(and in 2 more rows\)"),
        (["1", "2", "2020-01-01"], r"'1' at row 0"),
        ([1.0, 2.5, 3.0], r"2.5 at row 1"),
        ([1.0, 2.0, float("inf")], r"inf at row 2"),
        ([1.0, 2.0, 1e300], r"1e\+300 at row 2"),
    ],
)
def test_an_unreadable_date_is_shown_with_its_row(times: list[object], shown: str) -> None:
    for kind in KINDS:
        with pytest.raises(DataError, match=f"expected an ISO 8601 date .* in every row of ds, got {shown}"):
            read_series(frame(kind, ds=times))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [[DAYS[0], None, DAYS[2]], ["2020-01-01", None, "2020-01-03"]])
def test_a_missing_date_is_named_by_row(kind: str, times: list[object]) -> None:
    with pytest.raises(DataError, match=r"every row of ds, got none at row 1 \(counted from 0\); fill"):
        read_series(frame(kind, ds=times))


def test_times_of_other_types_are_named() -> None:
    with pytest.raises(DataError, match=r"got type period\[M\]"):
        read_series(frame("pandas", ds=pd.period_range("2020-01", periods=3, freq="M")))
    with pytest.raises(DataError, match="integers or ISO text in ds, got type Boolean"):
        read_series(frame(ds=[True, False, True]))
    with pytest.raises(DataError, match="every row of ds or in none, got '2020-01-01 01:00' without one at row 1"):
        read_series(frame(ds=["2020-01-01 00:00Z", "2020-01-01 01:00", "2020-01-01 02:00Z"]))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_are_missing_or_of_another_type(kind: str) -> None:
    with pytest.raises(DataError, match=r"an id in every row of unique_id, got none at row 1 \(counted from 0\); fill"):
        read_series(frame(kind, unique_id=["a", None, "a"]))
    with pytest.raises(DataError, match=r"text or integers in unique_id, got type (float64|Float64|double)"):
        read_series(frame(kind, unique_id=[0.5, 0.5, 0.5]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["NA", "-", "null", "", "nan", "inf", "1e999", "1,5", "0x10", "1_000", "True"])
def test_text_that_is_no_number_is_shown_with_row_series_and_stamp(kind: str, value: str) -> None:
    where = r"at row 1 \(counted from 0\), series 'a', ds 2020-01-02;"
    with pytest.raises(DataError, match=f"a finite number in every row of y, got {re.escape(repr(value))} {where}"):
        read_series(frame(kind, y=["1", value, "3"]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "a missing value"), (float("nan"), "a missing value"), (float("inf"), "inf"), (float("-inf"), "-inf")],
)
def test_numbers_that_are_not_finite_are_shown(kind: str, value: object, shown: str) -> None:
    with pytest.raises(DataError, match=f"got {shown}.* at row 1 .*, series 'a', ds 2020-01-02 .and in 1 more row.;"):
        read_series(frame(kind, y=[1.0, value, value]))


def test_targets_of_other_types_are_named() -> None:
    for values, kind in (([True, False, True], "Boolean"), (DAYS, "Datetime"), ([[1], [2], [3]], "List")):
        with pytest.raises(DataError, match=f"expected numbers in y, got type {kind}"):
            read_series(frame(y=values))
    with pytest.raises(DataError, match=r"got \[1\] at row 0"):
        read_series(frame("pandas", y=pd.Series([[1], [2], [3]])))
    with pytest.raises(DataError, match="got True at row 2"):
        read_series(frame("pandas", y=pd.Series([1, 2, True], dtype=object)))


def test_duplicates_name_series_stamp_and_rows() -> None:
    with pytest.raises(
        DataError,
        match=r"got two for series 'a' at 2020-01-01: row 0 \(counted from 0\) and row 2 \(counted from 0\); drop",
    ):
        read_series(frame(ds=[DAYS[0], DAYS[1], DAYS[0]]))


def test_gaps_and_short_series() -> None:
    with pytest.raises(
        DataError, match=r"read_series: expected a row every D step, got none for 2020-01-03 in series 'a'"
    ):
        read_series(
            pl.concat([frame(), frame(ds=[datetime.datetime(2020, 1, day) for day in (6, 7, 8)])]).filter(
                pl.col("ds") != DAYS[2]
            )
        )
    with pytest.raises(
        DataError, match=r"expected 4 or more values in every series, got 3 in series 'a'; give a longer"
    ):
        read_series(frame(), min_length=4)
    with pytest.raises(DataError, match=r"got 1 in series 'b' \(2 series are too short\)"):
        read_series(frame(unique_id=["b", "c", "b"]).head(2), min_length=2)
    with pytest.raises(ArgumentError, match="got 'weekly'"):
        read_series(frame(), freq="weekly")


def test_messages_can_speak_for_a_file() -> None:
    with pytest.raises(DataError, match=r"^sales.csv: .* got 'x' at line 12, series 'a'"):
        read_series(frame(y=["1", "x", "3"]), who="sales.csv", place=lambda row: f"line {row + 11}")


def test_zone_aware_frames_across_a_clock_change() -> None:
    stamps = pd.date_range("2021-03-20", periods=30, freq="D", tz="Europe/Berlin")
    aware = pd.DataFrame({"ds": stamps, "y": np.arange(30.0)})
    for table in (aware, pl.from_pandas(aware), pa.Table.from_pandas(aware)):
        series = read_series(table)
        assert (series.frequency.name, series.frequency.time_zone) == ("D", "Europe/Berlin")
        np.testing.assert_array_equal(series.flat_times, stamps.tz_convert(None).to_numpy().astype("datetime64[us]"))


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    kind=st.sampled_from(sorted(KINDS)),
    freq=st.sampled_from(["h", "D", "B", "W-WED", "MS", "QE", "YS"]),
)
def test_a_shuffled_frame_gives_the_same_series(data: st.DataObject, kind: str, freq: str) -> None:
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    starts = [data.draw(st.integers(0, 400)) for _ in lengths]
    grid = pd.date_range("2015-01-01", periods=500, freq=freq).to_numpy().astype("datetime64[us]")
    ids = [f"s{number}" for number, length in enumerate(lengths) for _ in range(length)]
    times = np.concatenate([grid[start : start + length] for start, length in zip(starts, lengths, strict=True)])
    values = np.arange(len(ids), dtype=np.float64)
    order = np.array(data.draw(st.permutations(range(len(ids)))))
    series = read_series(
        KINDS[kind]({"unique_id": [ids[row] for row in order], "ds": times[order], "y": values[order]}), freq=freq
    )
    assert sorted(series.ids) == sorted(set(ids))
    for number, name in enumerate(series.ids):
        rows = [row for row, other in enumerate(ids) if other == name]
        np.testing.assert_array_equal(series.values(number), values[rows])
        np.testing.assert_array_equal(series.times(number), times[rows])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=6), st.integers(-5, 5), st.floats(width=32)), min_size=1, max_size=5
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(-5, 5), st.dates()), min_size=5, max_size=5),
)
def test_anything_gives_series_or_a_data_error(values: list[object], times: list[object]) -> None:
    rows = len(values)
    junk = pd.DataFrame({"ds": pd.Series(times[:rows], dtype=object), "y": pd.Series(values, dtype=object)})
    try:
        read = read_series(junk)
    except DataError:
        return
    assert isinstance(read, SeriesSet)
    assert np.isfinite(read.flat_values).all()


def test_ten_thousand_series_take_no_loop_over_rows() -> None:
    size, length = 10_000, 150
    big = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(size), length),
            "ds": np.tile(np.arange(length), size),
            "y": np.zeros(size * length),
        }
    )
    start = time.perf_counter()
    series = read_series(big)
    # 0.4 s of one core were measured for these 1.5 million rows; Python work on each takes longer than the bound.
    assert time.perf_counter() - start < 4
    assert len(series) == size
    assert series.future_times(2)[-1].tolist() == [150, 151]


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    table = frame()
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(MissingExtraError, match=r"narwhals, .*pip install 'throughtime\[frames\]'"):
        read_series(table)
