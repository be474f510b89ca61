"""Clips of single words, joined to connected speech whose words and their times are known."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from throughtime.data.sound.files import Sound
from throughtime.datasets.arguments import check_whole
from throughtime.errors import ArgumentError

__all__ = ["JoinedClip", "joined_clips"]


class JoinedClip(NamedTuple):
    """Connected speech."""

    sound: Sound
    text: str


def joined_clips(
    sounds: Sequence[Sound],
    words: Sequence[str],
    n: int,
    seed: int,
    *,
    least: int = 3,
    most: int = 7,
    gap: tuple[float, float] = (0.05, 0.4),
) -> list[JoinedClip]:
    """Draw clips and join them.

    (1) from `least` to `most` clips, each of any speaker, brought to one level
    (2) before, between and after them gaps of a random length, filled with noise 50 dB below the words

    Args:
        sounds: a word each, all of one rate.
        gap: s, the shortest and the longest.

    Raises:
        ArgumentTypeError, ArgumentError: a number out of range, no sound, several rates, or another number of words.
    """
    check_whole("joined_clips", "n", n, 0)
    check_whole("joined_clips", "seed", seed, 0)
    check_whole("joined_clips", "least", least, 1)
    check_whole("joined_clips", "most", most, least)
    rates = sorted({sound.rate for sound in sounds})
    if len(rates) != 1 or len(words) != len(sounds):
        raise ArgumentError(
            f"joined_clips: expected sounds of one rate, and a word for each, got {len(sounds)} of rates {rates} and "
            f"{len(words)} words; resample them"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    rate = rates[0]

    def silence() -> Any:
        return 3e-4 * rng.standard_normal(int(rng.uniform(*gap) * rate))

    made = []
    for _ in range(n):
        chosen = rng.integers(len(sounds), size=rng.integers(least, most + 1))
        parts = [silence()]
        for i in chosen:
            loud = max(float(np.sqrt(np.square(sounds[i].samples).mean())), 1e-6)
            parts += [sounds[i].samples * (0.1 / loud), silence()]
        samples = np.clip(np.concatenate(parts), -1, 1).astype(np.float32)
        made.append(JoinedClip(Sound(samples, rate), " ".join(words[i] for i in chosen)))
    return made
