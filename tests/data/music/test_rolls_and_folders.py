"""Piano rolls and their sets; folders of pieces, whose names are styles."""

import json
from pathlib import Path

import numpy as np
import pytest

from throughtime.data.music import (
    piece_from_names,
    piece_from_roll,
    read_pieces,
    read_rolls,
    roll_from_piece,
    write_abc,
    write_midi,
)
from throughtime.errors import ArgumentError, DataError

io = pytest.importorskip("scipy.io")
pytest.importorskip("symusic")


def rolls(*lengths: int) -> list[np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(len(lengths)))
    return [(rng.random((T, 88)) < 0.04).astype(np.uint8) for T in lengths]


def test_mat_sets_are_read_in_their_parts(tmp_path: Path) -> None:
    parts = {"train": rolls(3, 5), "valid": rolls(2), "test": rolls(4, 1, 6)}
    content = {}
    for name, own in parts.items():
        cells = np.empty((1, len(own)), dtype=object)
        for i, roll in enumerate(own):
            cells[0, i] = roll
        content[f"{name}data"] = cells
    io.savemat(tmp_path / "a.mat", content)
    found = read_rolls(tmp_path / "a.mat")
    assert list(found) == ["train", "valid", "test"]
    for name, own in parts.items():
        assert all(np.array_equal(a, b) for a, b in zip(found[name], own, strict=True))


def test_json_sets_are_read_and_silence_is_silent(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"train": [[[60, 64], [-1], []]], "test": []}))
    (roll,) = read_rolls(tmp_path / "a.json")["train"]
    assert [np.flatnonzero(frame).tolist() for frame in roll] == [[39, 43], [], []]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", b'{"train": [[[109]]]}', "got 109 in frame 0"),
        ("a.json", b'{"train": [[[60.5]]]}', "got 60.5"),
        ("a.json", b'{"train": 3}', "not iterable"),
        ("a.json", b"{", "cannot be read"),
        ("a.json", b"{}", "got none"),
        ("a.mat", b"nothing of the kind" * 20, "cannot be read"),
        ("a.csv", b"", "got '.csv'"),
    ],
)
def test_damaged_sets_are_refused(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_rolls(tmp_path / name)


def test_a_piece_is_a_roll_and_a_roll_a_piece() -> None:
    piece = piece_from_names("C4 R:0.5 E4:0.5 E4:2")
    roll = roll_from_piece(piece, 6)
    assert [np.flatnonzero(frame + 0).tolist() for frame in roll] == [[39], [39], [], [43], [43], [43], [43], [43]]
    assert piece_from_roll(roll, 6).notes[:, :3].tolist() == [[0, 12, 60], [18, 30, 64]]
    with pytest.raises(ArgumentError, match="got 0"):
        roll_from_piece(piece, 0)
    with pytest.raises(DataError, match="got 12"):
        roll_from_piece(piece_from_names("C0"))
    with pytest.raises(DataError, match=r"got \(3, 12\)"):
        piece_from_roll(np.zeros((3, 12), dtype=np.uint8))


def test_folders_and_books_are_styles(tmp_path: Path) -> None:
    tune = piece_from_names("C4 D4 E4 F4")
    for style in ("slow", "fast"):
        (tmp_path / "by folder" / style).mkdir(parents=True)
        write_midi(tune, tmp_path / "by folder" / style / "a.mid")
        (tmp_path / "by book").mkdir(exist_ok=True)
        write_abc([tune, tune], tmp_path / "by book" / f"{style}.abc")
    assert [piece.style for piece in read_pieces(tmp_path / "by folder")] == ["fast", "slow"]
    assert [piece.style for piece in read_pieces(tmp_path / "by book")] == ["fast"] * 2 + ["slow"] * 2
    assert read_pieces(tmp_path / "by folder" / "slow")[0].style is None
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no music")
    for path, told in ((tmp_path / "empty", "got none"), (tmp_path / "away", "got nothing there")):
        with pytest.raises(DataError, match=told):
            read_pieces(path)
    with pytest.raises(DataError, match=r"got '\.txt'"):
        read_pieces(tmp_path / "empty" / "notes.txt")
