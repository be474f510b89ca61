"""Holidays: which dates there are, how many lie in a step, and files of them."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from throughtime.data import Frequency, holiday_dates, holiday_features, read_holidays
from throughtime.data.times.frequency import parse_alias
from throughtime.errors import ArgumentTypeError, DataError


def utc(index: pd.DatetimeIndex) -> np.ndarray:
    plain = index.tz_localize(None) if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    return plain.to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize(
    "dates",
    [
        ["2020-01-06", "2020-01-01"],
        {datetime.date(2020, 1, 1), datetime.date(2020, 1, 6)},
        [datetime.datetime(2020, 1, 1, 12), np.datetime64("2020-01-06")],
        [pd.Timestamp("2020-01-01", tz="Europe/Berlin"), pd.Timestamp("2020-01-06")],
        pd.to_datetime(["2020-01-01", "2020-01-06"]),
        pl.Series(["2020-01-01", "2020-01-06"]).str.to_date(),
        ["2020-01-01", "2020-01-06", "2020-01-06"],
    ],
)
def test_dates_of_every_kind(dates: object) -> None:
    days = utc(pd.date_range("2019-12-31", periods=8))
    features, names = holiday_features(days, parse_alias("D"), dates)  # type: ignore[arg-type]
    assert names == ("holiday",)
    assert features[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]


def test_a_holiday_is_a_day_of_the_wall_clock() -> None:
    index = pd.date_range("2020-12-24", periods=72, freq="h", tz="Australia/Melbourne")
    frequency = Frequency("h", "microseconds", 3_600_000_000, time_zone="Australia/Melbourne")
    features, names = holiday_features(
        utc(index), frequency, {"Christmas": ["2020-12-25"], "Boxing Day": ["2020-12-26"]}
    )
    assert names == ("Christmas", "Boxing Day")
    assert features.sum(axis=0).tolist() == [24, 24]
    assert features[24:48, 0].all()


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("W-MON", [0, 0, 2, 1]),  # the weeks that begin on December 9, 16, 23 and 30
        ("MS", [2, 1, 0, 0]),  # the months that begin on December 1, January 1, ...
        ("ME", [2, 1, 0, 0]),  # the months that end on December 31, January 31, ...
        ("QE", [2, 1, 0, 0]),
        ("YS", [1, 0, 0, 0]),  # the years from 2020 on
    ],
)
def test_longer_steps_count_their_days(freq: str, expected: list[int]) -> None:
    start = "2019-12-01" if freq == "MS" else "2019-12-09"
    features, _ = holiday_features(
        utc(pd.date_range(start, periods=4, freq=freq)), parse_alias(freq), ["2019-12-26", "2019-12-28", "2020-01-01"]
    )
    assert features[:, 0].tolist() == expected


def test_a_weekend_holiday_falls_into_the_step_from_friday_to_monday() -> None:
    stamps = utc(pd.date_range("2020-01-02", periods=4, freq="B"))  # Thursday, Friday, Monday, Tuesday
    features, _ = holiday_features(stamps, parse_alias("B"), ["2020-01-04", "2020-01-06"])
    assert features[:, 0].tolist() == [0, 1, 1, 0]


def test_holidays_that_are_none() -> None:
    days = utc(pd.date_range("2020-01-01", periods=3))
    for wrong, shown in (
        (["2020-02-30"], "'2020-02-30'"),
        ([7], "7 .of type int"),
        ([pd.NaT], "NaT"),
        (["soon"], "'soon'"),
    ):
        with pytest.raises(DataError, match=f"dates such as 2024-12-25 for 'x', got {shown}"):
            holiday_features(days, parse_alias("D"), {"x": wrong})
    for lone in ("2020-01-01", 5, None):
        with pytest.raises(ArgumentTypeError, match=f"dates of 'x' in a list, got {type(lone).__qualname__}: {lone!r}"):
            holiday_features(days, parse_alias("D"), {"x": lone})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="dates in the time column, got integers"):
        holiday_features(np.arange(3), parse_alias(1), ["2020-01-01"])
    assert holiday_features(days, parse_alias("D"), {})[0].shape == (3, 0)


def test_one_form_for_all() -> None:
    given = {"b": [datetime.date(2024, 5, 1), "2023-05-01", "2024-05-01"], "a": ("2024-12-25",)}
    assert holiday_dates(given) == {"b": ("2023-05-01", "2024-05-01"), "a": ("2024-12-25",)}
    assert holiday_dates(["2024-05-01"]) == {"holiday": ("2024-05-01",)}
    assert holiday_dates(holiday_dates(given)) == holiday_dates(given)
    for wrong, shown in (("2024-05-01", "str: '2024-05-01'"), (5, "int: 5")):
        with pytest.raises(ArgumentTypeError, match=f"fit: expected dates by name, or a list of dates, got {shown}"):
            holiday_dates(wrong, "fit")
    with pytest.raises(ArgumentTypeError, match="names of holidays as text, got 7"):
        holiday_dates({7: ["2024-05-01"]})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="a date or more for 'x', got none"):
        holiday_dates({"x": []})


@pytest.mark.parametrize("kind", ["named", "bare", "parquet"])
def test_files_of_holidays(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("h.parquet" if kind == "parquet" else "h.csv")
    if kind == "parquet":
        days = [datetime.datetime(2024, 12, 25), datetime.datetime(2024, 1, 1)]
        pl.DataFrame({"ds": days, "holiday": ["Christmas", "New Year"], "country": "DE"}).write_parquet(path)
    elif kind == "named":
        path.write_text("ds;holiday\n2024-12-25;Christmas\n2024-01-01; New Year \n")
    else:
        path.write_text("ds\n2024-12-25\n2024-01-01\n")
    dates = {"Christmas": ("2024-12-25",), "New Year": ("2024-01-01",)}
    assert read_holidays(path) == ({"holiday": ("2024-01-01", "2024-12-25")} if kind == "bare" else dates)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date\n2024-12-25\n", "a column 'ds' of dates, got the columns 'date'"),
        ("ds\n2024-12-25\n25.12.2024\n", "line 3: expected a date such as 2024-12-25, got '25.12.2024'"),
        ("ds,holiday\n2024-12-25,\n", "a holiday in every row of holiday, got none at line 2"),
        ("ds\n", "rows below the header"),
    ],
)
def test_a_file_that_says_no_holidays(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"h.csv.*{said}"):
        read_holidays(path)
