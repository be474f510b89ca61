"""A recognizer judged on recordings, and whether it has seen them before.

Axes in names: T samples of a recording, K labels.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.recording import Recording
from throughtime.data.sensors.overlaps import stretches
from throughtime.tasks.recognize.evaluation import MODEL, ActivityEvaluation, compare
from throughtime.tasks.recognize.inputs import all_labels, label_numbers
from throughtime.tasks.recognize.labels import UNSEEN
from throughtime.tasks.recognize.segments import find_segments, matched, smoothed

if TYPE_CHECKING:
    from throughtime.tasks.recognize.recognizer import Recognizer

_logger = logging.getLogger("throughtime.tasks")
_GRAIN = 1e-3  # of the mean deviation of the channels: steps between samples as near as that are the same


def evaluate(r: "Recognizer", recordings: Sequence[Recording], who: str) -> ActivityEvaluation:
    """The figures of a model and of its baselines on labelled recordings."""
    prepared = [r.reader_.read(one, who) for one in recordings]
    own = [r._probability(one) for one in prepared]
    frequent_K = r.baseline_.frequent.double().numpy()
    parts = {
        MODEL: own,
        "without order": [r._spread(one, r.baseline_.probability(one.x).double().numpy()) for one in prepared],
        "most frequent": [np.broadcast_to(frequent_K, p.shape) for p in own],
    }
    true = [label_numbers(one, r.labels_) for one in recordings]
    found: dict[str, NDArray[np.float64]] = {}
    segments: dict[str, tuple[int, int, int]] = {}
    for name, ps in parts.items():
        if not r.aligned_:
            found[name] = np.stack(ps)
            continue
        soft = [smoothed(p_TK, r.times_of(one), r.smoothing_) for one, p_TK in zip(recordings, ps, strict=True)]
        found[name] = np.concatenate(soft)
        counts = [_matched(r, one, t, p_TK) for one, t, p_TK in zip(recordings, true, soft, strict=True)]
        right, there, here = np.sum(counts, axis=0).tolist()
        segments[name] = right, there, here
    told = leaks(r, recordings)
    for leak in told:
        _logger.warning("%s: the split leaks: %s", who, leak)
    return compare(
        r.labels_, np.concatenate([t.reshape(-1) for t in true]), found, segments or None,
        recordings=len(recordings), samples=sum(map(len, recordings)),
        unseen=dict(r.labels_.unseen(all_labels(recordings))), leaks=tuple(told),
    )  # fmt: skip


def _matched(
    r: "Recognizer", one: Recording, true: NDArray[np.int64], p_TK: NDArray[np.float64]
) -> tuple[int, int, int]:
    """`matched`, of the segments that `Recognizer.segments` gives."""
    found, times = np.zeros(len(true), np.int64), r.times_of(one)
    numbers: dict[Any, int] = {name: i for i, name in enumerate(r.labels_.names)}
    for segment in find_segments(p_TK, times, r.labels_.names, 0.0, r.shortest_):
        found[times >= segment.start] = numbers[segment.label]
    return matched(np.where(true == UNSEEN, len(numbers), true), found)


def own_stretches(r: "Recognizer", one: Recording, *, every: bool) -> set[str]:
    """`stretches` of a recording of samples, by the scale of the training recordings."""
    if one.is_frames:
        return set()
    return stretches(one.values, _GRAIN * float(np.mean(r.reader_.deviation)), every=every)


def leaks(r: "Recognizer", recordings: Sequence[Recording]) -> list[str]:
    """What these share with the training recordings, in words."""
    found = []
    again = sorted({str(one.group) for one in recordings if one.group is not None} & r.groups_)
    if again:
        shown = ", ".join(again[:3]) + (", ..." if len(again) > 3 else "")
        found.append(f"{len(again)} groups were in training, too ({shown})")
    same = sum(bool(own_stretches(r, one, every=True) & r.stretches_) for one in recordings)
    if same:
        found.append(f"{same} of {len(recordings)} recordings share samples with training recordings")
    return found
