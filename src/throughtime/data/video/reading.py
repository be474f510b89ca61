"""Frames of a video or a folder of images, small, with their times.

Axes in names: T time, H height, W width, K colours.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.recording import Recording
from throughtime.errors import ArgumentError, DataError

__all__ = ["Frame", "frames_of", "is_frame_folder", "is_video", "read_frames", "resized"]

_VIDEOS = (".mp4", ".m4v", ".webm", ".mkv", ".gif", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".ogv")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_SLACK = 1e-3  # seconds: time stamps in files are whole milliseconds


class Frame(NamedTuple):
    """An image and when it is shown."""

    image: NDArray[np.uint8]
    """(H, W, K)"""
    time: float
    """Seconds from the first frame of the source."""


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether the name ends as a video's does."""
    return Path(path).name.lower().endswith(_VIDEOS)


def is_frame_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds images and nothing else (files that begin with a dot apart)."""
    folder = Path(path)
    if not folder.is_dir():
        return False
    names = [entry.name.lower() for entry in folder.iterdir() if not entry.name.startswith(".")]
    return bool(names) and all(name.endswith(_IMAGES) for name in names)


def frames_of(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    rate: float | None = None,
    size: tuple[int, int] | None = None,
    grey: bool = False,
    folder_rate: float = 25.0,
) -> Iterator[Frame]:
    """Frames one by one, as they come: of a video, a folder of images, or an open file such as a pipe.

    Args:
        rate: frames a second: at every 1/rate the frame shown then, whatever the rate of the video, which may vary;
            None: all frames.
        size: (width, height) in pixels; None: those of the first frame. A frame of another size is scaled.
        grey: one colour in place of three.
        folder_rate: images a second of a folder, which says nothing of time.

    Raises:
        DataError: no video stream (sound alone), no frame, a file that is damaged or breaks off.
        MissingExtraError: PyAV is not installed.
    """
    shown = str(source) if isinstance(source, str | os.PathLike) else "the stream"
    folder = isinstance(source, str | os.PathLike) and Path(source).is_dir()
    pieces = _images(Path(shown), folder_rate) if folder else _decoded(source, shown)
    given = size
    due, before, count = 0.0, None, 0
    for decoded, time in pieces:
        if given is None:
            given = decoded.width, decoded.height
        if rate is None:
            count += 1
            yield Frame(_array(decoded, given, grey), time)
            continue
        while before is not None and due < time - _SLACK:  # what is shown at `due` is the frame before
            count += 1
            yield Frame(before, due)
            due = count / rate
        if due <= time + 1 / rate:
            before = _array(decoded, given, grey)
    if rate is not None and before is not None:
        yield Frame(before, due)
        count += 1
    if not count:
        raise DataError(f"{shown}: expected a video with frames, got none; give another file")


def read_frames(
    path: str | os.PathLike[str],
    *,
    rate: float | None = None,
    size: tuple[int, int] | None = None,
    grey: bool = False,
    start: float | None = None,
    end: float | None = None,
) -> Recording:
    """A video or a folder of images as one recording, (T, H, W, K) with times in seconds from the first frame.

    Args:
        rate, size, grey: as `frames_of`.
        start: the first second that is read.
        end: the second before which reading ends.

    Raises:
        DataError: as `frames_of`; no frame between start and end.
    """
    low, high = 0.0 if start is None else start, np.inf if end is None else end
    if not low < high:
        raise ArgumentError(f"{path}: expected an end after the start, got {low:g} to {high:g} s; correct them")
    images: list[NDArray[np.uint8]] = []
    times: list[float] = []
    for image, time in frames_of(path, rate=rate, size=size, grey=grey):
        if time >= high - _SLACK:
            break
        if time >= low - _SLACK:
            images.append(image)
            times.append(time)
    if not images:
        raise DataError(f"{path}: expected frames from {low:g} to {high:g} s, got none; correct start and end")
    return Recording(np.stack(images), str(path), np.array(times) - times[0], group=str(path))


def _decoded(source: Any, shown: str) -> Iterator[tuple[Any, float]]:
    """PyAV's frames and their seconds."""
    av = require("av", extra="video")
    try:
        container = av.open(os.fspath(source) if isinstance(source, str | os.PathLike) else source)
    except FileNotFoundError as error:
        raise DataError(f"{shown}: expected a video to read, got no such file; check the path") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{shown}: expected a video, got {_reason(error)}; is it whole, and a video?") from error
    with container:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise DataError(f"{shown}: expected a video stream, got {kinds} alone; give a file with pictures")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first, last, step = None, -np.inf, 1 / float(stream.average_rate or 25)
        try:
            for frame in container.decode(stream):
                time = None if frame.pts is None else float(frame.pts * frame.time_base)
                if time is None:
                    time = last + step if np.isfinite(last) else 0.0
                first = time if first is None else first
                last = max(time, last)
                yield frame, last - first
        except (av.error.FFmpegError, OSError, ValueError) as error:
            at = "before the first frame" if first is None else f"after {last - first:.2f} s"
            raise DataError(
                f"{shown}: expected a whole video, got {_reason(error)} {at}; copy it again or cut it there"
            ) from error
        length = _seconds(container, stream)
        if first is not None and length is not None and last - first < 0.9 * length - 10 * step:
            raise DataError(
                f"{shown}: expected {length:.2f} s of video as the file says, got {last - first + step:.2f} s; it was "
                "cut off: copy it again"
            )


def _seconds(container: Any, stream: Any) -> float | None:
    """How long the file says that its pictures last; None where it does not."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Of a file with sound, too, it is the longer of both.
    return container.duration / 1e6 if container.duration is not None and len(container.streams) == 1 else None


def _images(folder: Path, rate: float) -> Iterator[tuple[Any, float]]:
    """The images of a folder by their names: numbers in them count as numbers."""
    import re

    paths = [p for p in folder.iterdir() if p.name.lower().endswith(_IMAGES)]
    order = sorted(paths, key=lambda p: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", p.name)])
    for number, path in enumerate(order):
        decoded = next(iter(_decoded(path, str(path))), None)
        if decoded is None:
            raise DataError(f"{path}: expected an image, got none in the file; leave it out")
        yield decoded[0], number / rate


def _array(frame: Any, size: tuple[int, int], grey: bool) -> NDArray[np.uint8]:
    """(H, W, K)"""
    found: NDArray[np.uint8] = frame.reformat(
        width=size[0], height=size[1], format="gray" if grey else "rgb24", interpolation="AREA"
    ).to_ndarray()
    return found[..., None] if grey else found


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0] or type(error).__name__


def resized(frames_THWK: NDArray[np.uint8], size: tuple[int, int], *, grey: bool) -> NDArray[np.uint8]:
    """Frames in memory at another size (width, height), of one colour or three.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    av = require("av", extra="video")
    images = [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image for image in frames_THWK]
    decoded = [av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24") for image in images]
    return np.stack([_array(frame, size, grey) for frame in decoded])
