"""Sound without anything to download: a plucked string's partials under an envelope, at the loudness of streamed music.

Axes in names: S samples.
"""

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime._atomic import replacing
from throughtime._extras import require
from throughtime.data.music.midi import score_of
from throughtime.data.music.pieces import GRID, Piece
from throughtime.errors import DataError

RATE = 44_100
LUFS = -16.0
"""What a piece is brought to: loudness units below full scale."""
TAIL = 0.5
"""Seconds of sound after the last bar."""
_PEAK = 0.97
_PARTIALS = (1.0, 0.45, 0.25, 0.12, 0.06, 0.03)
_ATTACK, _RELEASE = 0.008, 0.12  # seconds
Sound = NDArray[np.float32]


def play(piece: Piece, *, soundfont: str | Path | None = None, rate: int = RATE) -> Sound:
    """The piece as sound, (S,) in [−1, 1], at about −16 LUFS; S is its length and half a second.

    (1) a note of frequency f: e(t) Σ_n g_n sin(2π n f t) exp(−n t / τ), n f below half the rate, τ = 1.2 s at middle C
        and shorter above
    (2) e rises in 8 ms and falls in 120 ms from the note's end on

    Args:
        piece: with notes.
        soundfont: a .sf2 or .sf3 file to play with in place of (1), by symusic's synthesiser.
        rate: samples a second.

    Raises:
        DataError: no note, or a soundfont that is not there.
        MissingExtraError: scipy or symusic is not installed.
    """
    if not len(piece.notes):
        raise DataError("play: expected a piece with notes, got none; write one first")
    samples = round((piece.seconds + TAIL) * rate)
    if soundfont is not None:
        sound = _by_soundfont(piece, Path(soundfont), rate)
        sound = np.pad(sound[:samples], (0, max(0, samples - len(sound))))
    else:
        sound = np.zeros(samples)
        second = 60 / piece.tempo / GRID
        for onset, duration, pitch, velocity in piece.notes.tolist():
            note = _note(440.0 * 2 ** ((pitch - 69) / 12), duration * second, rate) * (velocity / 127) ** 1.5
            at = round(onset * second * rate)
            note = note[: samples - at]
            sound[at : at + len(note)] += note
    return levelled(sound, rate)


def _note(frequency: float, seconds: float, rate: int) -> NDArray[np.float64]:
    t_S = np.arange(round((seconds + _RELEASE) * rate)) / rate
    decay = 1.2 * (261.6 / frequency) ** 0.5
    sound = np.zeros(len(t_S))
    for n, gain in enumerate(_PARTIALS, 1):
        if n * frequency < 0.45 * rate:
            sound += gain * np.sin(2 * np.pi * n * frequency * t_S) * np.exp(-n * t_S / decay)
    rise = np.clip(t_S / _ATTACK, 0, 1)
    fall = np.clip((seconds + _RELEASE - t_S) / _RELEASE, 0, 1)
    # Half cosines, whose ends have no corner that would be heard as a click.
    envelope: NDArray[np.float64] = (1 - np.cos(np.pi * rise)) / 2 * (1 - np.cos(np.pi * fall)) / 2
    return sound * envelope


def levelled(sound: NDArray[Any], rate: int) -> Sound:
    """Brought to −16 LUFS; peaks above 0.97 are rounded off, not clipped."""
    measured = loudness(sound, rate)
    if not np.isfinite(measured):
        return np.zeros(len(sound), dtype=np.float32)
    sound = sound * 10 ** ((LUFS - measured) / 20)
    knee = 0.75
    over = np.abs(sound) > knee
    room = _PEAK - knee
    sound[over] = np.sign(sound[over]) * (knee + room * np.tanh((np.abs(sound[over]) - knee) / room))
    return sound.astype(np.float32)


def loudness(sound: NDArray[Any], rate: int) -> float:
    """Integrated loudness in LUFS of one channel; −inf for silence.

    **Source** [BS1770]: K-weighting by two biquads, 400 ms blocks that overlap by three quarters, gates at −70 LUFS and
    at 10 below the mean of what passes the first.
    """
    signal = require("scipy.signal", extra="music")
    weighted = signal.lfilter(*_shelf(rate), np.asarray(sound, dtype=np.float64))
    weighted = signal.lfilter(*_high_pass(rate), weighted)
    size, hop = round(0.4 * rate), round(0.1 * rate)
    if len(weighted) < size:
        weighted = np.pad(weighted, (0, size - len(weighted)))
    total = np.concatenate(([0.0], np.cumsum(weighted**2)))
    starts = np.arange(0, len(weighted) - size + 1, hop)
    power = (total[starts + size] - total[starts]) / size
    power = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not len(power):
        return float("-inf")
    power = power[power > power.mean() / 10]
    return float(-0.691 + 10 * np.log10(power.mean()))


def _shelf(rate: int) -> tuple[list[float], list[float]]:
    """The head: +4 dB above 1.7 kHz."""
    f, gain, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k, high = np.tan(np.pi * f / rate), 10 ** (gain / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    return (
        [(high + middle * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - middle * k / q + k * k) / a0],
        [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0],
    )


def _high_pass(rate: int) -> tuple[list[float], list[float]]:
    f, q = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * f / rate)
    a0 = 1 + k / q + k * k
    return [1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]


def _by_soundfont(piece: Piece, path: Path, rate: int) -> NDArray[np.float64]:
    if not path.is_file():
        raise DataError(f"{path}: expected a soundfont, a .sf2 or .sf3 file, got nothing there; look at the path")
    symusic = require("symusic", extra="music")
    found = symusic.Synthesizer(str(path), rate).render(score_of(piece), True)
    sound: NDArray[np.float64] = np.asarray(found, dtype=np.float64).mean(0)
    return sound


def write_wav(sound: Sound, path: str | Path, *, rate: int = RATE) -> None:
    """Write 16-bit PCM, whole or not at all.

    Raises:
        DataError: the path cannot be written.
    """
    words = np.rint(np.clip(np.asarray(sound, dtype=np.float64), -1, 1) * 32767).astype("<i2")
    with replacing(Path(path)) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(words.tobytes())
