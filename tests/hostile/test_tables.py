"""Files that are not what they say: one sentence each, with the file and the line."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import read_series_file, read_table
from throughtime.errors import DataError

OK = b"unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a header and rows, got an empty file"),
        (b"\n \r\n".replace(b" ", b""), "expected a header and rows, got an empty file"),
        (b"\xef\xbb\xbf", "expected a header and rows, got an empty file"),
        (gzip.compress(b"", mtime=0), "expected a header and rows, got an empty file"),
        (b"unique_id,ds,y", "expected rows below the header, got none"),
        (b"unique_id,ds,y\n\n\n", "expected rows below the header, got none"),
        (OK + b"a,2020-01-03\n", "expected 3 fields on line 4 as in the header, got 2"),
        (OK + b"\n\na,2020-01-03,1,2\n", "expected 3 fields on line 6 as in the header, got 4"),
        (OK + b"a,1\na,2\na\n", r"expected 3 fields on line 4 as in the header, got 2 \(and 2 more such lines\)"),
        (OK + b"caf\xe9,2020-01-03,3\n", "expected UTF-8 text, got byte 0xe9 on line 4"),
        (OK.decode().encode("utf-16"), "expected UTF-8 text, got UTF-16"),
        (OK + b"a,2020-01-03,\x00\n", "expected text, got a zero byte on line 4"),
        (OK + b'"a,2020-01-03,3\nb', "expected every quote to be closed, got one opened on line 4"),
        (b'"', "expected every quote to be closed, got one opened on line 1"),
        (
            OK + b'5" pipe,2020-01-03,3\n6" pipe,2020-01-03,3\n',
            "quotes around whole fields, got one inside a field on line 4",
        ),
        (b"ds,y,y\n1,2,3\n", "expected column names that differ, got 'y' twice"),
        (b"\x1f\x8b", "expected a whole gzip file, got a damaged or truncated one"),
        (gzip.compress(OK, mtime=0)[:-6], "expected a whole gzip file, got a damaged or truncated one"),
        (
            gzip.compress(OK, mtime=0)[:20] + b"\xff\xff\xff\xff",
            "expected a whole gzip file, got a damaged or truncated one",
        ),
        (OK + b"a,2020-01-03,NA\n", "every row of y, got 'NA' at line 4, series 'a', ds 2020-01-03"),
        (OK + b"a,2020-01-03,\n", "every row of y, got a missing value .NaN or null. at line 4"),
        (OK + b"a,03.01.2020,3\n", "every row of ds, got '03.01.2020' at line 4"),
        (OK + b",2020-01-03,3\n", "an id in every row of unique_id, got none at line 4"),
        (OK + b"a,2020-01-02,3\n", "got two for series 'a' at 2020-01-02: line 3 and line 4"),
        (OK + b"a,2020-01-05,3\n", r"got none for 2020-01-03 in series 'a' \(2 missing"),
        (b"date,sales\n1,2\n", "expected a column 'ds', got the columns 'date', 'sales'"),
    ],
)
def test_hostile_csv(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}: .*{message}") as caught:
        read_series_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("table.csv.gz", OK, "expected gzip data, got something else"),
        ("table.csv.gz", b"", "expected a header and rows, got an empty file"),
        ("table.parquet", b"", "expected a Parquet file, got 0 bytes that are not"),
        ("table.parquet", OK, "expected a Parquet file, got 45 bytes that are not"),
        ("table.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1", "expected a Parquet file, got 48 bytes that are not"),
        ("table.xlsx", OK, "expected a file ending in .csv, .csv.gz or .parquet"),
        ("table", OK, "expected a file ending in .csv, .csv.gz or .parquet"),
    ],
)
def test_hostile_files_of_other_kinds(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}: {message}"):
        read_table(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for path, message in (
        (tmp_path / "folder.csv", "expected a file, got a folder"),
        (tmp_path, "expected a file, got a folder"),
        (tmp_path / "none.csv", "expected a file to read, got none"),
        (tmp_path / "none" / "x.csv", "expected a file to read, got none"),
        (tmp_path / ("x" * 300 + ".csv"), "got File name too long"),
        (tmp_path / "a\0.csv", "expected a path, got embedded null byte"),
    ):
        with pytest.raises(DataError, match=message):
            read_table(path)


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(OK)
    with pytest.raises(DataError, match=r"table\.csv/x.csv: expected a file to read, got Not a directory"):
        read_table(tmp_path / "table.csv" / "x.csv")


PIECES = st.sampled_from(
    [b",", b";", b'"', b"\n", b"\r", b"\t", b"a", b"1", b"\xff", b"\x00", b"\xef\xbb\xbf", b"2020-01-01", OK]
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=14).map(b"".join)),
    st.sampled_from([".csv", ".csv.gz", ".parquet"]),
)
def test_any_bytes_give_a_table_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except DataError:
        return
    assert table.frame.height >= 1
    assert table.place(table.frame.height - 1).startswith("line ")
