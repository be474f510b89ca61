"""Samples and frames as they come."""

import numpy as np
import pytest
import torch

from tests.tasks.recognize.data import RATE, TINY, clips, recordings
from throughtime import Recognizer
from throughtime.data.video import write_video
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.recognize import FrameFeatures

LONG = recordings(6, 2)
SHORT = TINY | {"epochs": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def one_way():
    return Recognizer(**SHORT | {"num_layers": 2}, bidirectional=False).fit(LONG)


@pytest.fixture(scope="module")
def both_ways():
    return Recognizer(**SHORT).fit(LONG)


def test_a_one_way_model_says_of_each_sample_what_it_says_of_the_whole(one_way):
    one = LONG[0]
    p_TK = one_way.predict_proba([one])[0]
    stream = one_way.stream()
    alone = [moment for sample in one.values for moment in stream.feed(sample)]
    pieces = one_way.stream()
    together = pieces.feed(one.values[:50]) + pieces.feed(one.values[50:])
    assert [m.label for m in alone] == [m.label for m in together] == one_way.predict([one])[0].tolist()
    for found in (alone, together):
        np.testing.assert_allclose([m.probability for m in found], p_TK.max(1), atol=1e-5)
    np.testing.assert_allclose([m.time for m in alone], one.times, atol=1e-9)
    assert stream.close() == []
    assert sum(s.end - s.start for s in stream.segments) == pytest.approx(one.times[-1])


def test_samples_with_times_are_gathered_into_steps(one_way):
    one = LONG[0]
    fine = np.sort(np.concatenate((one.times, one.times + 0.25 / RATE)))
    values = np.repeat(one.values, 2, axis=0)
    stream = one_way.stream()
    found = [m for value, time in zip(values, fine, strict=True) for m in stream.feed(value, [time])]
    assert len(found) == 119, "the last step may still get samples"
    found += stream.close()
    np.testing.assert_allclose([m.probability for m in found], one_way.predict_proba([one])[0].max(1), atol=1e-5)
    stream.feed(values[0], [2.0])
    with pytest.raises(DataError, match=r"got 1 after 2.0; sort the samples"):
        stream.feed(values[0], [1.0])
    again = one_way.stream()
    again.feed(values[:2], [0.0, 0.05])
    assert len(again.feed(values[0], [100.0])) == 1, "after a long gap everything begins anew"
    assert again.close()[-1].time == 100


def test_missing_numbers_are_as_they_were(one_way):
    stream, other = one_way.stream(), one_way.stream()
    sample = LONG[0].values[3]
    stream.feed(sample)
    other.feed(sample)
    assert stream.feed(np.array([np.nan, sample[1]])) == other.feed(sample)


def test_a_model_that_reads_both_ways_answers_after_a_delay(both_ways):
    one = LONG[0]
    stream = both_ways.stream(delay=1.0)
    found, late = [], []
    for k, sample in enumerate(one.values):
        now = stream.feed(sample)
        late += [k / RATE - m.time for m in now]
        found += now
    assert min(late) >= 1.0
    assert max(late) <= 1.6
    found += stream.close()
    np.testing.assert_allclose([m.time for m in found], one.times, atol=1e-9)
    with pytest.raises(ArgumentError, match=r"reads both ways and no delay; pass delay=1.0"):
        both_ways.stream()
    with pytest.raises(ArgumentError, match="expected delay to be of seconds above 0, got -1"):
        both_ways.stream(delay=-1)


def test_a_model_of_recordings_answers_for_the_window_that_ends_now():
    values, labels = clips(16, 0)
    model = Recognizer(**SHORT).fit(values, labels)
    stream = model.stream()
    found = [m for sample in values[0] for m in stream.feed(sample)] + stream.close()
    assert found[-1].probability == pytest.approx(model.predict_proba(values[:1]).max(), abs=1e-5)
    assert found[-1].time == 29
    with pytest.raises(ArgumentError, match="expected delay to be None, since this model answers at once, got 1"):
        model.stream(delay=1)


def test_what_does_not_fit_is_refused(one_way):
    stream = one_way.stream()
    with pytest.raises(ArgumentError, match=r"samples of 2 channels, got shape \(1, 3\); pass a, b"):
        stream.feed([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentTypeError, match=r"expected 2 times, got \(1,\)"):
        stream.feed(np.zeros((2, 2)), [0.0])


def test_a_one_way_model_of_frames_says_of_each_what_it_says_of_the_whole():
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (8, 16, 16, 1)).astype(np.uint8) for _ in range(6)]
    model = Recognizer(**SHORT, features=8, bidirectional=False).fit(frames, [["a"] * 4 + ["b"] * 4] * 6)
    stream = model.stream()
    found = [stream.feed(image)[0].probability for image in frames[0]]
    np.testing.assert_allclose(found, model.predict_proba(frames[:1])[0].max(1), atol=1e-5)


def test_frames_stream_and_an_encoder_of_ones_own_is_asked_once(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (10, 16, 16, 1)).astype(np.uint8) // (1 + k % 2) for k in range(8)]
    labels = ["bright" if k % 2 == 0 else "dark" for k in range(8)]
    model = Recognizer(**SHORT | {"epochs": 1}, features=8).fit(frames, labels)
    stream = model.stream()
    found = [m for image in frames[0] for m in stream.feed(image)] + stream.close()
    assert found[-1].probability == pytest.approx(model.predict_proba(frames[:1]).max(), abs=1e-5)
    with pytest.raises(ArgumentTypeError, match=r"frames of uint8 and shape \(16, 16, 1\), got float64"):
        stream.feed(np.zeros((1, 16, 16, 1)))

    paths = [write_video(tmp_path / f"{k}.mkv", list(one), np.arange(10) / 10) for k, one in enumerate(frames)]
    encoder = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    features = FrameFeatures(encoder, tmp_path / "cache", size=(16, 16), grey=True)
    first = features.read(paths)
    assert features.encoded == 8
    assert first[0].values.shape == (10, 4)
    renamed = tmp_path / "renamed.mkv"
    renamed.write_bytes(paths[0].read_bytes())
    again = features.read([renamed])
    assert features.encoded == 8, "its content was there"
    np.testing.assert_array_equal(again[0].values, first[0].values)
    bigger = FrameFeatures(encoder, tmp_path / "cache", size=(32, 32), grey=True)
    bigger.read(paths[:1])
    assert bigger.encoded == 1
    assert Recognizer(**SHORT).fit(first, labels).predict(again) in (["bright"], ["dark"])
    with pytest.raises(ArgumentError, match=r"a vector for each of 10 frames, got \(10, 1, 16, 16\)"):
        FrameFeatures(torch.nn.Identity(), tmp_path / "cache", size=(16, 16), grey=True).read(paths[:1])
