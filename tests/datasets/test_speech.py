"""Made-up speech: what is said is where it is said to be."""

import numpy as np
import pytest

from throughtime.data.sound import LogMel, Sound
from throughtime.datasets import SPOKEN_WORDS, joined_clips, spoken
from throughtime.errors import ArgumentError


def test_a_seed_gives_the_same_sound_and_words_are_where_they_are_said_to_be():
    clips = spoken(12, 3)
    again = spoken(12, 3)
    for clip, same in zip(clips, again, strict=True):
        np.testing.assert_array_equal(clip.sound.samples, same.sound.samples)
        assert clip.text.split() == [time.word for time in clip.times]
        assert set(clip.text.split()) <= set(SPOKEN_WORDS)
        assert np.abs(clip.sound.samples).max() < 1
        loud = np.zeros(len(clip.sound.samples), dtype=bool)
        for time in clip.times:
            assert 0.2 < time.end - time.start < 1
            loud[int(time.start * 8000) : int(time.end * 8000)] = True
        power = np.square(clip.sound.samples)
        assert power[loud].mean() > 300 * power[~loud].mean()
    assert not np.array_equal(clips[0].sound.samples, spoken(1, 4)[0].sound.samples)


def test_words_sound_different_and_alike_in_any_voice():
    """The nearest of other voices' words, by mean spectra of its quarters, is the same word most often."""
    mel = LogMel(8000)
    shapes, words = [], []
    for clip in spoken(60, 0, most=1):
        (time,) = clip.times
        x = mel(clip.sound.samples[int(time.start * 8000) : int(time.end * 8000)])
        parts = np.concatenate([part.mean(0) for part in np.array_split(x, 4)])
        shapes.append(parts - parts.mean())
        words.append(time.word)
    far = np.square(np.array(shapes)[:, None] - np.array(shapes)[None]).sum(-1) + np.eye(60) * 1e9
    right = [words[i] == words[j] for i, j in enumerate(far.argmin(1))]
    assert np.mean(right) > 0.5, "by chance a tenth"


def test_joined_clips_hold_their_words_between_gaps():
    rng = np.random.default_rng(0)
    sounds = [Sound((k * 0.1 * np.sign(rng.standard_normal(800))).astype(np.float32), 8000) for k in (1, 2, 3)]
    made = joined_clips(sounds, ["a", "b", "c"], 20, 5, least=2, most=4, gap=(0.1, 0.2))
    assert {len(clip.text.split()) for clip in made} == {2, 3, 4}
    for clip in made:
        words = len(clip.text.split())
        assert words * 800 + (words + 1) * 800 <= len(clip.sound.samples) <= words * 800 + (words + 1) * 1600
        loud = np.abs(clip.sound.samples) > 0.05
        assert loud.sum() == words * 800, "all are brought to one level"
    assert made[0].text == joined_clips(sounds, ["a", "b", "c"], 1, 5, least=2, most=4)[0].text
    with pytest.raises(ArgumentError, match=r"got 2 of rates \[8000, 16000\] and 2 words"):
        joined_clips([sounds[0], Sound(sounds[1].samples, 16000)], ["a", "b"], 1, 0)
    with pytest.raises(ArgumentError, match="expected most >= 3, got 2"):
        joined_clips(sounds, ["a", "b", "c"], 1, 0, most=2)
