"""What is heard: files, arrays and feature matrices, as utterances of features.

Axes in names: N samples, T frames, M features of a frame.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.sound.ark import read_npy, read_scp
from throughtime.data.sound.features import LogMel
from throughtime.data.sound.files import Sound, as_mono, read_sound, sound_pieces
from throughtime.data.sound.pauses import Pauses, Piece, spoken
from throughtime.data.sound.resample import Resampler
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["Ear", "Heard", "named_items"]


@dataclass
class Heard:
    """A clip in memory: sound at the model's rate, cut to where somebody speaks, or features."""

    name: str
    samples: NDArray[np.float32] | None
    frames: NDArray[np.float32]
    """(T, M)"""
    silent: bool = False
    """Whether nothing in it rises above silence."""


@dataclass
class Ear:
    """How sound, or what stands in its place, becomes features.

    Args:
        mel: the features; None: they are given.
        features: M.
        frame_rate: frames a second.
    """

    mel: LogMel | None
    features: int
    frame_rate: float
    heard: float = 0.0
    """Seconds of the clip that `utterances` last read."""

    @property
    def rate(self) -> int:
        """Samples a second; 0 where features are given."""
        return 0 if self.mel is None else self.mel.rate

    def whole(self, item: Any, name: str, who: str) -> Heard:
        """A clip to train on.

        Raises:
            DataError: no sound in it.
            ArgumentTypeError, ArgumentError: something that is no sound, or no features where those are given.
        """
        if self.mel is None:
            return Heard(name, None, _matrix(item, name, who, self.features))
        samples = _samples(item, name, who, self.mel.rate)
        frames = self.mel(self._long_enough(samples))
        pieces = spoken(frames, True)
        if pieces:
            first, last = pieces[0].first, pieces[-1].first + len(pieces[-1].frames)
            frames = frames[first:last]
            samples = samples[first * self.mel.step : (last - 1) * self.mel.step + self.mel.window]
        return Heard(name, samples, frames, silent=not pieces)

    def utterances(self, item: Any, name: str, who: str) -> Iterator[Piece]:
        """The parts of utterances in a clip, which may be longer than memory.

        Raises:
            As `whole`.
        """
        if self.mel is None:
            frames = _matrix(item, name, who, self.features)
            self.heard = len(frames) / self.frame_rate
            yield Piece(frames, 0, True, True)
            return
        features, pauses, heard = self.mel.stream(), Pauses(), 0
        for sound in _pieces(item, name, who, self.mel.rate):
            heard += len(sound)
            self.heard = heard / self.mel.rate
            yield from pauses.feed(features.feed(sound))
        if heard < self.mel.window:
            yield from pauses.feed(features.feed(np.zeros(self.mel.window - heard, dtype=np.float32)))
        yield from pauses.finish()

    def _long_enough(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """At least one frame."""
        assert self.mel is not None
        return np.pad(samples, (0, max(self.mel.window - len(samples), 0)))


def named_items(audio: Any, who: str) -> Iterator[tuple[str, Any]]:
    """Clips with a name each: that of the file, or a number.

    Raises:
        ArgumentTypeError: no list of clips.
    """
    if isinstance(audio, str | os.PathLike) or _is_pair(audio) or isinstance(audio, Sound):
        audio = [audio]
    if isinstance(audio, str | os.PathLike) or not isinstance(audio, Iterable):
        raise ArgumentTypeError(f"{who}: expected a list of clips, got {type(audio).__name__}; put it in a list")
    if isinstance(audio, np.ndarray) and audio.dtype != object:
        raise ArgumentTypeError(
            f"{who}: expected a list of clips, got an array {audio.shape}; pass pairs (samples, rate) in a list"
        )
    for number, item in enumerate(audio):
        if isinstance(item, str | os.PathLike) and Path(item).suffix == ".scp":
            yield from read_scp(item)
        else:
            yield str(item) if isinstance(item, str | os.PathLike) else f"clip {number}", item


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[1], int | np.integer)


def _samples(item: Any, name: str, who: str, rate: int) -> NDArray[np.float32]:
    if isinstance(item, str | os.PathLike):
        return read_sound(item, rate).samples
    return np.concatenate(list(_pieces(item, name, who, rate)))


def _pieces(item: Any, name: str, who: str, rate: int) -> Iterator[NDArray[np.float32]]:
    if isinstance(item, str | os.PathLike):
        for piece in sound_pieces(item, rate):
            yield piece.samples
        return
    if not _is_pair(item):
        raise ArgumentTypeError(
            f"{who}: {name}: expected a file or a pair (samples, rate), got {type(item).__name__}; pass one"
        )
    sound = as_mono(item[0], item[1], f"{who}: {name}")
    yield Resampler(sound.rate, rate)(sound.samples)


def _matrix(item: Any, name: str, who: str, features: int) -> NDArray[np.float32]:
    """Features (T, M) as they were given; `features` 0 takes any M."""
    if isinstance(item, str | os.PathLike):
        if Path(item).suffix != ".npy":
            raise ArgumentError(
                f"{who}: expected features (.npy, .scp) for a model with a frame_rate, got {os.fspath(item)!r}; pass "
                "those, or train without frame_rate on sound"
            )
        item = read_npy(item)
    matrix = np.asarray(item, dtype=np.float32) if isinstance(item, np.ndarray) else None
    if matrix is None or matrix.ndim != 2 or (features and matrix.shape[1] != features):
        got = type(item).__name__ if matrix is None else matrix.shape
        raise ArgumentError(
            f"{who}: {name}: expected a matrix (frames, {features or 'features'}), got {got}; pass one of that shape"
        )
    if not len(matrix) or not np.isfinite(matrix).all():
        got = "no frame" if not len(matrix) else "NaN or infinity"
        raise DataError(f"{who}: {name}: expected finite features, got {got}; compute them anew")
    return matrix
