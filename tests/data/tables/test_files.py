"""Tables in files: what is read is what stands there, and what is written reads back."""

import datetime
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import read_series_file, read_table, write_table
from throughtime.errors import ArgumentTypeError, DataError

PLAIN = "unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2.5\n"


def saved(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\n\n") + "\r\n\n",
        'unique_id,"ds",y\n"a",2020-01-01,"1"\n"a",2020-01-02,2.5\n',
        'note,unique_id,ds,y\n"x, ""y""\nz",a,2020-01-01,1\n,a,2020-01-02,2.5\n',
        gzip.compress(PLAIN.encode(), mtime=0),
    ],
)
def test_forms_of_csv(tmp_path: Path, content: str | bytes) -> None:
    series = read_series_file(saved(tmp_path, content))
    assert series.ids == ["a"]
    assert series.flat_values.tolist() == [1, 2.5]
    assert series.frequency.name == "D"


def test_csv_gz_and_parquet(tmp_path: Path) -> None:
    zipped = saved(tmp_path, gzip.compress(PLAIN.encode(), mtime=0), "table.CSV.gz")
    pl.DataFrame({"unique_id": ["a", "a"], "ds": [1, 2], "y": [1.0, 2.5]}).write_parquet(tmp_path / "table.parquet")
    for path in (zipped, tmp_path / "table.parquet"):
        assert read_series_file(str(path)).flat_values.tolist() == [1, 2.5]


def test_every_column_is_text_and_rows_know_their_lines(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, 'id,note\n007,"two\nlines"\n\n008,\n'))
    assert table.frame.to_dict(as_series=False) == {"id": ["007", "008"], "note": ["two\nlines", None]}
    assert [table.place(0), table.place(1)] == ["line 2", "line 5"]


def test_huge_numbers_and_one_column(tmp_path: Path) -> None:
    path = saved(tmp_path, f"ds,y\n1,{10**30}\n2,{-(10**400)}\n")
    with pytest.raises(DataError, match=r"table.csv: .*got '-10+' at line 3, series 'series', ds 2"):
        read_series_file(path)
    assert read_series_file(saved(tmp_path, f"ds,y\n1,{10**30}\n2,0\n")).flat_values.tolist() == [1e30, 0]
    assert read_table(saved(tmp_path, "y\n1\n\n2\n")).frame["y"].to_list() == ["1", "2"]


def test_options_reach_read_series(tmp_path: Path) -> None:
    path = saved(tmp_path, "shop,day,sales\nx,1,2\nx,3,4\n")
    series = read_series_file(path, id_col="shop", time_col="day", target_col="sales", freq="2")
    assert series.flat_values.tolist() == [2, 4]
    with pytest.raises(DataError, match=r"table.csv: expected 3 or more values in every series, got 2 in series 'x'"):
        read_series_file(path, id_col="shop", time_col="day", target_col="sales", min_length=3)
    with pytest.raises(
        DataError, match=r"table.csv: expected 2 after 1 in series 'x' \(freq 1\)|every 1 step, got none for 2"
    ):
        read_series_file(path, id_col="shop", time_col="day", target_col="sales", freq=1)


FRAME = {
    "unique_id": ["a", 'b, "c"'],
    "ds": [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)],
    "at": [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2, 1, 30)],
    "forecast": [1.5, float("nan")],
}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_written_csv_and_json(tmp_path: Path, kind) -> None:  # type: ignore[no-untyped-def]
    write_table(kind(FRAME), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "unique_id,ds,at,forecast",
        "a,2020-01-01,2020-01-01T00:00:00,1.5",
        '"b, ""c""",2020-01-02,2020-01-02T01:30:00,',
    ]
    write_table(kind(FRAME), str(tmp_path / "out.json"))
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"unique_id": "a", "ds": "2020-01-01", "at": "2020-01-01T00:00:00", "forecast": 1.5},
        {"unique_id": 'b, "c"', "ds": "2020-01-02", "at": "2020-01-02T01:30:00", "forecast": None},
    ]
    write_table(kind(FRAME), tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["ds"].to_list() == FRAME["ds"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json", "out.parquet"]


def test_zones_are_written_as_offsets(tmp_path: Path) -> None:
    stamps = pd.date_range("2021-03-28", periods=2, freq="D", tz="Europe/Berlin")
    write_table(pl.DataFrame({"ds": pl.from_pandas(pd.Series(stamps))}), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "ds\n2021-03-28T00:00:00+01:00\n2021-03-29T00:00:00+02:00\n"


def test_what_is_no_frame_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = saved(tmp_path, "old")
    with pytest.raises(ArgumentTypeError, match="write_table: expected a pandas, Polars or Arrow table, got list"):
        write_table([1], path)
    assert path.read_text() == "old"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            # Surrogates are no text; a zero byte is refused; polars does not quote a carriage return.
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    frame = pl.DataFrame({"unique_id": [name for name, _ in rows], "ds": range(len(rows)), "y": [y for _, y in rows]})
    write_table(frame, path)
    back = read_table(path)
    assert back.frame["unique_id"].to_list() == frame["unique_id"].to_list()
    np.testing.assert_array_equal(back.frame["y"].cast(pl.Float64).to_numpy(), frame["y"].to_numpy())
    assert back.place(0) == "line 2"
