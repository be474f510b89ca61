"""Sound: as long as the piece, at the pitch that is written, as loud as it should be, without clipping."""

import wave
from pathlib import Path

import numpy as np
import pytest

from throughtime.data.music import loudness, piece_from_names, play, write_wav
from throughtime.data.music.synth import LUFS, RATE, TAIL
from throughtime.errors import DataError

pytest.importorskip("scipy")


def test_loudness_of_a_sine_is_that_of_the_standard() -> None:
    # A sine of 997 Hz at full scale in one channel is -3.01 LUFS.
    t = np.arange(3 * 48_000) / 48_000
    assert loudness(np.sin(2 * np.pi * 997 * t), 48_000) == pytest.approx(-3.01, abs=0.03)
    assert loudness(np.zeros(48_000), 48_000) == float("-inf")


def test_a_piece_plays_as_long_as_it_is_and_no_louder_than_it_should(tmp_path: Path) -> None:
    piece = piece_from_names("C4 E4 G4 C5 A4:2 R:2")
    sound = play(piece)
    assert len(sound) == round((piece.seconds + TAIL) * RATE)
    assert piece.seconds == 4.0
    assert loudness(sound, RATE) == pytest.approx(LUFS, abs=0.5)
    assert 0.1 < np.abs(sound).max() < 0.98
    assert np.abs(np.diff(sound)).max() < 0.4  # a click is a jump
    write_wav(sound, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnframes(), file.getframerate(), file.getnchannels()) == (len(sound), RATE, 1)
        words = np.frombuffer(file.readframes(len(sound)), dtype="<i2")
    assert np.abs(words / 32767 - sound).max() < 1e-4


def test_the_strongest_frequency_is_the_note() -> None:
    sound = play(piece_from_names("A4:2"))
    spectrum = np.abs(np.fft.rfft(sound[:RATE]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)


def test_dense_music_is_not_clipped() -> None:
    piece = piece_from_names(" ".join(["C3:0.25"] * 8))
    many = np.concatenate([piece.notes + np.array([0, 0, step, 0]) for step in range(0, 40, 2)])
    sound = play(type(piece)(many.astype(np.int32)))
    assert np.abs(sound).max() < 0.98


def test_what_cannot_be_played_is_refused(tmp_path: Path) -> None:
    piece = piece_from_names("C4")
    with pytest.raises(DataError, match=r"none\.sf2: expected a soundfont"):
        play(piece, soundfont=tmp_path / "none.sf2")
    with pytest.raises(DataError, match="got none"):
        play(type(piece)(np.zeros((0, 4), dtype=np.int32)))
