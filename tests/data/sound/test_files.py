"""Sound in files: every format, rate and width; and what is no sound."""

import logging
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from throughtime.data.sound import files as files_module
from throughtime.data.sound import read_sound, sound_pieces
from throughtime.data.sound.files import as_mono
from throughtime.data.sound.resample import Resampler, respeed
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError


def tone(seconds=0.5, rate=8000, hz=440.0, channels=1):
    one = (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)
    return one if channels == 1 else np.stack([one] * channels, axis=1)


@pytest.fixture(autouse=True)
def _told_anew(monkeypatch):
    monkeypatch.setattr(files_module, "_said", set())


@pytest.mark.parametrize(
    ("name", "subtype", "far"),
    [
        ("a.wav", "PCM_16", 1e-4), ("a.wav", "PCM_U8", 0.01), ("a.wav", "PCM_24", 1e-6), ("a.wav", "FLOAT", 1e-7),
        ("a.flac", "PCM_16", 1e-4), ("a.ogg", "VORBIS", 0.1), ("a.mp3", "MPEG_LAYER_III", 0.2),
    ],
)  # fmt: skip
def test_formats_give_the_same_sound(tmp_path, name, subtype, far):
    soundfile.write(tmp_path / name, tone(rate=16000), 16000, subtype=subtype)
    found = read_sound(tmp_path / name)
    assert found.rate == 16000
    assert found.samples.dtype == np.float32
    middle = slice(1000, 7000)
    assert np.abs(found.samples[middle] - tone(rate=16000)[middle]).max() < far


def test_what_soundfile_does_not_know_pyav_reads(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for begin in range(0, 16000, 1000):
            frame = av.AudioFrame.from_ndarray(tone(1, 16000)[None, begin : begin + 1000], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = read_sound(path, 8000)
    assert found.rate == 8000
    assert abs(len(found.samples) - 8000) < 600
    assert 0.3 < np.sqrt(np.square(found.samples[2000:6000]).mean()) < 0.4


def test_channels_are_averaged_and_a_rate_is_brought_to_another_and_both_said_once(tmp_path, caplog):
    stereo = tone(rate=96000, channels=2)
    stereo[:, 1] = 0
    soundfile.write(tmp_path / "a.wav", stereo, 96000, subtype="FLOAT")
    with caplog.at_level(logging.WARNING, "throughtime.data"):
        found = read_sound(tmp_path / "a.wav", 8000)
        read_sound(tmp_path / "a.wav", 8000)
    assert found.rate == 8000
    np.testing.assert_allclose(found.samples[500:3500], tone()[500:3500] / 2, atol=1e-3)
    assert [r.message for r in caplog.records] == [
        "sound of several channels is heard as their mean",
        "sound of 96000 Hz is resampled to the 8000 Hz that the model hears",
    ]


def test_pieces_are_the_whole_and_a_long_file_does_not_stand_in_memory(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(tone(10.0), 60), 8000, subtype="PCM_16")
    tracemalloc.start()
    total = sum(len(piece.samples) for piece in sound_pieces(tmp_path / "a.wav", 8000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 600 * 8000
    assert peak < 4e6, "ten minutes are 19 MB"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected a file of sound, got an empty one \(0 bytes\)"),
        (b"Dear diary, today it rained.", "got a file that begins with b'Dear diary, today it rai'"),
        (None, "expected a file of sound, got none"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path, content, message):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"a.wav: .*{message}"):
        read_sound(path)


def test_a_file_without_samples_or_with_nan_is_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"none[.]wav: expected sound, got a file with 0 samples"):
        read_sound(tmp_path / "none.wav")
    broken = tone()
    broken[77] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"nan[.]wav: expected finite samples, got nan as number 77"):
        read_sound(tmp_path / "nan.wav")


def test_a_truncated_file_says_how_much_is_there(tmp_path):
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 80_000), 8000)
        raw = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(raw[: len(raw) // 2])
        with pytest.raises(DataError, match=rf"{name}: expected 10\.00 s of sound.*, got [0-6]\.\d\d s"):
            read_sound(tmp_path / name)
    raw = (tmp_path / "a.wav").read_bytes()  # what a pipe leaves behind that never knew the length
    at = raw.index(b"data") + 4
    (tmp_path / "a.wav").write_bytes(raw[:at] + struct.pack("<I", 0xFFFFFFFF) + raw[at + 4 :])
    assert len(read_sound(tmp_path / "a.wav").samples) > 30_000


def test_clipped_sound_is_told_of(tmp_path, caplog):
    soundfile.write(tmp_path / "loud.wav", np.clip(4 * tone(), -1, 1), 8000)
    with caplog.at_level(logging.WARNING, "throughtime.data"):
        read_sound(tmp_path / "loud.wav")
    assert "of its samples are at full scale: it was recorded too loud" in caplog.text


def test_arrays():
    wide = (tone() * 32767).astype(np.int16)
    np.testing.assert_allclose(as_mono(wide, 8000, "x").samples, tone(), atol=1e-4)
    np.testing.assert_allclose(as_mono((tone() * 127 + 128).astype(np.uint8), 8000, "x").samples, tone(), atol=0.02)
    assert as_mono(tone(channels=2), 8000, "x").samples.shape == (4000,)
    for given, rate, kind, message in (
        (["a"], 8000, ArgumentTypeError, "expected samples as numbers, got <U1"),
        (tone(), 8000.5, ArgumentTypeError, "expected a rate in whole samples a second, got 8000.5"),
        (tone(), 44, ArgumentError, "at least 1000 samples a second, got 44"),
        (tone(channels=2).T, 8000, ArgumentError, r"got \(2, 4000\); turn them"),
        (np.zeros(0), 8000, DataError, "expected sound, got 0 samples"),
    ):
        with pytest.raises(kind, match=message):
            as_mono(given, rate, "x")


@pytest.mark.parametrize("cut", [1, 37, 160, 1000])
def test_resampled_pieces_are_the_resampled_whole(cut):
    sound = np.random.default_rng(0).normal(0, 0.2, 4410).astype(np.float32)
    whole = Resampler(44100, 16000)(sound)
    pieces = Resampler(44100, 16000)
    found = [pieces.feed(sound[i : i + cut]) for i in range(0, len(sound), cut)]
    found.append(pieces.feed(sound[:0], last=True))
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert abs(len(whole) - 1600) < 3


def test_faster_sound_is_shorter_and_higher():
    fast = respeed(tone(1.0, hz=400.0), 1.25)
    assert abs(len(fast) - 6400) < 3
    assert abs(np.abs(np.fft.rfft(fast[:6400])).argmax() * 8000 / 6400 - 500) < 2
