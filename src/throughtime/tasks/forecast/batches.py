"""Windows on their way into a net, and forecasts on their way out.

Axes in names: W windows, L steps of history, K steps of the horizon, S series, E members of an ensemble, R raw numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.series.frames import SeriesSet
from throughtime.tasks.forecast.features import Inputs, Known
from throughtime.tasks.forecast.network import Batch
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.smoothing import smoothed
from throughtime.tasks.forecast.windows import Windows, fill_gaps
from throughtime.training import fingerprint

Array = NDArray[np.float64]

_PREDICTION_ROWS = 1024  # windows a forward pass: some tens of MiB of states at the default size


@dataclass(frozen=True)
class Prepared:
    """What windows over a set of series have in common.

    Attributes:
        filled: the series end to end, with something in place of missing values.
        gaps: whether there were any.
        known: what nets read beside the values; None: nothing.
        scaler: gives what is filled in logarithms; None: the values themselves.
        smooth: the season of the exponential smoothing that nets start from; 0: they start from another anchor.
    """

    filled: Array
    gaps: bool
    known: Known | None = None
    smooth: int = 0
    scaler: Scaler | None = None


def prepare(
    series: SeriesSet,
    season_length: int,
    inputs: Inputs | None,
    horizon: int,
    beyond: Array | None = None,
    anchor: str = "",
    scaler: Scaler | None = None,
) -> Prepared:
    """Once a set of series; `beyond` as in `Inputs.of`."""
    filled = fill_gaps(series.flat_values, series.offsets, season_length)
    gaps = filled is not series.flat_values
    known = inputs.of(series, horizon, beyond) if inputs is not None and inputs.reads else None
    smooth = max(season_length, 1) if anchor == "smoothed" else 0
    return Prepared(filled if scaler is None else scaler.log(filled), gaps, known, smooth, scaler)


def make_batch(
    windows: Windows,
    level_W: Array,
    scale_W: Array,
    prepared: Prepared,
    ahead: int,
    smooth_WK: Array | None = None,
) -> Batch:
    """Scaled, in float32, aligned at the origins.

    Args:
        ahead: steps after the origin whose values are known: the horizon in training, 0 at the end of a series.
        smooth_WK: the windows' exponential smoothing, where it is known and asked for.
    """
    L = windows.input_size
    index_WT = windows.origins[:, None] + np.arange(-L, ahead)
    full = bool((windows.lengths == L).all())
    if not full:
        inside_WT = index_WT >= windows.series_starts[:, None]
        index_WT = np.where(inside_WT, index_WT, windows.series_starts[:, None])
    values_WT = (prepared.filled[index_WT] - level_W[:, None]) / scale_W[:, None]
    mask = None
    if prepared.gaps or not full:
        seen_WT = np.isfinite(windows.flat_values[index_WT]) if prepared.gaps else np.True_
        mask = torch.from_numpy(np.asarray(seen_WT if full else seen_WT & inside_WT, dtype=np.float32))
    known = {} if prepared.known is None else prepared.known.take(windows)
    anchor = None
    if prepared.smooth:
        smooth_WK = _smooth(windows, prepared) if smooth_WK is None else smooth_WK
        # A window without any value has none to smooth: its level, which is 0.
        anchor = _tensor(np.nan_to_num((smooth_WK - level_W[:, None]) / scale_W[:, None], nan=0.0))
    return Batch(
        values=torch.from_numpy(values_WT.astype(np.float32)),
        mask=mask,
        scale=torch.from_numpy(scale_W.astype(np.float32)),
        history=L,
        anchor=anchor,
        **{name: _tensor(known.get(name)) for name in ("series", "past", "future", "static", "categories")},
    )


def _bare(windows: Windows, scaler: Scaler) -> Prepared:
    return Prepared(scaler.log(windows.flat_values), False, scaler=scaler)


def _smooth(windows: Windows, prepared: Prepared) -> Array:
    found = smoothed(windows, prepared.smooth)
    return found if prepared.scaler is None else prepared.scaler.log(found)


def _tensor(array: NDArray[Any] | None) -> Tensor | None:
    if array is None:
        return None
    return torch.from_numpy(array if array.dtype == np.int64 else array.astype(np.float32, copy=False))


class WindowSource:
    """Training windows as a `BatchSource`."""

    def __init__(self, windows: Windows, scaler: Scaler, prepared: Prepared | None = None) -> None:
        self._windows = windows
        self._level_W, self._scale_W = scaler.apply(windows)
        self._prepared = _bare(windows, scaler) if prepared is None else prepared
        self._smooth_WK = _smooth(windows, self._prepared) if self._prepared.smooth else None

    def __len__(self) -> int:
        return len(self._windows)

    def batch(self, indices: Tensor) -> Batch:
        """The windows with these numbers."""
        index = indices.numpy()
        windows = self._windows[index]
        smooth = None if self._smooth_WK is None else self._smooth_WK[index]
        return make_batch(windows, self._level_W[index], self._scale_W[index], self._prepared, windows.horizon, smooth)

    def fingerprint(self) -> str:
        """Of every value, where the windows lie, and how they are scaled."""
        windows, prepared = self._windows, self._prepared
        places = (windows.origins, windows.lengths, windows.input_size, windows.horizon)
        beside = [] if prepared.known is None else [a for a in vars(prepared.known).values() if a is not None]
        return fingerprint(windows.flat_values, places, self._level_W, self._scale_W, *beside)


def forecast(model: Any, windows: Windows, scaler: Scaler, prepared: Prepared | None = None) -> Array:
    """The model's point forecasts of windows, in the series' own units: (W, K)."""
    level_W, scale_W = scaler.apply(windows)
    prepared = _bare(windows, scaler) if prepared is None else prepared
    found = [
        piece.numpy() for piece in _each(model, windows, level_W, scale_W, prepared, lambda net, batch: net(batch))
    ]
    scaled_WK = (found[0] if len(found) == 1 else np.concatenate(found)).astype(np.float64)
    return scaler.back(scaled_WK, level_W[:, None], scale_W[:, None])


def forecast_raw(
    members: Sequence[Any],
    windows: Windows,
    scaler: Scaler,
    prepared: Prepared | None = None,
    raw: Callable[[Any, Batch], Tensor] | None = None,
) -> tuple[Tensor, Array, Array]:
    """Raw numbers of every member (E, W, K, R), in scaled units, with the level and scale (W,) of each window.

    `scaler.back` brings what is read from them back to the series' units.

    Args:
        raw: what is asked of a member; None: its `raw`, the location at the anchor and all.
    """
    level_W, scale_W = scaler.apply(windows)
    prepared = _bare(windows, scaler) if prepared is None else prepared
    ask = raw or (lambda net, batch: net.raw(batch))
    found = [torch.cat(list(_each(member, windows, level_W, scale_W, prepared, ask))) for member in members]
    return torch.stack(found), level_W, scale_W


def _each(
    model: Any, windows: Windows, level_W: Array, scale_W: Array, prepared: Prepared, ask: Any
) -> Iterator[Tensor]:
    if model.training:
        model.eval()
    with torch.inference_mode():
        for first in range(0, len(windows), _PREDICTION_ROWS):
            rows = slice(first, first + _PREDICTION_ROWS)
            piece = windows if len(windows) <= _PREDICTION_ROWS else windows[rows]
            yield ask(model, make_batch(piece, level_W[rows], scale_W[rows], prepared, 0))
