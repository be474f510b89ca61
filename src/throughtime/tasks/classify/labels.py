"""Labels of texts: one of some, some of some, or steps of a scale.

Axes in names: N texts, K labels.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError

KINDS = ("one", "several", "ordered")
MOST_LABELS = 1000
_SURROGATES = range(0xD800, 0xE000)
Label = str | int | float | bool


class Targets(NamedTuple):
    """Labels of texts as numbers."""

    targets: Tensor
    """(N, K), 1 where a text has a label."""
    unseen: Counter[str]
    """Labels that are not among the names, as text."""


class Labels:
    """The different labels, in order.

    Args:
        names: K of them; numbers ascending, text by the alphabet.
        kind: "one" of them a text, "several" (or none), or "ordered": one, on a scale of numbers.
    """

    def __init__(self, names: Sequence[Label], kind: str) -> None:
        self.names = list(names)
        self.kind = kind
        self._numbers = {_key(name): i for i, name in enumerate(self.names)}
        self._written = {str(name): i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.kind == "several"

    @property
    def values(self) -> NDArray[np.float64]:
        """(K,) the numbers of a scale."""
        return np.array([float(name) for name in self.names])

    @classmethod
    def find(cls, y: Any, kind: str, who: str) -> "Labels":
        """The labels that occur.

        Args:
            y: one of each text, or a list of them.
            kind: of `KINDS`, or "auto": "several" where one is a list.

        Raises:
            ArgumentTypeError: a label that is neither text nor a number, or both kinds beside one another.
            DataError: no label, one alone, too many, or a scale of labels that are no numbers.
        """
        rows = read_rows(y, who)
        if kind == "auto":
            kind = "several" if any(isinstance(row, list) for row in rows) else "one"
        if kind != "several":
            for number, row in enumerate(rows):
                if isinstance(row, list):
                    raise ArgumentTypeError(
                        f"{who}: expected one label a text, got {row!r:.60} as number {number}; pass labels='several'"
                    )
        flat = [label for row in rows for label in (row if isinstance(row, list) else [row])]
        distinct = {_key(label): label for label in flat}
        written = {isinstance(label, str) for label in flat}
        if len(written) > 1:
            one, other = next(x for x in flat if isinstance(x, str)), next(x for x in flat if not isinstance(x, str))
            raise ArgumentTypeError(f"{who}: expected labels of one kind, got {one!r} and {other!r}; pass text for all")
        names = list(distinct.values())
        if kind == "ordered":
            bad = next((name for name in names if _as_number(name) is None), None)
            if bad is not None:
                raise DataError(
                    f"{who}: expected ordered labels to be numbers, got {bad!r}; number them in their order"
                )
        least = 1 if kind == "several" else 2
        if len(names) < least:
            got = "none" if not names else f"{names[0]!r} alone"
            what = "a label" if kind == "several" else "at least two different labels"
            raise DataError(f"{who}: expected {what}, got {got}; give texts of another label, too")
        if len(names) > MOST_LABELS:
            raise DataError(
                f"{who}: expected at most {MOST_LABELS} labels, got {len(names)} (one is {names[0]!r:.40}); "
                "is this the column of the labels?"
            )
        order = _as_number if kind == "ordered" or not isinstance(names[0], str) else str
        return cls(sorted(names, key=order), kind)  # type: ignore[arg-type]

    def read(self, y: Any, n: int, who: str, *, strict: bool) -> Targets:
        """Labels of n texts as numbers.

        Args:
            strict: refuse a label that is not among the names; else it is counted.

        Raises:
            DataError: another number of labels than texts, or a label not among the names.
            ArgumentTypeError: as `find`.
        """
        rows = read_rows(y, who)
        if len(rows) != n:
            raise DataError(f"{who}: expected a label for each of the {n} texts, got {len(rows)}; pass one for each")
        targets_NK, unseen = torch.zeros((n, len(self))), Counter[str]()
        for number, row in enumerate(rows):
            if isinstance(row, list) and not self.several:
                raise ArgumentTypeError(
                    f"{who}: expected one label a text, got {row!r:.60} as number {number}; pass the one"
                )
            for label in row if isinstance(row, list) else [row]:
                found = self._numbers.get(_key(label), self._written.get(str(label)))
                if found is not None:
                    targets_NK[number, found] = 1
                elif strict:
                    raise DataError(
                        f"{who}: expected a label among {self.listed()}, got {label!r} as number {number}, which the "
                        "training texts never have; leave it out or train with it"
                    )
                else:
                    unseen[str(label)] += 1
        return Targets(targets_NK, unseen)

    def listed(self) -> str:
        """The first few of them, in words."""
        return ", ".join(repr(name) for name in self.names[:8]) + (", ..." if len(self) > 8 else "")

    def decide(self, probability_NK: Tensor) -> Tensor:
        """The labels chosen (N, K): the most probable, the median of a scale, or all from 0.5 on.

        The median has the least expected distance.
        """
        if self.several:
            return probability_NK >= 0.5
        if self.kind == "ordered":
            best_N = (probability_NK.cumsum(1) >= 0.5).long().argmax(1)
        else:
            best_N = probability_NK.argmax(1)
        return torch.nn.functional.one_hot(best_N, len(self)).bool()

    def named(self, chosen_NK: Tensor) -> list[Any]:
        """Each row's label, or list of labels."""
        if self.several:
            return [[self.names[k] for k in row.nonzero().flatten().tolist()] for row in chosen_NK]
        return [self.names[k] for k in chosen_NK.int().argmax(1).tolist()]


def read_rows(y: Any, who: str) -> list[Any]:
    """Each text's label, or list of labels, as plain values.

    Raises:
        ArgumentTypeError: something that is no label.
    """
    if y is None or isinstance(y, str | bytes | Mapping) or not isinstance(y, Iterable):
        raise ArgumentTypeError(f"{who}: expected labels in a list, got {y!r:.60}; pass one for each text")
    return [
        [_label(one, number, who) for one in row]
        if isinstance(row, list | tuple | set | frozenset | np.ndarray)
        else _label(row, number, who)
        for number, row in enumerate(y)
    ]


def _label(value: Any, number: int, who: str) -> Label:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        if any(ord(c) in _SURROGATES for c in value):
            raise DataError(f"{who}: expected labels that UTF-8 can hold, got {value!r} as number {number}; rename it")
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ArgumentTypeError(
        f"{who}: expected a label as text or a number, got {value!r:.60} as number {number}; pass one"
    )


def _key(label: Label) -> tuple[bool, Label]:
    """True and 1 are one key of a dict."""
    return isinstance(label, bool), label


def _as_number(label: Label) -> float | None:
    try:
        found = float(label)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def class_weights(given: Any, labels: Labels, targets_NK: Tensor, who: str) -> Tensor | None:
    """What each label counts in the loss, (K,); None for all the same.

    Args:
        given: None, "balanced" (in reverse to how often a label occurs), or a number by label.

    Raises:
        ArgumentError: something else, or a label that does not occur.
    """
    if given is None:
        return None
    counts_K = targets_NK.sum(0).clamp(min=1)
    if given == "balanced":
        if labels.several:  # of what speaks for a label, against what speaks against it
            return (len(targets_NK) - counts_K).clamp(min=1) / counts_K
        return len(targets_NK) / (len(labels) * counts_K)
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{who}: expected class_weight to be None, 'balanced' or a number by label, got {given!r:.60}; pass one of "
            "these"
        )
    weights_K = torch.ones(len(labels))
    names = {str(name): i for i, name in enumerate(labels.names)}
    for label, weight in given.items():
        if str(label) not in names:
            raise ArgumentError(f"{who}: expected class_weight for {labels.listed()}, got {label!r}; leave it out")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ArgumentError(f"{who}: expected class_weight above 0, got {weight!r} for {label!r}; pass a number")
        weights_K[names[str(label)]] = float(weight)
    return weights_K


def folds(targets_NK: Tensor, count: int, seed: int, *, several: bool) -> list[NDArray[Any]]:
    """Rows in so many parts, each with its share of each label.

    Raises:
        DataError: fewer than two texts.
    """
    n = len(targets_NK)
    if n < 2:
        raise DataError(
            f"Classifier.fit: expected at least 2 texts, one to learn from and one to judge by, got {n}; give more"
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(n)
    groups = np.zeros(n, dtype=np.int64) if several else targets_NK.argmax(1).numpy()
    by_group = order[np.argsort(groups[order], kind="stable")]
    return [np.sort(by_group[first :: min(count, n)]) for first in range(min(count, n))]
