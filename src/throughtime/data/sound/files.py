"""Sound in files: WAV, FLAC, OGG and MP3 by soundfile, what else there is by PyAV; whole, or in pieces.

Axes in names: N samples, C channels.
"""

import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.data.sound.resample import Resampler
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError, MissingExtraError

__all__ = ["Sound", "as_mono", "check_samples", "read_sound", "sound_pieces"]

_logger = logging.getLogger("throughtime.data")
_BLOCK = 2**16  # samples that are read at a time
_LOUDEST, _CLIPPED = 0.999, 0.01  # full scale, and the share of samples at it from which on somebody is told
_SLOWEST = 1000  # samples a second: below lies no speech
_said: set[str] = set()


class Sound(NamedTuple):
    """Sound of one channel."""

    samples: NDArray[np.float32]
    """(N,), full scale is [−1, 1]."""
    rate: int
    """Samples a second."""


def read_sound(path: str | os.PathLike[str], rate: int | None = None) -> Sound:
    """All of a file, its channels averaged.

    Args:
        rate: samples a second of the result; None: those of the file.

    Raises:
        DataError: as `sound_pieces`.
    """
    pieces = list(sound_pieces(path, rate))
    return Sound(np.concatenate([piece.samples for piece in pieces]), pieces[0].rate)


def sound_pieces(path: str | os.PathLike[str], rate: int | None = None) -> Iterator[Sound]:
    """A file in pieces, so that it may be longer than memory; at least one.

    Args:
        rate: as `read_sound` has it.

    Raises:
        DataError: no file, one that holds no sound, none at all or less than it says; samples that are not finite.
        MissingExtraError: soundfile, or what else is needed, is not installed.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file}: expected a file of sound, got {'a folder' if file.is_dir() else 'none'}; check it")
    if not file.stat().st_size:
        raise DataError(f"{file}: expected a file of sound, got an empty one (0 bytes); record it again")
    _check_wav(file)
    resampler: Resampler | None = None
    total = clipped = 0
    for samples, own in _decoded(file):
        check_samples(samples, str(file))
        total += len(samples)
        clipped += int(np.count_nonzero(np.abs(samples) >= _LOUDEST))
        if resampler is None:
            resampler = Resampler(own, own if rate is None else rate)
            if rate is not None and own != rate:
                _say_once(f"sound of {own} Hz is resampled to the {rate} Hz that the model hears")
        yield Sound(resampler.feed(samples), resampler.wanted)
    if resampler is None or not total:
        raise DataError(f"{file}: expected sound, got a file with 0 samples; record it again")
    if clipped > _CLIPPED * total:
        _logger.warning(
            "%s: %.1f %% of its samples are at full scale: it was recorded too loud, and words may be lost",
            file, 100 * clipped / total,
        )  # fmt: skip
    if resampler.wanted != resampler.rate:
        yield Sound(resampler.feed(np.zeros(0, dtype=np.float32), last=True), resampler.wanted)


def check_samples(samples: NDArray[np.float32], who: str) -> None:
    """Refuse samples that are not finite.

    Raises:
        DataError: NaN or infinity.
    """
    if not np.isfinite(samples).all():
        at = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise DataError(f"{who}: expected finite samples, got {samples[at]} as number {at}; repair the sound")


def as_mono(samples: Any, rate: Any, who: str) -> Sound:
    """Sound from an array: (N,) or (N, C), integers of any width or numbers in [−1, 1].

    Raises:
        ArgumentTypeError: no array of numbers, or a rate that is no number.
        ArgumentError: another shape, or a rate below 1000.
        DataError: no sample, or one that is not finite.
    """
    array = np.asarray(samples)
    if array.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"{who}: expected samples as numbers, got {array.dtype}; pass an array of them")
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer):
        raise ArgumentTypeError(f"{who}: expected a rate in whole samples a second, got {rate!r}; pass an int")
    if rate < _SLOWEST:
        raise ArgumentError(f"{who}: expected a rate of at least {_SLOWEST} samples a second, got {rate}; check it")
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] > array.shape[0]):
        raise ArgumentError(
            f"{who}: expected samples of shape (N,) or (N, channels), got {array.shape}; turn them if they lie across"
        )
    if not array.size:
        raise DataError(f"{who}: expected sound, got 0 samples; leave it out")
    mono = _scaled(array)
    mono = mono if mono.ndim == 1 else mono.mean(1)
    check_samples(mono, who)
    return Sound(np.ascontiguousarray(mono), int(rate))


def _scaled(array: NDArray[Any]) -> NDArray[np.float32]:
    """Samples in [−1, 1]; integers without a sign have their zero in the middle."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    half = 2.0 ** (8 * array.dtype.itemsize - 1)
    middle = half if array.dtype.kind == "u" else 0.0
    return ((array.astype(np.float64) - middle) / half).astype(np.float32)


def _decoded(file: Path) -> Iterator[tuple[NDArray[np.float32], int]]:
    soundfile = require("soundfile", extra="speech")
    try:
        opened = soundfile.SoundFile(str(file))
    except soundfile.LibsndfileError as error:
        yield from _by_av(file, str(error))
        return
    with opened:
        if opened.channels > 1:
            _say_once("sound of several channels is heard as their mean")
        read = 0
        try:
            while len(block := opened.read(_BLOCK, dtype="float32", always_2d=True)):
                read += len(block)
                yield block.mean(1), opened.samplerate
        except soundfile.LibsndfileError as error:
            raise _truncated(file, opened.frames, read, opened.samplerate) from error
        if read < opened.frames:
            raise _truncated(file, opened.frames, read, opened.samplerate)


def _by_av(file: Path, reason: str) -> Iterator[tuple[NDArray[np.float32], int]]:
    with file.open("rb") as opened:
        begins = opened.read(24)
    refused = (
        f"{file}: expected sound (WAV, FLAC, OGG, MP3, or what PyAV reads), got a file that begins with {begins!r} "
        f"({reason.rstrip('.')}); convert it, or give it its right name"
    )
    try:
        av = require("av", extra="video")
    except MissingExtraError as error:
        raise DataError(f"{file}: expected WAV, FLAC, OGG or MP3, got none of them ({reason}); {error}") from error
    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                raise DataError(f"{file}: expected sound, got a file without any; give one with a sound track")
            stream = container.streams.audio[0]
            to_mono = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
            for frame in container.decode(stream):
                for out in to_mono.resample(frame):
                    yield out.to_ndarray().reshape(-1).astype(np.float32), int(stream.rate)
    except (av.FFmpegError, OSError) as error:
        raise DataError(refused) from error


def _check_wav(file: Path) -> None:
    """Refuse a WAV that ends before its data do: libsndfile reads what is there and does not say."""
    with file.open("rb") as opened:
        head = opened.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return
        align = rate = 0
        while len(chunk := opened.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"fmt ":
                told = opened.read(size + size % 2)
                rate, _, align = struct.unpack("<IIH", told[4:14]) if len(told) >= 14 else (0, 0, 0)
            elif name == b"data":
                left = file.stat().st_size - opened.tell()
                # A size of 0 or of all ones is what a pipe leaves behind that never knew the length.
                if left < size < 0xFFFFFFFF - 256 and align and rate:
                    raise _truncated(file, size // align, left // align, rate)
                return
            else:
                opened.seek(size + size % 2, os.SEEK_CUR)


def _truncated(file: Path, frames: int, read: int, rate: int) -> DataError:
    return DataError(
        f"{file}: expected {frames / rate:.2f} s of sound, as it says itself, got {read / rate:.2f} s; it is cut off "
        "or damaged: copy it again"
    )


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        _logger.warning("%s", message)
