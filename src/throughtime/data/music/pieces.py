"""A piece of music on a grid of twelve ticks a quarter note: sixteenths and triplets both fall on it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import DataError

GRID = 12
"""Ticks in a quarter note."""
MOST_AT_ONCE = 64
"""Notes that may begin together; more is no music, and what reads it would run out of memory."""
_MOST_TICKS = 2**24
_NAME = re.compile(r"([A-Ga-gRr])([#b♯♭]?)(-?\d+)?(?::(\d+(?:\.\d+)?|\d+/\d+))?$")
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
ONSET, DURATION, PITCH, VELOCITY = range(4)
Notes = NDArray[np.int32]


class Metre(NamedTuple):
    """From `tick` on, bars of `beats` notes of 1/`unit`."""

    tick: int
    beats: int
    unit: int

    @property
    def bar(self) -> int:
        """Ticks in a bar."""
        return self.beats * 4 * GRID // self.unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Bar(NamedTuple):
    """Where a bar begins, and its metre."""

    begin: int
    metre: Metre

    @property
    def end(self) -> int:
        """The tick after its last."""
        return self.begin + self.metre.bar


@dataclass(frozen=True, eq=False)
class Piece:
    """Notes on the grid.

    Attributes:
        notes: (N, 4): onset and duration in ticks, MIDI pitch, velocity; by onset, the highest first.
        metres: in order, the first at tick 0; each begins a bar.
        tempo: quarter notes a minute.
        sharps: of the key signature, flats below 0.
        name: what it is called.
        style: a folder or a label; None for none.
    """

    notes: Notes
    metres: tuple[Metre, ...] = (Metre(0, 4, 4),)
    tempo: float = 120.0
    sharps: int = 0
    name: str = ""
    style: str | None = field(default=None)

    def __len__(self) -> int:
        return len(self.notes)

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return int((self.notes[:, ONSET] + self.notes[:, DURATION]).max()) if len(self.notes) else 0

    @property
    def bars(self) -> list[Bar]:
        """Every bar up to the end of the last note; at least one."""
        return list(self._bars())

    def _bars(self) -> Iterator[Bar]:
        changes = list(self.metres)
        begin, last = 0, max(self.end, 1)
        while begin < last:
            while len(changes) > 1 and changes[1].tick <= begin:
                changes.pop(0)
            bar = Bar(begin, changes[0])
            yield bar
            begin = bar.end

    @property
    def length(self) -> int:
        """Ticks, to the end of the last bar."""
        return self.bars[-1].end

    @property
    def seconds(self) -> float:
        """How long it plays, to the end of the last bar."""
        return self.length / GRID * 60 / self.tempo

    def transposed(self, semitones: int) -> "Piece":
        """Every note higher by so many semitones.

        Raises:
            DataError: a note would leave MIDI's 128.
        """
        notes = self.notes.copy()
        notes[:, PITCH] += semitones
        if len(notes) and (notes[:, PITCH].min() < 0 or notes[:, PITCH].max() > 127):
            out = int(notes[:, PITCH].min() if notes[:, PITCH].min() < 0 else notes[:, PITCH].max())
            raise DataError(
                f"Piece.transposed: expected pitches from 0 to 127, got {out} after {semitones:+d} semitones; "
                "transpose by less"
            )
        sharps = (self.sharps + 7 * semitones + 5) % 12 - 5
        return replace(self, notes=notes, sharps=sharps)

    def melody(self) -> "Piece":
        """The highest note at each onset, each ending where the next begins.

        A note is none of it where a higher one sounds on through half of it: what moves below a held note.
        """
        if not len(self.notes):
            return self
        _, first = np.unique(self.notes[:, ONSET], return_index=True)
        kept: list[int] = []
        for i, (onset, duration, pitch, _) in zip(first.tolist(), self.notes[first].tolist(), strict=True):
            if kept:
                begin, long, above, _ = self.notes[kept[-1]].tolist()
                if above > pitch and 2 * (begin + long - onset) >= duration:
                    continue
            kept.append(i)
        notes = self.notes[kept].copy()
        notes[:-1, DURATION] = np.minimum(notes[:-1, DURATION], np.diff(notes[:, ONSET]))
        return replace(self, notes=notes)


def make_piece(
    notes: Iterable[tuple[int, int, int, int]] | Notes, *, who: str, metres: Iterable[tuple[int, int, int]] = (),
    tempo: float = 120.0, sharps: int = 0, name: str = "", style: str | None = None,
) -> Piece:  # fmt: skip
    """A piece of notes in any order: sorted, of each key at an onset the longest kept, and checked.

    Raises:
        DataError: a pitch or velocity out of MIDI's range, an onset or duration out of any, too many notes at once, a
            metre that is none, or a tempo that is not positive.
    """
    found = np.array(notes if isinstance(notes, np.ndarray) else list(notes), dtype=np.int64).reshape(-1, 4)
    if len(found):
        pitch = found[:, PITCH]
        bad = pitch[(pitch < 0) | (pitch > 127)]
        if len(bad):
            raise DataError(f"{who}: expected pitches from 0 to 127, got {int(bad[0])}; leave such notes out")
        bad = found[:, VELOCITY][(found[:, VELOCITY] < 1) | (found[:, VELOCITY] > 127)]
        if len(bad):
            raise DataError(f"{who}: expected velocities from 1 to 127, got {int(bad[0])}; leave such notes out")
        if found[:, ONSET].min() < 0 or found[:, :2].max() > _MOST_TICKS:
            far = int(found[:, ONSET].min() if found[:, ONSET].min() < 0 else found[:, :2].max())
            raise DataError(
                f"{who}: expected times from 0 to {_MOST_TICKS // GRID} quarter notes, got {far / GRID:g}; cut the file"
            )
        _, counts = np.unique(found[:, ONSET], return_counts=True)
        if counts.max() > MOST_AT_ONCE:
            raise DataError(
                f"{who}: expected at most {MOST_AT_ONCE} notes that begin together, got {int(counts.max())}; "
                "look whether the file is music"
            )
        found[:, DURATION] = found[:, DURATION].clip(min=1)
        found = found[np.lexsort((-found[:, DURATION], -found[:, PITCH], found[:, ONSET]))]
        same = (found[1:, ONSET] == found[:-1, ONSET]) & (found[1:, PITCH] == found[:-1, PITCH])
        found = found[np.concatenate(([True], ~same))]
    if not 0 < tempo < 10_000:
        raise DataError(
            f"{who}: expected a tempo above 0 and below 10000 quarter notes a minute, got {tempo:g}; give 120 or so"
        )
    return Piece(found.astype(np.int32), _metres(metres, who), float(tempo), sharps, name, style)


def _metres(given: Iterable[tuple[int, int, int]], who: str) -> tuple[Metre, ...]:
    found: list[Metre] = []
    for tick, beats, unit in given:
        if beats < 1 or unit not in (1, 2, 4, 8, 16) or beats * 4 * GRID // unit > 40 * GRID:
            raise DataError(
                f"{who}: expected a metre such as 4/4 or 6/8, of at most ten whole notes, got {beats}/{unit}; mend it"
            )
        metre = Metre(int(tick), int(beats), int(unit))
        if found and found[-1].tick == metre.tick:
            found.pop()
        if not found or found[-1][1:] != metre[1:]:
            found.append(metre)
    if not found or found[0].tick > 0:
        found.insert(0, Metre(0, 4, 4))
    # A change inside a bar takes effect at the next one: so every bar adds up.
    aligned = [found[0]]
    for metre in found[1:]:
        last = aligned[-1]
        begin = last.tick + -(-(metre.tick - last.tick) // last.bar) * last.bar
        if begin == last.tick:
            aligned.pop()
        aligned.append(metre._replace(tick=begin))
    return tuple(aligned)


def piece_from_names(text: str, *, who: str = "piece_from_names") -> Piece:
    """Notes by name: C4 is middle C, `C4:0.5` lasts half a quarter note, R is a rest; a quarter where nothing is said.

    Raises:
        DataError: a word that is no note, or a note out of MIDI's range.

    >>> piece_from_names("C4 E4 G4:2").notes[:, :3].tolist()
    [[0, 12, 60], [12, 12, 64], [24, 24, 67]]
    """
    notes, at = [], 0
    for word in text.split():
        found = _NAME.match(word)
        letter, sign, octave, beats = found.groups() if found else ("", "", None, None)
        rest = letter in ("R", "r")
        if not found or (octave is None) != rest or (rest and sign):
            raise DataError(f"{who}: expected notes such as C4, F#5:0.5 or R:1, got {word!r}; write them so")
        over, _, under = (beats or "1").partition("/")
        ticks = round(float(over) / float(under or 1) * GRID) if float(under or 1) else 0
        if ticks < 1:
            raise DataError(f"{who}: expected a length of at least 1/{GRID} of a quarter, got {word!r}; write it so")
        if not rest:
            pitch = 12 * (int(str(octave)) + 1) + _SEMITONES[letter.lower()]
            notes.append((at, ticks, pitch + _SIGNS[sign], 80))
        at += ticks
    if not notes:
        raise DataError(f"{who}: expected at least one note, got {text!r}; write some, such as C4 E4 G4")
    return make_piece(notes, who=who)
