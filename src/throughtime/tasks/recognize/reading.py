"""Recordings as a net reads them: at one rate, without gaps, scaled.

Axes in names: T time of the recording, S steps of the net, C channels, H height, W width, K colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.recording import Recording
from throughtime.data.video.reading import resized
from throughtime.errors import DataError

MOST_RATE = 25.0
"""Steps a second of samples, where no rate is asked for: what people do lies below 10 Hz."""
MOST_FRAME_RATE = 10.0
_LONGEST_GAP = 60.0  # seconds that may be filled up


class Prepared(NamedTuple):
    """A recording, read."""

    x: Tensor
    """(S, C) float32, or (S, K, H, W) uint8."""
    places: NDArray[np.int64]
    """(T,) the step that each sample is part of."""


@dataclass(frozen=True)
class Reader:
    """How recordings are read; found on training data.

    (1) step k holds the mean of the samples in [k − ½, k + ½)/rate that are there, the first sample being at 0
    (2) a step without any takes what the last one had, before the first one the mean of the training data
    (3) x = (step − mean) / deviation

    Of frames a step holds the last one of its time.

    Attributes:
        rate: steps a second; samples without times are one a step.
        channels: names of the samples' columns; empty for frames.
        mean, deviation: of each channel, or of all pixels.
        size: (height, width, colours) of frames; None for samples.
    """

    rate: float
    channels: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int, int] | None = None

    @property
    def is_frames(self) -> bool:
        """Whether it reads images."""
        return self.size is not None

    @classmethod
    def find(cls, recordings: Sequence[Recording], rate: float | None, who: str) -> "Reader":
        """Rate, mean and deviation of these recordings.

        Raises:
            DataError: recordings of different kinds, channels or sizes; a channel without a single number.
        """
        first = recordings[0]
        if rate is None:
            rate = _rate_of(recordings, MOST_FRAME_RATE if first.is_frames else MOST_RATE)
        for recording in recordings:
            if recording.is_frames != first.is_frames:
                raise DataError(
                    f"{who}: expected samples or frames alone, got {recording.name} of the other kind; part them"
                )
        if first.is_frames:
            sizes = {recording.values.shape[1:] for recording in recordings}
            if len(sizes) > 1:
                shown = " and ".join(str(size) for size in sorted(sizes)[:2])
                raise DataError(f"{who}: expected frames of one size, got {shown}; pass size=(width, height)")
            some = np.concatenate(
                [recording.values[:: max(1, len(recording) // 4)].ravel() for recording in recordings]
            )
            h, w, k = first.values.shape[1:]
            return cls(float(rate), (), (float(some.mean()),), (max(float(some.std()), 1.0),), (h, w, k))
        for recording in recordings:
            if recording.channels != first.channels:
                raise DataError(
                    f"{who}: expected the channels {', '.join(first.channels)} of {first.name or 'the first'}, got "
                    f"{', '.join(recording.channels)} of {recording.name}; name the channels that all have"
                )
        all_TC = np.concatenate([recording.values for recording in recordings]).astype(np.float64)
        there_C = np.isfinite(all_TC).sum(0)
        if not there_C.all():
            raise DataError(
                f"{who}: expected numbers in every channel, got none in {first.channels[int(there_C.argmin())]!r}; "
                "leave it out"
            )
        mean_C, deviation_C = np.nanmean(all_TC, 0), np.nanstd(all_TC, 0)
        deviation_C = np.where(deviation_C > 1e-12 * np.maximum(np.abs(mean_C), 1e-30), deviation_C, 1.0)
        return cls(float(rate), first.channels, tuple(mean_C.tolist()), tuple(deviation_C.tolist()))

    def read(self, recording: Recording, who: str) -> Prepared:
        """A recording as steps.

        Raises:
            DataError: another kind, other channels, a gap of more than a minute.
        """
        if recording.is_frames != self.is_frames:
            kinds = ("samples", "frames")
            raise DataError(
                f"{who}: expected {kinds[self.is_frames]}, got {kinds[recording.is_frames]} in "
                f"{recording.name or 'a recording'}; give what the model was trained on"
            )
        values = recording.values
        places = self._places(recording, who)
        if self.size is not None:
            if values.shape[1:] != self.size:
                values = resized(values, (self.size[1], self.size[0]), grey=self.size[2] == 1)
            steps = int(places[-1]) + 1
            last_S = np.maximum.accumulate(_last(places, steps))
            return Prepared(torch.from_numpy(np.ascontiguousarray(values[last_S].transpose(0, 3, 1, 2))), places)
        values = self.chosen(recording, who)
        x_SC = (self._steps(values, places) - np.array(self.mean)) / np.array(self.deviation)
        return Prepared(torch.from_numpy(x_SC.astype(np.float32)), places)

    def chosen(self, recording: Recording, who: str) -> NDArray[Any]:
        """(T, C) the channels that the model knows, in its order."""
        if recording.channels == self.channels:
            return recording.values
        missing = [name for name in self.channels if name not in recording.channels]
        if missing or len(self.channels) != len({*self.channels}):
            raise DataError(
                f"{who}: expected the channels {', '.join(self.channels)}, got {', '.join(recording.channels)} in "
                f"{recording.name or 'a recording'}; give {missing[0] if missing else 'these'!r}"
            )
        return recording.values[:, [recording.channels.index(name) for name in self.channels]]

    def _places(self, recording: Recording, who: str) -> NDArray[np.int64]:
        if recording.times is None:
            return np.arange(len(recording))
        times = recording.times - recording.times[0]
        gaps = np.diff(times)
        if gaps.size and gaps.max() > _LONGEST_GAP:
            at = int(gaps.argmax())
            raise DataError(
                f"{who}: expected samples without long gaps, got none for {gaps[at]:.4g} s after {times[at]:.4g} s in "
                f"{recording.name or 'a recording'}; cut it there"
            )
        # Around k/rate, not from there on: samples at the model's own rate then fall into a step each, if they tremble.
        return np.asarray(np.floor(times * self.rate + 0.5), dtype=np.int64)

    def _steps(self, values_TC: NDArray[Any], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """(1) and (2)."""
        steps, C = int(places[-1]) + 1, values_TC.shape[1]
        there_TC = np.isfinite(values_TC)
        if steps == len(places) and (places == np.arange(steps)).all():
            found_SC = values_TC.astype(np.float64)
        else:
            found_SC = np.full((steps, C), np.nan)
            for c in range(C):
                count = np.bincount(places, weights=there_TC[:, c], minlength=steps)
                total = np.bincount(places, weights=np.where(there_TC[:, c], values_TC[:, c], 0.0), minlength=steps)
                np.divide(total, count, out=found_SC[:, c], where=count > 0)
        gap_SC = ~np.isfinite(found_SC)
        if gap_SC.any():
            row_SC = np.where(gap_SC, -1, np.arange(steps)[:, None])
            row_SC = np.maximum.accumulate(row_SC, axis=0)
            filled = np.take_along_axis(found_SC, np.maximum(row_SC, 0), axis=0)
            found_SC = np.where(row_SC < 0, np.array(self.mean), filled)
        return found_SC


def _last(places: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """The last sample of each step; 0 where there is none."""
    found = np.zeros(steps, np.int64)
    found[places] = np.arange(len(places))
    return found


def _rate_of(recordings: Sequence[Recording], most: float) -> float:
    """The median rate of those that have times; 1 where none has, so that a second is a sample."""
    rates = [
        (len(r) - 1) / float(r.times[-1] - r.times[0])
        for r in recordings
        if r.times is not None and len(r) > 1 and r.times[-1] > r.times[0]
    ]
    if not rates:
        return 1.0
    rate = min(float(np.median(rates)), most)
    return round(rate, 2 - math.floor(math.log10(rate)))
