"""The forecaster: series in, the next values of each out."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series.frames import SeriesSet, build_frame
from throughtime.data.series.future import read_future
from throughtime.data.times.clock import format_time
from throughtime.data.times.holidays import Holidays, holiday_dates
from throughtime.errors import ArgumentError
from throughtime.tasks.estimator import Estimator
from throughtime.tasks.forecast import backtest, fitting, intervals, plan, stored
from throughtime.tasks.forecast.baselines import LinearAutoregression
from throughtime.tasks.forecast.batches import Prepared, forecast, prepare
from throughtime.tasks.forecast.evaluation import MODEL, Evaluation
from throughtime.tasks.forecast.features import Inputs
from throughtime.tasks.forecast.history import extended, joined, kept
from throughtime.tasks.forecast.network import Design
from throughtime.tasks.forecast.parameters import check_count, check_parameters
from throughtime.tasks.forecast.reading import read, read_more
from throughtime.tasks.forecast.smoothing import REACH
from throughtime.tasks.forecast.summary import summarise
from throughtime.tasks.forecast.windows import end_windows
from throughtime.training import Callback, RunFolder, TrainingResult, fingerprint

_logger = logging.getLogger("throughtime.tasks")


class Forecaster(Estimator):
    """Forecasts the next values of one or many series with a recurrent net.

    (1) x_i = (y − level) / scale of the window over segment i of its history, with what is known beside the values
    (2) h_i = the recurrent layers over x
    (3) forecast_{t+k} = anchor_{t+k} + what the strategy reads from h, brought back to the series' units

    See `strategies` for the three ways to read it and the anchors. What is left None or "auto" follows from the data:
    `summary()` says what was chosen. Frames are long: one row a series and time, in columns `id_col`, `time_col`,
    `target_col`; pandas, Polars or Arrow. Missing values and missing rows are left out of the loss.

    Args:
        horizon: steps ahead.
        strategy: "recursive" (one segment, fed back), "direct" (all at once from the last state), "sequence" (all at
            once after every segment).
        cell: a key of `throughtime.nn.layers.LAYERS`: "rnn", "gru", "lstm", "peephole-lstm", ...
        hidden_size: units a layer.
        num_layers: layers on top of one another; from the second on, each adds to what it reads.
        dropout: before the head and between layers, while training.
        input_size: steps of history that the net reads.
        segment_size: steps that the net reads at a time; 1: one by one.
        linear: whether a linear map of the history stands beside the recurrent layers.
        scaling: "global", "series", "window", "mean", "none", or "auto": global or window.
        logarithms: whether the net sees log y in place of y; None: where all values are positive and far from 0, unless
            the loss is "mse" or of counts.
        anchor: "level", "last", "seasonal", or "auto": the one with the least error on the training windows.
        loss: "mse", "mae" or "huber", in scaled units; "auto": huber where series are so clean that the mean is worth
            more than the median, else mae; or "quantiles", "gaussian", "student-t", "negative-binomial".
        calendar: whether the net reads the calendar in dates: cycles longer than a window that the data show twice.
        holidays: dates by name, or dates alone, of the years of training and of those to forecast; see
            `throughtime.data.holiday_dates`.
        past: columns known up to the present.
        future: columns known for the steps to forecast, too; `predict` needs them in its `future` frame.
        static: columns with one value a series, numbers or labels.
        series_embedding: whether the net tells the training series apart by name; one it never saw is forecast as such.
        ensemble: nets that differ by their seeds, whose forecasts are averaged.
        epochs: passes over the windows; None: from the number of windows, validation picks the best.
        refit: whether, where validation held out the ends of series, training is done again on everything for as long
            as was best; None: yes. Beside a validation frame, which takes nothing from the series, it never is.
        batch_size: windows a step.
        learning_rate: the peak of a one-cycle schedule of Adam.
        patience: epochs without a better validation loss before training stops; None: never early.
        id_col: column of the series' names.
        time_col: column of dates, datetimes or whole numbers.
        target_col: column of the values.
        freq: step of time, as "h", "D", "MS", or a whole number; None: found in the data.
        season_length: steps in a season; None: from the frequency (12 for months, 24 for hours, ...).
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for a frame that cannot be used.

    >>> from throughtime.datasets import waves_frame
    >>> model = Forecaster(horizon=3, strategy="direct", hidden_size=4, epochs=1).fit(waves_frame(20, seed=0))
    >>> model.predict().columns
    ['unique_id', 'ds', 'forecast']
    """

    task = "forecast"

    def __init__(
        self,
        horizon: int,
        *,
        strategy: str = "direct",
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        input_size: int | None = None,
        segment_size: int | None = None,
        linear: bool = False,
        scaling: str = "auto",
        logarithms: bool | None = None,
        anchor: str = "auto",
        loss: str = "auto",
        calendar: bool = True,
        holidays: Holidays | None = None,
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        series_embedding: bool = False,
        ensemble: int = 1,
        epochs: int | None = None,
        refit: bool | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: str = "y",
        freq: str | int | None = None,
        season_length: int | None = None,
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.strategy = strategy
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.input_size = input_size
        self.segment_size = segment_size
        self.linear = linear
        self.scaling = scaling
        self.logarithms = logarithms
        self.anchor = anchor
        self.loss = loss
        self.calendar = calendar
        self.holidays = holidays
        self.past = past
        self.future = future
        self.static = static
        self.series_embedding = series_embedding
        self.ensemble = ensemble
        self.epochs = epochs
        self.refit = refit
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.freq = freq
        self.season_length = season_length
        self.seed = seed

    def fit(
        self,
        df: Any,
        validation: Any = None,
        *,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on every window of the frame's series.

        Args:
            df: the training frame, or series read already (`throughtime.data.read_series`) with the same columns. So it
                is for every frame of series here.
            validation: a frame to validate on, every window inside it, whatever its series are called; None holds out
                the end of each series, or whole series where these are too short for that.
            callbacks: told of every step and epoch (`throughtime.training.Callback`) of the first net of an ensemble,
                before it is trained again on everything.
            run: a folder for checkpoints and a log, from which a training that was killed goes on
                (`throughtime.training.RunFolder`).
            max_seconds: training ends after the first step that ends later than this, and one validation; None: never.
                An ensemble is then made of the nets that had ended before, or of the first as far as it came.

        Raises:
            ArgumentError: a hyper-parameter or `max_seconds` is out of its range; or a segment is longer than the
                history that the data allow.
            DataError: the frame cannot be used, or its series are too short (the message says how many points
                are needed); or the run folder cannot be used, or is of a training with other data or options.
        """
        self._check_parameters()
        series = read(self, df, "Forecaster.fit", self.freq)
        later = None
        if validation is not None:
            later = read(self, validation, "Forecaster.fit: validation", series.frequency, series.covariates)
        found = fitting.fit_series(self, series, later, callbacks, run, max_seconds)
        self.model_: Any = found.model.eval()
        self.scaler_ = found.scaler
        self.loss_: str = found.recipe.loss
        self.design_: Design | None = found.design
        self.inputs_: Inputs | None = found.inputs
        self.recipe_, self.refitted_ = found.recipe.as_dict(), found.refitted
        self.calibration_ = found.calibration
        self.anchor_, self.input_size_ = found.design.anchor, found.design.input_size
        self.season_length_, self.frequency_ = found.design.season_length, series.frequency
        self.validation_ = found.split.how
        self.origin_ = {"data": fingerprint(series.flat_values, series.flat_times.astype(np.int64), series.offsets)}
        self.history_: TrainingResult = found.result
        seen = found.split.whole if found.refitted and found.split.whole is not None else found.split.training
        windows = plan.thinned(seen, plan.JUDGED, self.seed)
        self.linear_ = LinearAutoregression.fit(self.scaler_.inner(windows), *self.scaler_.apply(windows))
        self.series_ = self._kept(series)
        self.metrics_ = {
            "validation_loss": found.result.best_loss,
            "best_epoch": found.result.best_epoch,
            "epochs": len(found.result.history),
        }
        self.n_series_, self.n_points_ = len(series), len(series.flat_values)
        self.n_windows_ = len(found.split.training)
        return self

    def predict(
        self,
        history: Any = None,
        *,
        future: Any = None,
        horizon: int | None = None,
        levels: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        samples: int | None = None,
        holidays: Holidays | None = None,
    ) -> Any:
        """The next values of every series.

        Args:
            history: a frame whose series are to be forecast, seen in training or not; None continues the training data.
            future: a frame with the known-future columns of the steps to forecast, where there are such columns. Where
                fewer steps are forecast than were trained, it may hold rows of the others, too; a net that reads in
                segments reads them beside the last of those asked for.
            horizon: steps ahead; None: as trained. Beyond that, forecasts are taken for history and forecast from, the
                trained horizon at a time, whatever the strategy.
            levels: of central intervals, in percent: 80 gives columns "forecast-lo-80" and "forecast-hi-80", calibrated
                on held-out origins (`summary()` tells their measured coverage).
            quantiles: 0.1 gives "forecast-q-0.1", calibrated alike.
            samples: drawn futures of a model of a distribution, not calibrated: columns "forecast-path-1" ... of the
                recursive strategy, each a whole future fed with what it drew; "forecast-draw-1" ... of the others,
                every step drawn for itself.
            holidays: dates beside those of the training, under the same names.

        Returns:
            A frame of the kind that came in (Polars for a loaded model): id, time, "forecast", and what was asked for.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: `horizon` is not a positive number; a level outside (0, 100) or a quantile outside (0, 1), or
                beyond what the held-out origins tell; samples of a model of points; or any of these beyond the trained
                horizon.
            DataError: the frame cannot be used, or steps through time otherwise than the training data; or a row of
                `future` is missing; or holidays that the training did not have.
        """
        self._check_fitted("predict")
        if holidays is not None:
            model = self._knowing(holidays, "Forecaster.predict")
            return model.predict(
                history, future=future, horizon=horizon, levels=levels, quantiles=quantiles, samples=samples
            )
        check_count("Forecaster.predict", "horizon", horizon, optional=True)
        K = self.horizon if horizon is None else int(horizon)
        asked = intervals.Asked.checked(levels, quantiles, samples, "Forecaster.predict")
        asked.within(self.horizon, K)
        series = self.series_
        if history is not None:
            series = read_more(self, history, "Forecaster.predict")
        self._warn_of_old_holidays(series, "Forecaster.predict")
        beyond = read_future(future, series, K, spare=-K % self.horizon, who="Forecaster.predict")
        columns = {
            series.id_col: series.ids_at(np.repeat(np.arange(len(series)), K)),
            series.time_col: series.future_times(K).reshape(-1),
            "forecast": self._ahead(series, beyond)[:, :K].reshape(-1),
        }
        if asked:
            windows = end_windows(series, self.input_size_, self.horizon)
            columns |= intervals.columns_of(self, windows, self._prepare(series, beyond), asked, K)
        return build_frame(columns, series)

    def update(self, df: Any, *, holidays: Holidays | None = None) -> Self:
        """Take in what was observed since, without fitting again: the next `predict()` goes on from there.

        Args:
            df: newer rows of the series, or of new ones; where a time is known already, the newer value counts, and a
                missing one takes nothing away. Steps that neither frame has are missing values; known-future columns
                need a row even for these, its value empty.
            holidays: dates beside those of the training, under the same names, from now on.

        Raises:
            NotFittedError: nothing was fitted.
            DataError: the frame cannot be used, or steps through time otherwise than the training data; or an id is no
                whole number where the training data have such; or a step has no row of known-future columns; or
                holidays that the training did not have.
        """
        self._check_fitted("update")
        who = "Forecaster.update"
        inputs = self.inputs_ if holidays is None else self._knowing(holidays, who).inputs_
        series = joined(self.series_, read_more(self, df, who, missing="keep-all"), who)
        self.series_, self.inputs_ = self._kept(series), inputs
        return self

    def evaluate(
        self,
        df: Any,
        *,
        n_windows: int = 1,
        step_size: int | None = None,
        levels: Sequence[float] | None = None,
        peers: Sequence[str] = (),
        refit: bool = False,
        holidays: Holidays | None = None,
        listen: backtest.Listen | None = None,
    ) -> Evaluation:
        """Forecast the end of every series from what comes before it, beside the baselines.

        Args:
            df: series with their actual values; the model should not have seen their end.
            n_windows: origins a series, the last one `horizon` before the end.
            step_size: steps between origins; None: the horizon.
            levels: of central intervals, in percent, whose coverage is measured; their ends stand in the frame, too.
            peers: "theta", "ets": fitted to every window by statsforecast (extra `peers`), beside the baselines.
            refit: whether, before every origin, a fresh copy is fitted on what precedes it, and forecasts. This model
                is left as it is.
            holidays: dates beside those of the training, under the same names.
            listen: gives the callbacks of each fit, by a label, and closes them.

        Raises:
            ArgumentError: a level outside (0, 100), or beyond what the held-out origins tell; an unknown peer.
            DataError: a series is too short for the windows asked for; or holidays that the training did not have.
        """
        self._check_fitted("evaluate")
        who = "Forecaster.evaluate"
        model = self if holidays is None else self._knowing(holidays, who)
        series = read_more(model, df, who)
        return backtest.evaluate_series(model, series, n_windows, step_size, levels, peers, refit, listen)

    def cross_validation(
        self,
        df: Any,
        n_windows: int,
        step_size: int | None = None,
        *,
        refit: bool = False,
        levels: Sequence[float] | None = None,
    ) -> Any:
        """Backtest by rolling origin: fit a fresh copy on what precedes the first origin, then forecast every window.

        This model is left as it is, and need not be fitted.

        Args:
            refit: fit a fresh copy before every origin, not the first alone.
            levels: of central intervals, in percent, as in `predict`.

        Returns:
            A frame: id, time, cutoff (the last time seen), the actual value, "forecast", and the ends of intervals.

        Raises:
            DataError: a series is too short for the windows asked for.
        """
        self._check_parameters()
        series = read(self, df, "Forecaster.cross_validation", self.freq)
        return backtest.cross_validate(self, series, n_windows, step_size, refit, levels)

    def score(self, df: Any, y: Any = None) -> float:
        """Minus the MASE of `evaluate` (minus the MAE where no series has a scale), so that more is better.

        `y` is scikit-learn's place for targets; the frame holds its own.
        """
        found = self.evaluate(df)
        return -found.metrics[MODEL][found.decisive_metric]

    @property
    def n_parameters_(self) -> int:
        """Trained numbers in the net, or the nets."""
        return sum(p.numel() for p in self.model_.parameters())

    def summary(self) -> str:
        """What was trained on what, and every choice that followed from the data."""
        self._check_fitted("summary")
        return summarise(self)

    def _ahead(self, series: SeriesSet, beyond_SKF: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecasts (S, K) from the end of series, the trained horizon at a time; K is a multiple of it."""
        K, H = beyond_SKF.shape[1], self.horizon
        made: list[NDArray[np.float64]] = []
        for first in range(0, K, H):
            own = beyond_SKF[:, first : first + H]
            made.append(forecast(self.model_, end_windows(series, self.input_size_, H), self.scaler_,
                                 self._prepare(series, own)))  # fmt: skip
            if first + H < K:
                series = extended(series, made[-1], own)
        return made[0] if len(made) == 1 else np.concatenate(made, axis=1)

    def _knowing(self, holidays: Holidays, who: str) -> Self:
        """This model with further holidays; what was fitted is the same."""
        known = None if self.inputs_ is None else self.inputs_.holidays
        if self.inputs_ is None or known is None:
            raise ArgumentError(
                f"{who}: expected no holidays for a model that knows none, got {list(holiday_dates(holidays, who))!r}; "
                "fit with them"
            )
        model = copy.copy(self)
        more = known.with_dates(holidays, who)
        model.inputs_, model.holidays = replace(self.inputs_, holidays=more), more.dates
        return model

    def _warn_of_old_holidays(self, series: SeriesSet, who: str) -> None:
        """Where all holidays are past, those of the steps to forecast have been forgotten, or there is none."""
        known = None if self.inputs_ is None else self.inputs_.holidays
        if known is not None:
            last = format_time(series.last_times.max(), series.frequency.time_zone)[:10]
            if known.last <= last:
                _logger.warning(
                    "%s: expected holidays after %s, where the forecast begins, got none after %s: it takes every day "
                    "for an ordinary one; pass later dates as holidays", who, last, known.last,
                )  # fmt: skip

    def _kept(self, series: SeriesSet) -> SeriesSet:
        """What the next forecast is made from."""
        if self.scaler_.kind == "series":  # scales by all that came since a series began
            return series
        reach = REACH if self.anchor_ == "smoothed" else 0
        return kept(series, max(self.input_size_, self.season_length_, reach), self.season_length_)

    def _prepare(self, series: SeriesSet, beyond_SKF: NDArray[np.float64] | None = None) -> Prepared:
        return prepare(series, self.season_length_, self.inputs_, self.horizon, beyond_SKF, self.anchor_, self.scaler_)

    def _check_parameters(self) -> None:
        check_parameters(self)

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments, ready for JSON."""
        found = self.get_params()
        if self.holidays is not None:
            dates = holiday_dates(self.holidays, "Forecaster")
            found["holidays"] = {name: list(days) for name, days in dates.items()}
        return found

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return stored.to_folder(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        self._check_parameters()
        stored.from_folder(self, tensors, extra)
