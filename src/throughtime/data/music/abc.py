"""ABC notation: read by symusic (abc2midi), written here, since every bar has to add up to its metre."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from throughtime._atomic import replacing
from throughtime._extras import require
from throughtime.data.music.midi import piece_of
from throughtime.data.music.pieces import DURATION, GRID, ONSET, PITCH, Bar, Piece
from throughtime.errors import DataError

_FIELD = re.compile(r"^[A-Za-z]:|^%")
_NOTE = re.compile(
    r"\((\d)(?::(\d*))?(?::(\d*))?|([_^=]*[A-Ga-gxzXZ])[,']*(\d*)(/*)(\d*)|(\[(?=[A-Ga-g_^=]))|(\][\d/]*)|([<>]+)"
)
_FIRST_ENDING = re.compile(r"(\||\[)\s*1(?!\d)[^|]*?(?:\|[^:|][^|]*?)*?:\|+\s*[|\[]?\s*2")
_STILL = re.compile(r"Q:\s*(?:.*=\s*)?0+\s*(?:\".*)?$")
_UNIT = 6  # ticks of an eighth, L:1/8
# Spelling by sharps of the key: letters with their accidentals, from flats to sharps along the circle of fifths.
_FIFTHS = [(letter, sign) for sign in (-1, 0, 1) for letter in "FCGDAEB"]
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")  # from seven flats up
_SIGN = {-1: "_", 0: "=", 1: "^"}


def read_abc(text: str, *, style: str | None = None, who: str = "read_abc") -> list[Piece]:
    """The tunes of a text in ABC notation, as they are written: repeats are not played, of endings the last counts.

    Chord symbols are left out. A tune that begins with a part of a bar begins at the end of its first bar.

    Raises:
        DataError: no tune, or one that cannot be read.
        MissingExtraError: symusic is not installed.
    """
    symusic = require("symusic", extra="music")
    tunes = [tune for tune in re.split(r"(?m)^(?=X:)", text) if tune.startswith("X:")]
    if not tunes:
        raise DataError(f"{who}: expected tunes that begin with a line X:, got {text[:30]!r}; add X:1 and K:C")
    found = []
    for number, tune in enumerate(tunes, 1):
        head, body = _parts(tune)
        title = next((line[2:].strip() for line in head if line.startswith("T:")), "")
        if not any(line.startswith("K:") for line in head) or not body:
            raise DataError(
                f"{who}: expected a line K: and notes after it in tune {number} ({title!r}), got {len(body)} lines of "
                "notes; add what lacks"
            )
        still = next((line for line in [*head, *body] if _STILL.match(line)), None)
        if still is not None:
            raise DataError(
                f"{who}: expected a tempo above 0 in tune {number} ({title!r}), got {still!r}; give another"
            )
        notes = as_written("\n".join(body))
        played = "\n".join([*head, "%%MIDI nobeataccents", notes]) + "\n"
        try:
            with _silent():
                score = symusic.Score.from_abc(played)
        except (RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or [""])[0]
            if pitch := re.search(r"pitch=(-?\d+)", reason):
                raise DataError(
                    f"{who}: expected pitches from 0 to 127 in tune {number} ({title!r}), got {pitch[1]}; take away "
                    "octave marks (' and ,)"
                ) from error
            raise DataError(
                f"{who}: expected ABC notation in tune {number}, got {title!r}, which cannot be read ({reason}); "
                "mend it"
            ) from error
        piece = piece_of(score, f"{who}: tune {number} ({title!r})", name=title, style=style)
        bar = piece.metres[0].bar
        begun = _first_bar(head, notes, bar)
        if 0 < begun < bar:
            piece = piece_of(score, who, name=title, style=style, later=bar - begun)
        found.append(piece)
    return found


def as_written(body: str) -> str:
    """Notes without chord symbols and signs of repetition; of a first and a second ending the second."""
    body = re.sub(r'"[^"\n]*"', "", body)
    body = _FIRST_ENDING.sub(lambda found: "|" if found[1] == "|" else " ", body)
    body = re.sub(r"\|\s*\[?\s*[1-9](?![\d/])", "|", re.sub(r"\[\s*[1-9](?=[\s\"A-Ga-gz^_=(\[{])", " ", body))
    return re.sub(r":+\|+:*|\|+:+|::", "|", body)


def _parts(tune: str) -> tuple[list[str], list[str]]:
    """The header up to K:, and the rest without parts and words, which say what is played when."""
    head: list[str] = []
    body: list[str] = []
    for line in tune.strip().splitlines():
        if body or any(known.startswith("K:") for known in head):
            if line.strip() and line[:2] not in ("P:", "w:", "W:"):
                body.append(line)
        elif line[:2] != "P:":
            head.append(line)
    return head, [kept for line in body if (kept := line.split("%")[0].rstrip())]


def _first_bar(head: list[str], body: str, bar: int) -> int:
    """Ticks in what stands before the first bar line; `bar` where it cannot be told."""
    unit = Fraction(1, 8)
    for line in [*head, *(line for line in body.splitlines() if _FIELD.match(line))]:
        if line.startswith("L:") and (found := re.match(r"L:\s*(\d+)/(\d+)", line)):
            unit = Fraction(int(found[1]), max(int(found[2]), 1))
    if not any(line.startswith("L:") for line in [*head, *body.splitlines()]) and bar < 36:
        unit = Fraction(1, 16)
    notes = " ".join(line for line in body.splitlines() if not _FIELD.match(line))
    notes = re.sub(r"\{[^}]*\}|![^!]*!|\[[A-Za-z]:[^\]]*\]", "", notes).lstrip(" |[]:")
    first = notes.split("|")[0]
    total, tuple_left, tuple_by, in_chord, counted = Fraction(0), 0, Fraction(1), False, False
    for found in _NOTE.finditer(first):
        tuplet, time_of, notes_of, note, over, slashes, under, opened, closed, broken = found.groups()
        if tuplet:
            n = int(tuplet)
            tuple_left = int(notes_of or n)
            tuple_by = Fraction(int(time_of or {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(n, n)), max(n, 1))
        elif opened:
            in_chord, counted = True, False
        elif closed:
            in_chord = False
        elif note and not (in_chord and counted) and not broken:
            counted = True
            length = Fraction(int(over or 1), int(under) if under else 2 ** len(slashes))
            total += length * (tuple_by if tuple_left else 1)
            tuple_left = max(tuple_left - 1, 0)
    ticks = total * unit * 4 * GRID
    return int(ticks) if ticks.denominator == 1 else bar


@contextmanager
def _silent() -> Iterator[None]:
    """Standard output and error closed: abc2midi is a program of its own and writes its warnings there."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for handle in (*kept, nowhere):
            os.close(handle)


def abc_text(piece: Piece, number: int = 1) -> str:
    """A piece as a tune in ABC notation; notes that overlap stand in voices of their own."""
    first = piece.metres[0]
    lines = [
        f"X:{number}", f"T:{piece.name or 'untitled'}", f"M:{first}", "L:1/8", f"Q:1/4={round(piece.tempo)}",
        f"K:{_KEYS[piece.sharps + 7]}",
    ]  # fmt: skip
    voices = _voices(piece)
    for v, voice in enumerate(voices, 1):
        if len(voices) > 1:
            lines.append(f"V:{v}")
        lines += _bars_of(piece, voice)
    return "\n".join(lines) + "\n"


def write_abc(pieces: Piece | list[Piece], path: str | Path) -> None:
    """Write tunes in ABC notation, whole or not at all.

    Raises:
        DataError: the path cannot be written.
    """
    given = [pieces] if isinstance(pieces, Piece) else pieces
    with replacing(Path(path)) as temporary:
        temporary.write_text("\n".join(abc_text(piece, n) for n, piece in enumerate(given, 1)), encoding="utf-8")


_Chord = tuple[int, int, tuple[int, ...]]
"""Onset, end, pitches."""


def _voices(piece: Piece) -> list[list[_Chord]]:
    chords: dict[tuple[int, int], list[int]] = {}
    for row in piece.notes.tolist():
        chords.setdefault((row[ONSET], row[ONSET] + row[DURATION]), []).append(row[PITCH])
    voices: list[list[_Chord]] = []
    for (begin, end), pitches in sorted(chords.items(), key=lambda item: (item[0][0], -max(item[1]))):
        free = next((voice for voice in voices if voice[-1][1] <= begin), None)
        if free is None:
            voices.append(free := [])
        free.append((begin, end, tuple(pitches)))
    return voices or [[]]


def _bars_of(piece: Piece, voice: list[_Chord]) -> list[str]:
    lines: list[str] = []
    bars: list[str] = []
    waiting, last = list(voice), piece.metres[0]
    for bar in piece.bars:
        if bar.metre[1:] != last[1:]:
            if bars:
                lines.append("|".join(bars) + "|")
            lines.append(f"M:{bar.metre}")
            bars, last = [], bar.metre
        bars.append(_one_bar(bar, waiting, piece.sharps))
        if len(bars) == 4:
            lines.append("|".join(bars) + "|")
            bars = []
    if bars:
        lines.append("|".join(bars) + "|")
    lines[-1] += "]"
    return lines


def _one_bar(bar: Bar, waiting: list[_Chord], sharps: int) -> str:
    """The text of a bar; what sounds on after it stays in `waiting`, tied."""
    parts: list[tuple[int, tuple[int, ...], bool]] = []
    at = bar.begin
    while waiting and waiting[0][0] < bar.end:
        begin, end, pitches = waiting.pop(0)
        if begin > at:
            parts.append((begin - at, (), False))
        stop = min(end, bar.end)
        parts.append((stop - begin, pitches, end > bar.end))
        at = stop
        if end > bar.end:
            waiting.insert(0, (bar.end, end, pitches))
    if at < bar.end:
        parts.append((bar.end - at, (), False))
    signs: dict[str, int] = {}
    text, i = [], 0
    while i < len(parts):
        three = parts[i : i + 3]
        triplet = len(three) == 3 and three[0][0] in (2, 4, 8, 16) and len({ticks for ticks, *_ in three}) == 1
        if triplet:
            text.append("(3" + "".join(_sound(t * 3 // 2, p, tied, sharps, signs) for t, p, tied in three))
        elif parts[i][0] % 3:
            # Thirds are no lengths in ABC: a tuplet of one note, three in the time of two.
            ticks, pitches, tied = parts[i]
            text.append("(3:2:1" + _sound(Fraction(3 * ticks, 2), pitches, tied, sharps, signs))
        else:
            text.append(_sound(*parts[i], sharps, signs))
        i += 3 if triplet else 1
    return " ".join(text)


def _sound(ticks: int | Fraction, pitches: tuple[int, ...], tied: bool, sharps: int, signs: dict[str, int]) -> str:
    length = Fraction(ticks) / _UNIT
    shown = ("" if length == 1 else str(length.numerator)) if length.denominator == 1 else (
        f"{length.numerator if length.numerator > 1 else ''}/{length.denominator}"
    )  # fmt: skip
    if not pitches:
        return "z" + shown
    tie = "-" if tied else ""
    names = [_named(pitch, sharps, signs) for pitch in pitches]
    if len(names) == 1:
        return names[0] + shown + tie
    return "[" + "".join(name + shown + tie for name in names) + "]"


def _named(pitch: int, sharps: int, signs: dict[str, int]) -> str:
    """A pitch as ABC writes it in a key, with its sign where the key or the bar does not give it."""
    middle = 10 + sharps  # in C major D, from which as many sharps lie as flats
    letter, sign = min(
        (abs(i - middle), letter, sign)
        for i, (letter, sign) in enumerate(_FIFTHS)
        if (_NATURAL[letter] + sign - pitch) % 12 == 0
    )[1:]
    octave = (pitch - sign - _NATURAL[letter]) // 12 - 5
    given = _signature(letter, sharps)
    shown = ""
    if sign != given or letter in signs:
        signs[letter], shown = sign, _SIGN[sign]
    mark = letter if octave <= 0 else letter.lower()
    return shown + mark + ("," * -octave if octave < 0 else "'" * max(octave - 1, 0))


def _signature(letter: str, sharps: int) -> int:
    if sharps > 0:
        return int("FCGDAEB".index(letter) < sharps)
    return -int("BEADGCF".index(letter) < -sharps)


def with_key(piece: Piece) -> Piece:
    """The piece with the key signature in whose scale most of it lies."""
    scale = [0, 2, 4, 5, 7, 9, 11]
    weight = [0] * 12
    for row in piece.notes.tolist():
        weight[row[PITCH] % 12] += row[DURATION]
    sharps = max(range(-5, 7), key=lambda s: (sum(weight[(p + 7 * s) % 12] for p in scale), -abs(s)))
    return replace(piece, sharps=sharps)
