"""The checks of a forecaster's constructor arguments, made when it is fitted."""

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.data.times.holidays import holiday_dates
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.arguments import check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.forecast.network import ANCHORS
from throughtime.tasks.forecast.outputs import OUTPUTS
from throughtime.tasks.forecast.scaling import SCALINGS
from throughtime.tasks.forecast.strategies import STRATEGIES

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

_OWN_COLUMNS = ("cutoff", "forecast", "naive", "seasonal_naive", "linear", "theta", "ets")
_COUNTS = (
    ("horizon", False),
    ("hidden_size", True),
    ("num_layers", True),
    ("batch_size", True),
    ("epochs", True),
    ("input_size", True),
    ("segment_size", True),
    ("season_length", True),
    ("ensemble", False),
    ("patience", True),
)
_FLAGS = (("linear", False), ("calendar", False), ("logarithms", True), ("series_embedding", False), ("refit", True))


def check_parameters(forecaster: "Forecaster") -> None:
    """Refuse what no forecaster can be built from.

    Raises:
        ArgumentError: a value out of its range, or options that contradict each other.
        ArgumentTypeError: a value of a wrong type.
        DataError: holidays that are no dates.
    """
    for name, among in (
        ("strategy", tuple(STRATEGIES)),
        ("cell", tuple(LAYERS)),
        ("scaling", SCALINGS),
        ("anchor", ANCHORS),
        ("loss", ("auto", *OUTPUTS)),
    ):
        if getattr(forecaster, name) not in among:
            raise ArgumentError(
                f"Forecaster: expected {name} to be one of {', '.join(among)}, got {getattr(forecaster, name)!r}; "
                "pass one of these"
            )
    for name, optional in _COUNTS:
        check_count("Forecaster", name, getattr(forecaster, name), optional=optional)
    for name, optional in _FLAGS:
        value = getattr(forecaster, name)
        if not isinstance(value, bool) and not (optional and value is None):
            raise ArgumentTypeError(
                f"Forecaster: expected {name} to be True or False{' or None' * optional}, got {value!r}; pass one"
            )
    for name in ("id_col", "time_col", "target_col"):
        if getattr(forecaster, name) in _OWN_COLUMNS or str(getattr(forecaster, name)).startswith("forecast-"):
            raise ArgumentError(
                f"Forecaster: expected {name} to differ from {', '.join(_OWN_COLUMNS)}, the columns of forecasts, "
                f"got {getattr(forecaster, name)!r}; rename the column"
            )
    if forecaster.anchor == "smoothed" and forecaster.strategy != "direct":
        raise ArgumentError(
            "Forecaster: expected anchor 'smoothed' with strategy 'direct', which starts from one origin alone, got "
            f"{forecaster.strategy!r}; pass another anchor or strategy='direct'"
        )
    if forecaster.loss == "negative-binomial":
        if forecaster.scaling not in ("auto", "mean"):
            raise ArgumentError(
                "Forecaster: expected scaling 'mean' with loss 'negative-binomial', whose counts begin at 0, got "
                f"{forecaster.scaling!r}; leave scaling out, or choose another loss"
            )
        if forecaster.logarithms:
            raise ArgumentError(
                "Forecaster: expected logarithms None or False with loss 'negative-binomial', which is of counts, got "
                "True; leave logarithms out, or choose another loss"
            )
    if forecaster.holidays is not None:
        holiday_dates(forecaster.holidays, "Forecaster")
    _check_dropout(forecaster.dropout)
    _check_rate(forecaster.learning_rate)
    seed: Any = forecaster.seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ArgumentError(f"Forecaster: expected seed to be a whole number from 0, got {seed!r}; pass one")
    segment, history = forecaster.segment_size, forecaster.input_size
    if segment is not None and history is not None and history % segment:
        raise ArgumentError(
            f"Forecaster: expected input_size to be a multiple of segment_size {segment}, got {history}; "
            f"pass input_size={max(history - history % segment, segment)}"
        )


def _check_dropout(dropout: Any) -> None:
    if dropout is None:
        return
    if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0.0 <= float(dropout) < 1.0:
        raise ArgumentError(
            f"Forecaster: expected dropout to be a number in [0, 1), got {dropout!r}; pass one, 0 for none"
        )


def _check_rate(rate: Any) -> None:
    if rate is None:
        return
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise ArgumentTypeError(f"Forecaster: expected learning_rate to be a number, got {rate!r}; pass one, as 0.002")
    if not 0.0 < float(rate) < float("inf"):
        raise ArgumentError(
            f"Forecaster: expected learning_rate to be finite and above 0, got {rate:g}; pass 0.002 or so"
        )


def check_count(who: str, name: str, value: Any, *, optional: bool = False) -> None:
    """Refuse anything but a positive whole number (or None where `optional`)."""
    if value is None and optional:
        return
    check_size(who, name, value)
