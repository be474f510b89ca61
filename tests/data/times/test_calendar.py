"""Calendar features against pandas, which shares none of this code."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from throughtime.data import Frequency, calendar_features, calendar_names, holiday_features
from throughtime.data.times.frequency import parse_alias
from throughtime.errors import ArgumentTypeError, DataError

DAYS = ("day of week", "day of month", "day of year")
COUNTS = {
    "second of minute": (lambda index: index.second, 59),
    "minute of hour": (lambda index: index.minute, 59),
    "hour of day": (lambda index: index.hour, 23),
    "day of week": (lambda index: index.day_of_week, 6),
    "day of month": (lambda index: index.day - 1, 30),
    "day of year": (lambda index: index.day_of_year - 1, 365),
    "week of year": (lambda index: index.isocalendar().week.to_numpy() - 1, 52),
    "month of year": (lambda index: index.month - 1, 11),
}


def utc(index: pd.DatetimeIndex) -> np.ndarray:
    plain = index.tz_localize(None) if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    return plain.to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize(
    ("alias", "names"),
    [
        ("250ms", ("second of minute", "minute of hour", "hour of day", *DAYS)),
        ("s", ("second of minute", "minute of hour", "hour of day", *DAYS)),
        ("15min", ("minute of hour", "hour of day", *DAYS)),
        ("90min", ("minute of hour", "hour of day", *DAYS)),
        ("h", ("hour of day", *DAYS)),
        ("24h", DAYS),
        ("D", DAYS),
        ("2D", DAYS),
        ("B", DAYS),
        ("W-SUN", ("day of month", "week of year")),
        ("2W-MON", ("day of month", "week of year")),
        ("MS", ("month of year",)),
        ("M-15", ("month of year",)),
        ("QE", ("month of year",)),
        ("YS", ()),
        ("2YE", ()),
        (3, ()),
    ],
)
def test_what_a_step_allows_is_what_pandas_reads_off_the_stamp(alias: str | int, names: tuple[str, ...]) -> None:
    frequency = parse_alias(alias)
    assert calendar_names(frequency) == names
    if frequency.is_integer:
        features, found = calendar_features(np.arange(6).reshape(2, 3), frequency)
        assert (features.shape, found) == ((2, 3, 0), ())
        return
    index = pd.date_range("1999-12-28", periods=2400, freq="MS" if alias == "M-15" else alias)
    features, found = calendar_features(utc(index).reshape(4, 600), frequency)
    assert found == names
    assert features.shape == (4, 600, len(names))
    for column, name in enumerate(names):
        count, last = COUNTS[name]
        expected = np.asarray(count(index), dtype=np.float64) / last - 0.5
        np.testing.assert_array_equal(features[..., column].ravel(), expected, err_msg=name)
    assert np.abs(features).max(initial=0.0) <= 0.5


def test_the_hour_is_that_of_the_wall_clock_across_both_clock_changes() -> None:
    index = pd.date_range("2021-03-26", "2021-11-02", freq="30min", tz="Europe/Berlin")
    frequency = Frequency("30min", "microseconds", 1_800_000_000, time_zone="Europe/Berlin")
    features, names = calendar_features(utc(index), frequency)
    np.testing.assert_array_equal(features[:, names.index("hour of day")], index.hour / 23 - 0.5)
    np.testing.assert_array_equal(features[:, names.index("day of week")], index.day_of_week / 6 - 0.5)


def test_stamps_before_1970_count_upwards_too() -> None:
    index = pd.date_range("1968-02-27 22:00", periods=60, freq="h")
    features, names = calendar_features(utc(index), parse_alias("h"))
    np.testing.assert_array_equal(features[:, 0], index.hour / 23 - 0.5)
    np.testing.assert_array_equal(features[:, names.index("day of year")], (index.day_of_year - 1) / 365 - 0.5)


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
