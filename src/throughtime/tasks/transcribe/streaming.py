"""Words while somebody speaks.

Axes in names: N samples, T frames, S steps, V symbols.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.sound.files import as_mono
from throughtime.data.sound.pauses import Pauses, Piece
from throughtime.data.sound.resample import Resampler
from throughtime.errors import ArgumentError
from throughtime.tasks.transcribe.decoding import Decoder, Decoding, Utterance
from throughtime.tasks.transcribe.hearing import Ear
from throughtime.tasks.transcribe.network import NetState, SpeechNet

if TYPE_CHECKING:
    from throughtime.tasks.transcribe.transcriber import Transcriber

__all__ = ["TranscriptStream"]


class TranscriptStream:
    """Sound in pieces of any size to words.

    What is finally heard, its times too, is what the whole sound gives. A pause ends an utterance, and with it
    everything that is remembered: memory does not grow with time.
    """

    def __init__(self, model: "Transcriber", rate: int, decoding: Decoding) -> None:
        self._model = model
        self._net: SpeechNet = model.model_.eval()
        self._ear: Ear = model.ear_
        self._decoding = decoding
        self._rate = rate
        mel = self._ear.mel
        self._resampler = None if mel is None else Resampler(rate, mel.rate)
        self._features = None if mel is None else mel.stream()
        self._pauses = Pauses(known=mel is not None)
        self._heard = 0  # samples at the model's rate, until there is a frame
        self._state: NetState | None = None
        self._decoder: Decoder | None = None
        self._first = self._frames = 0
        self._ended = False

    @property
    def partial(self) -> str:
        """What has been heard so far of the utterance that is not over; "" in a pause."""
        return "" if self._decoder is None else self._decoder.text

    def feed(self, samples: Any) -> list[Utterance]:
        """The utterances that end in this piece.

        Args:
            samples: (N,) or (N, channels), as `Transcriber.predict` takes them; frames (T, M) where the model takes
                features.

        Raises:
            ArgumentError: after `finish`; samples or frames of another shape.
            DataError: a value that is not finite.
        """
        self._check_open()
        if not len(samples):
            return []
        if self._features is None:
            frames = np.asarray(samples, dtype=np.float32)
            if frames.ndim != 2 or frames.shape[1] != self._ear.features:
                raise ArgumentError(
                    f"TranscriptStream.feed: expected frames of shape (T, {self._ear.features}), got {frames.shape}; "
                    "pass features as in training"
                )
            return self._run(self._pauses.feed(frames))
        assert self._resampler is not None
        mono = as_mono(samples, self._rate, "TranscriptStream.feed").samples
        return self._hear(self._resampler.feed(mono))

    def finish(self) -> list[Utterance]:
        """The end of the sound: the utterances that end with it."""
        self._check_open()
        self._ended = True
        found: list[Utterance] = []
        if self._features is not None and self._resampler is not None:
            found = self._hear(self._resampler.feed(np.zeros(0, dtype=np.float32), last=True))
            window = self._features.options.window
            if 0 < self._heard < window:
                found += self._hear(np.zeros(window - self._heard, dtype=np.float32))
        return found + self._run(self._pauses.finish())

    def _check_open(self) -> None:
        if self._ended:
            raise ArgumentError(
                "TranscriptStream: expected nothing after finish, got more; make another stream with stream()"
            )

    def _hear(self, samples: NDArray[np.float32]) -> list[Utterance]:
        assert self._features is not None
        if not len(samples):
            return []
        self._heard = min(self._heard + len(samples), self._features.options.window)
        return self._run(self._pauses.feed(self._features.feed(samples)))

    def _run(self, pieces: list[Piece]) -> list[Utterance]:
        found = []
        for piece in pieces:
            if piece.begins:
                self._state, self._first, self._frames = self._net.start(), piece.first, 0
                self._decoder = self._model._decoder(self._decoding)
            assert self._state is not None
            assert self._decoder is not None
            self._frames += len(piece.frames)
            with torch.inference_mode():
                x_TM = torch.from_numpy(piece.frames.reshape(-1, self._ear.features)).to(self._net.mean.dtype)
                told_SV = self._net.feed(x_TM, self._state, last=piece.ends)
            self._decoder.feed(told_SV.numpy())
            if piece.ends:
                rate = self._ear.frame_rate
                found.append(self._decoder.result(self._first / rate, (self._first + self._frames) / rate))
                self._state = self._decoder = None
        return [one for one in found if one.text]
