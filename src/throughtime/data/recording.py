"""A recording: samples of sensors or frames of a video, and what is known of them.

Axes in names: T time, C channels, H height, W width, K colours.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import DataError

__all__ = ["Recording", "check_times"]


@dataclass(frozen=True)
class Recording:
    """What was recorded at a stretch.

    Attributes:
        values: (T, C) float32 samples, NaN where one is missing; or (T, H, W, K) uint8 frames, K 1 or 3.
        name: for messages and tables: a file, a row.
        times: (T,) seconds, never going back; None where samples are evenly spaced or nobody knows.
        label: of the whole; None where it is not known or every sample has its own.
        labels: (T,) of every sample; None where there is one of the whole, or none.
        group: who or what it is of (a subject, a source video); None where that is not known.
        channels: C names of the columns; empty for frames.
    """

    values: NDArray[Any]
    name: str = ""
    times: NDArray[np.float64] | None = None
    label: Any = None
    labels: NDArray[Any] | None = None
    group: Any = None
    channels: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_frames(self) -> bool:
        """Whether these are images."""
        return self.values.ndim == 4


def check_times(times: NDArray[np.float64], who: str, place: Any = str) -> None:
    """Refuse times that are missing or go back.

    Args:
        place: of a sample by its number, for the message.

    Raises:
        DataError: such a time.
    """
    missing = np.flatnonzero(~np.isfinite(times))
    if missing.size:
        raise DataError(
            f"{who}: expected a time for every sample, got none at {place(int(missing[0]))}; leave such samples out"
        )
    back = np.flatnonzero(np.diff(times) < 0)
    if back.size:
        at = int(back[0]) + 1
        raise DataError(
            f"{who}: expected times that do not go back, got {times[at]:.10g} after {times[at - 1]:.10g} at "
            f"{place(at)}; sort the samples, or part the recordings"
        )
