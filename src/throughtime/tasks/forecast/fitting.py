"""From series to a trained net: choices, validation, training, and once more on everything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.data.series.frames import SeriesSet
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.forecast import plan, recipe
from throughtime.tasks.forecast.batches import Prepared, WindowSource, forecast, prepare
from throughtime.tasks.forecast.conformal import Calibration
from throughtime.tasks.forecast.features import Inputs
from throughtime.tasks.forecast.intervals import calibrate_model
from throughtime.tasks.forecast.network import Batch, Design
from throughtime.tasks.forecast.outputs import output_named
from throughtime.tasks.forecast.scaling import Scaler, fit_floor, fit_scaler
from throughtime.tasks.forecast.strategies import Strategy, build
from throughtime.tasks.forecast.windows import Windows
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingConfig, TrainingResult, train
from throughtime.training.losses import mean_loss

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

_SHORT = 4096  # steps of history that a window may have though no series has so many


# What nets start from, beside the rules: the last value without lags; least squares.
BARE, LINEAR = "last-alone", "linear"
_SMOOTHED_RATE = 0.4  # of the learning rate, where a net starts from a good rule
_CUT_SHORT = ("interrupted", "budget")  # after which nothing more is trained


class Ensemble(nn.Module):
    """Nets of one design that differ by their seeds. Calling it gives the mean of their point forecasts, (B, K)."""

    def __init__(self, members: Sequence[Strategy]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(members)

    @property
    def members(self) -> list[Any]:
        """The nets."""
        return list(self.nets)

    def forward(self, batch: Batch) -> Tensor:
        """The mean forecast."""
        return torch.stack([net(batch) for net in self.nets]).mean(0)

    def loss(self, batch: Batch) -> Tensor:
        """The mean of the members' losses."""
        return torch.stack([net.loss(batch) for net in self.members]).mean()


def build_model(design: Design, loss: str, ensemble: int, seed: int) -> Strategy | Ensemble:
    """A net, or as many as the ensemble has; each from a seed of its own."""
    nets = []
    with torch.random.fork_rng(devices=[]):
        for number in range(ensemble):
            torch.manual_seed(seed + number)
            nets.append(build(design, output_named(loss)))
    return nets[0] if ensemble == 1 else Ensemble(nets)


@dataclass
class Fitted:
    """What came of a fit.

    Attributes:
        result: the epochs of the first net; why the last training ended, where that ended all; the seconds of all.
    """

    model: Strategy | Ensemble
    design: Design
    scaler: Scaler
    inputs: Inputs
    split: plan.Split
    recipe: recipe.Recipe
    result: TrainingResult
    refitted: bool
    calibration: Calibration | None


def fit_series(
    forecaster: "Forecaster",
    series: SeriesSet,
    later: SeriesSet | None,
    callbacks: Sequence[Callback],
    run: RunFolder | None,
    max_seconds: float | None,
) -> Fitted:
    """Make every choice that was left open, train, and train again on everything where that is asked for.

    Where exponential smoothing is the best simple rule, a net that starts from it and one that starts from the next
    best rule are both trained, and the one with the lower validation loss stays; so are, over segments, one that starts
    from the best rule with lags and one that starts from the last value without, around which long histories drift
    least; and one that starts from least squares, where windows are few and these beat the rules.

    Raises:
        DataError: the series cannot be used.
    """
    f, K = forecaster, forecaster.horizon
    plan.check_long_enough(series, K, "Forecaster.fit")
    m = series.frequency.season_length if f.season_length is None else f.season_length
    clean = plan.is_clean(series, K, m)
    loss = recipe.choose_loss(f.loss, clean)
    output = output_named(loss)
    output.check(series.flat_values, "Forecaster.fit")
    if later is not None:
        output.check(later.flat_values, "Forecaster.fit: validation")
    longest = max(int(series.lengths.max()), _SHORT)
    if f.input_size is not None and f.input_size > longest:
        raise ArgumentError(
            f"Forecaster.fit: expected input_size up to {longest}, got {f.input_size} where no series is that long; "
            "pass a smaller one"
        )
    input_size = f.input_size or plan.choose_input_size(series, K, m, clean)
    segment = f.segment_size or plan.choose_segment(input_size, K, m)
    if segment > input_size:
        plan.check_room(series, segment, K, "Forecaster.fit")
    input_size = plan.whole_segments(input_size, segment)
    if later is None:
        split = plan.split(series, input_size, K, f.seed, clean)
    else:
        split = plan.given_validation(series, later, input_size, K, "Forecaster.fit: validation", clean)
    chosen = recipe.choose(f, split.training, series, segment, clean)
    training = plan.thinned(split.training, chosen.most_windows, f.seed)
    scaler = fit_scaler("mean" if output.counts else f.scaling, training, _floor(f, series, loss))
    anchors, linear = [f.anchor], False
    if f.anchor == "auto":
        smoothing = f.strategy == "direct" and plan.is_short(series)
        smooth = plan.without_gaps(training, series, m)
        anchors = plan.choose_anchors(smooth, scaler, m, smoothing)
        judged = plan.without_gaps(split.validation, series if later is None else later, m)
        linear = not (f.linear or output.counts) and plan.is_linear(smooth, judged, scaler, m, smoothing)
    if run is not None:
        run = replace(run, about={**run.about, **{f"{f.task} {k}": v for k, v in f.configuration().items()}})
    inputs = Inputs.fit(series, f.calendar, f.series_embedding, input_size, f.holidays)
    design = Design(
        strategy=f.strategy,
        cell=f.cell,
        hidden_size=chosen.hidden_size,
        num_layers=chosen.num_layers,
        dropout=chosen.dropout,
        horizon=K,
        input_size=input_size,
        segment=segment,
        anchor=anchors[0],
        season_length=m,
        outputs=output.size,
        linear=f.linear,
        missing=bool(np.isnan(series.flat_values).any() or (training.lengths < input_size).any()),
        lags=plan.choose_lags(input_size, m) if f.strategy == "direct" else (),
        **inputs.sizes,
    )
    designs = {anchor: replace(design, anchor=anchor) for anchor in anchors}
    bare = replace(design, anchor="last", lags=())
    if f.anchor == "auto" and segment > 1 and f.strategy == "direct" and bare not in designs.values():
        designs[BARE] = bare
    if linear:
        designs[LINEAR] = replace(design, anchor="level", linear=True, lags=())
    best: Fitted | None = None
    spent = 0.0
    for number, (start, own) in enumerate(designs.items()):
        fit = Fit(f, series, split, scaler, inputs, chosen, own, start)
        part = run if not number or run is None else replace(run, path=Path(run.path) / start)
        found = fit.train(callbacks if not number else (), part, _left(max_seconds, spent))
        spent += found.result.seconds
        if best is None or _lower(found.result, best.result):
            best, winner, its_run = found, fit, part
        if found.result.stopped in _CUT_SHORT:
            break
    assert best is not None
    last, worth_more = found.result, best.result.stopped in ("epochs", "patience")
    if f.refit is not False and split.whole is not None and worth_more and last.stopped not in _CUT_SHORT:
        last = winner.train_again(best, its_run, _left(max_seconds, spent)) or last
        spent += last.seconds if last is not found.result else 0.0
        if plan.is_one_moment(split.validation) and last.stopped not in _CUT_SHORT:
            apart = winner.calibrate_apart(best, its_run, _left(max_seconds, spent))
            if apart is not None:
                last = apart
                spent += apart.seconds
    best.result = _all_told(best.result, last, spent)
    return best


def _all_told(first: TrainingResult, last: TrainingResult, seconds: float) -> TrainingResult:
    """The first of several trainings, with the seconds of all, and with why the last ended where nothing followed."""
    if last.stopped in _CUT_SHORT:
        first = replace(first, stopped=last.stopped, message=last.message)
    return replace(first, seconds=seconds)


def _lower(found: TrainingResult, than: TrainingResult) -> bool:
    known = found.best_loss is not None and than.best_loss is not None
    return known and found.best_loss < than.best_loss  # type: ignore[operator]


def _floor(forecaster: "Forecaster", series: SeriesSet, loss: str) -> float:
    """Under what no logarithm is taken; 0 for none."""
    f = forecaster
    if f.logarithms is False or (f.logarithms is None and loss in ("mse", "negative-binomial")):
        return 0.0
    floor = fit_floor(series.flat_values, series.offsets)
    if f.logarithms and not floor:
        raise DataError(
            "Forecaster.fit: expected values above 0 and none below a thousandth of their series' mean for "
            f"logarithms=True, got {np.nanmin(series.flat_values):g}; leave logarithms out"
        )
    return floor


@dataclass
class Fit:
    """One way to fit: every choice made.

    Attributes:
        start: what the net starts from: an anchor, BARE, or LINEAR, which it keeps as it is.
    """

    forecaster: "Forecaster"
    series: SeriesSet
    split: plan.Split
    scaler: Scaler
    inputs: Inputs
    recipe: recipe.Recipe
    design: Design
    start: str

    def build(self, windows: Windows) -> Strategy | Ensemble:
        """Fresh nets, for training on these windows."""
        model = build_model(self.design, self.recipe.loss, self.forecaster.ensemble, self.forecaster.seed)
        if self.start == LINEAR:
            whole = plan.without_gaps(windows, self.series, self.design.season_length)
            for net in model.members:
                fitted = plan.least_squares(replace(whole, horizon=net.reach), self.scaler)
                net.start_from(fitted.weight, fitted.bias)
        return model

    def prepare(self, series: SeriesSet) -> Prepared:
        """What windows over these series have in common."""
        d = self.design
        return prepare(series, d.season_length, self.inputs, d.horizon, anchor=d.anchor, scaler=self.scaler)

    def windows(self, windows: Windows) -> Windows:
        """Those of the windows to learn from."""
        if self.design.anchor == "smoothed":
            # What smoothing makes of a short past is not what it will be like when it is used.
            whole = np.flatnonzero(windows.lengths >= self.design.input_size)
            windows = windows[whole] if len(whole) else windows
        return plan.thinned(windows, self.recipe.most_windows, self.forecaster.seed)

    def config(self, n_windows: int) -> TrainingConfig:
        """The training on so many windows."""
        config = self.recipe.config(n_windows)
        if self.start in ("smoothed", LINEAR) and self.forecaster.learning_rate is None:
            config = replace(config, learning_rate=config.learning_rate * _SMOOTHED_RATE)
        return config

    def train(self, callbacks: Sequence[Callback], run: RunFolder | None, max_seconds: float | None) -> Fitted:
        """Train on the training windows; the best epoch by validation stays.

        An ensemble that is ended early is made of the nets that had ended before, or of the first as far as it came.
        """
        f, split = self.forecaster, self.split
        prepared = self.prepare(self.series)
        training = self.windows(split.training)
        model = self.build(training)
        config = self.config(len(training))
        source = WindowSource(training, self.scaler, prepared)
        validation = plan.thinned(split.validation, recipe.MOST_VALIDATION, f.seed)
        held_out = None
        if len(validation):
            beside = prepared if split.later is None else self.prepare(split.later)
            held_out = WindowSource(validation, self.scaler, beside)
        ended: list[TrainingResult] = []
        spent = 0.0
        for number, net in enumerate(model.members):
            own = replace(config, seed=config.seed + number, max_seconds=_left(max_seconds, spent))
            found = train(net, loss_of, source, held_out, own, callbacks if not number else (), run=_part(run, number))
            spent += found.seconds
            check_finite(found, "Forecaster.fit")
            ended.append(found)
            if found.stopped in _CUT_SHORT:
                nets = model.members[: max(number, 1)]
                model = nets[0] if len(nets) == 1 else Ensemble(nets)
                break
        result, chosen = _all_told(ended[0], ended[-1], spent), self.recipe
        calibration = None
        if held_out is not None:
            rule = self.build(training) if self.start == LINEAR else None
            if rule is not None and not self.is_worth_it(model, rule, validation, beside):
                model, chosen = rule, replace(chosen, rule_alone=True)
                result = replace(result, best_loss=mean_loss(rule, loss_of, held_out, self.recipe.batch_size))
            # By the nets that have not seen these windows.
            season = self.design.season_length
            calibration = calibrate_model(model, split.validation, self.scaler, beside, season, f.seed)
        return Fitted(model, self.design, self.scaler, self.inputs, split, chosen, result, False, calibration)

    def is_worth_it(self, model: Any, rule: Any, windows: Windows, prepared: Prepared) -> bool:
        """Whether what nets add to the rule from which they started lowers the error by more than chance.

        By more than the standard error of the mean gain, where windows of a series that overlap count as one.
        """
        target_WK = self.scaler.log(windows.targets())
        _, scale_W = self.scaler.apply(windows)
        off_WK = [
            np.abs(self.scaler.log(forecast(net, windows, self.scaler, prepared)) - target_WK) / scale_W[:, None]
            for net in (rule, model)
        ]
        gain_WK = off_WK[0] - off_WK[1]
        gain_W = np.nanmean(gain_WK, axis=1)
        apart = sum(-(-count // windows.horizon) for count in np.unique(windows.series, return_counts=True)[1].tolist())
        return bool(np.mean(gain_W) > np.std(gain_W) / np.sqrt(apart))

    def train_again(self, fitted: Fitted, run: RunFolder | None, max_seconds: float | None) -> TrainingResult | None:
        """Put nets in place that were trained on everything, for as long as was best; how the last of them ended."""
        assert self.split.whole is not None
        model, ended = self.trained_for_as_long(fitted, self.split.whole, run, "again", max_seconds)
        if model is not None:
            fitted.model, fitted.refitted = model, True
        return ended

    def calibrate_apart(
        self, fitted: Fitted, run: RunFolder | None, max_seconds: float | None
    ) -> TrainingResult | None:
        """Calibrate by nets that never saw some of the series, at every moment of these.

        What was held out of each series may be a single moment; a year that was easy for all says nothing of the next.
        Returns how the last of the nets ended; None where none was trained.
        """
        whole, seed = self.split.whole, self.forecaster.seed
        assert whole is not None
        apart = plan.series_apart(whole, self.design.input_size, seed)
        if apart is None:
            return None
        model, ended = self.trained_for_as_long(fitted, apart.training, run, "apart", max_seconds)
        if model is not None:
            prepared, season = self.prepare(self.series), self.design.season_length
            fitted.calibration = calibrate_model(model, apart.validation, self.scaler, prepared, season, seed)
        return ended

    def trained_for_as_long(
        self, fitted: Fitted, windows: Windows, run: RunFolder | None, kind: str, max_seconds: float | None
    ) -> tuple[Strategy | Ensemble | None, TrainingResult | None]:
        """Nets trained on these windows for as many steps as were best, None where one did not come to its end; and how
        the last of them ended, with the seconds of all.
        """
        best_epoch = fitted.result.best_epoch
        if not best_epoch:
            return None, None
        if fitted.recipe.rule_alone:
            return self.build(self.windows(windows)), replace(fitted.result, seconds=0.0)
        chosen, before = self.windows(windows), self.windows(self.split.training)
        source = WindowSource(chosen, self.scaler, self.prepare(self.series))
        steps = best_epoch * -(-len(before) // self.recipe.batch_size)
        epochs = max(1, round(steps / -(-len(chosen) // self.recipe.batch_size)))
        config = replace(self.config(len(before)), epochs=epochs, patience=None)
        model = self.build(chosen)
        spent = 0.0
        for number, net in enumerate(model.members):
            own = replace(config, seed=config.seed + number, max_seconds=_left(max_seconds, spent))
            found = train(net, loss_of, source, None, own, run=_part(run, number, kind))
            spent += found.seconds
            if found.stopped != "epochs":
                return None, replace(found, seconds=spent)
        return model, replace(found, seconds=spent)


def loss_of(model: Any, batch: Batch) -> Tensor:
    """What `train` minimises."""
    return model.loss(batch)  # type: ignore[no-any-return]


def _left(max_seconds: float | None, spent: float) -> float | None:
    if max_seconds is None or not spent:
        return max_seconds
    return max(max_seconds - spent, 1e-3)


def _part(run: RunFolder | None, number: int, kind: str = "member") -> RunFolder | None:
    """The folder of a further training, inside that of the first."""
    if run is None or (number == 0 and kind == "member"):
        return run
    return replace(run, path=Path(run.path) / f"{kind}-{number + 1}")
