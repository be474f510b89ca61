"""Log-mel features by kaldi-native-fbank, the same numbers whether the sound comes whole or in pieces.

Axes in names: N samples, T frames, M mel bins.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require

__all__ = ["FLOOR", "LogMel", "LogMelStream"]

FLOOR = 3.0
"""The least log energy: below what the last bit of 16-bit sound makes, so that digital silence is no outlier."""
_SCALE = 32768.0  # samples in [−1, 1] as Kaldi has them, in units of the last bit of 16
_PIECE = 16_000  # samples handed over at a time, so that long sound does not stand in memory twice


@dataclass(frozen=True)
class LogMel:
    """How sound becomes features.

    (1) frame t is the `window_ms` of sound that begin `t · step_ms` after the first sample; what is left at the end,
        shorter than a window, is no frame
    (2) each frame: mean taken off, pre-emphasis 0.97, Povey's window, power spectrum, triangles evenly spaced in mel
        between `low_hz` and half the rate, logarithm; no dither
    (3) not below `FLOOR`

    Args:
        rate: samples a second.
        mels: M.
    """

    rate: int
    mels: int = 40
    window_ms: float = 25.0
    step_ms: float = 10.0
    low_hz: float = 60.0

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return int(self.rate * 0.001 * self.window_ms)

    @property
    def step(self) -> int:
        """Samples from frame to frame."""
        return int(self.rate * 0.001 * self.step_ms)

    def frames(self, samples: int) -> int:
        """Frames of so many samples."""
        return 0 if samples < self.window else 1 + (samples - self.window) // self.step

    def stream(self) -> "LogMelStream":
        """Features while the sound comes."""
        return LogMelStream(self)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, M) the features of sound (N,) in [−1, 1].

        Raises:
            MissingExtraError: kaldi-native-fbank is not installed.
        """
        return self.stream().feed(samples)

    def _kaldi(self) -> Any:
        kaldi = require("kaldi_native_fbank", extra="speech")
        options = kaldi.FbankOptions()
        frame, mel = options.frame_opts, options.mel_opts
        frame.samp_freq, frame.dither, frame.snip_edges = self.rate, 0.0, True
        frame.frame_length_ms, frame.frame_shift_ms = self.window_ms, self.step_ms
        mel.num_bins, mel.low_freq, mel.high_freq = self.mels, self.low_hz, 0.0
        return kaldi.OnlineFbank(options)


class LogMelStream:
    """Sound in pieces of any size to the frames that they complete; nothing else is kept."""

    def __init__(self, options: LogMel) -> None:
        self.options = options
        self._kaldi = options._kaldi()
        self._given = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, M) the frames that these samples complete."""
        rows: list[NDArray[np.float32]] = []
        scaled_N = np.asarray(samples, dtype=np.float32) * np.float32(_SCALE)
        for begin in range(0, len(scaled_N), _PIECE):
            self._kaldi.accept_waveform(self.options.rate, scaled_N[begin : begin + _PIECE])
            ready = self._kaldi.num_frames_ready
            # A frame's buffer is Kaldi's own, and goes with `pop`.
            rows += [np.array(self._kaldi.get_frame(t)) for t in range(self._given, ready)]
            self._kaldi.pop(ready - self._given)
            self._given = ready
        if not rows:
            return np.zeros((0, self.options.mels), dtype=np.float32)
        return np.maximum(np.stack(rows), np.float32(FLOOR))
