"""Sound from a pipe: the same samples however the bytes are cut."""

import io
import struct

import numpy as np
import pytest
import soundfile

from throughtime.data.sound.pipe import PipedSound
from throughtime.errors import DataError


def wav(samples, rate=16000, subtype="PCM_16", format="WAV"):
    raw = io.BytesIO()
    soundfile.write(raw, samples, rate, subtype=subtype, format=format)
    return raw.getvalue()


@pytest.mark.parametrize("cut", [1, 7, 4096])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_in_pieces(cut, subtype):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (300, 2))
    raw = wav(samples, subtype=subtype)
    sound = PipedSound(8000)
    found = np.concatenate([sound.feed(raw[i : i + cut]) for i in range(0, len(raw), cut)])
    assert sound.rate == 16000
    np.testing.assert_allclose(found, samples.mean(1), atol=0.01 if subtype == "PCM_U8" else 1e-4)


def test_bare_samples_are_of_16_bits():
    samples = np.array([0, 1, -32768, 32767], dtype="<i2")
    sound = PipedSound(8000)
    found = np.concatenate([sound.feed(bytes([b])) for b in samples.tobytes()])
    np.testing.assert_allclose(found, samples / 32768, atol=1e-7)
    assert sound.rate == 8000


def test_an_extensible_header_and_a_length_that_nobody_knew():
    raw = wav(np.full(100, 0.25), format="WAVEX")
    at = raw.index(b"data") + 4
    sound = PipedSound(8000)
    assert len(sound.feed(raw[:at] + struct.pack("<I", 0xFFFFFFFF) + raw[at + 4 :])) == 100


def test_refusals():
    raw = wav(np.zeros(100), subtype="ALAW")
    with pytest.raises(DataError, match=r"standard input: expected WAV of PCM or .*, got format 6 with 8 bits"):
        PipedSound(8000).feed(raw)
    with pytest.raises(DataError, match="expected samples within 1048576 bytes of a WAV, got none"):
        PipedSound(8000).feed(b"RIFF\0\0\0\0WAVEjunk" + struct.pack("<I", 2**31) + bytes(2**20 + 100))
    with pytest.raises(DataError, match="expected a WAV header that says what it holds, got none"):
        PipedSound(8000).feed(b"RIFF\0\0\0\0WAVEdata" + struct.pack("<I", 4) + bytes(4))
