"""The events view: a piece as a row of ids, and back.

    SHIFT METRE  BAR POS PITCH DUR [VEL] PITCH DUR ... POS PITCH DUR ...  BAR ...  END

A bar says how many are left, itself counted: so a net knows where in a piece it is, and how to end one of any length. A
position is a tick within its bar: so every bar adds up to its metre, however notes are drawn. What begins together has
one position, the highest note first.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.music.pieces import DURATION, ONSET, PITCH, VELOCITY, Metre, Piece, make_piece
from throughtime.errors import DataError

Ids = NDArray[np.int64]
END = 0
MOST_BARS = 64
"""Bars that are told apart; of more the 64th is said until so many are left."""
VELOCITIES = 8
"""Loudnesses that are told apart."""
_PLAIN = 80
"""The velocity of every note where none is told."""


class Event(NamedTuple):
    """What an id is: a kind, and its value."""

    kind: str
    value: int


class EventVocabulary:
    """Which ids there are.

    Args:
        metres: (beats, unit) of every metre.
        longest: ticks of the longest note that can be said.
        shifts: transpositions to either side that are told apart.
        velocities: whether loudness is told.
    """

    def __init__(self, metres: Iterable[tuple[int, int]], *, longest: int, shifts: int, velocities: bool) -> None:
        self.metres = sorted({(int(beats), int(unit)) for beats, unit in metres})
        self.longest = longest
        self.shifts = shifts
        self.velocities = velocities
        self.bar = max(Metre(0, *metre).bar for metre in self.metres)
        self.first: dict[str, int] = {}
        self.count: dict[str, int] = {}
        at = 1
        for kind, count in (
            ("shift", 2 * shifts + 1), ("metre", len(self.metres)), ("bar", MOST_BARS), ("pos", self.bar),
            ("pitch", 128), ("dur", longest), ("vel", VELOCITIES * velocities),
        ):  # fmt: skip
            self.first[kind], self.count[kind] = at, count
            at += count
        self.size = at

    def __len__(self) -> int:
        return self.size

    def to_json(self) -> dict[str, Any]:
        """What the constructor needs."""
        return {
            "metres": [list(metre) for metre in self.metres],
            "longest": self.longest,
            "shifts": self.shifts,
            "velocities": self.velocities,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "EventVocabulary":
        """The reverse of `to_json`; other content raises ValueError, LookupError or TypeError."""
        metres = [(int(beats), int(unit)) for beats, unit in fields["metres"]]
        longest, shifts, velocities = fields["longest"], fields["shifts"], fields["velocities"]
        if type(longest) is not int or type(shifts) is not int or type(velocities) is not bool or not metres:
            raise ValueError(f"vocabulary: {fields!r:.80}")
        if not (0 < longest <= 2**16 and 0 <= shifts < 64 and all(0 < b <= 64 and 0 < u <= 64 for b, u in metres)):
            raise ValueError(f"vocabulary: {fields!r:.80}")
        return cls(metres, longest=longest, shifts=shifts, velocities=velocities)

    def id(self, kind: str, value: int) -> int:
        """The id of a value of a kind, counted from the kind's own 0."""
        assert 0 <= value < self.count[kind], (kind, value)
        return self.first[kind] + value

    def span(self, kind: str) -> slice:
        """Where the ids of a kind are."""
        return slice(self.first[kind], self.first[kind] + self.count[kind])

    def read(self, id: int) -> Event:
        """What an id is."""
        if id == END:
            return Event("end", 0)
        kind = next(kind for kind in reversed(self.first) if self.count[kind] and id >= self.first[kind])
        return Event(kind, id - self.first[kind])

    def left(self, bars: int) -> int:
        """The id of a bar, by how many are left, itself counted."""
        return self.id("bar", min(bars, MOST_BARS) - 1)

    def encode(
        self, piece: Piece, *, bars: int | None = None, shift: int = 0, open: bool = False, who: str = "encode"
    ) -> Ids:
        """The ids of a piece.

        Args:
            piece: in metres that are known.
            bars: what is said to be its length; None: as many as it has.
            shift: the transposition that is said.
            open: whether it goes on: no END.

        Raises:
            DataError: a metre or a duration that the vocabulary has not.
        """
        found = [self.id("shift", shift + self.shifts)]
        rows = piece.notes.tolist()
        total, said, at = bars or len(piece.bars), None, 0
        for number, bar in enumerate(piece.bars):
            if bar.metre[1:] != said:
                said = bar.metre[1:]
                if said not in self.metres:
                    known = ", ".join(f"{beats}/{unit}" for beats, unit in self.metres)
                    raise DataError(
                        f"{who}: expected a metre among {known}, got {bar.metre}; the model was trained with these"
                    )
                found.append(self.id("metre", self.metres.index(said)))
            found.append(self.left(total - number))
            position = -1
            while at < len(rows) and rows[at][ONSET] < bar.end:
                row = rows[at]
                if row[DURATION] > self.longest:
                    raise DataError(
                        f"{who}: expected notes of at most {self.longest} ticks, twelve a quarter note, got "
                        f"{row[DURATION]}; shorten it"
                    )
                if row[ONSET] - bar.begin != position:
                    position = row[ONSET] - bar.begin
                    found.append(self.id("pos", position))
                found += [self.id("pitch", row[PITCH]), self.id("dur", row[DURATION] - 1)]
                if self.velocities:
                    found.append(self.id("vel", row[VELOCITY] * VELOCITIES // 128))
                at += 1
        return np.array(found if open else [*found, END], dtype=np.int64)

    def decode(self, ids: Iterable[int], *, tempo: float = 120.0, name: str = "", style: str | None = None) -> Piece:
        """The reverse of `encode`, up to what is not told: the shift, the exact velocity."""
        notes: list[list[int]] = []
        metres: list[tuple[int, int, int]] = []
        begin, length, position, metre = 0, 0, 0, self.metres[0]
        for id in ids:
            kind, value = self.read(int(id))
            if kind == "metre":
                metre = self.metres[value]
            elif kind == "bar":
                begin += length
                if not metres or metres[-1][1:] != metre:
                    metres.append((begin, *metre))
                length = Metre(0, *metre).bar
            elif kind == "pos":
                position = begin + value
            elif kind == "pitch":
                notes.append([position, 1, value, _PLAIN])
            elif kind == "dur":
                notes[-1][DURATION] = value + 1
            elif kind == "vel":
                notes[-1][VELOCITY] = (2 * value + 1) * 64 // VELOCITIES
        array = np.array(notes, dtype=np.int64).reshape(-1, 4)
        return make_piece(array, who="decode", metres=metres, tempo=tempo, name=name, style=style)
