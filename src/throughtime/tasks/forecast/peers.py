"""Theta and exponential smoothing beside the model, fitted to every window anew by statsforecast (extra `peers`).

    theta   the standard Theta method, seasonally adjusted where there is a season
    ets     exponential smoothing, its form chosen by AICc

Each reads the series from its beginning to the origin; a missing value is the last one observed before it.

Axes in names: N windows, K steps of the horizon.
"""

import logging
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from throughtime._extras import require
from throughtime.errors import ArgumentError
from throughtime.tasks.forecast.baselines import last_observed, seasonal_naive
from throughtime.tasks.forecast.windows import Windows

Array = NDArray[np.float64]

PEERS = ("theta", "ets")
_CLASSES = {"theta": "Theta", "ets": "AutoETS"}

_log = logging.getLogger(__name__)


def check_peers(peers: str | Sequence[str], who: str) -> tuple[str, ...]:
    """Names among PEERS.

    Raises:
        ArgumentError: one is not.
        MissingExtraError: there is one, and statsforecast is not installed.
    """
    names = (peers,) if isinstance(peers, str) else tuple(peers)
    for name in names:
        if name not in PEERS:
            raise ArgumentError(f"{who}: expected peers among {', '.join(PEERS)}, got {name!r}; pass these or none")
    if names:
        require("statsforecast", extra="peers")
    return names


def peer_forecast(name: str, windows: Windows, season_length: int) -> Array:
    """A peer's forecasts of windows, (N, K); one fit a window, milliseconds for "theta", up to seconds for "ets".

    Where one cannot be fitted (a past too short, or constant), the seasonal naive stands for it and the log says so.
    """
    found = seasonal_naive(windows, season_length)
    models = require("statsforecast.models", extra="peers")
    model = getattr(models, _CLASSES[name])(season_length=season_length)
    failed = 0
    for n, (start, origin) in enumerate(zip(windows.series_starts, windows.origins, strict=True)):
        position = np.arange(start, origin)
        past = windows.flat_values[last_observed(windows[n : n + 1], position[None])[0]]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of divisions by zero, which show in the result
                forecast = np.asarray(model.forecast(y=past, h=windows.horizon)["mean"], dtype=np.float64)
        # What statsforecast raises for a short past has no type of its own; some of it is a plain Exception.
        except Exception:
            forecast = np.full(windows.horizon, np.nan)
        if np.isfinite(forecast).all():
            found[n] = forecast
        else:
            failed += 1
    if failed:
        _log.warning(
            "%s could not be fitted to %d of %d windows; seasonal naive stands there", name, failed, len(found)
        )
    return found
