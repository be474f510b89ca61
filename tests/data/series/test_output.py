"""Stamps of a forecast are written as the data's were, and never twice the same."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from throughtime.data import build_frame, read_series

DAYS = [datetime.date(2020, 1, day) for day in range(1, 29)]
MONTHS = [f"2020-{month:02d}" for month in range(1, 13)]
MINUTES = [f"2020-01-01 {hour:02d}:{minute:02d}" for hour in range(3) for minute in range(0, 60, 5)]


def written(library: type, stamps: list, freq: str, n: int) -> list:
    frame = library({"ds": stamps, "y": np.arange(len(stamps), dtype=float)})
    series = read_series(frame, freq=freq, missing="keep")
    times = series.frequency.future(series.times(-1)[-1], n)
    built = build_frame({"ds": times, "forecast": np.zeros(n)}, series)
    return [str(stamp) for stamp in (built["ds"].to_list() if library is pl.DataFrame else built["ds"].tolist())]


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize(
    ("stamps", "freq", "first"),
    [
        ([str(day) for day in DAYS], "8h", ["2020-01-28 08:00", "2020-01-28 16:00", "2020-01-29 00:00"]),
        ([str(day) for day in DAYS], "D", ["2020-01-29", "2020-01-30", "2020-01-31"]),
        (MONTHS, "D", ["2020-12-02", "2020-12-03", "2020-12-04"]),
        (MINUTES, "30s", ["2020-01-01 02:55:30", "2020-01-01 02:56:00", "2020-01-01 02:56:30"]),
    ],
)
def test_text_takes_on_what_a_finer_step_needs(library: type, stamps: list, freq: str, first: list) -> None:
    assert written(library, stamps, freq, 3) == first


def test_dates_become_datetimes_where_the_step_is_hours() -> None:
    assert written(pl.DataFrame, DAYS, "12h", 2) == ["2020-01-28 12:00:00", "2020-01-29 00:00:00"]
    assert written(pl.DataFrame, DAYS, "D", 1) == ["2020-01-29"]
