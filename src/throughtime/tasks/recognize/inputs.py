"""What people have, as recordings: arrays, paths, recordings.

Axes in names: N recordings, T time.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.recording import Recording
from throughtime.data.sensors.columns import Columns
from throughtime.data.sensors.files import as_recording, read_recordings
from throughtime.data.video.reading import read_frames
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.recognize.labels import ActivityLabels
from throughtime.tasks.recognize.reading import MOST_FRAME_RATE

VIDEO_SIZE = (64, 48)
"""Pixels across and down that videos are read at, where no size is asked for."""


def read_sequences(
    given: Any, labels: Any, groups: Any, who: str, *, rate: float | None, size: tuple[int, int] | None, grey: bool,
    columns: Columns | None = None,
) -> list[Recording]:  # fmt: skip
    """Recordings, with what was passed beside them.

    Args:
        given: a path of a file or folder; a list of arrays, paths and recordings; or an array whose first axis is that
            of the recordings.
        labels: one of each recording, or a sequence of one of each of its samples; None: theirs.
        groups: one of each; None: theirs.

    Raises:
        ArgumentTypeError: something else.
        DataError: as `read_recordings`; not as many labels or groups as recordings, or labels as samples.
    """

    width, height = VIDEO_SIZE if size is None else size
    wanted = (width, height)

    def frames(path: Path, start: float | None, end: float | None) -> Recording:
        return read_frames(
            path, rate=MOST_FRAME_RATE if rate is None else rate, size=wanted, grey=grey,
            start=start, end=end,
        )  # fmt: skip

    if isinstance(given, str | os.PathLike):
        found = read_recordings(given, columns, frames=frames)
    elif isinstance(given, Iterable) and not isinstance(given, bytes | dict):
        found = []
        for number, one in enumerate(given):
            if isinstance(one, Recording):
                found.append(one)
            elif isinstance(one, str | os.PathLike):
                found += read_recordings(one, columns, frames=frames)
            else:
                found.append(as_recording(_array(one, who, number), f"sequence {number}"))
    else:
        raise ArgumentTypeError(
            f"{who}: expected sequences in a list or array, or a path, got {type(given).__name__}; pass one of these"
        )
    for what, values in (("labels", labels), ("groups", groups)):
        if values is not None and (isinstance(values, str) or not hasattr(values, "__len__")):
            raise ArgumentTypeError(f"{who}: expected {what} in a list, got {values!r:.60}; pass one for each sequence")
        if values is not None and len(values) != len(found):
            raise DataError(
                f"{who}: expected {what} for each of the {len(found)} sequences, got {len(values)}; pass one for each"
            )
    if groups is not None:
        found = [replace(one, group=_plain(group)) for one, group in zip(found, groups, strict=True)]
    if labels is not None:
        found = [_labelled(one, label, who) for one, label in zip(found, labels, strict=True)]
    return found


def _array(value: Any, who: str, number: int) -> Any:
    found = value.numpy(force=True) if hasattr(value, "detach") else np.asarray(value)
    if found.dtype == object or found.dtype.kind in "USO":
        raise ArgumentTypeError(
            f"{who}: expected numbers, got {value!r:.60} as sequence {number}; pass arrays of numbers"
        )
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _labelled(recording: Recording, label: Any, who: str) -> Recording:
    if isinstance(label, Sequence | np.ndarray) and not isinstance(label, str):
        if len(label) != len(recording):
            raise DataError(
                f"{who}: expected a label for each of the {len(recording)} samples of {recording.name}, got "
                f"{len(label)}; pass one for each"
            )
        return replace(recording, label=None, labels=np.array([_plain(one) for one in label], dtype=object))
    return replace(recording, label=_plain(label), labels=None)


def check_labelled(recordings: Sequence[Recording], who: str, aligned: bool | None = None) -> list[Recording]:
    """The recordings, all labelled as a whole or all sample by sample.

    Labels of samples that are the same throughout every recording are labels of the whole.

    Args:
        aligned: how a model wants them; None: as they are.

    Raises:
        ArgumentError: no recording, one without labels, or labels of another kind.
    """
    if not recordings:
        raise ArgumentError(f"{who}: expected recordings, got none; give at least one")
    bare = next((one for one in recordings if one.label is None and one.labels is None), None)
    if bare is not None:
        raise ArgumentError(
            f"{who}: expected labels, got none of {bare.name}; pass labels, name their column, or put recordings into "
            "a folder for each label"
        )
    by_sample = [one.labels is not None for one in recordings]
    if aligned is None:
        aligned = any(one.labels is not None and (one.labels != one.labels[0]).any() for one in recordings)
    if not aligned:
        mixed = next(
            (one for one in recordings if one.labels is not None and (one.labels != one.labels[0]).any()), None
        )
        if mixed is not None:
            assert mixed.labels is not None
            other = mixed.labels[mixed.labels != mixed.labels[0]][0]
            raise ArgumentError(
                f"{who}: expected one label a recording, as the model was trained, got {mixed.labels[0]!r} and "
                f"{other!r} in {mixed.name}; give parts with one each"
            )
        return [one if one.labels is None else replace(one, label=one.labels[0], labels=None) for one in recordings]
    if not all(by_sample):
        return [
            one
            if one.labels is not None
            else replace(one, labels=np.array([one.label] * len(one), dtype=object), label=None)
            for one in recordings
        ]
    return list(recordings)


def distinct_labels(recordings: Sequence[Recording]) -> list[Any]:
    """Labels, each of a recording once."""
    several = ([one.label] if one.labels is None else dict.fromkeys(one.labels.tolist()) for one in recordings)
    return [label for labels in several for label in labels]


def all_labels(recordings: Sequence[Recording]) -> list[Any]:
    """The label of each recording, or of every sample."""
    return [label for one in recordings for label in ([one.label] if one.labels is None else one.labels.tolist())]


def label_numbers(recording: Recording, labels: ActivityLabels) -> NDArray[np.int64]:
    """A number, or one of each sample."""
    if recording.labels is None:
        return labels.numbers([recording.label]).reshape(())
    return labels.numbers(recording.labels)
