"""Files and folders of recordings: CSV, Parquet and .npy of samples, videos, folders of frames, lists of them."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.data.recording import Recording
from throughtime.data.sensors.columns import Columns, Found
from throughtime.data.sensors.tables import header, rows_or_samples, texts_of
from throughtime.data.tables.files import Table, is_parquet, read_table
from throughtime.data.video.reading import is_frame_folder, is_video, read_frames
from throughtime.errors import DataError

__all__ = ["read_recordings"]

_logger = logging.getLogger("throughtime.data")
_TABLES = (".csv", ".csv.gz", ".parquet")
Frames = Callable[[Path, float | None, float | None], Recording]
"""Reads the frames of a path from one second to another."""


def read_recordings(
    path: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    frames: Frames | None = None,
) -> list[Recording]:
    """Every recording of a file or a folder.

    A table (.csv, .csv.gz, .parquet) has a sample in each row; or, where one of its columns is `file`, a recording in
    each row (with `label`, `group`, and `start` and `end` in seconds for a part of it); or, without a header, a label
    and the values of a whole sequence in each row. A `.npy` file is one recording, (T, C) samples or (T, H, W) or
    (T, H, W, K) frames. In a folder every table, array, video and folder of frames is a recording, in sub-folders too:
    their names are the labels where the files bring none, and the groups where every sample has a label.

    Args:
        columns: what the columns of tables hold.
        frames: reads videos and folders of frames; None: all frames as they are.

    Raises:
        DataError: nothing there to read, or what the readers of each kind say.
    """
    at, columns = Path(path), columns or Columns()
    read = _plain_frames if frames is None else frames
    if at.is_dir() and not is_frame_folder(at):
        return _folder(at, columns, read)
    return _one(at, columns, read)


def _plain_frames(path: Path, start: float | None, end: float | None) -> Recording:
    return read_frames(path, start=start, end=end)


def _one(path: Path, columns: Columns, frames: Frames) -> list[Recording]:
    if is_frame_folder(path) or is_video(path):
        return [frames(path, None, None)]
    if path.name.lower().endswith(".npy"):
        return [_array(path)]
    if not path.name.lower().endswith(_TABLES):
        if not path.exists():
            raise DataError(f"{path}: expected a file or a folder to read, got none; check the path")
        raise DataError(
            f"{path}: expected samples (.csv, .csv.gz, .parquet, .npy), a video (.mp4, .webm, .mkv, .gif, .avi) "
            f"or a folder, got {path.name!r}; convert it"
        )
    if is_parquet(path) or _lists_files(path):
        table = read_table(path)
        found = Found.among(table.frame.columns, columns, str(path))
        if found.file is not None:
            return list(_listed(table, found, columns, frames))
    return rows_or_samples(path, columns)


def _lists_files(path: Path) -> bool:
    names = header(path)
    return names is not None and Found.among(names, Columns(), str(path)).file is not None


def _array(path: Path) -> Recording:
    try:
        values: Any = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: expected an array in a .npy file, got {reason}; write it with numpy.save") from error
    return as_recording(values, str(path))


def as_recording(values: Any, name: str) -> Recording:
    """An array as a recording: (T, C) or (T,) numbers, or (T, H, W) or (T, H, W, K) uint8 frames.

    Raises:
        DataError: another shape or dtype, or no samples.
    """
    array: Any = np.asarray(values)
    if array.ndim == 3 and array.dtype == np.uint8:
        array = array[..., None]
    if array.ndim == 1:
        array = array[:, None]
    frames = array.ndim == 4
    if array.ndim not in (2, 4) or array.dtype.kind not in "fiub" or (frames and array.dtype != np.uint8):
        raise DataError(
            f"{name}: expected samples of shape (T, C), or frames (T, H, W) or (T, H, W, K) of uint8, got "
            f"{np.shape(values)} of {array.dtype}; convert it"
        )
    if frames and array.shape[3] not in (1, 3):
        raise DataError(f"{name}: expected frames of 1 or 3 colours, got {array.shape[3]}; convert them to grey or RGB")
    if not len(array):
        raise DataError(f"{name}: expected samples, got none; leave it out")
    if frames:
        return Recording(array, name)
    with np.errstate(over="ignore"):
        values_TC = array.astype(np.float32)
    values_TC = np.where(np.isfinite(values_TC), values_TC, np.float32(np.nan))
    return Recording(values_TC, name, channels=tuple(f"channel {i}" for i in range(array.shape[1])))


def _listed(table: Table, found: Found, columns: Columns, frames: Frames) -> Iterator[Recording]:
    """The recordings that a table names."""
    who = str(table.path)
    files, labels, groups = (texts_of(table, name) for name in (found.file, found.label, found.group))
    assert files is not None
    bounds = [texts_of(table, name) for name in (found.start, found.end)]
    for row, name in enumerate(files):
        path = Path(name) if Path(name).is_absolute() else table.path.parent / name
        place = f"{who}: {table.place(row)}"
        if not path.exists():
            raise DataError(f"{place}: expected a file that is there, got {name!r}; give paths beside the table")
        start, end = (_bound(None if texts is None else texts[row], place) for texts in bounds)
        if is_frame_folder(path) or is_video(path):
            recording = frames(path, start, end)
        else:
            several = _one(path, replace(columns, group=None, label=None), frames)
            if len(several) != 1:
                raise DataError(f"{place}: expected one recording in {name!r}, got {len(several)}; list single ones")
            recording = _cut(several[0], start, end, place)
        if labels is not None:
            if labels[row] == "":
                raise DataError(f"{place}: expected a label, got none; fill it or leave the row out")
            recording = replace(recording, label=labels[row], labels=None)
        # Parts of one file are alike, whatever their labels.
        group = groups[row] if groups is not None else name if recording.group is None else recording.group
        yield replace(recording, group=group)


def _bound(text: Any, place: str) -> float | None:
    if text is None or text == "":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{place}: expected a start or end in seconds, got {text!r}; correct it") from error


def _cut(recording: Recording, start: float | None, end: float | None, place: str) -> Recording:
    """A part of a recording, in seconds."""
    if start is None and end is None:
        return recording
    if recording.times is None:
        raise DataError(f"{place}: expected times to cut by start and end, got samples without; add a column time")
    low, high = -np.inf if start is None else start, np.inf if end is None else end
    inside = (recording.times >= low) & (recording.times < high)
    if not inside.any():
        raise DataError(f"{place}: expected samples from {low:g} to {high:g} s, got none; correct start and end")
    labels = None if recording.labels is None else recording.labels[inside]
    return replace(recording, values=recording.values[inside], times=recording.times[inside], labels=labels)


def _folder(folder: Path, columns: Columns, frames: Frames) -> list[Recording]:
    paths = _alike(_walk(folder), columns)
    found: list[tuple[Path, list[Recording]]] = [(path, _one(path, columns, frames)) for path in paths]
    if not found:
        raise DataError(
            f"{folder}: expected recordings (.csv, .parquet, .npy, videos, folders of frames) in the folder, got none; "
            "check the path"
        )
    recordings = [recording for _, several in found for recording in several]
    unlabelled = all(recording.label is None and recording.labels is None for recording in recordings)
    grouped = any(recording.group is not None for recording in recordings)
    above = [path.parent.name for path, several in found for _ in several]
    if len({*above}) < 2:
        return recordings
    if unlabelled:
        return [replace(recording, label=name) for recording, name in zip(recordings, above, strict=True)]
    if not grouped:
        return [replace(recording, group=name) for recording, name in zip(recordings, above, strict=True)]
    return recordings


def _alike(paths: Sequence[Path], columns: Columns) -> list[Path]:
    """Without the tables that lack the label that others have (the one named, or any by its name): they hold others."""
    lacking: set[Path] = set()
    labelled = False
    for path in paths:
        if not path.name.lower().endswith((".csv", ".csv.gz")):
            continue
        names = header(path)
        if names is None:
            continue
        there = columns.label in names if columns.label is not None else (
            Found.among(names, Columns(), str(path)).label is not None
        )  # fmt: skip
        labelled |= there
        lacking |= set() if there else {path}
    if not labelled or not lacking:
        return list(paths)
    shown = ", ".join(sorted(path.name for path in lacking)[:4])
    _logger.warning(
        "%d tables without a column of labels, beside others with one, are left out: %s", len(lacking), shown
    )
    return [path for path in paths if path not in lacking]


def _walk(folder: Path) -> Sequence[Path]:
    """Every recording below, in the order of their names."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found += [path] if is_frame_folder(path) else _walk(path)
        elif is_video(path) or path.name.lower().endswith((*_TABLES, ".npy")):
            found.append(path)
    return found
