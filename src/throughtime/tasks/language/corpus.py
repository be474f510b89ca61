"""Texts as one row of ids, in memory or, where they come from files, on disk.

Axes in names: N ids in all, K texts.
"""

import tempfile
from array import array
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.text.files import TextFiles, TextPiece, Texts
from throughtime.data.text.units import TextUnits
from throughtime.errors import ArgumentError, DataError

Source = Texts | TextFiles
Ids = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts one after another.

    Attributes:
        ids: unsigned, each text with its END where texts are ended: an array, or one over a file on disk.
        begins: (K,) where in `ids` each text begins.
        lengths: (K,) its ids.
        classes: (K,) the number of each text's label; None without labels.
        characters: of the texts, one for each END counted; 0 for a part of a corpus, of which they are not counted.
        unknown: ids that are UNKNOWN's; 0 for a part, likewise.
    """

    ids: Ids
    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    classes: NDArray[np.int64] | None
    characters: int = 0
    unknown: int = 0

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(K,) where each text ends when they stand one after another."""
        return np.cumsum(self.lengths)

    def __len__(self) -> int:
        """N."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def texts(self) -> int:
        """K."""
        return len(self.begins)

    def locate(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """For places in [0, N): the number of the text there, where in `ids` it is, whether the text begins there."""
        text = np.searchsorted(self.ends, places, side="right")
        since = places - (self.ends - self.lengths)[text]
        return text, self.begins[text] + since, since == 0

    def select(self, texts: NDArray[np.int64]) -> "Corpus":
        """Some of the texts, or all in another order; the ids are not copied."""
        classes = None if self.classes is None else self.classes[texts]
        return Corpus(self.ids, self.begins[texts], self.lengths[texts], classes)

    def cut(self, held: int) -> tuple["Corpus", "Corpus"]:
        """All but the last ids of the longest text, and these, as a text of its own; nothing is copied."""
        longest = int(self.lengths.argmax())
        lengths = self.lengths.copy()
        lengths[longest] -= held
        last = None if self.classes is None else self.classes[[longest]]
        border = self.begins[[longest]] + lengths[longest]
        return Corpus(self.ids, self.begins, lengths, self.classes), Corpus(self.ids, border, np.array([held]), last)


def read_source(who: str, given: Any, labels: Any = None) -> Source:
    """What `fit`, `score` and `evaluate` take: a text, texts, or files.

    Raises:
        ArgumentError: labels beside files, or a text that is the name of a file.
        ArgumentTypeError, DataError: what `Texts` and `TextFiles` refuse.
    """
    from pathlib import Path

    if isinstance(given, TextFiles | Texts):
        if labels is not None:
            raise ArgumentError(f"{who}: expected no labels beside files, got {labels!r:.40}; give them as label_field")
        return given
    if isinstance(given, Path) or (isinstance(given, list | tuple) and given and isinstance(given[0], Path)):
        return read_source(who, TextFiles(given), labels)
    if isinstance(given, str):
        if len(given) < 256 and "\n" not in given and "\0" not in given and Path(given).is_file():
            raise ArgumentError(
                f"{who}: expected the text itself, got {given!r}, which is the name of a file; "
                "pass pathlib.Path(...) to have it read"
            )
        return Texts([given], None if labels is None else [labels] if isinstance(labels, str) else labels, who)
    if given is None or isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
        raise ArgumentError(f"{who}: expected a text, a list of texts or a Path, got {given!r:.60}; pass one of these")
    return Texts(list(given), labels, who)


def labels_of(source: Source) -> list[str]:
    """The different labels, in order."""
    return sorted({piece.label for piece in source if piece.label is not None})


def build_corpus(
    source: Source, units: TextUnits, *, end: bool | None, classes: Mapping[str, int] | None, who: str
) -> Corpus:
    """Encode texts.

    Args:
        end: whether each text gets an END; None: where there are several.
        classes: the number of each label; None: labels are not read.

    Raises:
        DataError: no id in all, or a label that is not among `classes`.
    """
    dtype = np.min_scalar_type(len(units) - 1)
    # Of fixed width, since there may be as many texts as a file has lines.
    offsets, found = array("q", [0]), array("q")
    total, characters, unknown, began = 0, 0, 0, True
    with tempfile.TemporaryFile() if isinstance(source, TextFiles) else nullcontext() as file:
        parts: list[Ids] = []
        for piece in units.pieces(source):
            if began and classes is not None:
                found.append(_class_of(piece, classes, who))
            began = piece.ends
            ids = units.encode(piece.text)
            if piece.ends and end is not False:
                ids = np.append(ids, units.end)
            unknown += int((ids == units.unknown).sum())
            total += len(ids)
            characters += len(piece.text) + (piece.ends and end is not False)
            if file is None:
                parts.append(ids.astype(dtype))
            else:
                ids.astype(dtype).tofile(file)
            if piece.ends:
                offsets.append(total)
        if end is None and len(offsets) == 2:  # one text: the END that it got is taken back
            total, characters, offsets[1] = total - 1, characters - 1, total - 1
        if total == 0:
            raise DataError(f"{who}: expected text, got none in {len(offsets) - 1} texts; give more text")
        if file is None:
            ids_N: Ids = np.concatenate(parts)[:total]
        else:
            file.flush()
            # The file has no name any more: it goes when the last array over it does.
            ids_N = np.memmap(file, dtype=dtype, mode="r", shape=(total,))
    classes_K = None if classes is None else np.array(found, dtype=np.int64)
    offsets_K = np.array(offsets, dtype=np.int64)
    return Corpus(ids_N, offsets_K[:-1], np.diff(offsets_K), classes_K, characters, unknown)


def _class_of(piece: TextPiece, classes: Mapping[str, int], who: str) -> int:
    if piece.label is None or piece.label not in classes:
        known = ", ".join(map(repr, list(classes)[:8])) + (", ..." if len(classes) > 8 else "")
        raise DataError(f"{who}: expected labels among {known}, got {piece.label!r}; the model was trained with these")
    return classes[piece.label]
