"""Music: pieces on a grid, in the formats people have.

pieces    Piece: notes, metres, tempo and key; its bars; note names
midi      MIDI files, in and out
abc       ABC notation, in and out
rolls     piano rolls: .mat and .json sets, and from a piece and back
folders   the pieces of a folder, with a style each
synth     sound: a simple synthesiser, loudness, WAV files
"""

from throughtime.data.music.abc import read_abc, write_abc
from throughtime.data.music.folders import read_music, read_pieces
from throughtime.data.music.midi import read_midi, write_midi
from throughtime.data.music.pieces import GRID, Metre, Piece, piece_from_names
from throughtime.data.music.rolls import piece_from_roll, read_rolls, roll_from_piece
from throughtime.data.music.synth import loudness, play, write_wav

__all__ = [
    "GRID",
    "Metre",
    "Piece",
    "loudness",
    "piece_from_names",
    "piece_from_roll",
    "play",
    "read_abc",
    "read_midi",
    "read_music",
    "read_pieces",
    "read_rolls",
    "roll_from_piece",
    "write_abc",
    "write_midi",
    "write_wav",
]
