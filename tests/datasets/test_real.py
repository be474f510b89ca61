"""The shipped series: whole, regular, and what statsmodels has where it is installed."""

import datetime
import importlib.util
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from throughtime.data import read_series
from throughtime.datasets import load, real
from throughtime.errors import ArgumentError


@pytest.mark.parametrize(
    ("name", "rows", "first", "last", "freq"),
    [
        ("co2", 526, (datetime.date(1958, 3, 1), 316.1), (datetime.date(2001, 12, 1), 371.02), "MS"),
        ("sunspots", 309, (1700, 5.0), (2008, 2.9), "1"),
    ],
)
def test_a_series_is_whole_and_regular(
    name: str, rows: int, first: tuple[object, float], last: tuple[object, float], freq: str
) -> None:
    frame = load(name)
    assert frame.columns == ["unique_id", "ds", "y"]
    assert frame.rows()[0] == (name, *first)
    assert frame.rows()[-1] == (name, *last)
    series = read_series(frame)
    assert (len(series), series.flat_values.size, series.frequency.name) == (1, rows, freq)


def test_the_months_that_are_filled_in_lie_on_straight_lines() -> None:
    y = dict(load("co2").select("ds", "y").rows())
    lines = {(1958, 5, 7): [(1958, 6)], (1958, 9, 11): [(1958, 10)], (1964, 1, 5): [(1964, 2), (1964, 3), (1964, 4)]}
    for (year, start, end), months in lines.items():
        low, high = y[datetime.date(year, start, 1)], y[datetime.date(year, end, 1)]
        for filled_year, month in months:
            expected = low + (high - low) * (month - start) / (end - start)
            assert y[datetime.date(filled_year, month, 1)] == pytest.approx(expected, abs=0.011)


def test_an_unknown_name_lists_those_there() -> None:
    with pytest.raises(ArgumentError, match="expected one of 'co2', 'sunspots', got 'airline'"):
        load("airline")


def test_every_file_has_its_origin_written_beside_it() -> None:
    folder = resources.files("throughtime.datasets").joinpath("files")
    text = folder.joinpath("README.md").read_text(encoding="utf-8")
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".csv"))
    assert files == [f"{name}.csv" for name in real.SERIES]
    for name in files:
        assert f"`{name}`" in text
    assert "public domain" in text


@pytest.mark.skipif(importlib.util.find_spec("statsmodels") is None, reason="statsmodels is no test dependency")
def test_the_script_rebuilds_the_files(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "tools" / "make_shipped_series.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True, timeout=120)
    for name in real.SERIES:
        shipped = resources.files("throughtime.datasets").joinpath("files", f"{name}.csv").read_bytes()
        assert (tmp_path / f"{name}.csv").read_bytes() == shipped


def test_values_are_plausible() -> None:
    co2 = load("co2")["y"].to_numpy()
    assert 310 < co2.min() < co2.max() < 375
    assert np.mean(np.diff(co2)) == pytest.approx(0.1, abs=0.02)
    assert load("sunspots").schema == {"unique_id": pl.String, "ds": pl.Int64, "y": pl.Float64}
