"""Columns beside the values: what is read, what follows the series, and what is refused."""

import json
import logging

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime.data import Covariates, SeriesSet, read_series
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
COLUMNS = {
    "unique_id": ["b", "a", "b", "a", "a"],
    "ds": [2, 9, 1, 7, 8],
    "y": [4.0, 3.0, 5.0, 1.0, 2.0],
    "temp": [0.2, None, 0.1, 0.7, 0.8],
    "open": [True, False, False, True, True],
    "price": [2, 9, 1, 7, 8],
    "size": [20, 10, 20, 10, 10],
    "kind": ["shop", "kiosk", "shop", "kiosk", "kiosk"],
}
ROLES = {"past": ["temp"], "future": ["open", "price"], "static": ["kind", "size"]}


def frame(library: str = "polars", **columns: object):  # type: ignore[no-untyped-def]
    return KINDS[library](COLUMNS | columns)


def known(series: SeriesSet) -> Covariates:
    assert series.covariates is not None
    return series.covariates


@pytest.mark.parametrize("kind", KINDS)
def test_each_column_follows_its_row_and_its_series(kind: str) -> None:
    series = read_series(frame(kind), **ROLES)
    found = known(series)
    assert series.ids == ["b", "a"]
    assert found.past_names == ("temp",)
    np.testing.assert_array_equal(found.past, [[0.1], [0.2], [0.7], [0.8], [np.nan]])
    assert found.future_names == ("open", "price")
    np.testing.assert_array_equal(found.future, [[0, 1], [1, 2], [1, 7], [1, 8], [0, 9]])
    assert (found.static_numeric_names, found.static_numeric.tolist()) == (("size",), [[20], [10]])
    assert (found.static_category_names, found.categories) == (("kind",), (("kiosk", "shop"),))
    assert found.static_categories.tolist() == [[2], [1]]
    assert found.labels(0) == ["shop", "kiosk"]
    assert read_series(frame(kind)).covariates is None


def test_they_follow_subset_tail_and_cut() -> None:
    series = read_series(frame(), **ROLES)
    one = known(series.subset([1]))
    assert one.future.tolist() == [[1, 7], [1, 8], [0, 9]]
    assert (one.static_numeric.tolist(), one.labels(0)) == ([[10]], ["kiosk"])
    assert known(series.tail(1)).future.tolist() == [[1, 2], [0, 9]]
    assert known(series.cut(1)).past.tolist() == [[0.1], [0.7], [0.8]]
    assert known(series.cut(1)).static_numeric.tolist() == [[20], [10]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_comes_back_with_them(kind: str) -> None:
    series = read_series(frame(kind, kind=["shop", None, "shop", None, None]), **ROLES)
    again = read_series(series.to_frame(), **ROLES)
    assert again.ids == series.ids
    np.testing.assert_array_equal(known(again).past, known(series).past)
    np.testing.assert_array_equal(known(again).future, known(series).future)
    assert known(again).labels(0) == known(series).labels(0) == ["shop", None]
    assert known(series).static_categories.tolist() == [[1], [0]]


def test_labels_keep_their_numbers_and_unseen_ones_are_unknown_and_said(caplog: pytest.LogCaptureFixture) -> None:
    fitted = known(read_series(frame(), **ROLES))
    later = frame(kind=["mall", "kiosk", "mall", "kiosk", "kiosk"], size=["20", "10", "20", "10", "10"])
    with caplog.at_level(logging.WARNING, logger="throughtime"):
        found = known(read_series(later, fitted=fitted, who="predict"))
    assert found.labels(0) == [None, "kiosk"]
    assert found.static_categories.tolist() == [[0], [1]]
    assert found.static_numeric.tolist() == [[20], [10]]
    assert found.categories == fitted.categories
    assert [record.getMessage() for record in caplog.records] == [
        "predict: 1 label of kind not seen in training ('mall'), handled as unknown"
    ]


def test_a_column_keeps_the_kind_that_training_gave_it() -> None:
    labels = read_series(frame(size=["20", "10", "20", "10", "10"]), static=["size"])
    assert known(labels).categories == (("10", "20"),)
    found = known(read_series(frame(), fitted=known(labels)))
    assert (found.static_numeric_names, found.labels(0)) == ((), ["20", "10"])


def test_names_and_vocabularies_survive_json() -> None:
    fitted = known(read_series(frame(), **ROLES))
    again = Covariates.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.to_json() == fitted.to_json()
    assert known(read_series(frame(), fitted=again)).static_categories.tolist() == [[2], [1]]
    for change in ({"past_names": [1]}, {"categories": []}, {"more": 1}, {"categories": [["a", 2]]}):
        with pytest.raises(DataError, match=next(iter(change))):
            Covariates.from_json({**fitted.to_json(), **change})


def test_ten_thousand_series_have_statics_without_a_loop() -> None:
    S, T = 10_000, 20
    series = read_series(
        pl.DataFrame(
            {
                "unique_id": np.repeat(np.arange(S), T),
                "ds": np.tile(np.arange(T), S),
                "y": np.zeros(S * T),
                "kind": pl.Series(np.repeat(np.arange(S) % 7, T)).cast(pl.String),
            }
        ),
        static="kind",
    )
    assert known(series).labels(0)[-1] == str((S - 1) % 7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("role", "column", "values", "message"),
    [
        (
            "past",
            "temp",
            ["1", "x", "3", "4", "5"],
            r"number in every row of temp, got 'x' at row 1 .*series 'a', ds 9",
        ),
        ("past", "temp", [1.0, 2.0, float("inf"), 4.0, 5.0], r"every row of temp, got inf at row 2 .*series 'b', ds 1"),
        ("future", "price", [1, 2, None, 4, 5], r"price, which is known .* every step of series 'b', got none for 1;"),
        ("future", "price", [1, None, 3, None, 5], r"series 'a', got none for 7 \(and in 1 more step\); fill it in"),
        ("future", "open", ["yes", "no", "no", "no", "no"], r"every row of open, got 'yes' at row 0 .*more rows\)"),
        ("static", "size", [20, 10, 21, 10, 10], r"static column size in every series, got 20.0 and 21.0 at row 2"),
        ("static", "size", [20, None, 20, None, None], r"number in size for every series, got none in series 'a'"),
        ("static", "kind", ["s", "k", "t", "k", "k"], r"static column kind in every series, got 's' and 't' at row 2"),
    ],
)
def test_a_wrong_column_is_named_with_its_value(
    kind: str, role: str, column: str, values: list[object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_series(frame(kind, **{column: values}), **{role: [column]})


def test_a_column_of_another_type_is_named() -> None:
    with pytest.raises(DataError, match=r"expected numbers in temp, got type List"):
        read_series(frame(temp=[[1]] * 5), past="temp")


def test_a_missing_row_of_a_known_future_column_is_named() -> None:
    gaps = frame(ds=[2, 10, 1, 7, 8])
    with pytest.raises(
        DataError, match="open, which is known for the future too, in every step of series 'a', got none"
    ):
        read_series(gaps, future="open", missing="keep")
    found = known(read_series(gaps, past=["temp", "open"], missing="keep"))
    np.testing.assert_array_equal(found.past[2:], [[0.7, 1], [0.8, 1], [np.nan, np.nan], [np.nan, 0]])


def test_names_that_cannot_be() -> None:
    with pytest.raises(DataError, match="expected a column 'humidity', got the columns 'unique_id', 'ds', 'y', 'temp'"):
        read_series(frame(), past=["humidity"])
    with pytest.raises(DataError, match="expected columns that differ, got 'y' named twice"):
        read_series(frame(), future="y")
    with pytest.raises(DataError, match="expected columns that differ, got 'temp' named twice"):
        read_series(frame(), past="temp", future="temp")
    with pytest.raises(ArgumentError, match="columns of static that differ, got 'kind' twice"):
        read_series(frame(), static=["kind", "kind"])
    with pytest.raises(ArgumentTypeError, match=r"expected past to be names of columns, got \[1\]"):
        read_series(frame(), past=[1])  # type: ignore[list-item]
    fitted = known(read_series(frame(), **ROLES))
    with pytest.raises(ArgumentError, match=r"got both: fitted and .*'past': \('temp',\)"):
        read_series(frame(), past="temp", fitted=fitted)
    with pytest.raises(ArgumentError, match="expected missing to be one of refuse, keep, keep-all, got 'drop'"):
        read_series(frame(), missing="drop")
