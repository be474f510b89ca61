"""Log-mel energies, against the equations in NumPy; and where somebody speaks."""

import numpy as np
import pytest

from throughtime.data.sound.features import FLOOR, LogMel
from throughtime.data.sound.pauses import Pauses, joined, spoken


def by_hand(samples, options):
    """Kaldi's features as its documentation describes them, in float64."""
    rate, window, step = options.rate, options.window, options.step
    x = samples.astype(np.float64) * 32768
    size = 1 << (window - 1).bit_length()
    n = np.arange(window)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * n / (window - 1))) ** 0.85
    mel = lambda hz: 1127 * np.log1p(hz / 700)  # noqa: E731
    edges = np.linspace(mel(options.low_hz), mel(rate / 2), options.mels + 2)
    bins = mel(np.arange(size // 2) * rate / size)
    rows = []
    for t in range(options.frames(len(x))):
        frame = x[t * step : t * step + window]
        frame = frame - frame.mean()
        frame = np.concatenate(([frame[0] * 0.03], frame[1:] - 0.97 * frame[:-1])) * povey
        power = np.abs(np.fft.rfft(frame, size)[: size // 2]) ** 2
        low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        weights = np.clip(np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)), 0, None)
        rows.append(np.log(np.maximum(weights @ power, 1.2e-7)))
    return np.maximum(np.array(rows), FLOOR)


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_the_equations(rate):
    options = LogMel(rate, mels=20)
    samples = np.random.default_rng(0).normal(0, 0.1, rate // 5).astype(np.float32)
    np.testing.assert_allclose(options(samples), by_hand(samples, options), atol=2e-3)


@pytest.mark.parametrize("cut", [1, 79, 160, 4000])
def test_pieces_are_the_whole_bit_for_bit(cut):
    options = LogMel(8000, mels=16)
    samples = np.random.default_rng(1).normal(0, 0.1, 5003).astype(np.float32)
    stream = options.stream()
    found = np.concatenate([stream.feed(samples[i : i + cut]) for i in range(0, len(samples), cut)])
    whole = options(samples)
    np.testing.assert_array_equal(found, whole)
    assert len(whole) == options.frames(5003)


def test_silence_is_the_floor_and_less_than_a_window_no_frame():
    options = LogMel(8000)
    assert (options(np.zeros(1000, dtype=np.float32)) == FLOOR).all()
    assert options(np.zeros(options.window - 1, dtype=np.float32)).shape == (0, 40)


def levels(*parts, noise=5.0, seed=0):
    """Frames: (how many, how loud) one after another, log energies of 8 bins."""
    rng = np.random.default_rng(seed)
    rows = [np.full((count, 8), loud) for count, loud in parts]
    return (np.concatenate(rows) + rng.normal(0, 0.3, (sum(c for c, _ in parts), 8))).astype(np.float32)


def test_a_pause_parts_utterances_and_silence_is_none():
    frames = levels((80, 5.0), (60, 16.0), (90, 5.0), (40, 15.0), (100, 5.0))
    found = spoken(frames, True)
    assert len(found) == 2
    for piece, (begins, ends) in zip(found, ((80, 140), (230, 270)), strict=True):
        assert begins - 25 <= piece.first <= begins
        assert ends <= piece.first + len(piece.frames) <= ends + 60
        np.testing.assert_array_equal(piece.frames, frames[piece.first : piece.first + len(piece.frames)])
    assert spoken(levels((300, 5.0)), True) == []


def test_noise_before_and_after_is_told_from_speech():
    found = spoken(levels((50, 12.0), (80, 18.0), (200, 12.0), (60, 18.0), (100, 12.0)), True)
    speech = [piece for piece in found if piece.frames.mean() > 13]
    assert len(speech) == 2


def test_a_short_gap_parts_nothing_and_a_tight_clip_is_whole():
    assert len(spoken(levels((30, 16.0), (25, 5.0), (30, 16.0)), True)) == 1
    assert len(spoken(levels((45, 16.0)), True)[0].frames) == 45


def test_an_endless_utterance_ends_after_thirty_seconds():
    found = spoken(levels(*[(12, 16.0), (12, 11.0)] * 146), True)
    assert [len(piece.frames) for piece in found] == [3000, 504]


def test_what_never_changes_is_no_speech_after_a_while():
    assert [len(piece.frames) for piece in spoken(levels((3500, 16.0)), True)] == [150]


@pytest.mark.parametrize("cut", [1, 13, 500])
def test_cut_pieces_give_the_same_utterances(cut):
    frames = levels((80, 5.0), (60, 16.0), (90, 5.0), (40, 15.0), (100, 5.0), (30, 16.0))
    pauses, parts = Pauses(), []
    for begin in range(0, len(frames), cut):
        parts += pauses.feed(frames[begin : begin + cut])
    whole = spoken(frames, True)
    found = joined(parts + pauses.finish())
    assert [(p.first, p.frames.tolist()) for p in found] == [(p.first, p.frames.tolist()) for p in whole]


def test_features_of_others_are_one_utterance():
    assert len(spoken(levels((4000, -3.0)), False)) == 1
