"""The gradient health of a fitted forecaster on some data."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from throughtime.data.series.frames import SeriesSet
from throughtime.models.modes import modes_kept
from throughtime.tasks.forecast import plan
from throughtime.tasks.forecast.batches import WindowSource
from throughtime.tasks.forecast.windows import training_windows
from throughtime.training import HealthReport, watch

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

_WINDOWS = 64


def gradient_health(forecaster: "Forecaster", series: SeriesSet) -> HealthReport:
    """What one training step would see: a forward and a backward pass of its loss over at most 64 windows, evenly
    spread over the data. The weights and their gradients stay as they are.

    Raises:
        NotFittedError: nothing was fitted.
        DataError: the series are too short for one window.
    """
    forecaster._check_fitted("gradient_health")
    plan.check_long_enough(series, forecaster.horizon, "inspect")
    windows = training_windows(series, forecaster.input_size_, forecaster.horizon)
    source = WindowSource(windows, forecaster.scaler_, forecaster._prepare(series))
    chosen = np.unique(np.linspace(0, len(source) - 1, min(len(source), _WINDOWS)).round().astype(np.int64))
    model = forecaster.model_
    parameters = [p for p in model.parameters() if p.requires_grad]  # a linear rule that is kept does not
    with torch.random.fork_rng(devices=[]), modes_kept(model), torch.enable_grad(), watch(model) as ears:
        torch.manual_seed(forecaster.seed)  # of dropout
        model.train()
        loss = model.loss(source.batch(torch.from_numpy(chosen)))
        torch.autograd.grad(loss, parameters, allow_unused=True)
    return ears.report(seed=forecaster.seed)
