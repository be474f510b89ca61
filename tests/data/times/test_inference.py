"""Which step a set of series has, and how a series that leaves it is named."""

import re

import numpy as np
import pandas as pd
import pytest

from throughtime.data.times.frequency import parse_alias
from throughtime.data.times.inference import check_regular, find_frequency, infer_frequency, is_regular
from throughtime.errors import ArgumentError, DataError


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def check(times: np.ndarray, offsets: list[int] | None = None, freq: object = None) -> None:
    ends = np.array(offsets or [0, len(times)])
    frequency = find_frequency(times, ends, None, freq, "frame")
    check_regular(times, ends, frequency, lambda series: f"'s{series}'", "frame", "ds")


def every(freq: str, periods: int, start: str = "2020-01-01") -> np.ndarray:
    return pd.date_range(start, periods=periods, freq=freq).to_numpy().astype("datetime64[us]")


def test_short_series_are_read_with_the_others() -> None:
    times = np.concatenate([every("MS", 2), every("MS", 1), every("MS", 12, "2021-05-01")])
    check(times, [0, 2, 3, 15])
    assert infer_frequency(times, np.array([0, 2, 3, 15]), None).name == "MS"


@pytest.mark.parametrize(
    ("times", "name"),
    [
        (stamps("2020-01-01", "2020-02-01"), "MS"),
        (stamps("2020-01-31", "2020-02-29"), "ME"),
        (stamps("2020-01-01", "2020-01-29"), "4W-WED"),
        (stamps("2020-04-30", "2020-06-30", "2020-08-31"), "2ME"),
        (stamps("2020-01-15", "2020-02-15", "2020-03-15"), "M-15"),
        (stamps("2020-07-01", "2021-07-01"), "YS"),
        (stamps("2020-01-03", "2020-01-06"), "3D"),
        (stamps("2020-01-02", "2020-01-03", "2020-01-06"), "B"),
        (stamps("2020-01-06", "2020-01-07", "2020-01-08"), "D"),
        (stamps("2020-01-06 12:00", "2020-01-08 00:00"), "36h"),
        (stamps("2020-01-06 00:00:00.25", "2020-01-06 00:00:00.5"), "250ms"),
        (np.array([10, 15, 20]), "5"),
        (np.array([-2, -1, 0]), "1"),
    ],
)
def test_the_step_of_a_few_stamps(times: np.ndarray, name: str) -> None:
    assert infer_frequency(times, np.array([0, len(times)]), None).name == name
    check(times)


def test_weeks_of_several_weekdays_are_weeks() -> None:
    times = np.concatenate([every("W-MON", 5), every("W-FRI", 5)])
    assert infer_frequency(times, np.array([0, 5, 10]), None).name == "W"
    check(times, [0, 5, 10])
    check(times[:5], freq="W")
    with pytest.raises(DataError, match="on the grid of freq 'W-MON', got 2020-01-03 in series 's1'"):
        check(times, [0, 5, 10], freq="W-MON")


def test_24_hours_in_a_zone_that_changes_its_clock_are_not_days() -> None:
    utc = every("D", 200, "2021-01-01")
    frequency = infer_frequency(utc, np.array([0, 200]), "Europe/Berlin")
    assert frequency.name == "24h"
    np.testing.assert_array_equal(frequency.shift(utc[:-1], 1), utc[1:])


def test_nothing_to_infer_from() -> None:
    with pytest.raises(DataError, match="frame: expected a series with two or more time stamps to infer freq from"):
        find_frequency(every("D", 2), np.array([0, 1, 2]), None, None, "frame")
    check(every("D", 2), [0, 1, 2], freq="D")


@pytest.mark.parametrize("freq", ["h", "15min", "D", "B", "W-TUE", "MS", "ME", "QE", "YS", "M-15"])
def test_a_gap_is_named_by_series_and_first_missing_stamp(freq: str) -> None:
    regular = parse_alias(freq).future(np.datetime64("2019-12-31", "us"), 20)
    regular = regular if freq != "M-15" else regular[1:]
    times = np.concatenate([regular, np.delete(regular, [11, 12])])
    missing = str(regular[11])[:16].replace("T", " ").removesuffix(" 00:00")
    message = rf"frame: expected a row every {freq} step, got none for {re.escape(missing)} in series 's1' \(2 missing"
    with pytest.raises(DataError, match=message):
        check(times, [0, len(regular), len(times)])


def test_a_gap_in_integers_and_how_many_there_are() -> None:
    with pytest.raises(
        DataError, match=r"got none for 4 in series 's0' \(1 missing between 3 and 5, the first of 2 breaks\)"
    ):
        check(np.array([1, 2, 3, 5, 6, 7, 9, 10]))


def test_unequal_steps_say_what_was_expected() -> None:
    times = stamps("2020-01-01 10:00", "2020-01-01 11:00", "2020-01-01 11:30", "2020-01-01 12:30", "2020-01-01 13:30")
    with pytest.raises(
        DataError,
        match=r"expected 2020-01-01 12:00 after 2020-01-01 11:00 in series 's0' \(freq h\), got 2020-01-01 11:30",
    ):
        check(times)


def test_one_month_off_its_day_is_named_as_such() -> None:
    times = stamps("2020-01-01", "2020-02-01", "2020-03-02", "2020-04-01", "2020-05-01")
    with pytest.raises(DataError, match=r"expected 2020-03-01 after 2020-02-01 .*\(freq MS\), got 2020-03-02"):
        check(times)


def test_series_that_disagree_are_named_with_their_steps() -> None:
    times = np.concatenate([every("D", 9), every("MS", 5)])
    with pytest.raises(DataError, match="every series to step by D, got series 's1', which steps by MS"):
        check(times, [0, 9, 14])


@pytest.mark.parametrize(
    ("times", "example"), [([20200130, 20200131, 20200201], "20200130"), ([202011, 202012, 202101], "202011")]
)
def test_integers_that_look_like_dates_get_a_hint(times: list[int], example: str) -> None:
    with pytest.raises(DataError, match=f"if integers such as {example} are dates"):
        check(np.array(times))
    with pytest.raises(DataError, match=r"add the rows that are missing$"):
        check(np.array([1, 2, 4]))


def test_freq_of_the_other_kind_of_time() -> None:
    with pytest.raises(DataError, match="frame: expected dates in the time column for freq 'D', got integers"):
        check(np.arange(5), freq="D")
    with pytest.raises(DataError, match="frame: expected integers in the time column for freq '2', got dates"):
        check(every("D", 3), freq=2)
    with pytest.raises(ArgumentError, match="got 'daily'"):
        check(every("D", 3), freq="daily")


def test_a_freq_off_the_grid_names_the_stamp() -> None:
    with pytest.raises(DataError, match="on the grid of freq 'MS', got 2020-01-15 in series 's0'"):
        check(stamps("2020-01-15"), freq="MS")


def test_a_stored_frequency_moves_to_the_zone_of_the_frame() -> None:
    berlin = pd.date_range("2021-03-01", periods=60, freq="D", tz="Europe/Berlin")
    utc = berlin.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    stored = infer_frequency(every("D", 9), np.array([0, 9]), None)
    found = find_frequency(utc, np.array([0, 60]), "Europe/Berlin", stored)
    np.testing.assert_array_equal(found.future(utc[0], 59), utc[1:])


@pytest.mark.parametrize("integers", [True, False])
def test_fixed_steps_are_regular_within_series_whatever_lies_between_them(integers: bool) -> None:
    whole, broken = np.array([3, 5, 7, 0, 2, 9, 11]), np.array([3, 5, 8, 0, 2, 9, 11])
    frequency = parse_alias(2 if integers else "2us")
    for steps, offsets, regular in (
        (whole, [0, 3, 5, 7], True),
        (broken, [0, 3, 5, 7], False),
        (whole, [0, 3, 7], False),
        (whole[:3], [0, 3], True),
        (broken[:3], [0, 3], False),
        (whole[:1], [0, 1], True),
        (broken[:3], [0, 0, 3, 3], False),
    ):
        times = steps if integers else steps.astype("datetime64[us]")
        assert is_regular(times, np.array(offsets), frequency) == regular
