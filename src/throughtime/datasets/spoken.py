"""Sentences of made-up words, spoken by made-up voices: what was said, and when, is known.

Axes in names: N samples, K harmonics, F formants.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.sound.files import Sound
from throughtime.datasets.arguments import check_whole

__all__ = ["SPOKEN_WORDS", "SpokenClip", "SpokenTime", "spoken"]

SPOKEN_WORDS = ("sami", "sumi", "tola", "tilo", "nako", "neka", "fusa", "fimu", "loke", "mota")
_RATE = 8000  # Hz
# Hz of three formants and dB of the whole: [Peterson1952] for the vowels of a man, rounded.
_VOICED: dict[str, tuple[tuple[float, ...], float]] = {
    "a": ((730, 1090, 2440), 0.0),
    "e": ((530, 1840, 2480), -1.0),
    "i": ((270, 2290, 3010), -3.0),
    "o": ((570, 840, 2410), -1.0),
    "u": ((300, 870, 2240), -3.0),
    "m": ((250, 1000, 2200), -12.0),
    "n": ((250, 1450, 2300), -12.0),
    "l": ((360, 1300, 2700), -8.0),
}
# Hz between which noise is let through, dB, and whether a closure comes before it.
_VOICELESS = {
    "s": (2600.0, 4000.0, -14.0, False),
    "f": (800.0, 4000.0, -24.0, False),
    "t": (2000.0, 4000.0, -12.0, True),
    "k": (1200.0, 2200.0, -12.0, True),
}
_BANDWIDTH = 90.0  # Hz
_FADE = 0.012  # s from one sound to the next


class SpokenTime(NamedTuple):
    """When a word was said, in s."""

    word: str
    start: float
    end: float


class SpokenClip(NamedTuple):
    """A sentence."""

    sound: Sound
    text: str
    times: tuple[SpokenTime, ...]


def spoken(n: int, seed: int, *, least: int = 1, most: int = 4) -> list[SpokenClip]:
    """Draw sentences.

    (1) a voice a sentence: pitch from 85 to 230 Hz, formants up to a fifth higher than a man's, a pace of its own
    (2) from `least` to `most` of `SPOKEN_WORDS`, evenly, with gaps of 0.08 to 0.3 s
    (3) a voiced sound is harmonics of the falling pitch under its formants, a voiceless one is noise in a band
    (4) noise 30 to 50 dB below

    Raises:
        ArgumentTypeError, ArgumentError: n, seed or a number of words is no whole number, or out of range.

    >>> clip, = spoken(1, seed=1)
    >>> clip.text.split() == [time.word for time in clip.times]
    True
    """
    check_whole("spoken", "n", n, 0)
    check_whole("spoken", "seed", seed, 0)
    check_whole("spoken", "least", least, 1)
    check_whole("spoken", "most", most, least)
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_sentence(rng, int(rng.integers(least, most + 1))) for _ in range(n)]


def _sentence(rng: Any, words: int) -> SpokenClip:
    pitch = rng.uniform(85, 230)
    voice = _Voice(rng, pitch, 1 + 0.2 * (pitch - 85) / 145 * rng.uniform(0.5, 1.0), rng.uniform(0.8, 1.25))
    parts: list[NDArray[np.float64]] = [np.zeros(int(rng.uniform(0.05, 0.3) * _RATE))]
    times = []
    for place in range(words):
        word = str(rng.choice(SPOKEN_WORDS))
        said = voice.word(word, fall=1 - 0.15 * place / words)
        start = sum(map(len, parts))
        times.append(SpokenTime(word, start / _RATE, (start + len(said)) / _RATE))
        parts += [said, np.zeros(int(rng.uniform(0.08, 0.3) * _RATE))]
    samples = np.concatenate(parts)
    samples *= rng.uniform(0.1, 0.4) / np.abs(samples).max()
    noise = np.sqrt(np.square(samples).mean()) * 10 ** (-rng.uniform(30, 50) / 20)
    samples = samples + noise * rng.standard_normal(len(samples))
    return SpokenClip(Sound(samples.astype(np.float32), _RATE), " ".join(time.word for time in times), tuple(times))


class _Voice:
    def __init__(self, rng: Any, pitch: float, tract: float, pace: float) -> None:
        self.rng, self.pitch, self.tract, self.pace = rng, pitch, tract, pace

    def word(self, letters: str, fall: float) -> NDArray[np.float64]:
        """(N,) its sounds one after another, faded into each other."""
        fade = int(_FADE * _RATE)
        said = np.zeros(0)
        for letter in letters:
            sound = self._voiced(letter, fall) if letter in _VOICED else self._voiceless(letter)
            ramp = np.linspace(0, 1, fade)
            sound[:fade] *= ramp
            sound[-fade:] *= ramp[::-1]
            if len(said):
                said[-fade:] += sound[:fade]
                sound = sound[fade:]
            said = np.concatenate((said, sound))
        return said

    def _samples(self, seconds: float) -> int:
        return int(seconds * self.rng.uniform(0.85, 1.15) / self.pace * _RATE)

    def _voiced(self, letter: str, fall: float) -> NDArray[np.float64]:
        formants, level = _VOICED[letter]
        samples = self._samples(0.14 if letter in "aeiou" else 0.07)
        pitch_N = self.pitch * fall * np.linspace(1.04, 0.97, samples)
        phase_N = 2 * np.pi * np.cumsum(pitch_N) / _RATE
        count = int(_RATE / 2 / (self.pitch * 1.1))
        hz_K = self.pitch * fall * np.arange(1, count + 1)
        centre_F = np.array(formants) * self.tract * self.rng.normal(1, 0.02, len(formants))
        # A resonance's response at each harmonic, under a source that falls by 12 dB an octave.
        peaks_KF = 1 / (1 + np.square((hz_K[:, None] - centre_F) / _BANDWIDTH))
        size_K = (peaks_KF @ np.array([1.0, 0.6, 0.3]) + 0.01) / np.sqrt(np.arange(1, count + 1))
        sound_N = np.sin(phase_N[:, None] * np.arange(1, count + 1)) @ size_K
        scaled: NDArray[np.float64] = sound_N / np.sqrt(np.square(sound_N).mean()) * 10 ** (level / 20)
        return scaled

    def _voiceless(self, letter: str) -> NDArray[np.float64]:
        low, high, level, closed = _VOICELESS[letter]
        samples = self._samples(0.04 if closed else 0.11)
        spectrum = np.fft.rfft(self.rng.standard_normal(samples))
        hz = np.fft.rfftfreq(samples, 1 / _RATE)
        spectrum[(hz < low * self.tract) | (hz > high)] *= 0.05
        noise = np.fft.irfft(spectrum, n=samples)
        noise *= 10 ** (level / 20) / np.sqrt(np.square(noise).mean())
        return np.concatenate((np.zeros(self._samples(0.05)), noise)) if closed else noise
