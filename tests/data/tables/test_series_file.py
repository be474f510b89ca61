"""Series from files: the same in pieces of any size as at once."""

import gzip
import re
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from throughtime.data import Covariates, SeriesSet, read_series, read_series_file
from throughtime.data.tables import blocks as blocks_module
from throughtime.errors import DataError

FRAME = pl.DataFrame(
    {
        "unique_id": ["b", "a", "b", "a", "c", "c", "a"],
        "ds": [f"2020-01-0{day}" for day in (1, 1, 2, 2, 1, 2, 3)],
        "y": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        "note": ['x, "y"', "", "two\nlines", "é", "", "", ""],
        "temp": ["", "0.2", "0.3", "NA", "0.5", "0.6", "0.7"],
        "open": ["true", "FALSE", "1", "0", "True", "false", "1"],
        "size": ["10", "20", "10", "20", "30", "30", "20"],
        "code": ["007", "1", "007", "1", "", "", "1"],
    }
)
ROLES = {"past": ["temp"], "future": ["open"], "static": ["size", "code"]}


def outcome(path: Path, **options: object) -> object:
    try:
        series = read_series_file(path, **options)  # type: ignore[arg-type]
    except DataError as error:
        return re.sub(r" \(and [^)]*\)", "", str(error))  # how many rows share a fault: those of the piece
    known: list[object] = []
    if (found := series.covariates) is not None:
        arrays = (found.past, found.future, found.static_numeric, found.static_categories)
        known = [*(each.tolist() for each in arrays), found.to_json()]
    flat = [str(each.tolist()) for each in (series.flat_values, series.flat_times, series.offsets)]
    return series.ids, *flat, series.frequency, series.kind, str(known)


@pytest.fixture(params=[1, 7, 64, 300])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of a few bytes or rows."""
    size: int = request.param
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", size)
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", max(1, size // 20))
    return size


def at_once(path: Path, **options: object) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_BYTES", 1 << 24)
        patch.setattr(blocks_module, "BLOCK_ROWS", 1 << 24)
        return outcome(path, **options)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n", "\r"])
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_csv_in_pieces(tmp_path: Path, small: int, ending: str, name: str) -> None:
    frame = FRAME.drop("note") if ending == "\r" else FRAME
    content = "\ufeff" + frame.write_csv().replace("\n", ending)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    found = outcome(path, **ROLES)
    assert found == at_once(path, **ROLES)
    assert found[0] == ["b", "a", "c"]  # type: ignore[index]


def test_parquet_in_pieces(tmp_path: Path, small: int) -> None:
    path = tmp_path / "table.parquet"
    frame = FRAME.with_columns(
        pl.col("ds").str.to_date(), pl.col("size").cast(pl.Int64), temp=pl.col("temp").cast(pl.Float64, strict=False)
    )
    frame.write_parquet(path)
    found = outcome(path, **ROLES)
    assert found == at_once(path, **ROLES)
    series = read_series_file(path, **ROLES)
    again = read_series(frame, **ROLES)
    assert (series.ids, series.kind) == (again.ids, again.kind)
    assert known(series).to_json() == known(again).to_json()
    np.testing.assert_array_equal(known(series).past, known(again).past)


def known(series: SeriesSet) -> Covariates:
    assert series.covariates is not None
    return series.covariates


LINES = "unique_id,ds,y\n" + "".join(f"a,2020-01-{day:02},{day}\n" for day in range(1, 10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES + "a,2020-01-10\n", "expected 3 fields on line 11 as in the header, got 2"),
        (LINES + '"a,2020-01-10,3\nb', "every quote to be closed, got one opened on line 11"),
        (LINES + 'a",2020-01-10,"\n', "got one inside a field on line 11"),
        (LINES + "a,2020-01-10,x\n", "every row of y, got 'x' at line 11, series 'a', ds 2020-01-10"),
        (LINES + "a,soon,1\n", "every row of ds, got 'soon' at line 11"),
        (LINES + ",2020-01-10,1\n", "an id in every row of unique_id, got none at line 11"),
        (LINES + "a,2020-01-02,1\n", "got two for series 'a' at 2020-01-02: line 3 and line 11"),
        (LINES + "a,2020-01-12,1\n", r"got none for 2020-01-10 in series 'a' .2 missing"),
        ("\n\nunique_id,ds,y\n\na,1,2\n\n\na,2,x\n", "every row of y, got 'x' at line 8"),
        ("unique_id,ds,y\n\n\n", "expected rows below the header, got none"),
        ("", "expected a header and rows, got an empty file"),
        (LINES.replace("ds", "day"), "expected a column 'ds', got the columns 'unique_id', 'day', 'y'"),
    ],
)
def test_what_is_wrong_has_its_line_in_pieces_too(tmp_path: Path, small: int, content: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=f"^{path}: .*{message}"):
        read_series_file(path)
    assert outcome(path) == at_once(path)


def test_one_kind_of_time_in_all_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
    path.write_text("ds,y\n" + "".join(f"{2000 + i},1\n" for i in range(9)) + "2020-01-01,1\n" * 9)
    with pytest.raises(
        DataError, match=r"one kind of time in ds, got integers in the rows before and dates from line 1"
    ):
        read_series_file(path)
    path.write_text("ds,y\n" + "2020-01-01T00:00Z,1\n" * 4 + "2020-01-02 00:00,1\n" * 8)
    with pytest.raises(DataError, match="got dates with the zone UTC in the rows before and dates from line 6 on"):
        read_series_file(path)


def test_a_form_of_dates_that_holds_every_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 20)
    path.write_text("ds,y\n2020-01-01,1\n2020-01-01 12:00,1\n2020-01-02,1\n")
    assert read_series_file(path).kind.text_form == "%Y-%m-%d %H:%M"


def test_memory_follows_the_named_columns_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1 << 17)
    path, rows = tmp_path / "table.csv", 60_000
    note = "x" * 200
    with path.open("w") as file:
        file.write("ds,y,note\n")
        file.writelines(f"{i},{i}.5,{note}\n" for i in range(rows))
    assert path.stat().st_size > 12_000_000
    read_series_file(path)
    tracemalloc.start()
    series = read_series_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(series.flat_values) == rows
    assert series.flat_values.nbytes + series.flat_times.nbytes == 16 * rows
    # 70 bytes a row and some ten times the piece; the file itself is larger.
    assert peak < 100 * rows + 20 * (1 << 17)
