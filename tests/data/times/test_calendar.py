"""Calendar features against pandas, which shares none of this code."""

import numpy as np
import pandas as pd
import pytest

from throughtime.data import Frequency, calendar_features, calendar_names
from throughtime.data.times.frequency import parse_alias

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
