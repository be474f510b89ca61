"""What real files hold: clock changes, marks for missing values, dates of many hands, and steps of every length."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

from throughtime.data import calendar_features, read_series
from throughtime.errors import DataError

HINT = "; if the clock was changed then, give the times with their UTC offset or as a column with a time zone$"
MELBOURNE = pd.date_range("2012-03-30", "2012-10-10", freq="30min", tz="Australia/Melbourne")


def frame(times: object, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"ds": times, "y": 1.0, **columns})


def test_local_times_without_a_zone_stumble_and_the_message_says_why() -> None:
    local = MELBOURNE.tz_localize(None)
    with pytest.raises(DataError, match="2012-04-01 02:00 twice.*" + HINT):
        read_series(frame(local))
    with pytest.raises(DataError, match="got two for series 'a' at 2012-04-01 02:00: row 100 .* and row 102 .*" + HINT):
        read_series(frame(local, unique_id="a"), missing="keep")
    spring = local[local > "2012-06-01"]
    with pytest.raises(DataError, match="got none for 2012-10-07 02:00 in series .*" + HINT):
        read_series(frame(spring))


@pytest.mark.parametrize(
    "times",
    [
        ["2020-05-12 06:00", "2020-05-12 06:00", "2020-05-12 07:00"],  # a Tuesday
        ["2020-07-05 02:00", "2020-07-05 02:00", "2020-07-05 03:00"],  # a Sunday in July
        ["2020-03-29", "2020-03-29", "2020-03-30"],  # a Sunday in March, in daily data
        ["2020-03-29T02:00Z", "2020-03-29T02:00Z", "2020-03-29T03:00Z"],  # with a zone
        [5, 5, 6],
    ],
)
def test_other_duplicates_are_not_blamed_on_the_clock(times: list[object]) -> None:
    with pytest.raises(DataError, match=r"got .* twice") as caught:
        read_series(frame(times))
    assert "clock" not in str(caught.value)


def test_with_a_zone_both_changes_are_whole_and_a_gap_in_the_repeated_hour_is_one_gap() -> None:
    series = read_series(frame(MELBOURNE))
    assert series.lengths.tolist() == [len(MELBOURNE)]
    repeated = np.flatnonzero(MELBOURNE.tz_localize(None) == pd.Timestamp("2012-04-01 02:30"))
    assert len(repeated) == 2
    kept = read_series(frame(MELBOURNE.delete(repeated[1])), missing="keep")
    assert np.flatnonzero(np.isnan(kept.flat_values)).tolist() == [repeated[1]]
    with pytest.raises(DataError, match=r"got none for 2012-04-01 02:30\+10:00 in series"):
        read_series(frame(MELBOURNE.delete(repeated[1])))
    hours, names = calendar_features(kept.flat_times[repeated], kept.frequency)
    assert (hours[:, names.index("hour of day")] == 2 / 23 - 0.5).all()


def test_offsets_in_text_are_one_line_of_time() -> None:
    series = read_series(frame(MELBOURNE.astype(str).to_numpy()))
    assert (series.frequency.name, series.frequency.time_zone) == ("30min", "UTC")
    assert series.lengths.tolist() == [len(MELBOURNE)]


@pytest.mark.parametrize(
    ("freq", "start", "name"),
    [
        ("W-MON", "2020-12-21", "W-MON"),  # over the 53rd week of ISO 2020
        ("ME", "2019-11-30", "ME"),  # over the 29th of February
        ("QS", "2019-10-01", "QS"),
        ("QE", "2019-12-31", "QE"),
        ("YS", "2019-01-01", "YS"),
        ("YE", "2019-12-31", "YE"),
        ("B", "2020-12-28", "B"),
        ("250ms", "2020-12-31 23:59:59", "250ms"),
        ("us", "2020-12-31 23:59:59.999990", "us"),
    ],
)
def test_a_gap_on_every_grid_is_kept_and_the_future_goes_on(freq: str, start: str, name: str) -> None:
    stamps = pd.date_range(start, periods=30, freq=freq)
    series = read_series(frame(stamps[:20].delete([7, 8, 15])), missing="keep")
    assert series.frequency.name == name
    assert np.flatnonzero(np.isnan(series.flat_values)).tolist() == [7, 8, 15]
    np.testing.assert_array_equal(series.flat_times, stamps[:20].to_numpy().astype("datetime64[us]"))
    np.testing.assert_array_equal(series.future_times(10)[0], stamps[20:].to_numpy().astype("datetime64[us]"))


@pytest.mark.parametrize(
    ("text", "form"), [("04/30/2021", "%m/%d/%Y"), ("1.2.1981", "%d.%m.%Y"), ("30-04-21 10:00", "%d-%m-%Y")]
)
def test_dates_of_other_forms_are_shown_with_the_way_out(text: str, form: str) -> None:
    with pytest.raises(DataError, match=f"got '{text}' at row 0 .*rewrite the dates, for instance by .*'{form}'"):
        read_series(frame([text] * 3))
    with pytest.raises(DataError, match=r"got 'Jan-1-1995' at row 0 .*rewrite the dates$"):
        read_series(frame(["Jan-1-1995"] * 3))


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ([1.0, -9999.0, 3.0, -9999.0, 5.0], "-9999 in 2 of 5 rows and 1 or more"),
        ([-20.5, 30.0, -99.9, 10.0, 5.0], "-99.9 in 1 of 5 rows and -20.5 or more"),
        ([-97.0, -98.0, -99.0, -50.0, 0.0], None),
        ([-999.0] * 5, None),
        ([-9998.0, 0.0, 1.0, 2.0, 3.0], None),
    ],
)
def test_marks_for_missing_values_are_pointed_out_and_left(
    values: list[float], mark: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="throughtime"):
        series = read_series(pl.DataFrame({"ds": range(5), "y": values, "x": [0.0, 1, 2, 3, 4]}), past="x")
    assert series.flat_values.tolist() == values
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (mark is not None)
    assert mark is None or f"read_series: y is {mark} in the others; if that stands for a missing value" in messages[0]


def test_a_covariate_with_marks_is_named(caplog: pytest.LogCaptureFixture) -> None:
    table = pl.DataFrame({"ds": range(4), "y": [1.0] * 4, "wind": [1.0, -9999.0, 2.0, None], "sun": [0, 1, 0, -999]})
    with caplog.at_level(logging.WARNING, logger="throughtime"):
        read_series(table, past="wind", future="sun")
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == ["wind", "sun"]


def test_times_closer_than_a_microsecond_are_one() -> None:
    with pytest.raises(DataError, match="got 2020-01-01 twice"):
        read_series(frame(pd.date_range("2020-01-01", periods=3, freq="100ns")))
