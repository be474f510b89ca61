"""Labels of recordings, or of every sample of them, as numbers.

Axes in names: N recordings, T time, K labels.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentTypeError, DataError

Label = str | int | float | bool
MOST_LABELS = 1000
UNSEEN = -1


class ActivityLabels:
    """The different labels in order: numbers ascending, text by the alphabet.

    Args:
        names: K of them.
    """

    def __init__(self, names: Sequence[Label]) -> None:
        self.names = list(names)
        self._numbers = {str(name): i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def find(cls, given: Iterable[Any], who: str) -> "ActivityLabels":
        """The labels that occur.

        Raises:
            ArgumentTypeError: a label that is neither text nor a number, or both kinds beside one another.
            DataError: fewer than two, or too many.
        """
        names: dict[str, Label] = {}
        for value in given:
            label = value.item() if isinstance(value, np.generic) else value
            if not isinstance(label, str | int | float) or label == "" or label != label:
                raise ArgumentTypeError(f"{who}: expected labels of text or numbers, got {label!r:.60}; pass such")
            names.setdefault(str(label), label)
        found = list(names.values())
        if len({isinstance(label, str) for label in found}) > 1:
            one, other = next(x for x in found if isinstance(x, str)), next(x for x in found if not isinstance(x, str))
            raise ArgumentTypeError(f"{who}: expected labels of one kind, got {one!r} and {other!r}; pass text for all")
        if len(found) < 2:
            got = f"{found[0]!r} alone" if found else "none"
            raise DataError(
                f"{who}: expected at least two different labels, got {got}; give recordings of another, too"
            )
        if len(found) > MOST_LABELS:
            raise DataError(
                f"{who}: expected at most {MOST_LABELS} labels, got {len(found)} (one is {found[0]!r:.40}); is this "
                "the column of the labels?"
            )
        return cls(sorted(found))

    def numbers(self, given: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
        """The number of each label, `UNSEEN` for one that training never had."""
        array = np.asarray(given, dtype=object)
        if not len(array):
            return np.zeros(0, np.int64)
        texts, back = np.unique(np.array([str(x) for x in array.tolist()]), return_inverse=True)
        return np.array([self._numbers.get(str(text), UNSEEN) for text in texts], np.int64)[back]

    def unseen(self, given: Iterable[Any]) -> Counter[str]:
        """Labels that training never had, and how often they occur."""
        counts = Counter(str(label) for label in given)
        return Counter({label: n for label, n in counts.items() if label not in self._numbers})

    def listed(self) -> str:
        """The first few of them, in words."""
        return ", ".join(repr(name) for name in self.names[:8]) + (", ..." if len(self) > 8 else "")
