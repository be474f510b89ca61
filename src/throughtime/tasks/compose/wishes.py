"""What is to be written, checked; and what was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.data.music.folders import read_music
from throughtime.data.music.pieces import Metre, Piece, piece_from_names
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Sampler
from throughtime.nn.arguments import check_size
from throughtime.tasks.compose.copies import Passage


@dataclass(frozen=True)
class Wish:
    """What is to be written.

    Attributes:
        primers: what each piece begins with; None: nothing.
        mixtures: of each piece, its share of every style; None for a model without styles.
        names: of each piece's style, for its title.
        bars: how many, the primer's counted; None: as the model ends.
        metre: (beats, unit); None: as the model or the primer begins.
        sampler: how an event is chosen.
        most_repeats: notes of one pitch that may follow each other; None: any number.
        max_copy: bars of a passage that a training piece may share with a piece; None: any number.
        tempo: quarter notes a minute; None: the primer's, or that of the training.
        transpose: semitones, of the piece when it is written.
        seed: piece b draws with seed + b.
    """

    primers: Sequence[Piece | None]
    mixtures: Sequence[Mapping[int, float]] | None
    names: Sequence[str | None]
    bars: int | None
    metre: tuple[int, int] | None
    sampler: Sampler
    most_repeats: int | None
    max_copy: float | None
    tempo: float | None
    transpose: int
    seed: int


@dataclass(frozen=True, eq=False)
class Composition:
    """A piece that was written.

    Attributes:
        piece: the music.
        seed: with which it was drawn.
        style: that was asked for; None for none.
        log_prob: of what was written after the primer, in nats, as the model has it before temperature and rules.
        written: notes after the primer.
        shared: the longest passage after the primer that a training piece has, too.
    """

    piece: Piece
    seed: int
    style: str | None
    log_prob: float
    written: int
    shared: Passage

    @property
    def nats_per_note(self) -> float:
        """−log p, a note."""
        return -self.log_prob / max(self.written, 1)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.piece.name,
            "style": self.style,
            "seed": self.seed,
            "bars": len(self.piece.bars),
            "metre": str(self.piece.metres[0]),
            "notes": len(self.piece),
            "seconds": self.piece.seconds,
            "log_prob": self.log_prob,
            "nats_per_note": self.nats_per_note,
            "shared": self.shared._asdict(),
        }


def read_primer(given: Any, who: str) -> Piece:
    """A piece, the path of a .mid or .abc file with one, or notes by name.

    Raises:
        ArgumentTypeError: something else.
        DataError: a file or names that cannot be read.
        ArgumentError: no note, or several tunes.
    """
    if isinstance(given, Piece):
        found = given
    elif isinstance(given, Path) or (isinstance(given, str) and given.lower().endswith((".mid", ".midi", ".abc"))):
        pieces = read_music(given)
        if len(pieces) != 1:
            raise ArgumentError(f"{who}: expected one tune in {given}, got {len(pieces)}; cut out the one to use")
        found = pieces[0]
    elif isinstance(given, str):
        found = piece_from_names(given, who=who)
    else:
        raise ArgumentTypeError(
            f"{who}: expected a Piece, a path or note names, got {given!r:.60}; pass one of these, such as 'C4 E4 G4'"
        )
    if not len(found):
        raise ArgumentError(f"{who}: expected at least one note, got a piece without notes; leave it out")
    return found


def read_wish(
    who: str, *, labels: Sequence[str] | None, style: Any, primer: Any, n: Any, bars: Any, metre: Any, temperature: Any,
    top_k: Any, top_p: Any, greedy: Any, most_repeats: Any, max_copy: Any, tempo: Any, transpose: Any, seed: Any,
) -> Wish:  # fmt: skip
    """The arguments of `Composer.write`, checked.

    Raises:
        ArgumentError, ArgumentTypeError, DataError: what is said there.
    """
    sampler = Sampler(temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy)
    primers = [None if one is None else read_primer(one, f"{who}: primer") for one in _several(primer)]
    styles = _several(style)
    rows = max(len(primers), len(styles))
    if len({len(primers), len(styles)} - {1}) > 1:
        raise ArgumentError(
            f"{who}: expected as many styles as primers, or one of either, got {len(styles)} and {len(primers)}; "
            "pass one style for all"
        )
    n = check_size(who, "n", n)
    primers, styles = primers * (rows // len(primers)), styles * (rows // len(styles))
    mixtures = [_mixture(one, labels, who) for one in styles]
    for name, value in (("bars", bars), ("most_repeats", most_repeats)):
        if value is not None:
            check_size(who, name, value)
    for name, value in (("max_copy", max_copy), ("tempo", tempo)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
            raise ArgumentTypeError(f"{who}: expected {name} to be a number, got {value!r}; pass a float")
        if not 0 < value < 10_000:
            raise ArgumentError(f"{who}: expected {name} above 0 and below 10000, got {value:g}; pass another")
    if isinstance(transpose, bool) or not isinstance(transpose, int) or abs(transpose) > 48:
        raise ArgumentError(
            f"{who}: expected transpose to be from −48 to 48 semitones, got {transpose!r}; pass a whole number"
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**62:
        raise ArgumentError(f"{who}: expected seed to be a whole number from 0, got {seed!r}; pass one")
    return Wish(
        primers=[one for one in primers for _ in range(n)],
        mixtures=None if labels is None else [m or {} for m in mixtures for _ in range(n)],
        names=[_name(one) for one in styles for _ in range(n)],
        bars=bars, metre=read_metre(metre, who), sampler=sampler, most_repeats=most_repeats,
        max_copy=None if max_copy is None else float(max_copy), tempo=None if tempo is None else float(tempo),
        transpose=transpose, seed=int(seed),
    )  # fmt: skip


def read_metre(given: Any, who: str) -> tuple[int, int] | None:
    """A metre such as "6/8"; None for None.

    Raises:
        ArgumentError: something else.
    """
    if given is None:
        return None
    parts = str(given).split("/") if isinstance(given, str) else []
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) not in (1, 2, 4, 8, 16):
        raise ArgumentError(f"{who}: expected a metre such as '3/4' or '6/8', got {given!r}; pass one")
    found = int(parts[0]), int(parts[1])
    if not 0 < Metre(0, *found).bar <= 480:
        raise ArgumentError(f"{who}: expected a metre of at most ten whole notes, got {given!r}; pass a shorter one")
    return found


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) and given else [given]


def _name(style: Any) -> str | None:
    return "+".join(map(str, style)) if isinstance(style, Mapping) else None if style is None else str(style)


def _mixture(given: Any, labels: Sequence[str] | None, who: str) -> dict[int, float] | None:
    """A style, or several with a share each, as numbers of styles; shares add up to one."""
    if labels is None:
        if given is not None:
            raise ArgumentError(
                f"{who}: expected no style, since the model was trained without styles, got {given!r}; leave it out, "
                "or train with styles"
            )
        return None
    known = ", ".join(map(repr, labels))
    if given is None:
        raise ArgumentError(
            f"{who}: expected a style, since the model was trained with styles, got none; pass one of {known}"
        )
    shares = dict(given) if isinstance(given, Mapping) else {given: 1.0}
    for name, share in shares.items():
        if name not in labels:
            raise ArgumentError(f"{who}: expected a style among {known}, got {name!r}; pass one of these")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
            raise ArgumentError(
                f"{who}: expected a share above 0 for style {name!r}, got {share!r}; pass {{{name!r}: 1.0}} or so"
            )
    if not shares:
        raise ArgumentError(f"{who}: expected at least one style, got {given!r}; pass one of {known}")
    total = float(sum(shares.values()))
    return {labels.index(name): share / total for name, share in shares.items()}
