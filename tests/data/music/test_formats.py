"""MIDI and ABC, in and out; what is damaged, empty, or has drums alone."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from throughtime.data.music import Piece, piece_from_names, read_abc, read_midi, read_music, write_abc, write_midi
from throughtime.data.music.abc import abc_text, as_written, with_key
from throughtime.data.music.pieces import make_piece
from throughtime.errors import DataError

symusic = pytest.importorskip("symusic")


def drawn(seed: int, metre: tuple[int, int]) -> Piece:
    """Notes at random, chords and overlaps among them, triplets, in any key."""
    rng = np.random.Generator(np.random.PCG64(seed))
    onsets = np.sort(rng.integers(0, 200, 60)) * 2
    notes = [(int(t), int(rng.choice([2, 4, 6, 8, 12, 18, 50])), int(rng.integers(36, 90)), 80) for t in onsets]
    # A key that is struck again before it was let go is one note in MIDI: the first ends there.
    last: dict[int, int] = {}
    kept = []
    for onset, duration, pitch, velocity in notes:
        if onset >= last.get(pitch, 0):
            kept.append((onset, duration, pitch, velocity))
            last[pitch] = onset + duration
    return make_piece(kept, who="t", metres=[(0, *metre)], tempo=96.0, sharps=int(rng.integers(-5, 7)))


@pytest.mark.parametrize("metre", [(4, 4), (6, 8), (3, 4)])
def test_abc_and_midi_give_back_what_was_written(metre: tuple[int, int], tmp_path: Path) -> None:
    piece = drawn(metre[0], metre)
    write_abc(piece, tmp_path / "a.abc")
    write_midi(piece, tmp_path / "a.mid")
    (by_abc,), by_midi = read_music(tmp_path / "a.abc"), read_midi(tmp_path / "a.mid")
    assert by_abc.notes[:, :3].tolist() == piece.notes[:, :3].tolist()
    assert by_midi.notes.tolist() == piece.notes.tolist()
    for found in (by_abc, by_midi):
        assert (found.metres, found.tempo, found.sharps) == (piece.metres, 96.0, piece.sharps)
    assert by_midi.name == "a"


def test_every_bar_that_is_written_adds_up() -> None:
    melody = drawn(3, (6, 8)).melody()
    bars = "".join(line for line in abc_text(melody).splitlines() if line[1] != ":").rstrip("|]").split("|")
    assert len(bars) == len(melody.bars)
    for bar in bars:
        total = Fraction(0)
        for word in bar.split():
            for over, slash, under in re.findall(r"[A-Ga-gz][,']*(\d*)(/?)(\d*)", word):
                length = Fraction(int(over or 1), int(under or (2 if slash else 1)))
                total += length * (Fraction(2, 3) if word.startswith("(3") else 1)
        assert total == 6, bar


def test_abc_is_read_as_written_with_its_upbeat_at_the_end_of_a_bar() -> None:
    text = 'X:1\nT:Up\nM:3/4\nL:1/4\nK:G\n|:D|"G"G2B|A2F|[1G2:|[2G3||\n'
    (piece,) = read_abc(text)
    assert piece.notes[:, :3].tolist() == [
        [24, 12, 62], [36, 24, 67], [60, 12, 71], [72, 24, 69], [96, 12, 66], [108, 36, 67],
    ]  # fmt: skip
    assert (piece.name, piece.sharps, str(piece.metres[0])) == ("Up", 1, "3/4")
    assert as_written("A|1 B:|2 c|[Ac]2::d") == "A| c|[Ac]2|d"


def test_the_key_is_the_one_whose_scale_fits() -> None:
    assert with_key(piece_from_names("G4 A4 B4 C5 D5 E5 F#5 G5")).sharps == 1
    assert with_key(piece_from_names("F4 G4 A4 Bb4 C5 D5 E5 F5")).sharps == -1


def test_midi_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    drums = symusic.Score(480)
    track = symusic.Track(is_drum=True)
    track.notes.append(symusic.Note(0, 10, 38, 80))
    drums.tracks.append(track)
    with pytest.raises(DataError, match="1 drum strokes alone"):
        read_midi(drums.dumps_midi())
    with pytest.raises(DataError, match="got none"):
        read_midi(symusic.Score(480).dumps_midi())
    good = piece_from_names("C4 D4 E4")
    write_midi(good, tmp_path / "a.mid")
    content = (tmp_path / "a.mid").read_bytes()
    for broken in (b"", b"MThd", content[:30], b"RIFF" + content):
        with pytest.raises(DataError, match=r"read_midi: expected (a MIDI file|notes), got"):
            read_midi(broken)
    with pytest.raises(DataError, match=r"none\.mid: expected a file that can be read, got No such file"):
        read_midi(tmp_path / "none.mid")
    fast = symusic.Score(480)
    voice = symusic.Track()
    for pitch in range(10_000):
        voice.notes.append(symusic.Note(0, 10, pitch % 128, 80))
    fast.tracks.append(voice)
    with pytest.raises(DataError, match="got 10000"):
        read_midi(fast.dumps_midi())


@pytest.mark.parametrize(
    ("text", "told"),
    [("hello", "got 'hello'"), ("X:1\nT:t\nCDE\n", r"tune 1 \('t'\), got 0 lines"), ("X:1\nK:C\nz4|\n", "got none")],
)
def test_abc_that_cannot_be_used_is_refused(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_abc(text)


def test_abc2midi_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    read_abc("X:1\nM:4/4\nK:C\nCDE|F8|\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("tempo", ["Q:0", "Q:1/4=0", 'Q: 1/4 = 00 "still"'])
def test_a_tempo_of_nothing_is_refused(tempo):
    with pytest.raises(DataError, match=r"tempo above 0 in tune 1 \('a'\)"):
        read_abc(f"X:1\nT:a\nM:4/4\nL:1/4\n{tempo}\nK:C\nCDEF|\n")


def test_an_abc_note_beyond_midi_is_named():
    with pytest.raises(DataError, match="pitches from 0 to 127 in tune 1"):
        read_abc("X:1\nT:a\nM:4/4\nL:1/4\nK:C\n" + "c''''''''" * 4 + "|\n")
