"""Which sound says what: a table of paths and texts, or a folder whose file names tell."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from throughtime.data.text.records import kind_of, records
from throughtime.errors import ArgumentError, DataError

__all__ = ["SOUND_ENDINGS", "Clip", "read_manifest"]

SOUND_ENDINGS = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".m4a", ".mp4", ".aac", ".webm", ".wma",
)  # fmt: skip
"""Of files that a folder's pattern is held against."""
_PATH_FIELDS = ("path", "audio", "audio_filepath", "file", "filename", "wav")
_TEXT_FIELDS = ("text", "transcript", "transcription", "sentence")
_FIELD = re.compile(r"\{(\w+)\}")


class Clip(NamedTuple):
    """A file of sound and what is said in it."""

    path: Path
    text: str


def read_manifest(path: str | os.PathLike[str], pattern: str | None = None) -> list[Clip]:
    """The clips that a table names, or those of a folder.

    A table is .csv, .tsv or .jsonl with a field of the path (`path`, `audio`, `audio_filepath`, `file`) and one of the
    text (`text`, `transcript`, `sentence`); a path is seen from the folder that the table lies in. A folder needs a
    pattern of its file names, without their ending: "{text}_{speaker}_{index}"; underscores in what stands for {text}
    are blanks.

    Raises:
        ArgumentError: a pattern for a table, or one without {text}.
        DataError: a table that cannot be read; files that are missing, each of them named; a folder without a pattern,
            or in which no name fits it.
    """
    root = Path(path)
    if root.is_dir():
        return _folder(root, pattern)
    if pattern is not None:
        raise ArgumentError(f"{root}: expected a folder for the pattern {pattern!r}, got a file; leave the pattern out")
    if not kind_of(root):
        raise DataError(
            f"{root}: expected a table of paths and texts (.csv, .tsv, .jsonl) or a folder, got {root.name!r}; give one"
        )
    clips = list(_table(root))
    if not clips:
        raise DataError(f"{root}: expected rows of paths and texts, got none; add some")
    missing = [str(clip.path) for clip in clips if not clip.path.is_file()]
    if missing:
        raise DataError(
            f"{root}: expected a file for each of the {len(clips)} rows, got {len(missing)} paths without one: "
            f"{', '.join(missing)}; correct them"
        )
    return clips


def _table(file: Path) -> Iterator[Clip]:
    for record in records(file):
        where = f"{file}: line {record.line}"
        names = {name.strip().lower(): name for name in record.fields}
        values = []
        for what, known in (("path", _PATH_FIELDS), ("text", _TEXT_FIELDS)):
            found = next((names[name] for name in known if name in names), None)
            value = None if found is None else record.fields[found]
            if not isinstance(value, str) or (what == "path" and not value):
                got = f"{value!r:.60}" if found is not None else ", ".join(map(repr, record.fields)) or "none"
                raise DataError(f"{where}: expected a {what} in a field {known[0]}, got {got}; name it so")
            values.append(value)
        yield Clip(file.parent / values[0], values[1])


def _folder(root: Path, pattern: str | None) -> list[Clip]:
    if pattern is None:
        raise DataError(
            f"{root}: expected a pattern of the file names beside a folder, got none; give one such as "
            "{text}_{speaker}_{index}, or a table of paths and texts"
        )
    names = _FIELD.findall(pattern)
    if "text" not in names or len({*names}) < len(names):
        raise ArgumentError(
            f"pattern: expected {{text}} in it, and each name once, got {pattern!r}; write it as "
            "{text}_{speaker}_{index}"
        )
    parts = _FIELD.split(pattern)  # names at odd places
    shape = "".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in SOUND_ENDINGS)
    found = [(file, re.fullmatch(shape, file.stem)) for file in files]
    clips = [Clip(file, fit["text"].replace("_", " ")) for file, fit in found if fit is not None]
    if not clips:
        example = f"{len(files)} files, such as {files[0].name!r}" if files else "no file of sound"
        raise DataError(f"{root}: expected files named like {pattern}, got {example}; correct the pattern")
    return clips
