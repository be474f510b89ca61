"""The pieces of a file or a folder; folders and books are styles."""

from dataclasses import replace
from pathlib import Path

from throughtime.data.music.abc import read_abc
from throughtime.data.music.midi import read_midi
from throughtime.data.music.pieces import Piece
from throughtime.errors import DataError

MIDI_SUFFIXES, ABC_SUFFIXES = (".mid", ".midi"), (".abc",)


def read_music(path: str | Path, *, style: str | None = None) -> list[Piece]:
    """The pieces of a .mid, .midi or .abc file.

    Raises:
        DataError: another kind of file, or one that cannot be read.
        MissingExtraError: symusic is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in MIDI_SUFFIXES:
        return [read_midi(path, style=style)]
    if suffix not in ABC_SUFFIXES:
        raise DataError(f"{path}: expected a file that ends in .mid, .midi or .abc, got {suffix!r}; give one of these")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read, got {error.strerror or error}; look at the path"
        ) from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # what most ABC was written in
    return read_abc(text.replace("\r\n", "\n"), style=style, who=str(path))


def read_pieces(path: str | Path) -> list[Piece]:
    """Every piece under a folder, in order of the files' names, or those of one file.

    The style of a piece is the folder that its file stands in; where all files stand in one folder and are books of
    tunes, the book; where they are single pieces, none.

    Raises:
        DataError: nothing there, a folder without music, or a file that cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return read_music(path)
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder of .mid and .abc files, got nothing there; look at the path")
    kinds = (*MIDI_SUFFIXES, *ABC_SUFFIXES)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in kinds)
    if not files:
        raise DataError(f"{path}: expected .mid, .midi or .abc files in the folder, got none; give a folder with music")
    folders = {file.parent for file in files}
    found: list[Piece] = []
    for file in files:
        pieces = read_music(file)
        book = len(folders) == 1 and len(files) > 1 and file.suffix.lower() in ABC_SUFFIXES
        style = file.stem if book else file.parent.name if len(folders) > 1 else None
        found += [replace(piece, style=style) for piece in pieces]
    if any(piece.style is None for piece in found):
        found = [replace(piece, style=None) for piece in found]
    return found
