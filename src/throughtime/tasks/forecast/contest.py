"""Forecasting as something to compare cells on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from throughtime.data.series.frames import SeriesSet
from throughtime.nn.layers import LAYERS
from throughtime.tasks.comparison_records import Scores
from throughtime.tasks.forecast.batches import WindowSource
from throughtime.tasks.forecast.evaluation import MODEL
from throughtime.tasks.forecast.forecaster import Forecaster
from throughtime.tasks.forecast.held_out import HeldOut
from throughtime.tasks.forecast.windows import rolling_windows
from throughtime.training import Callback, RunFolder, TrainingResult, watch

_MOST_WINDOWS = 5
_SET_BY_A_COMPARISON = ("cell", "seed", "epochs")
_PROBED_ROWS = 32


class ForecastContest:
    """Series whose end is held out: every model learns from what lies before the first origin, and forecasts the rest.

    Args:
        df: long frame of series.
        horizon: steps ahead.
        n_windows: origins a series, the last one `horizon` before the end; None: as many as leave two thirds of the
            shortest series to learn from, at least 1 and at most 5.
        step_size: steps between origins; None: the horizon.
        options: of `Forecaster`, but for `cell`, `seed` and `epochs`, which a comparison sets.

    Raises:
        ArgumentError: an option that a comparison sets, that `Forecaster` does not have, or out of its range.
        DataError: the frame cannot be used, or a series is too short for the windows.
    """

    task = "forecast"

    def __init__(
        self, df: Any, horizon: int, *, n_windows: int | None = None, step_size: int | None = None, **options: Any
    ) -> None:
        self._held_out = HeldOut(
            df, horizon, step_size, options, who="ForecastContest", others=_SET_BY_A_COMPARISON,
            advice="a comparison sets cell, seed and epochs itself",
        )  # fmt: skip
        self.step_size = self._held_out.step_size
        self.n_windows = self._held_out.most_windows(_MOST_WINDOWS) if n_windows is None else n_windows
        self._seen = self._held_out.before(self.n_windows)

    @property
    def cells(self) -> Sequence[str]:
        """The cells of `Forecaster`."""
        return tuple(LAYERS)

    @property
    def origins(self) -> str:
        """What is measured, in words."""
        return self._held_out.origins(self.n_windows)

    def question(self) -> Mapping[str, Any]:
        """Data, windows and every option of the forecaster."""
        asked = {"windows": self.n_windows, **self._held_out.question()}
        return {name: value for name, value in asked.items() if name not in _SET_BY_A_COMPARISON}

    def fit(
        self,
        cell: str,
        seed: int,
        *,
        epochs: int,
        max_seconds: float,
        run: RunFolder | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> "FittedForecaster":
        """A forecaster trained on what lies before the first origin."""
        forecaster = self._held_out.forecaster(cell=cell, seed=seed, epochs=epochs)
        forecaster.fit(self._seen, callbacks=callbacks, run=run, max_seconds=max_seconds)
        return FittedForecaster(forecaster, self._held_out.series, self.n_windows, self.step_size)


class FittedForecaster:
    """A forecaster with the data that it is judged on."""

    def __init__(self, forecaster: Forecaster, series: SeriesSet, n_windows: int, step_size: int) -> None:
        self.forecaster = forecaster
        self._series = series
        self._rolling = (n_windows, step_size)

    @property
    def training(self) -> TrainingResult:
        """How the fit went."""
        return self.forecaster.history_

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return self.forecaster.n_parameters_

    def evaluate(self) -> Scores:
        """`Forecaster.evaluate` on the held-out origins; MASE decides, MAE where no series has a scale."""
        n_windows, step_size = self._rolling
        found = self.forecaster.evaluate(self._series, n_windows=n_windows, step_size=step_size)
        errors = dict(found.metrics)
        return Scores(errors=errors.pop(MODEL), baselines=errors, decisive=found.decisive_metric)

    def memory(self) -> tuple[int, int] | None:
        """Over the histories before the held-out origins, 32 at most: the farthest reach of any layer, and K."""
        forecaster = self.forecaster
        n_windows, step_size = self._rolling
        windows = rolling_windows(self._series, n_windows, step_size, forecaster.input_size_, forecaster.horizon)
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), _PROBED_ROWS)).round().astype(np.int64))
        source = WindowSource(windows[chosen], forecaster.scaler_, forecaster._prepare(self._series))
        batch = source.batch(torch.arange(len(chosen)))
        parameters = [p for p in forecaster.model_.parameters() if p.requires_grad]
        with torch.enable_grad(), watch(forecaster.model_) as ears:
            torch.autograd.grad(forecaster.model_(batch).sum(), parameters, allow_unused=True)
        layers = [(layer.memory, layer.steps) for layer in ears.report().layers]
        known = [(memory, steps) for memory, steps in layers if memory is not None]
        return max(known, default=None)
