"""Windows on their way into a net: scaled, cast to float32, time first.

Axes in names: T time, N windows, L steps of history, K steps of the horizon.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.strategies import Batch, Strategy
from throughtime.tasks.forecast.windows import Windows
from throughtime.training import fingerprint

Array = NDArray[np.float64]

_PREDICTION_ROWS = 1024  # windows a forward pass: some tens of MiB of states at the default size


def _history_batch(windows: Windows, level_N: Array, scale_N: Array) -> Batch:
    history_NL, valid_NL = windows.history()
    scaled_NL = np.where(valid_NL, (history_NL - level_N[:, None]) / scale_N[:, None], 0.0)
    return Batch(_time_first(scaled_NL), _lengths(windows), windows.input_size)


def _time_first(values_NT: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values_NT.T, dtype=np.float32))


def _lengths(windows: Windows) -> Tensor | None:
    lengths = windows.lengths
    return None if (lengths == windows.input_size).all() else torch.from_numpy(lengths)


class WindowSource:
    """Training windows as a `BatchSource`."""

    def __init__(self, windows: Windows, scaler: Scaler) -> None:
        self._windows = windows
        self._level_N, self._scale_N = scaler.apply(windows)

    def __len__(self) -> int:
        return len(self._windows)

    def batch(self, indices: Tensor) -> Batch:
        """History and horizon of the chosen windows, one after the other in time."""
        index = indices.numpy()
        windows = self._windows[index]
        steps = np.arange(windows.input_size + windows.horizon)
        begin = windows.origins - windows.lengths
        inside_NT = steps < (windows.lengths + windows.horizon)[:, None]
        values_NT = windows.flat_values[np.where(inside_NT, begin[:, None] + steps, begin[:, None])]
        scaled_NT = (values_NT - self._level_N[index, None]) / self._scale_N[index, None]
        return Batch(_time_first(np.where(inside_NT, scaled_NT, 0.0)), _lengths(windows), windows.input_size)

    def fingerprint(self) -> str:
        """Of every value, where the windows lie, and how they are scaled."""
        windows = self._windows
        places = (windows.origins, windows.lengths, windows.input_size, windows.horizon)
        return fingerprint(windows.flat_values, places, self._level_N, self._scale_N)


def forecast(model: Strategy, windows: Windows, scaler: Scaler) -> Array:
    """The model's forecasts of windows, in the series' own units: (N, K)."""
    level_N, scale_N = scaler.apply(windows)
    model.eval()
    with torch.inference_mode():
        found = [
            model(_history_batch(windows[rows], level_N[rows], scale_N[rows])).numpy() for rows in _pieces(len(windows))
        ]
    scaled_NK = np.concatenate(found).astype(np.float64)
    return scaled_NK * scale_N[:, None] + level_N[:, None]


def _pieces(N: int) -> Iterator[slice]:
    yield from (slice(first, first + _PREDICTION_ROWS) for first in range(0, N, _PREDICTION_ROWS))
