"""Sound from a pipe: WAV, whose header says what it is, or bare samples of 16 bits."""

import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.sound.files import Sound
from throughtime.errors import DataError

__all__ = ["PipedSound", "piped_sound"]

_MOST_HEADER = 2**20  # bytes: what stands before the samples is short
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_WIDTHS = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}


class PipedSound:
    """Bytes as they come to samples, in pieces that need not end where a sample does.

    Args:
        rate: samples a second of sound without a header: signed 16 bits, little-endian, one channel.
    """

    def __init__(self, rate: int, name: str = "standard input") -> None:
        self.rate = rate
        self.name = name
        self._kind, self._bits, self._channels = _PCM, 16, 1
        self._waiting = b""
        self._header: bool | None = None  # not known yet
        self._left: int | None = None  # bytes of samples that are to come; None: to the end

    def feed(self, given: bytes) -> NDArray[np.float32]:
        """The samples that these bytes complete, the mean of all channels.

        Raises:
            DataError: a header that is no WAV's, or of samples that are packed otherwise.
        """
        self._waiting += given
        if self._header is None and len(self._waiting) >= 4:
            self._header = self._waiting[:4] == b"RIFF"
        if self._header is None or (self._header and not self._read_header()):
            return np.zeros(0, dtype=np.float32)
        ready = self._waiting if self._left is None else self._waiting[: self._left]
        width = self._bits // 8 * self._channels
        whole = len(ready) // width * width
        self._waiting = self._waiting[whole:]
        if self._left is not None:
            self._left -= whole
            self._waiting = self._waiting[: self._left]  # what follows the samples is none
        return self._samples(ready[:whole])

    def _read_header(self) -> bool:
        """Whether the header has come as a whole; it is then done with."""
        told = None
        at = 12
        while at + 8 <= len(self._waiting):
            name, size = struct.unpack_from("<4sI", self._waiting, at)
            if name == b"data":
                if told is None:
                    raise DataError(f"{self.name}: expected a WAV header that says what it holds, got none; convert it")
                self._kind, self._channels, self.rate, _, _, self._bits = struct.unpack_from("<HHIIHH", told)
                if self._kind == _EXTENSIBLE and len(told) >= 26:
                    self._kind = struct.unpack_from("<H", told, 24)[0]
                if (self._kind, self._bits) not in _WIDTHS or not self._channels or not self.rate:
                    raise DataError(
                        f"{self.name}: expected WAV of PCM or floating point, got format {self._kind} with "
                        f"{self._bits} bits, {self._channels} channels, {self.rate} Hz; convert it to 16-bit PCM"
                    )
                self._left = size if 0 < size < 0xFFFFFFFF - 256 else None
                self._waiting, self._header = self._waiting[at + 8 :], False
                return True
            if at + 8 + size > len(self._waiting):
                break
            if name == b"fmt ":
                told = self._waiting[at + 8 : at + 8 + size]
            at += 8 + size + size % 2
        if len(self._waiting) > _MOST_HEADER:
            raise DataError(f"{self.name}: expected samples within {_MOST_HEADER} bytes of a WAV, got none; convert it")
        return False

    def _samples(self, raw: bytes) -> NDArray[np.float32]:
        values: NDArray[Any]
        if self._kind == _FLOAT:
            values = np.frombuffer(raw, dtype=f"<f{self._bits // 8}")
        elif self._bits == 8:
            values = (np.frombuffer(raw, dtype=np.uint8).astype(np.float32) - 128) / 128
        elif self._bits == 24:
            wide = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
            values = wide.view("<i4")[:, 0] / 2.0**31
        else:
            values = np.frombuffer(raw, dtype=f"<i{self._bits // 8}") / 2.0 ** (self._bits - 1)
        mono: NDArray[np.float32] = values.reshape(-1, self._channels).mean(1).astype(np.float32)
        return mono


def piped_sound(source: IO[bytes], rate: int, seconds: float = 0.1) -> Iterator[Sound]:
    """The sound of a pipe, as it comes.

    Args:
        rate: as `PipedSound` has it.
        seconds: at most so much at a time; what is there is given at once.
    """
    sound = PipedSound(rate)
    read = getattr(source, "read1", source.read)
    while given := read(max(int(2 * rate * seconds), 1)):
        samples = sound.feed(given)
        if len(samples):
            yield Sound(samples, sound.rate)
