"""Recordings in the files that people have, and what is said of bad ones."""

import numpy as np
import polars as pl
import pytest

from throughtime.data.sensors import Columns, read_recordings
from throughtime.errors import DataError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


SAMPLES = "timestamp,x_acc,y_acc,activity\n1657533977800,1,2,still\n1657533977850,,4,still\n1657533978800,5,6,walk\n"


def test_a_table_of_samples(tmp_path):
    (one,) = read_recordings(write(tmp_path / "a.csv", SAMPLES))
    assert one.channels == ("x_acc", "y_acc")
    np.testing.assert_allclose(one.times, [0, 0.05, 1.0], atol=1e-6)
    assert one.labels.tolist() == ["still", "still", "walk"]
    assert np.isnan(one.values[1, 0])
    assert one.values[1, 1] == 4
    pl.read_csv(tmp_path / "a.csv").write_parquet(tmp_path / "a.parquet")
    (same,) = read_recordings(tmp_path / "a.parquet")
    np.testing.assert_array_equal(same.values, one.values)


def test_a_table_of_several_recordings_and_subjects(tmp_path):
    text = "session,subject,t,a,label\ns1,p1,0,1,u\ns2,p2,0,2,v\ns1,p1,1,3,u\ns2,p2,1,4,v\n"
    found = read_recordings(write(tmp_path / "a.csv", text), Columns(time="t"))
    assert [(one.group, one.values[:, 0].tolist()) for one in found] == [("p1", [1, 3]), ("p2", [2, 4])]


def test_rows_without_a_header(tmp_path):
    path = write(tmp_path / "rows.csv", "0,1,2,3,4\n1,5,6,7,8\n")
    found = read_recordings(path, Columns(per_step=2))
    assert [one.label for one in found] == ["0", "1"]
    assert found[1].values.tolist() == [[5, 6], [7, 8]]
    assert found[1].channels == ("x", "y")
    bare = read_recordings(write(tmp_path / "bare.csv", "1,2,3,4\n"), Columns(per_step=2))
    assert bare[0].label is None
    assert bare[0].values.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match="this file has no header, got none; say so with per_step"):
        read_recordings(path)
    with pytest.raises(DataError, match="multiple of 3 values in each row, got 4"):
        read_recordings(path, Columns(per_step=3))


def test_a_folder_with_a_subfolder_for_each_person(tmp_path):
    for person in ("p1", "p2"):
        write(tmp_path / person / "a.csv", SAMPLES)
    write(tmp_path / "info.csv", "person,age\np1,30\n")
    found = read_recordings(tmp_path)
    assert [one.group for one in found] == ["p1", "p2"], "a table without labels beside others with one is left out"


def test_a_folder_with_a_subfolder_for_each_label(tmp_path):
    for label in ("up", "down"):
        (tmp_path / label).mkdir()
        np.save(tmp_path / label / "a.npy", np.zeros((4, 2)))
    assert [one.label for one in read_recordings(tmp_path)] == ["down", "up"]


def test_a_list_of_files_with_parts(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    write(tmp_path / "b.csv", "time,v\n0,1\n1,2\n2,3\n3,4\n")
    listed = write(tmp_path / "list.csv", "file,label,start,end\nb.csv,up,1,3\nb.csv,down,,1\n")
    found = read_recordings(listed)
    assert [(one.label, one.values[:, 0].tolist(), one.group) for one in found] == [
        ("up", [2, 3], "b.csv"),
        ("down", [1], "b.csv"),
    ]
    with pytest.raises(DataError, match="line 2: expected times to cut by start and end, got samples without"):
        read_recordings(write(tmp_path / "list.csv", "file,label,start\na.npy,up,1\n"))
    with pytest.raises(DataError, match=r"expected a file that is there, got 'c.csv'"):
        read_recordings(write(tmp_path / "list.csv", "file,label\nc.csv,up\n"))
    with pytest.raises(DataError, match=r"expected samples from 7 to inf s, got none"):
        read_recordings(write(tmp_path / "list.csv", "file,label,start\nb.csv,up,7\n"))


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("time,a\n0,1\n2,1\n1,1\n", None, "got 1 after 2 at line 4; sort the samples"),
        ("time,a\n0,1\n,1\n", None, "expected a time for every sample, got none at line 3"),
        ("time,a\n0,1\nnoon,1\n", None, "expected a time under 'time', got 'noon' on line 3"),
        ("time,a,device\n0,1,phone\n", None, "expected a number under 'device', got 'phone' on line 2"),
        ("time,a\n0,1\n", Columns(channels=("b",)), "expected a column 'b', got 'time', 'a'"),
        ("time,a\n0,1\n", Columns(label="kind"), "expected a column 'kind', got 'time', 'a'"),
        ("time,a,label\n0,1,u\n1,1,\n", None, "expected a label on every sample, got none on line 3"),
        ("time,label\n0,u\n", None, "expected columns of values, got time, label"),
        ("subject,a\np,1\nq,1\n", None, "expected one subject in a recording, got 'p' and 'q' on line 3"),
    ],
)
def test_bad_samples_are_named_by_their_line(tmp_path, text, columns, said):
    with pytest.raises(DataError, match=said):
        read_recordings(write(tmp_path / "a.csv", text), columns)


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"missing.mp3: expected a file or a folder to read, got none"):
        read_recordings(tmp_path / "missing.mp3")
    with pytest.raises(DataError, match=r"got 'a.xls'; convert it"):
        read_recordings(write(tmp_path / "a.xls", "x"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="in the folder, got none; check the path"):
        read_recordings(tmp_path / "empty")
    with pytest.raises(DataError, match=r"expected an array in a .npy file, got"):
        read_recordings(write(tmp_path / "a.npy", "no array"))
    np.save(tmp_path / "b.npy", np.zeros((2, 2, 2, 2)))
    with pytest.raises(DataError, match=r"got \(2, 2, 2, 2\) of float64; convert it"):
        read_recordings(tmp_path / "b.npy")
    np.save(tmp_path / "b.npy", np.zeros((2, 4, 4, 4), np.uint8))
    with pytest.raises(DataError, match="frames of 1 or 3 colours, got 4"):
        read_recordings(tmp_path / "b.npy")
    np.save(tmp_path / "b.npy", np.zeros((0, 4)))
    with pytest.raises(DataError, match="expected samples, got none; leave it out"):
        read_recordings(tmp_path / "b.npy")
