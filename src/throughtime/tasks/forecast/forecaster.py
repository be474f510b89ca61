"""The forecaster: series in, the next values of each out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.frames import SeriesSet, build_frame, read_series
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.nn.layers import LAYERS
from throughtime.tasks.estimator import Estimator, load_module_tensors, module_tensors
from throughtime.tasks.forecast import plan, stored
from throughtime.tasks.forecast.baselines import LinearAutoregression, naive, seasonal_naive
from throughtime.tasks.forecast.batches import WindowSource, forecast
from throughtime.tasks.forecast.evaluation import MODEL, Evaluation, evaluate
from throughtime.tasks.forecast.scaling import SCALINGS, fit_scaler
from throughtime.tasks.forecast.strategies import ANCHORS, STRATEGIES, Batch, Strategy, build
from throughtime.tasks.forecast.windows import Windows, end_windows, rolling_windows
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, fingerprint, train

LOSSES = ("mse", "mae")
_OWN_COLUMNS = ("cutoff", "forecast", "naive", "seasonal_naive", "linear")
# Where `epochs` is None: steps of the optimizer, and a bound on how often a small data set is seen.
_STEPS, _MOST_EPOCHS = 3000, 100


class Forecaster(Estimator):
    """Forecasts the next values of one or many series with a recurrent net.

    (1) x_t = (y_t − level) / scale of the window, with its change over a season where there is one
    (2) h_t = the recurrent layers over x
    (3) forecast_{t+k} = anchor_{t+k} + head(h_t)_k, brought back to the series' units; see `strategies` for the anchors

    Frames are long: one row a series and time, in columns `id_col`, `time_col`, `target_col`; pandas, Polars or Arrow.

    Args:
        horizon: steps ahead.
        strategy: "recursive" (one step, fed back), "direct" (all at once from the last state), "sequence" (all at once
            at every step).
        cell: "rnn", "gru", "gru-reset-before", "lstm", "peephole-lstm" or "previous-peephole-lstm".
        hidden_size: units a layer.
        num_layers: layers on top of one another.
        dropout: between layers, while training.
        input_size: steps of history that the net reads; None: five horizons or two seasons, as far as the data reach.
        scaling: "global", "series", "window", "none", or "auto", which chooses between global and window from the data.
        anchor: "level", "last", "seasonal", or "auto": the one with the least error on the training windows.
        loss: "mse" or "mae", in scaled units.
        epochs: passes over the windows; None: as many as make about 3,000 steps, at most 100.
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
        strategy: str = "sequence",
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        input_size: int | None = None,
        scaling: str = "auto",
        anchor: str = "auto",
        loss: str = "mse",
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 5e-3,
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
        self.scaling = scaling
        self.anchor = anchor
        self.loss = loss
        self.epochs = epochs
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
            df: the training frame.
            validation: a frame to validate on, every window inside it, whatever its series are called; None holds out
                the end of each series, or whole series where these are shorter than three windows.
            callbacks: told of every step and epoch (`throughtime.training.Callback`).
            run: a folder for checkpoints and a log, from which a training that was killed goes on
                (`throughtime.training.RunFolder`).
            max_seconds: training ends after the first step that ends later than this, and one validation; None: never.

        Raises:
            ArgumentError: a hyper-parameter or `max_seconds` is out of its range.
            DataError: the frame cannot be used, or its series are too short (the message says how many points
                are needed); or the run folder cannot be used, or is of a training with other data or options.
        """
        self._check_parameters()
        series = self._read(df, "Forecaster.fit", self.freq)
        plan.check_long_enough(series, self.horizon, "Forecaster.fit")
        season_length = series.frequency.season_length if self.season_length is None else self.season_length
        input_size = self.input_size or plan.choose_input_size(series, self.horizon, season_length)
        if validation is None:
            split = plan.split(series, input_size, self.horizon, self.seed)
        else:
            later = self._read(validation, "Forecaster.fit: validation", series.frequency)
            split = plan.given_validation(series, later, input_size, self.horizon, "Forecaster.fit: validation")
        scaler = fit_scaler(self.scaling, split.training)
        anchor = self.anchor
        if anchor == "auto":
            anchor = plan.choose_anchor(split.training, scaler, season_length)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self._build(anchor, season_length)
        config = replace(self._training_config(len(split.training)), max_seconds=max_seconds)
        source, held_out = WindowSource(split.training, scaler), WindowSource(split.validation, scaler)
        if run is not None:
            run = replace(run, about={**run.about, **{f"{self.task} {k}": v for k, v in self.get_params().items()}})
        result = train(model, self._loss, source, held_out if len(held_out) else None, config, callbacks, run=run)
        if result.best_epoch is None and result.stopped == "non-finite":
            raise DataError(f"Forecaster.fit: expected a finite loss, got none in the first epoch ({result.message})")

        self.model_, self.scaler_, self.anchor_ = model, scaler, anchor
        self.input_size_, self.season_length_, self.frequency_ = input_size, season_length, series.frequency
        self.validation_ = split.how
        self.origin_ = {"data": fingerprint(series.flat_values, series.flat_times.astype(np.int64), series.offsets)}
        self.history_: TrainingResult = result
        self.linear_ = LinearAutoregression.fit(split.training, *scaler.apply(split.training))
        # `series` scales by all that came since a series began; the others need the last window alone.
        self.series_ = series if scaler.kind == "series" else series.tail(max(input_size, season_length))
        self.metrics_ = {
            "validation_loss": result.best_loss,
            "best_epoch": result.best_epoch,
            "epochs": len(result.history),
        }
        self.n_series_, self.n_points_, self.n_windows_ = len(series), len(series.flat_values), len(split.training)
        return self

    def predict(self, history: Any = None) -> Any:
        """The next `horizon` values of every series.

        Args:
            history: a frame whose series are to be forecast, seen in training or not; None continues the training data.

        Returns:
            A frame of the kind that came in (Polars for a loaded model): id, time, "forecast".

        Raises:
            NotFittedError: nothing was fitted.
            DataError: the frame cannot be used, or steps through time otherwise than the training data.
        """
        self._check_fitted("predict")
        series = self.series_ if history is None else self._read(history, "Forecaster.predict", self.frequency_, 1)
        windows = end_windows(series, self.input_size_, self.horizon)
        columns = {
            series.id_col: series.ids_at(np.repeat(np.arange(len(series)), self.horizon)),
            series.time_col: series.future_times(self.horizon).reshape(-1),
            "forecast": forecast(self.model_, windows, self.scaler_).reshape(-1),
        }
        return build_frame(columns, series)

    def evaluate(self, df: Any, *, n_windows: int = 1, step_size: int | None = None) -> Evaluation:
        """Forecast the end of every series from what comes before it, without refitting, beside the baselines.

        Args:
            df: series with their actual values; the model should not have seen their end.
            n_windows: origins a series, the last one `horizon` before the end.
            step_size: steps between origins; None: the horizon.

        Raises:
            DataError: a series is too short for the windows asked for.
        """
        self._check_fitted("evaluate")
        series = self._read(df, "Forecaster.evaluate", self.frequency_)
        windows = self._rolling(series, n_windows, step_size, "Forecaster.evaluate")
        forecasts = {MODEL: forecast(self.model_, windows, self.scaler_), "naive": naive(windows)}
        if self.season_length_ > 1:
            forecasts["seasonal naive"] = seasonal_naive(windows, self.season_length_)
        forecasts["linear"] = self.linear_.predict(windows, *self.scaler_.apply(windows))
        names = {MODEL: "forecast", "seasonal naive": "seasonal_naive"}
        frame = self._forecast_frame(series, windows, {names.get(n, n): f for n, f in forecasts.items()})
        return evaluate(
            windows,
            forecasts,
            frame,
            series=series,
            n_windows=n_windows,
            season_length=self.season_length_,
            seen_windows=self._seen(series, windows),
        )

    def cross_validation(self, df: Any, n_windows: int, step_size: int | None = None) -> Any:
        """Backtest by rolling origin: fit a fresh copy on what precedes the first origin, then forecast every window.

        This model is left as it is, and need not be fitted.

        Returns:
            A frame: id, time, cutoff (the last time seen), the actual value, "forecast".

        Raises:
            DataError: a series is too short for the windows asked for.
        """
        self._check_parameters()
        series = self._read(df, "Forecaster.cross_validation", self.freq)
        step = self._check_rolling(n_windows, step_size, "Forecaster.cross_validation")
        held = self.horizon + (n_windows - 1) * step
        short = np.flatnonzero(series.lengths <= held)
        if len(short):
            self._refuse_short(series, int(short[0]), held + 1, n_windows, "Forecaster.cross_validation")
        fresh = type(self)(**self.get_params()).fit(series.cut(held).to_frame())
        windows = rolling_windows(series, n_windows, step, fresh.input_size_, self.horizon)
        return self._forecast_frame(series, windows, {"forecast": forecast(fresh.model_, windows, fresh.scaler_)})

    def score(self, df: Any, y: Any = None) -> float:
        """Minus the MASE of `evaluate` (minus the MAE where no series has a scale), so that more is better.

        `y` is scikit-learn's place for targets; the frame holds its own.
        """
        found = self.evaluate(df)
        return -found.metrics[MODEL][found.decisive_metric]

    @property
    def n_parameters_(self) -> int:
        """Trained numbers in the net."""
        return sum(p.numel() for p in self.model_.parameters())

    def summary(self) -> str:
        """What was trained on what, and every choice that followed from the data."""
        self._check_fitted("summary")
        trained = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        if self.metrics_["validation_loss"] is not None:
            trained += f", validation loss {self.metrics_['validation_loss']:.5g}"
        return "\n".join(
            (
                f"data        {self.n_series_} series, {self.n_points_} points, step {self.frequency_.name}, "
                f"season of {self.season_length_}",
                f"windows     {self.n_windows_} to train on, {self.input_size_} steps in, {self.horizon} out",
                f"validation  {self.validation_}",
                f"model       {self.strategy} {self.cell}, {self.num_layers} x {self.hidden_size}, "
                f"{self.n_parameters_} parameters; scaling {self.scaler_.kind}, anchor {self.anchor_}",
                f"training    {trained}",
            )
        )

    def _check_parameters(self) -> None:
        """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched."""
        for name, among in (
            ("strategy", tuple(STRATEGIES)),
            ("cell", tuple(LAYERS)),
            ("scaling", SCALINGS),
            ("anchor", ANCHORS),
            ("loss", LOSSES),
        ):
            if getattr(self, name) not in among:
                raise ArgumentError(
                    f"Forecaster: expected {name} to be one of {', '.join(among)}, got {getattr(self, name)!r}; "
                    "pass one of these"
                )
        for name, optional in (
            ("horizon", False),
            ("hidden_size", False),
            ("num_layers", False),
            ("batch_size", False),
            ("epochs", True),
            ("input_size", True),
            ("season_length", True),
        ):
            check_count("Forecaster", name, getattr(self, name), optional=optional)
        for name in ("id_col", "time_col", "target_col"):
            if getattr(self, name) in _OWN_COLUMNS:
                raise ArgumentError(
                    f"Forecaster: expected {name} to differ from {', '.join(_OWN_COLUMNS)}, the columns of forecasts, "
                    f"got {getattr(self, name)!r}; rename the column"
                )
        dropout: Any = self.dropout
        if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0.0 <= float(dropout) < 1.0:
            raise ArgumentError(
                f"Forecaster: expected dropout to be a number in [0, 1), got {dropout!r}; pass one, 0 for none"
            )
        if float(dropout) > 0.0 and self.num_layers == 1:
            raise ArgumentError(
                f"Forecaster: expected dropout to be 0 where num_layers is 1, since it lies between layers, got "
                f"{dropout!r}; pass dropout=0 or num_layers=2"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or not 0 <= self.seed < 2**63:
            raise ArgumentError(f"Forecaster: expected seed to be a whole number from 0, got {self.seed!r}; pass one")

    def _training_config(self, n_windows: int) -> TrainingConfig:
        steps_per_epoch = -(-n_windows // self.batch_size)
        epochs = self.epochs or max(5, min(_MOST_EPOCHS, -(-_STEPS // steps_per_epoch)))
        return TrainingConfig(
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule="onecycle",
            patience=self.patience,
            seed=self.seed,
        )

    def _loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """The mean error of what the strategy trains on; of the forecast itself when the model is being judged."""
        terms = model.errors(batch) if model.training else [model(batch) - batch.at_end(batch.horizons(self.horizon))]
        size = torch.abs if self.loss == "mae" else torch.square
        return torch.stack([size(term).mean() for term in terms]).mean()

    def _build(self, anchor: str, season_length: int) -> Strategy:
        return build(
            self.strategy,
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dropout=self.dropout,
            horizon=self.horizon,
            anchor=anchor,
            season_length=season_length,
        )

    def _read(self, frame: Any, who: str, freq: Any, min_length: int = 1) -> SeriesSet:
        return read_series(
            frame,
            id_col=self.id_col,
            time_col=self.time_col,
            target_col=self.target_col,
            freq=freq,
            min_length=min_length,
            who=who,
        )

    def _check_rolling(self, n_windows: int, step_size: int | None, who: str) -> int:
        check_count(who, "n_windows", n_windows)
        check_count(who, "step_size", step_size, optional=True)
        return self.horizon if step_size is None else step_size

    def _rolling(self, series: SeriesSet, n_windows: int, step_size: int | None, who: str) -> Windows:
        step = self._check_rolling(n_windows, step_size, who)
        need = self.horizon + (n_windows - 1) * step + 1
        short = np.flatnonzero(series.lengths < need)
        if len(short):
            self._refuse_short(series, int(short[0]), need, n_windows, who)
        return rolling_windows(series, n_windows, step, self.input_size_, self.horizon)

    def _refuse_short(self, series: SeriesSet, index: int, need: int, n_windows: int, who: str) -> None:
        raise DataError(
            f"{who}: expected at least {need} points in every series for {n_windows} windows of {self.horizon}, got "
            f"{int(series.lengths[index])} in series {series.ids[index]!r}; ask for fewer windows or give more history"
        )

    def _seen(self, series: SeriesSet, windows: Windows) -> int:
        """How many windows forecast something that training has seen."""
        trained = {name: i for i, name in enumerate(self.series_.ids)}
        until = np.zeros(len(series), dtype=np.int64)  # how far into each series training reached
        for i, name in enumerate(series.ids):
            if name in trained:
                known = trained[name]
                times, known_times = series.times(i), self.series_.times(known)
                _, mine, theirs = np.intersect1d(times, known_times, assume_unique=True, return_indices=True)
                same = series.values(i)[mine] == self.series_.values(known)[theirs]
                # Series of another data set may have the same name; they do not have the same values. Where none of
                # the training values kept can be compared, the name and the time speak.
                if not len(same) or np.mean(same) > 0.5:
                    until[i] = np.searchsorted(times, known_times[-1], side="right")
        return int(np.sum(windows.origins - windows.series_starts < until[windows.series]))

    def _forecast_frame(self, series: SeriesSet, windows: Windows, forecasts: Mapping[str, NDArray[np.float64]]) -> Any:
        columns: dict[str, NDArray[Any]] = {
            series.id_col: series.ids_at(np.repeat(windows.series, self.horizon)),
            series.time_col: series.flat_times[windows.origins[:, None] + np.arange(self.horizon)].reshape(-1),
            "cutoff": np.repeat(series.flat_times[windows.origins - 1], self.horizon),
            series.target_col: windows.targets().reshape(-1),
        }
        return build_frame(columns | {name: f_NK.reshape(-1) for name, f_NK in forecasts.items()}, series)

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        tensors = module_tensors(self.model_) | stored.series_tensors(self.series_)
        tensors |= {"linear.weight": self.linear_.weight, "linear.bias": self.linear_.bias}
        return tensors, {
            "scaling": self.scaler_._asdict(),
            "metrics": self.metrics_,
            **({"origin": self.origin_} if self.origin_ else {}),  # folders older than it have none
            "fitted": {
                "anchor": self.anchor_,
                "input_size": self.input_size_,
                "season_length": self.season_length_,
                "validation": self.validation_,
                "n_series": self.n_series_,
                "n_points": self.n_points_,
                "n_windows": self.n_windows_,
                "training": stored.history_json(self.history_),
            },
            "series": stored.series_json(self.series_),
        }

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        self._check_parameters()
        stored.check_tensors(tensors, self.num_layers)
        fitted = extra["fitted"]
        self.scaler_ = stored.scaler_from(extra["scaling"])
        self.metrics_ = {name: extra["metrics"][name] for name in ("validation_loss", "best_epoch", "epochs")}
        self.anchor_ = stored.choice_from(fitted, "anchor", ANCHORS)
        self.validation_ = str(fitted["validation"])
        self.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
        self.input_size_, self.season_length_ = (stored.count_from(fitted, n) for n in ("input_size", "season_length"))
        self.n_series_, self.n_points_, self.n_windows_ = (
            stored.count_from(fitted, n) for n in ("n_series", "n_points", "n_windows")
        )
        self.history_ = stored.history_from_json(fitted["training"])
        self.linear_ = stored.linear_from(tensors, self.horizon, self.input_size_)
        self.series_ = stored.series_from(tensors, extra["series"])
        self.frequency_ = self.series_.frequency
        with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
            stored.check_model(self._build(self.anchor_, self.season_length_), tensors)
        with torch.random.fork_rng(devices=[]):
            model = self._build(self.anchor_, self.season_length_)
        load_module_tensors(model, tensors)
        self.model_ = model.eval()


def check_count(who: str, name: str, value: Any, *, optional: bool = False) -> None:
    """Refuse anything but a positive whole number (or None where `optional`)."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentTypeError(f"{who}: expected {name} to be a whole number, got {value!r}; pass an int")
    if value <= 0:
        raise ArgumentError(f"{who}: expected {name} > 0, got {value}; pass a positive number")
