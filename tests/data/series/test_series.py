"""SeriesSet and the way back to a frame."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime.data import SeriesSet, build_frame, read_series
from throughtime.errors import ArgumentError, DataError


@pytest.fixture
def three() -> SeriesSet:
    return read_series(
        pl.DataFrame({"unique_id": ["a"] * 4 + ["b"] * 2 + ["c"] * 3, "ds": [1, 2, 3, 4, 8, 9, 1, 2, 3], "y": range(9)})
    )


def rows(series: SeriesSet) -> dict[object, list[float]]:
    return {name: series.values(number).tolist() for number, name in enumerate(series.ids)}


def test_views_and_lengths(three: SeriesSet) -> None:
    assert len(three) == 3
    assert three.lengths.tolist() == [4, 2, 3]
    assert three.last_times.tolist() == [4, 9, 3]
    assert three.future_times(2).tolist() == [[5, 6], [10, 11], [4, 5]]
    assert three.values(-1).tolist() == [6, 7, 8]
    assert np.shares_memory(three.values(1), three.flat_values)
    assert three.ids_at([2, 0, 0]).tolist() == ["c", "a", "a"]
    assert repr(three) == "SeriesSet(3 series, 9 values, freq 1, 1 to 9)"


def test_subset_by_mask_and_by_numbers(three: SeriesSet) -> None:
    assert rows(three.subset(three.lengths > 2)) == {"a": [0, 1, 2, 3], "c": [6, 7, 8]}
    assert rows(three.subset([2, 1])) == {"c": [6, 7, 8], "b": [4, 5]}
    nothing = three.subset(np.zeros(3, dtype=bool))
    assert (len(nothing), nothing.flat_values.size, nothing.offsets.tolist()) == (0, 0, [0])
    assert repr(nothing) == "SeriesSet(0 series, 0 values, freq 1)"


def test_tail_and_cut(three: SeriesSet) -> None:
    assert rows(three.tail(3)) == {"a": [1, 2, 3], "b": [4, 5], "c": [6, 7, 8]}
    assert three.tail(3).times(0).tolist() == [2, 3, 4]
    assert rows(three.cut(1)) == {"a": [0, 1, 2], "b": [4], "c": [6, 7]}
    assert rows(three.cut(0)) == rows(three)
    with pytest.raises(DataError, match="expected more than 2 values in every series, got 2 in series 'b'"):
        three.cut(2)
    with pytest.raises(ArgumentError, match=r"SeriesSet\.tail: expected n of 1 or more, got 0"):
        three.tail(0)
    with pytest.raises(ArgumentError, match=r"SeriesSet\.cut: expected n of 0 or more, got -1"):
        three.cut(-1)


AWARE = pd.date_range("2021-03-27", periods=3, freq="D", tz="Europe/Berlin")
POLARS = [
    pl.Series([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]),
    pl.Series([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)]).cast(pl.Datetime("ms")),
    pl.Series([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)]).cast(pl.Datetime("ns")),
    pl.Series(AWARE.tz_localize(None)[:2].to_numpy()).dt.replace_time_zone("Europe/Berlin"),
    pl.Series([1, 2], dtype=pl.Int16),
    pl.Series([1.0, 2.0]),
    pl.Series(["1", "2"]),
    pl.Series(["2020-01", "2020-02"]),
    pl.Series(["2020-01-30", "2020-01-31"]),
    pl.Series(["20200130", "20200131"]),
    pl.Series(["2020-01-30 00:00", "2020-01-30 01:00"]),
    pl.Series(["2020-01-30T00:00:00Z", "2020-01-30T01:00:00Z"]),
    pl.Series(["2020-01-30", "2020-01-31"]).cast(pl.Categorical),
]


@pytest.mark.parametrize(
    "ids", [pl.Series(["x", "x"]), pl.Series([3, 3], dtype=pl.UInt8), pl.Series(["x", "x"]).cast(pl.Categorical)]
)
@pytest.mark.parametrize("times", POLARS, ids=lambda column: str(column.dtype) + str(column[0]))
def test_a_polars_frame_comes_back_as_it_came(ids: pl.Series, times: pl.Series) -> None:
    before = pl.DataFrame({"unique_id": ids, "ds": times, "y": [1.5, 2.5]})
    after = read_series(before).to_frame()
    assert after.schema == before.schema
    assert after.equals(before)


@pytest.mark.parametrize(
    "times",
    [
        AWARE,
        AWARE.tz_localize(None),
        AWARE.tz_localize(None).astype("datetime64[ns]"),
        pd.date_range("2021-03-27", periods=3, freq="h", tz="UTC+01:00"),
        pd.Series(["2020-01-01", "2020-01-02", "2020-01-03"]),
        pd.Series(["2020-01-01", "2020-01-02", "2020-01-03"], dtype=object).rename("x"),
        pd.Series([1, 2, 3], dtype="int32"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_pandas_frame_comes_back_as_it_came(times: pd.Series) -> None:
    before = pd.DataFrame({"unique_id": ["a"] * 3, "ds": times, "y": [1.0, 2.0, 3.0]})
    after = read_series(before).to_frame()
    assert list(after.columns) == list(before.columns)
    assert after["ds"].tolist() == before["ds"].tolist()
    if before["ds"].dtype != object:
        assert after["ds"].dtype == before["ds"].dtype


@pytest.mark.parametrize(
    "times",
    [
        pa.array([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]),
        pa.array(AWARE[:2].to_pydatetime(), type=pa.timestamp("us", tz="Europe/Berlin")),
        pa.array(["2020-01-01", "2020-01-02"]),
        pa.array([1, 2], type=pa.int32()),
    ],
    ids=lambda column: str(column.type),
)
def test_an_arrow_table_comes_back_as_it_came(times: pa.Array) -> None:
    before = pa.table({"unique_id": pa.array(["a", "a"]), "ds": times, "y": pa.array([1.0, 2.0])})
    after = read_series(before).to_frame()
    assert isinstance(after, pa.Table)
    assert after.equals(before)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_forecasts_go_out_in_the_same_kind_with_every_time_column_in_the_same_type(kind) -> None:  # type: ignore[no-untyped-def]
    series = read_series(
        kind({"shop": [7, 7], "day": ["2020-01-30", "2020-01-31"], "y": [1, 2]}), id_col="shop", time_col="day"
    )
    out = build_frame(
        {
            "shop": series.ids_at([0, 0]),
            "day": series.future_times(2).ravel(),
            "cutoff": np.repeat(series.last_times, 2),
            "forecast": np.array([0.5, 1.5]),
            "model": np.array(["gru", "gru"]),
        },
        series,
    )
    assert type(out) is type(kind({"x": [1]}))
    records = pl.DataFrame(out if isinstance(out, pl.DataFrame | pa.Table) else out.to_dict("list")).to_dicts()
    base = {"shop": 7, "cutoff": "2020-01-31", "model": "gru"}
    assert records == [
        {**base, "day": "2020-02-01", "forecast": 0.5},
        {**base, "day": "2020-02-02", "forecast": 1.5},
    ]


def test_frames_without_an_id_column_get_one() -> None:
    series = read_series(pl.DataFrame({"ds": [1, 2], "y": [1.0, 2.0]}))
    assert series.to_frame().to_dict(as_series=False) == {"unique_id": ["series"] * 2, "ds": [1, 2], "y": [1.0, 2.0]}


def test_columns_of_unequal_length_are_shown(three: SeriesSet) -> None:
    with pytest.raises(ArgumentError, match=r"columns of one length, got \{'ds': 2, 'forecast': 3\}"):
        build_frame({"ds": np.array([1, 2]), "forecast": np.zeros(3)}, three)
