"""Numbers that stand for a missing value in files of sensors and weather stations."""

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["warn_of_sentinels"]

_log = logging.getLogger("throughtime")

_SENTINELS = (-9999.9, -9999.0, -999.9, -999.0, -99.99, -99.9, -99.0)


def warn_of_sentinels(columns: Mapping[str, NDArray[np.float64]], who: str) -> None:
    """Say it where the least value of a column looks like a mark for a missing one.

    It is one of -99, -999, -9999 and the like, and lies farther from the other values than these from one another. The
    values stay: only who knows the data can tell a mark from a measurement.
    """
    for name, values in columns.items():
        least = np.fmin.reduce(values) if values.size else 0.0
        if least not in _SENTINELS:
            continue
        others = values[values > least]
        if others.size and others.min() - least > np.ptp(others):
            _log.warning(
                "%s: %s is %g in %d of %d rows and %g or more in the others; if that stands for a missing value, make "
                "it one (an empty field, null or NaN)",
                who, name, least, np.count_nonzero(values == least), values.size, others.min(),
            )  # fmt: skip
