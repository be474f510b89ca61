"""How sure a fitted forecaster is: quantiles, central intervals and drawn futures.

A net that gives a point gets its quantiles from held-out errors alone; one that gives quantiles or a distribution has
its own, and held-out errors correct them (`conformal`). The recursive strategy has its own only of one segment: those
of later steps are taken over sample paths, each fed what it drew.

Axes in names: W windows, B windows of a piece, K steps of the horizon, Q levels, S samples, R raw numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.tasks.forecast.batches import Prepared, forecast_raw
from throughtime.tasks.forecast.conformal import GRID, Calibration, balanced, calibrate, tails
from throughtime.tasks.forecast.network import Batch
from throughtime.tasks.forecast.outputs import OUTPUTS, Distribution, Output
from throughtime.tasks.forecast.parameters import check_count
from throughtime.tasks.forecast.scaling import Scaler
from throughtime.tasks.forecast.strategies import Recursive, map_state
from throughtime.tasks.forecast.windows import Windows

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

Array = NDArray[np.float64]

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # what WQL is taken over
PATHS = 200  # behind the quantiles of a recursive distribution: a tail of 2.5 % is known to a percent
_MOST_HELD_OUT = 1000  # windows to calibrate on; 80 % is then known to 1.3 percent
_MOST_ROLLED = 250  # the same, where every window takes PATHS paths
_ROWS = 8192  # paths side by side
_DECILES = (0.1, 0.9)
# A window that never changes, or a net that is sure, lets expect no error at all; some there will be.
_LEAST_UNIT = 0.02


@dataclass(frozen=True)
class Asked:
    """What a forecast is to bring beside the point."""

    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    samples: int
    who: str

    def __bool__(self) -> bool:
        return bool(self.levels or self.quantiles or self.samples)

    def within(self, trained: int, K: int) -> None:
        """Refuse anything beside the point further ahead than was trained, and calibrated.

        Raises:
            ArgumentError: K is greater, and something was asked for.
        """
        if self and trained < K:
            raise ArgumentError(
                f"{self.who}: expected horizon <= {trained}, as trained, where levels, quantiles or samples are asked "
                f"for, got {K}; leave them out, or fit with horizon={K}"
            )

    @classmethod
    def checked(cls, levels: Any, quantiles: Any, samples: Any, who: str) -> "Asked":
        """As a caller gave it.

        Raises:
            ArgumentError: a level outside (0, 100), a quantile outside (0, 1), one twice, or no samples.
            ArgumentTypeError: one is no number.
        """
        check_count(who, "samples", samples, optional=True)
        return cls(check_levels(levels, who), check_quantiles(quantiles, who), samples or 0, who)


def check_levels(levels: Any, who: str) -> tuple[float, ...]:
    """Levels of central intervals, in percent.

    Raises:
        ArgumentError: one lies outside (0, 100), or occurs twice.
        ArgumentTypeError: one is no number.
    """
    return _checked(levels, "levels", 100.0, "percent, as 80", who)


def check_quantiles(quantiles: Any, who: str) -> tuple[float, ...]:
    """Levels of quantiles.

    Raises:
        ArgumentError: one lies outside (0, 1), or occurs twice.
        ArgumentTypeError: one is no number.
    """
    return _checked(quantiles, "quantiles", 1.0, "shares, as 0.9", who)


def _checked(given: Any, name: str, end: float, what: str, who: str) -> tuple[float, ...]:
    if given is None:
        return ()
    numbers = tuple(given) if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else (given,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float | np.integer | np.floating):
            raise ArgumentTypeError(f"{who}: expected {name} to be numbers, got {number!r}; give {what}")
        if not 0.0 < number < end:
            raise ArgumentError(f"{who}: expected {name} in (0, {end:g}), got {number:g}; give {what}")
    if len({*numbers}) < len(numbers):
        raise ArgumentError(f"{who}: expected {name} that differ, got {list(numbers)}; give each once")
    return tuple(float(number) for number in numbers)


def calibrate_model(
    model: Any, windows: Windows, scaler: Scaler, prepared: Prepared | None, season_length: int, seed: int
) -> Calibration | None:
    """Conformal offsets from windows that training did not learn from; None where they tell nothing."""
    if not len(windows):
        return None
    chosen = windows[balanced(windows.series, _MOST_ROLLED if _rolls(model) else _MOST_HELD_OUT, seed)]
    own_WKQ, unit_WK, level_W, scale_W = _own_quantiles(model, chosen, scaler, prepared, GRID, season_length, seed)
    target_WK = scaler.into(chosen.targets(), level_W[:, None], scale_W[:, None])
    return calibrate(own_WKQ, target_WK, unit_WK, chosen.series, chosen.origins - chosen.series_starts)


def quantiles_of(forecaster: "Forecaster", windows: Windows, prepared: Prepared, q: Sequence[float], who: str) -> Array:
    """The quantiles of windows, in the series' own units: (W, K, Q).

    Raises:
        ArgumentError: the model has none, or the held-out origins do not tell that level.
    """
    f = forecaster
    if f.calibration_ is None and not isinstance(_output(f.model_), Distribution):
        raise ArgumentError(
            f"{who}: expected a model with calibrated intervals, got one whose training held out too few origins; "
            "fit it on a longer history or more series, or with loss='quantiles'"
        )
    own_WKQ, unit_WK, level_W, scale_W = _own_quantiles(
        f.model_, windows, f.scaler_, prepared, q, f.season_length_, f.seed
    )
    if f.calibration_ is not None:
        own_WKQ = f.calibration_.apply(own_WKQ, unit_WK, q, who)
    found = f.scaler_.back(own_WKQ, level_W[:, None, None], scale_W[:, None, None])
    return np.maximum(found, 0.0) if _output(f.model_).counts else found


def intervals_of(
    forecaster: "Forecaster", windows: Windows, prepared: Prepared, levels: Sequence[float], who: str
) -> dict[float, tuple[Array, Array]]:
    """Level in percent → lower and upper ends, both (W, K)."""
    if not levels:
        return {}
    ends = [q for level in levels for q in tails(level)]
    found_WKQ = quantiles_of(forecaster, windows, prepared, ends, who)
    return {level: (found_WKQ[..., 2 * i], found_WKQ[..., 2 * i + 1]) for i, level in enumerate(levels)}


def deciles_of(forecaster: "Forecaster", windows: Windows, prepared: Prepared) -> dict[float, Array] | None:
    """What WQL judges: the deciles, or None where the model does not reach them."""
    known = forecaster.calibration_
    reach = known.levels if known is not None else GRID if isinstance(_output(forecaster.model_), Distribution) else ()
    if not reach or not reach[0] <= DECILES[0]:
        return None
    found_WKQ = quantiles_of(forecaster, windows, prepared, DECILES, "Forecaster.evaluate")
    return {q: found_WKQ[..., i] for i, q in enumerate(DECILES)}


def samples_of(forecaster: "Forecaster", windows: Windows, prepared: Prepared, S: int, who: str) -> tuple[str, Array]:
    """Drawn futures (W, K, S), not calibrated, and what they are.

    "path": a whole future, each segment drawn after those before it (recursive; within a segment of several steps each
    step is drawn for itself). "draw": every step drawn for itself, which says nothing of how steps go together.

    Raises:
        ArgumentError: the model's loss makes it no distribution.
    """
    f, output = forecaster, _output(forecaster.model_)
    if not isinstance(output, Distribution):
        among = [name for name in OUTPUTS if name not in ("mse", "mae", "huber")]
        raise ArgumentError(
            f"{who}: expected a model of a distribution to draw samples from, got one with loss {output.name!r}; "
            f"fit with loss one of {', '.join(among)}"
        )
    g = torch.Generator().manual_seed(f.seed)
    if _rolls(f.model_):
        drawn_WSK, level_W, scale_W = _paths(f.model_, windows, f.scaler_, prepared, S, g)
        kind = "path"
    else:
        raw_EWKR, level_W, scale_W = forecast_raw(f.model_.members, windows, f.scaler_, prepared)
        E = len(raw_EWKR)
        scale_W11 = _tensor(scale_W)[:, None, None]
        # Each net of an ensemble is drawn from in turn.
        turns_SWKR = raw_EWKR[torch.arange(S) % E]
        drawn = output.sample(turns_SWKR.transpose(0, 1), scale_W11, g)
        drawn_WSK, kind = drawn.numpy().astype(np.float64), "draw"
    found = f.scaler_.back(drawn_WSK, level_W[:, None, None], scale_W[:, None, None])
    return kind, (np.maximum(found, 0.0) if output.counts else found).transpose(0, 2, 1)


def interval_columns(intervals: Mapping[float, tuple[Array, Array]]) -> dict[str, Array]:
    """`forecast-lo-80` and `forecast-hi-80`, (W, K) each, and so on."""
    found: dict[str, Array] = {}
    for level, (low_WK, high_WK) in intervals.items():
        found |= {f"forecast-lo-{level:g}": low_WK, f"forecast-hi-{level:g}": high_WK}
    return found


def columns_of(
    forecaster: "Forecaster", windows: Windows, prepared: Prepared, asked: "Asked", K: int
) -> dict[str, Array]:
    """What was asked for as columns of a frame, the first K steps of window after window."""
    found = interval_columns(intervals_of(forecaster, windows, prepared, asked.levels, asked.who))
    if asked.quantiles:
        own_WKQ = quantiles_of(forecaster, windows, prepared, asked.quantiles, asked.who)
        found |= {f"forecast-q-{q:g}": own_WKQ[..., i] for i, q in enumerate(asked.quantiles)}
    if asked.samples:
        kind, drawn_WKS = samples_of(forecaster, windows, prepared, asked.samples, asked.who)
        found |= {f"forecast-{kind}-{i + 1}": drawn_WKS[..., i] for i in range(asked.samples)}
    return {name: values[:, :K].reshape(-1) for name, values in found.items()}


def _output(model: Any) -> Output:
    output: Output = model.members[0].output
    return output


def _rolls(model: Any) -> bool:
    """Whether quantiles of later steps depend on what was drawn before."""
    return isinstance(model.members[0], Recursive) and isinstance(_output(model), Distribution)


def _own_quantiles(
    model: Any,
    windows: Windows,
    scaler: Scaler,
    prepared: Prepared | None,
    q: Sequence[float],
    season_length: int,
    seed: int,
) -> tuple[Array, Array, Array, Array]:
    """The model's own quantiles (W, K, Q), how large an error they let expect (W, K) or (W, 1), both in scaled units;
    level and scale (W,) of each window.
    """
    output, levels = _output(model), (*q, *_DECILES)
    if _rolls(model):
        g = torch.Generator().manual_seed(seed)
        drawn_WSK, level_W, scale_W = _paths(model, windows, scaler, prepared, PATHS, g)
        found_WKQ = np.moveaxis(np.quantile(drawn_WSK, levels, axis=1), 0, -1)
    else:
        raw_EWKR, level_W, scale_W = forecast_raw(model.members, windows, scaler, prepared)
        raw_WKR = raw_EWKR.mean(0)  # of quantile functions, whatever the output
        if not isinstance(output, Distribution):
            point_WK = output.point(raw_WKR).numpy().astype(np.float64)
            unit_W = naive_error(scaler.inner(windows), season_length) / scale_W + _LEAST_UNIT
            return np.repeat(point_WK[..., None], len(q), axis=-1), unit_W[:, None], level_W, scale_W
        found_WKQ = output.quantiles(raw_WKR, levels, _tensor(scale_W)[:, None]).numpy().astype(np.float64)
    unit_WK = np.ones((len(windows), 1))
    if not output.counts:  # whose width steps from nothing to one
        unit_WK = found_WKQ[..., -1] - found_WKQ[..., -2] + _LEAST_UNIT
    return found_WKQ[..., :-2], unit_WK, level_W, scale_W


def naive_error(windows: Windows, season_length: int) -> Array:
    """The mean absolute change over a step or over a season in each window's history, whichever is less: (W,).

    The lesser, since a season says nothing of a series that wanders, nor a step of one that swings.
    """
    history_WL, known_WL = windows.history()
    found = np.full(len(windows), np.inf)
    for m in {1, season_length}:
        if m < history_WL.shape[1]:
            both = known_WL[:, m:] & known_WL[:, :-m]
            total = np.where(both, np.abs(history_WL[:, m:] - history_WL[:, :-m]), 0.0).sum(axis=1)
            count = both.sum(axis=1)
            found = np.where(count > 0, np.minimum(found, total / np.maximum(count, 1)), found)
    return np.where(np.isfinite(found), found, 0.0)


def _paths(
    model: Any, windows: Windows, scaler: Scaler, prepared: Prepared | None, S: int, g: torch.Generator
) -> tuple[Array, Array, Array]:
    """Futures fed what they drew, in scaled units (W, S, K), the nets of an ensemble by turns; level and scale (W,)."""
    members = model.members
    shares = [len(range(e, S, len(members))) for e in range(len(members))]
    pieces, levels, scales = [], [], []
    rows = max(1, _ROWS // S)
    for first in range(0, len(windows), rows):
        piece = windows[first : first + rows]
        made = []
        for net, share in zip(members, shares, strict=True):
            if share:
                drawn, level_W, scale_W = forecast_raw([net], piece, scaler, prepared, raw=partial(_roll, S=share, g=g))
                made.append(drawn[0].numpy().astype(np.float64))
        pieces.append(np.concatenate(made, axis=1))
        levels.append(level_W)
        scales.append(scale_W)
    return np.concatenate(pieces), np.concatenate(levels), np.concatenate(scales)


def _roll(net: Recursive, batch: Batch, S: int, g: torch.Generator) -> Tensor:
    """S futures of every row of a batch: (B, S, K). The history is read once."""
    raw_B1sR, states, context_BE = net.one_ahead(batch, last=True)

    def many(t: Tensor) -> Tensor:
        return t.repeat_interleave(S, dim=0)

    own = {field.name: getattr(batch, field.name) for field in fields(batch)}
    wider: dict[str, Any] = {name: many(t) if isinstance(t, Tensor) else t for name, t in own.items()}
    wide = Batch(**wider)
    states = [map_state(state, lambda t: t.repeat_interleave(S, dim=1)) for state in states]
    scale = wide.scale.unsqueeze(-1)
    output: Any = net.output
    drawn: list[Tensor] = []

    def draw(raw_BsR: Tensor) -> Tensor:
        drawn.append(output.sample(raw_BsR, scale, g))
        return drawn[-1]

    context = None if context_BE is None else many(context_BE)
    raw_BKR = net.roll(wide, many(raw_B1sR[:, -1]), states, context, draw)
    fed = sum(t.shape[1] for t in drawn)
    if fed < raw_BKR.shape[1]:  # the last segment is fed to nobody
        drawn.append(output.sample(raw_BKR[:, fed:], scale, g))
    return torch.cat(drawn, dim=1)[:, : raw_BKR.shape[1]].view(len(batch.values), S, -1)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
