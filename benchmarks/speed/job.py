"""One thing to time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Unavailable(Exception):
    """This library, or this version of it, cannot run the case; the argument says why."""


def _nothing() -> None:
    return


def _no_results() -> dict[str, NDArray[Any]]:
    return {}


@dataclass(frozen=True)
class Job:
    """One thing to time.

    Attributes:
        run: what is timed. A number that it gives, in seconds, is taken in place of the time.
        results: runs once, untimed, and gives named arrays for the equality check.
        setup: runs untimed before every `run`.
    """

    run: Callable[[], float | None]
    results: Callable[[], dict[str, NDArray[Any]]] = _no_results
    setup: Callable[[], None] = _nothing


Jobs = dict[str, Job]
Arrays = dict[str, NDArray[np.float32]]
