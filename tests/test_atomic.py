"""Output paths are checked before work, and files appear whole or not at all.

Rights are no means to make a path unwritable here: root may write everywhere.
"""

from pathlib import Path

import pytest

from throughtime._atomic import replacing, write_folder
from throughtime.data.tables.files import check_table_target, check_writable
from throughtime.errors import DataError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_free_path_is_fine_and_nothing_stays(tmp_path: Path) -> None:
    check_writable(tmp_path / "out.png")
    (tmp_path / "old.png").write_text("old")
    check_writable(str(tmp_path / "old.png"))
    assert names(tmp_path) == ["old.png"]
    assert (tmp_path / "old.png").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/out.csv", "expected the folder .*missing to be there, got none; create it first"),
        ("file/out.csv", "expected a folder at .*file, got a file"),
        ("file/deep/out.csv", "expected a folder at .*file, got a file"),
        ("folder", "expected a file to write, got a folder"),
        (".", "got a folder|a name at its end"),
        ("..", "expected a path with a name at its end"),
        ("a\0b.csv", "expected a path to write to, got embedded null byte"),
        ("x" * 300 + ".csv", "expected a path to write to, got File name too long"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=message):
        check_writable(tmp_path / path)
    assert names(tmp_path) == ["file", "folder"]


def test_a_folder_that_refuses_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(DataError, match="expected a folder to write in, got Read-only file system in"):
        check_writable(tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz"])
def test_a_table_needs_a_known_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: expected a path ending in .csv, .json or .parquet"):
        check_table_target(tmp_path / name)
    check_table_target(tmp_path / "out.CSV")


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    half = replacing(target)
    half.__enter__().write_text("half")
    assert half.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) in (None, False)
    assert target.read_text() == "old"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["out.csv"]


def test_a_folder_that_cannot_get_its_name_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state"
    write_folder(target, {"a": b"old"})
    rename = Path.rename

    def failing(path: Path, to: Path) -> Path:
        if to == target and (path / "a").read_bytes() == b"new":
            raise OSError(5, "Input/output error")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output error"):
        write_folder(target, {"a": b"new"})
    assert (target / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["state"]
