"""Clips with what is said in them, as users have them: lists, tables, folders, Kaldi's files."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from throughtime.data.sound.ark import read_scp
from throughtime.data.sound.files import sound_pieces
from throughtime.data.sound.manifest import read_manifest
from throughtime.data.text.files import numbered_lines
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.transcribe.hearing import named_items

__all__ = ["Examples", "first_rate", "read_examples"]


class Examples(NamedTuple):
    """Clips, each with a name and a transcript."""

    names: list[str]
    items: list[Any]
    texts: list[str]


def read_examples(audio: Any, transcripts: Any, pattern: str | None, who: str) -> Examples:
    """Clips and their transcripts.

    Raises:
        ArgumentError: transcripts beside a table or a folder, none beside anything else; a pattern without a folder.
        ArgumentTypeError: a transcript that is no text.
        DataError: another number of transcripts than clips; as `read_manifest` and `read_scp`.
    """
    if isinstance(audio, str | os.PathLike) and Path(audio).suffix == ".scp":
        return _kaldi(Path(audio), transcripts, who)
    if isinstance(audio, str | os.PathLike):
        if transcripts is not None:
            raise ArgumentError(
                f"{who}: expected no transcripts beside a table or a folder, got {type(transcripts).__name__}; they "
                "bring their own"
            )
        clips = read_manifest(audio, pattern)
        return Examples([str(clip.path) for clip in clips], [clip.path for clip in clips], [c.text for c in clips])
    if pattern is not None:
        raise ArgumentError(f"{who}: expected a folder for the pattern {pattern!r}, got a list; leave it out")
    if transcripts is None or isinstance(transcripts, str) or not isinstance(transcripts, Iterable):
        got = "none" if transcripts is None else repr(transcripts)[:60]
        raise ArgumentTypeError(f"{who}: expected a list of transcripts beside clips, got {got}; pass one for each")
    found = list(named_items(audio, who))
    texts = list(transcripts)
    if not found or len(texts) != len(found):
        raise DataError(
            f"{who}: expected clips, and a transcript for each, got {len(found)} clips and {len(texts)} transcripts; "
            "pass as many"
        )
    for (name, _), text in zip(found, texts, strict=True):
        if not isinstance(text, str):
            raise ArgumentTypeError(f"{who}: {name}: expected a transcript as text, got {text!r:.60}; pass str")
    return Examples([name for name, _ in found], [item for _, item in found], texts)


def first_rate(item: Any, who: str) -> int:
    """Samples a second of a clip."""
    if isinstance(item, str | os.PathLike):
        return next(sound_pieces(item)).rate
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[1], int):
        return int(item[1])
    raise ArgumentTypeError(
        f"{who}: expected files or pairs (samples, rate), got {type(item).__name__} first; pass frame_rate for features"
    )


def _kaldi(file: Path, transcripts: Any, who: str) -> Examples:
    if isinstance(transcripts, str | os.PathLike):
        pairs = (line.strip().partition(" ") for _, line in numbered_lines(Path(transcripts)) if line.strip())
        transcripts = {name: text for name, _, text in pairs}
    if not isinstance(transcripts, Mapping):
        raise ArgumentTypeError(
            f"{who}: expected transcripts by name beside {file.name}, got {type(transcripts).__name__}; pass a dict, "
            "or a file with a name and a text on each line"
        )
    found = list(read_scp(file))
    missing = [name for name, _ in found if name not in transcripts]
    if missing or not found:
        raise DataError(
            f"{who}: expected a transcript for each of the {len(found)} matrices of {file}, got none for "
            f"{', '.join(missing) or 'any'}; add them"
        )
    return Examples([name for name, _ in found], [m for _, m in found], [str(transcripts[name]) for name, _ in found])
