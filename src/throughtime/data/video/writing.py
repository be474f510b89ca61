"""Frames with a line of text over them, as a video or a GIF.

Axes in names: T time, H height, W width, K colours.
"""

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._atomic import check_writable, replacing
from throughtime._extras import require
from throughtime.errors import ArgumentError, DataError

__all__ = ["check_video_target", "write_video"]

_CODECS = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".gif": "gif"}
_LEAST = 240  # pixels across: of smaller frames each pixel is drawn as several, so that text has room
_TICKS = 1000  # of the clock of a file, a second


def check_video_target(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `write_video` cannot write, before any work is done.

    Raises:
        ArgumentError: another ending than .mp4, .mkv, .webm or .gif.
        DataError: the path cannot be written.
        MissingExtraError: PyAV or Pillow is not installed.
    """
    require("av", extra="video")
    require("PIL", extra="plots")
    if Path(path).suffix.lower() not in _CODECS:
        raise ArgumentError(
            f"write_video: expected a file name that ends in {', '.join(_CODECS)}, got {os.fspath(path)!r}; rename it"
        )
    check_writable(path)


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    times: Sequence[float],
    texts: Sequence[str] | None = None,
) -> Path:
    """Write frames, each with its text in a bar below.

    Args:
        path: .mp4, .mkv, .webm or .gif.
        frames: (H, W, K) each, K 1 or 3.
        times: of each frame, in seconds, rising; a GIF rounds them to hundredths.
        texts: of each frame; None: no bar.

    Returns:
        The path written.

    Raises:
        ArgumentError: not as many times or texts as frames, no frame, or another ending.
        DataError: the path cannot be written.
    """
    check_video_target(path)
    av = require("av", extra="video")
    images = list(frames)
    for name, other in (("times", times), ("texts", texts)):
        if other is not None and len(other) != len(images):
            raise ArgumentError(
                f"write_video: expected {name} for {len(images)} frames, got {len(other)}; pass one for each"
            )
    if not images:
        raise ArgumentError("write_video: expected frames, got none; pass at least one")
    target = Path(path)
    kind = target.suffix.lower()
    drawn = [_drawn(image, None if texts is None else texts[i]) for i, image in enumerate(images)]
    gaps = np.diff(np.asarray(times, dtype=np.float64))
    rate = Fraction(round(100 / float(np.median(gaps))) if gaps.size and np.median(gaps) > 0 else 2500, 100)
    try:
        with replacing(target) as temporary, av.open(str(temporary), "w", format=_format(kind)) as container:
            stream: Any = container.add_stream(_CODECS[kind], rate=rate)
            stream.height, stream.width = drawn[0].shape[:2]
            stream.pix_fmt = "rgb8" if kind == ".gif" else "yuv420p"
            ticks = 100 if kind == ".gif" else _TICKS
            stream.codec_context.time_base = Fraction(1, ticks)
            before = -1
            for image, time in zip(drawn, times, strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
                before = max(round((time - times[0]) * ticks), before + 1)
                frame.pts, frame.time_base = before, Fraction(1, ticks)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise DataError(f"{target}: expected to write a video, got {error}; try another ending") from error
    return target


def _format(kind: str) -> str:
    return {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".gif": "gif"}[kind]


def _drawn(image: NDArray[np.uint8], text: str | None) -> NDArray[np.uint8]:
    """RGB, large enough, of even sides, with a bar of text below."""
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    times = max(1, -(-_LEAST // rgb.shape[1]))
    rgb = rgb.repeat(times, axis=0).repeat(times, axis=1)
    if text is not None:
        from PIL import Image, ImageDraw, ImageFont

        height = max(20, rgb.shape[1] // 14)
        bar = Image.new("RGB", (rgb.shape[1], height), (24, 24, 24))
        font = ImageFont.load_default(0.68 * height)
        ImageDraw.Draw(bar).text((6, height / 2), text, fill=(245, 245, 245), font=font, anchor="lm")
        rgb = np.concatenate((rgb, np.asarray(bar)))
    even = (-rgb.shape[0] % 2, -rgb.shape[1] % 2)
    return np.ascontiguousarray(np.pad(rgb, ((0, even[0]), (0, even[1]), (0, 0)), mode="edge"))
