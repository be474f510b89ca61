"""Piano rolls: which of 88 keys sound in each frame; the sets of Boulanger-Lewandowski, and pieces as rolls.

Axes in names: T frames, K keys.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.music.pieces import DURATION, GRID, ONSET, PITCH, Metre, Piece, make_piece
from throughtime.errors import ArgumentError, DataError

KEYS, LOWEST = 88, 21
Roll = NDArray[np.uint8]
PARTS = ("train", "valid", "test")


def read_rolls(path: str | Path) -> dict[str, list[Roll]]:
    """A set of piano rolls in its parts: "train", "valid" and "test", those that the file has.

    A .mat file holds `traindata`, `validdata` and `testdata`, each rolls of shape (T, 88); a .json file an object of
    lists of pieces, each a list of frames, each a list of MIDI pitches, −1 for silence.

    Raises:
        DataError: another kind of file, one that is damaged, or a note that no piano has.
        MissingExtraError: scipy is not installed, for a .mat file.

    **Source** [BoulangerLewandowski2012].
    """
    path = Path(path)
    kinds = {".mat": _read_mat, ".json": _read_json}
    if path.suffix.lower() not in kinds:
        raise DataError(f"{path}: expected a file that ends in .mat or .json, got {path.suffix!r}; give one of these")
    if not path.is_file():
        raise DataError(f"{path}: expected a file, got none there; look at the path")
    found = kinds[path.suffix.lower()](path)
    if not any(found.values()):
        raise DataError(f"{path}: expected rolls for train, valid or test, got none; give another file")
    return found


def _read_mat(path: Path) -> dict[str, list[Roll]]:
    io = require("scipy.io", extra="music")
    try:
        content = io.loadmat(path)
        parts = {part: list(content[f"{part}data"].reshape(-1)) for part in PARTS if f"{part}data" in content}
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        AttributeError,
        io.matlab.MatReadError,
    ) as error:
        raise DataError(
            f"{path}: expected a MATLAB file of piano rolls, got one that cannot be read ({error}); give another"
        ) from error
    return {part: [_checked(roll, path) for roll in rolls] for part, rolls in parts.items()}


def _checked(roll: Any, path: Path) -> Roll:
    found = np.asarray(roll)
    if found.ndim != 2 or found.shape[1] != KEYS or found.dtype.kind not in "buif" or not np.isin(found, (0, 1)).all():
        raise DataError(
            f"{path}: expected rolls of 0 and 1 of shape (T, {KEYS}), got {found.dtype} of shape {found.shape}; "
            "give piano rolls"
        )
    return np.ascontiguousarray(found, dtype=np.uint8)


def _read_json(path: Path) -> dict[str, list[Roll]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {part: [_of_frames(piece, path) for piece in content[part]] for part in PARTS if part in content}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, TypeError) as error:
        raise DataError(
            f"{path}: expected lists of pieces under train, valid and test, got a file that cannot be read ({error}); "
            "give another"
        ) from error


def _of_frames(frames: list[list[int]], path: Path) -> Roll:
    roll = np.zeros((len(frames), KEYS), dtype=np.uint8)
    for t, frame in enumerate(frames):
        for pitch in frame:
            if pitch == -1:
                continue
            if type(pitch) is not int or not LOWEST <= pitch < LOWEST + KEYS:
                raise DataError(
                    f"{path}: expected pitches from {LOWEST} to {LOWEST + KEYS - 1}, got {pitch!r} in frame {t}; "
                    "leave such notes out"
                )
            roll[t, pitch - LOWEST] = 1
    return roll


def roll_from_piece(piece: Piece, frame: int = GRID, *, who: str = "roll_from_piece") -> Roll:
    """What sounds at the beginning of each frame of so many ticks; a note that is shorter and between is not seen.

    Raises:
        ArgumentError: a frame of less than one tick.
        DataError: a note that no piano has.
    """
    if frame < 1:
        raise ArgumentError(f"{who}: expected frames of at least 1 tick, got {frame}; pass {GRID} for quarter notes")
    T = -(-piece.end // frame)
    roll = np.zeros((T, KEYS), dtype=np.uint8)
    for row in piece.notes.tolist():
        key = row[PITCH] - LOWEST
        if not 0 <= key < KEYS:
            raise DataError(
                f"{who}: expected pitches from {LOWEST} to {LOWEST + KEYS - 1}, the keys of a piano, got {row[PITCH]}; "
                "leave such notes out"
            )
        first, end = -(-row[ONSET] // frame), -(-(row[ONSET] + row[DURATION]) // frame)
        roll[first:end, key] = 1
    return roll


def piece_from_roll(
    roll: Roll, frame: int = GRID, *, metre: Metre | None = None, tempo: float = 120.0, name: str = ""
) -> Piece:
    """A roll as notes: a key that sounds on is one note, up to the end of its bar.

    Raises:
        DataError: no roll.
    """
    found = np.asarray(roll)
    if found.ndim != 2 or found.shape[1] != KEYS:
        raise DataError(f"piece_from_roll: expected a roll of shape (T, {KEYS}), got {found.shape}; give a piano roll")
    padded = np.zeros((len(found) + 2, KEYS), dtype=np.int8)
    padded[1:-1] = found != 0
    change = np.diff(padded, axis=0)
    notes = []
    for k in np.flatnonzero(found.any(0)):
        for begin, end in zip(np.flatnonzero(change[:, k] == 1), np.flatnonzero(change[:, k] == -1), strict=True):
            notes.append((int(begin) * frame, int(end - begin) * frame, int(k) + LOWEST, 80))
    return make_piece(notes, who="piece_from_roll", metres=[metre or Metre(0, 4, 4)], tempo=tempo, name=name)
