"""Calendar arithmetic against pandas, which shares none of its code."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data.times.clock import to_wall
from throughtime.data.times.frequency import Frequency, parse_alias
from throughtime.data.times.inference import infer_frequency
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

ALIASES = [
    "h", "2h", "15min", "30min", "s", "30s", "24h", "D", "2D", "B", "3B", "W-SUN", "W-MON", "2W-THU", "MS", "ME", "2MS",
    "QS", "QE", "2QE", "YS", "YE",
]  # fmt: skip


def microseconds(index: pd.DatetimeIndex) -> np.ndarray:
    return index.tz_localize(None).to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("start", ["1999-12-31 00:00", "2020-01-31 10:30", "2023-02-28 23:59:59.999999"])
def test_future_is_what_pandas_counts(alias: str, start: str) -> None:
    stamps = microseconds(pd.date_range(start, periods=41, freq=alias))
    frequency = parse_alias(alias)
    np.testing.assert_array_equal(frequency.future(stamps[0], 40), stamps[1:])
    np.testing.assert_array_equal(frequency.shift(stamps[40], -np.arange(40, -1, -1)), stamps)


@pytest.mark.parametrize("alias", ALIASES)
def test_a_name_parses_to_itself_and_to_the_same_name_from_data(alias: str) -> None:
    frequency = parse_alias(alias)
    assert frequency.name == alias
    stamps = microseconds(pd.date_range("2020-01-01", periods=30, freq=alias))
    inferred = infer_frequency(stamps, np.array([0, 30]), None)
    # Stamps alone cannot tell 24 hours from a day, nor three business days from calendar days.
    if alias not in ("24h", "3B"):
        assert inferred == frequency


@settings(max_examples=60, deadline=None)
@given(
    alias=st.sampled_from([alias for alias in ALIASES if not alias.endswith("B") and alias != "24h"]),
    start=st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2090, 1, 1)),
    length=st.integers(4, 40),
)
def test_any_start_steps_and_is_inferred(alias: str, start: object, length: int) -> None:
    stamps = microseconds(pd.date_range(start, periods=length, freq=alias))
    inferred = infer_frequency(stamps, np.array([0, length]), None)
    assert inferred.name == alias
    np.testing.assert_array_equal(inferred.shift(stamps[:-1], 1), stamps[1:])


def test_future_of_many_series_has_a_row_for_each() -> None:
    last = np.array(["2020-01-31", "2021-02-28"], dtype="datetime64[us]")
    expected = np.array([["2020-02-29", "2020-03-31"], ["2021-03-31", "2021-04-30"]], dtype="datetime64[us]")
    np.testing.assert_array_equal(parse_alias("ME").future(last, 2), expected)
    assert parse_alias("ME").future(last, 0).shape == (2, 0)


def test_a_day_in_the_middle_of_the_month_is_clipped_to_short_months_and_comes_back() -> None:
    stamps = parse_alias("M-30").future(np.datetime64("2020-01-30", "us"), 3)
    assert [str(stamp)[:10] for stamp in stamps] == ["2020-02-29", "2020-03-30", "2020-04-30"]
    assert parse_alias("M-5").name == "M-5"


@pytest.mark.parametrize(
    ("alias", "season"),
    [
        ("MS", 12), ("ME", 12), ("M-15", 12), ("2MS", 6), ("5MS", 1), ("QS", 4), ("QE", 4), ("YS", 1), ("2YE", 1),
        ("W", 52), ("2W", 1), ("D", 7), ("2D", 1), ("B", 5), ("2B", 1), ("h", 24), ("2h", 12), ("24h", 7), ("12h", 2),
        ("15min", 96), ("30min", 48), ("min", 1440), ("30s", 120), ("s", 3600), ("7min", 1440), (1, 1), (5, 1),
    ],
)  # fmt: skip
def test_season_length(alias: str | int, season: int) -> None:
    assert parse_alias(alias).season_length == season


def test_zone_aware_days_keep_their_wall_time_across_clock_changes() -> None:
    stamps = pd.date_range("2021-03-20", periods=300, freq="D", tz="Europe/Berlin")
    utc = stamps.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    frequency = infer_frequency(utc, np.array([0, 300]), "Europe/Berlin")
    assert (frequency.name, frequency.time_zone) == ("D", "Europe/Berlin")
    np.testing.assert_array_equal(frequency.future(utc[0], 299), utc[1:])
    assert len(set(np.diff(utc))) == 3, "the span holds a day of 23 and a day of 25 hours"


def test_zone_aware_hours_are_hours_of_utc() -> None:
    stamps = pd.date_range("2021-10-30", periods=72, freq="h", tz="Europe/Berlin")
    utc = stamps.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    frequency = infer_frequency(utc, np.array([0, 72]), "Europe/Berlin")
    assert frequency.name == "h"
    np.testing.assert_array_equal(frequency.future(utc[0], 71), utc[1:])
    assert len(np.unique(to_wall(utc, "Europe/Berlin"))) == 71, "02:00 occurs twice"


def test_a_midnight_that_a_clock_change_skips_is_one_hour_later_and_does_not_stay_so() -> None:
    wall = pd.date_range("2018-11-01", periods=8, freq="D")
    stamps = wall.tz_localize("America/Sao_Paulo", nonexistent="shift_forward")
    utc = stamps.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    frequency = infer_frequency(utc, np.array([0, 8]), "America/Sao_Paulo")
    ahead = to_wall(frequency.future(utc[0], 5), "America/Sao_Paulo")
    assert [str(stamp)[8:16] for stamp in ahead] == ["02T00:00", "03T00:00", "04T01:00", "05T00:00", "06T00:00"]
    np.testing.assert_array_equal(frequency.shift(frequency.shift(utc[0], 3), 1), frequency.shift(utc[0], 4))


def test_fixed_offsets_are_zones_too() -> None:
    utc = np.array(["2021-01-01T00:00"], dtype="datetime64[us]")
    for zone in ("UTC+01:00", "+01:00"):
        assert str(to_wall(utc, zone)[0]) == "2021-01-01T01:00:00.000000"


def test_unknown_zone_is_named() -> None:
    with pytest.raises(DataError, match="got 'Europe/Atlantis'"):
        to_wall(np.array(["2021-01-01"], dtype="datetime64[us]"), "Europe/Atlantis")


@pytest.mark.parametrize("freq", ["fortnight", "0h", "W-XYZ", "M-32", "QS-FEB", "", "-5", "1.5h", 0, -1])
def test_unknown_names_are_shown(freq: object) -> None:
    with pytest.raises(ArgumentError, match=f"freq: expected an integer, .* got {freq!r}"):
        parse_alias(freq)


@pytest.mark.parametrize("freq", [1.5, True, ["D"]])
def test_other_types_are_named(freq: object) -> None:
    with pytest.raises(ArgumentTypeError, match=f"got {type(freq).__name__}"):
        parse_alias(freq)


@pytest.mark.parametrize("alias", ["15min", "W-TUE", "M-15", 7])
def test_json_round_trip(alias: str | int) -> None:
    frequency = parse_alias(alias)
    assert Frequency.from_json(json.loads(json.dumps(frequency.to_json()))) == frequency


@pytest.mark.parametrize(
    "change",
    [{"step": 0}, {"step": True}, {"unit": "moons"}, {"name": 3}, {"anchor": "x"}, {"time_zone": 1}, {"more": 1}],
)
def test_json_that_is_no_frequency_is_shown(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match=str(next(iter(change)))):
        Frequency.from_json({**parse_alias("h").to_json(), **change})
    with pytest.raises(DataError, match="got 3"):
        Frequency.from_json(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("freq", ["9999999999999999999h", "2000000D", "99999999999999999999MS"])
def test_a_step_beyond_counting_is_refused(freq: str) -> None:
    with pytest.raises(ArgumentError, match="expected a count up to 1000000"):
        parse_alias(freq)


@pytest.mark.parametrize("freq", ["h", "D", "B", "W", "YS", "1000000h"])
def test_a_horizon_beyond_the_calendar_is_refused(freq: str) -> None:
    with pytest.raises(ArgumentError, match="steps that end within 8000 years"):
        parse_alias(freq).future(np.datetime64("2020-01-01", "us"), 10**9)


def test_integers_may_be_counted_far() -> None:
    assert parse_alias(1).future(np.int64(0), 10**6)[-1] == 10**6
