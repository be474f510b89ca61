"""Series whose course is known, and forecasters small enough to train in a blink."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch

from throughtime import Forecaster
from throughtime.data import SeriesSet, read_series
from throughtime.tasks.forecast.batches import WindowSource
from throughtime.tasks.forecast.network import Batch, Design
from throughtime.tasks.forecast.outputs import output_named
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.strategies import Strategy, build
from throughtime.tasks.forecast.windows import Windows

TINY: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "epochs": 2, "batch_size": 32, "refit": False}
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


def design(strategy: str, **options: Any) -> Design:
    """A small design: horizon 5 and 8 steps of history unless said."""
    chosen: dict[str, Any] = {
        "cell": "gru", "hidden_size": 6, "num_layers": 2, "dropout": 0.0, "horizon": 5, "input_size": 8, "segment": 1,
        "anchor": "last", "season_length": 1,
    }  # fmt: skip
    return Design(strategy, **{**chosen, **options})


def net(strategy: str, *, loss: str = "mse", **options: Any) -> Strategy:
    """A net in float64 whose head is not zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = build(design(strategy, outputs=output_named(loss).size, **options), output_named(loss)).double()
        for parameter in model.parameters():
            torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return model.eval()


def double(batch: Batch) -> Batch:
    """The batch in float64."""
    fields = vars(batch).items()
    return Batch(**{n: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for n, v in fields})


def forecasts(model: Forecaster, df: Any = None) -> np.ndarray:
    """The predicted values of a Polars frame."""
    return np.asarray(model.predict(df)["forecast"].to_numpy())
