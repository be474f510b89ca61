"""MIDI files by way of symusic, which parses them; here their notes are put on the grid."""

from pathlib import Path
from typing import Any

from throughtime._atomic import replacing
from throughtime._extras import require
from throughtime.data.music.pieces import DURATION, GRID, ONSET, PITCH, VELOCITY, Piece, make_piece
from throughtime.errors import DataError

_MOST_BYTES = 64 * 2**20


def read_midi(source: str | Path | bytes, *, style: str | None = None) -> Piece:
    """The notes of a MIDI file, without its drums.

    Args:
        source: a path, or a file's content.
        style: what the piece is to be known as.

    Raises:
        DataError: a file that is no MIDI, is cut off, is empty, has drums alone, or notes that cannot be.
        MissingExtraError: symusic is not installed.
    """
    symusic = require("symusic", extra="music")
    who = "read_midi" if isinstance(source, bytes) else str(source)
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise DataError(
            f"{who}: expected a file that can be read, got {error.strerror or error}; look at the path"
        ) from error
    if len(content) > _MOST_BYTES:
        raise DataError(f"{who}: expected at most {_MOST_BYTES} bytes, got {len(content)}; cut the file")
    try:
        score = symusic.Score.from_midi(content)
    except (RuntimeError, ValueError, OverflowError, MemoryError) as error:
        reason = (str(error).splitlines() or ["nothing"])[0]
        raise DataError(
            f"{who}: expected a MIDI file, got one that cannot be read ({reason}); export it anew"
        ) from error
    name = "" if isinstance(source, bytes) else Path(source).stem
    return piece_of(score, who, name=name, style=style)


def piece_of(score: Any, who: str, *, name: str, style: str | None, later: int = 0) -> Piece:
    """A symusic score as a piece, all of it `later` ticks later."""
    scale = GRID / score.ticks_per_quarter
    tracks = [track for track in score.tracks if not track.is_drum]
    notes = [
        (
            round(note.time * scale) + later,
            round((note.time + note.duration) * scale) - round(note.time * scale),
            note.pitch,
            max(1, note.velocity),
        )
        for track in tracks
        for note in track.notes
    ]
    if not notes:
        drums = sum(len(track.notes) for track in score.tracks)
        got = f"{drums} drum strokes alone" if drums else "none"
        raise DataError(f"{who}: expected notes, got {got}; give a file with a part that has pitches")
    metres = [
        (0 if m.time == 0 else round(m.time * scale) + later, m.numerator, m.denominator) for m in score.time_signatures
    ]
    tempos = [t.qpm for t in score.tempos]
    keys = [k.key for k in score.key_signatures]
    return make_piece(
        notes, who=who, metres=metres, tempo=tempos[0] if tempos else 120.0, sharps=keys[0] if keys else 0,
        name=name, style=style,
    )  # fmt: skip


def score_of(piece: Piece, program: int = 0) -> Any:
    """A piece as a symusic score of one track."""
    symusic = require("symusic", extra="music")
    score = symusic.Score(GRID)
    track = symusic.Track(name=piece.name, program=program, is_drum=False)
    for row in piece.notes.tolist():
        track.notes.append(symusic.Note(row[ONSET], row[DURATION], row[PITCH], row[VELOCITY]))
    score.tracks.append(track)
    score.tempos.append(symusic.Tempo(0, piece.tempo))
    for metre in piece.metres:
        score.time_signatures.append(symusic.TimeSignature(metre.tick, metre.beats, metre.unit))
    score.key_signatures.append(symusic.KeySignature(0, piece.sharps, 0))
    return score


def write_midi(piece: Piece, path: str | Path) -> None:
    """Write a MIDI file, whole or not at all.

    Raises:
        DataError: the path cannot be written.
        MissingExtraError: symusic is not installed.
    """
    content = score_of(piece).dumps_midi()
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content)
