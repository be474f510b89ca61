"""Series whose course is known, and forecasters small enough to train in a blink."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch

from throughtime import Forecaster
from throughtime.data import SeriesSet, read_series
from throughtime.tasks.forecast.batches import WindowSource
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.strategies import STRATEGIES, Batch, Strategy, build
from throughtime.tasks.forecast.windows import Windows

TINY: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "epochs": 2}
UNSCALED = Scaler("none", 0.0, 1.0)


def frame(*lengths: int, value: Callable[[np.ndarray, int], Any] | None = None) -> pl.DataFrame:
    """Series "s0", "s1", ... of these lengths at integer times from 0; `value(t, i)`, by default a noisy sine."""
    rows = []
    for i, n in enumerate(lengths):
        t = np.arange(n)
        noise = np.random.default_rng(i).normal(size=n)
        y = np.sin(t / 2.0 + i) + 0.1 * noise + i if value is None else value(t, i)
        rows.append(pl.DataFrame({"unique_id": [f"s{i}"] * n, "ds": t, "y": np.asarray(y, dtype=np.float64)}))
    return pl.concat(rows)


def series_of(*lengths: int, value: Callable[[np.ndarray, int], Any] | None = None) -> SeriesSet:
    return read_series(frame(*lengths, value=value))


def counting(*lengths: int) -> SeriesSet:
    """Every value of every series is its own: 100 · series + time."""
    return series_of(*lengths, value=lambda t, i: 100.0 * i + t)


def whole_batch(windows: Windows) -> Batch:
    """All windows in one batch, unscaled."""
    return WindowSource(windows, UNSCALED).batch(torch.arange(len(windows)))


def net(strategy: str, *, horizon: int, cell: str = "gru", anchor: str = "last", season_length: int = 1) -> Strategy:
    """A net in float64 whose head is not zero."""
    assert strategy in STRATEGIES
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = build(
            strategy,
            cell=cell,
            hidden_size=3,
            num_layers=2,
            dropout=0.0,
            horizon=horizon,
            anchor=anchor,
            season_length=season_length,
        ).double()
        for parameter in model.parameters():
            torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return model


def forecasts(model: Forecaster, df: Any = None) -> np.ndarray:
    """The predicted values of a Polars frame."""
    return np.asarray(model.predict(df)["forecast"].to_numpy())
