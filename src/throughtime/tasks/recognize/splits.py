"""Who is held out: whole groups where groups are known, and a warning where a split leaks.

Axes in names: N recordings.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.sensors.overlaps import chains
from throughtime.errors import ArgumentError, DataError
from throughtime.nn.arguments import check_size

__all__ = ["grouped_folds", "groups_of"]


def groups_of(sequences: Sequence[NDArray[Any]], given: Sequence[Any] | None) -> tuple[NDArray[np.int64], str]:
    """The group of each recording (N,), numbered from 0, and how it was found, in words.

    Args:
        given: of each recording, None where it is not known; None: none is. Recordings that are windows of one
            (`throughtime.data.sensors.chains`) are then a group.
    """
    if given is not None and any(group is not None for group in given):
        named = [("group", str(group)) if group is not None else ("alone", str(i)) for i, group in enumerate(given)]
        _, numbers = np.unique(np.array(["\0".join(name) for name in named]), return_inverse=True)
        return numbers, f"{len({*named})} groups"
    if any(sequence.ndim != 2 for sequence in sequences):
        return np.arange(len(sequences)), ""
    found = chains(sequences)
    if found[-1] + 1 < len(sequences):
        return found, f"{found[-1] + 1} recordings, of which the {len(sequences)} sequences are overlapping windows"
    return np.arange(len(sequences)), ""


def grouped_folds(
    groups: Sequence[Any], labels: Sequence[Any], count: int = 5, seed: int = 0
) -> list[NDArray[np.int64]]:
    """Rows in so many parts, no group in two of them, each with its share of each label as far as that goes.

    Groups are dealt out from the largest to the smallest, each to the part that has the least of what it brings;
    `seed` decides among groups of one size.

    Raises:
        ArgumentError: not as many labels as groups.
        DataError: fewer groups than parts.

    >>> [part.tolist() for part in grouped_folds(["a", "a", "b", "c"], [0, 1, 0, 1], count=2)]
    [[0, 1], [2, 3]]
    """
    check_size("grouped_folds", "count", count)
    if len(labels) != len(groups):
        raise ArgumentError(f"grouped_folds: expected {len(groups)} labels, got {len(labels)}; pass one for each group")
    _, group_N = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    _, label_N = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    G = int(group_N.max(initial=-1)) + 1
    if count > G:
        raise DataError(f"grouped_folds: expected at least {count} groups, got {G}; ask for fewer parts")
    counts_GK = np.zeros((G, int(label_N.max(initial=0)) + 1))
    np.add.at(counts_GK, (group_N, label_N), 1)
    share_GK = counts_GK / np.maximum(counts_GK.sum(0), 1)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(G)
    order = order[np.argsort(-counts_GK[order].sum(1), kind="stable")]
    held_PK = np.zeros((count, share_GK.shape[1]))
    part_G = np.zeros(G, np.int64)
    for group in order:
        # What a part would have of the labels that this group brings, and then how many rows: the emptiest takes it.
        full_P = held_PK @ share_GK[group] + 1e-6 * held_PK.sum(1)
        part_G[group] = int(full_P.argmin())
        held_PK[part_G[group]] += share_GK[group]
    return [np.flatnonzero(part_G[group_N] == part) for part in range(count)]
