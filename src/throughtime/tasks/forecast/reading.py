"""What a forecaster is given to learn or to forecast from: a frame, or series that were read already."""

import logging
from typing import TYPE_CHECKING, Any

from throughtime.data.series.covariates import Covariates, column_names
from throughtime.data.series.frames import SeriesSet, read_series
from throughtime.data.times.frequency import Frequency, parse_alias
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

_logger = logging.getLogger("throughtime.tasks")


def read(
    forecaster: "Forecaster",
    data: Any,
    who: str,
    freq: str | int | Frequency | None,
    fitted: Covariates | None = None,
    missing: str = "keep",
) -> SeriesSet:
    """The series of a frame, or those given, if they are what this forecaster would have read.

    Raises:
        DataError: as `read_series`; or series of other columns, another step or other labels.
    """
    f = forecaster
    beside: Any = {"past": f.past, "future": f.future, "static": f.static} if fitted is None else {}
    if isinstance(data, SeriesSet):
        _check_columns(f, data, who, fitted)
        _check_step(data, who, freq)
        return data
    return read_series(
        data,
        id_col=f.id_col,
        time_col=f.time_col,
        target_col=f.target_col,
        freq=freq,
        missing=missing,
        fitted=fitted,
        **beside,
        who=who,
    )


def read_more(forecaster: "Forecaster", data: Any, who: str, missing: str = "keep") -> SeriesSet:
    """Series to forecast, of the same columns as the training data."""
    f = forecaster
    series = read(f, data, who, f.frequency_, f.series_.covariates, missing)
    ids = () if f.inputs_ is None else f.inputs_.ids
    if ids and f.inputs_ is not None and not f.inputs_.numbers(series).any():
        _logger.warning(
            "%s: expected series that the model tells apart by name, such as %r, got none, such as %r: all are "
            "forecast as unknown ones", who, ids[0], series.ids[0],
        )  # fmt: skip
    return series


def _check_columns(f: "Forecaster", series: SeriesSet, who: str, fitted: Covariates | None) -> None:
    known, roles = series.covariates, ("past", "future", "static")
    found: dict[str, Any] = {"id_col": series.id_col, "time_col": series.time_col, "target_col": series.target_col}
    wanted: dict[str, Any] = {**found, "time_col": f.time_col, "target_col": f.target_col}
    if f.id_col is not None:
        wanted["id_col"] = f.id_col
    for role in roles:
        given = () if known is None else getattr(known, f"{role}_names")
        if fitted is None:
            found[role], wanted[role] = sorted(given), sorted(column_names(who, role, getattr(f, role)))
        else:
            found[role], wanted[role] = list(given), list(getattr(fitted, f"{role}_names"))
    for name, own in wanted.items():
        if found[name] != own:
            raise DataError(
                f"{who}: expected series with {name}={own!r}, got {found[name]!r}; read them with what the Forecaster "
                "is made with"
            )
    if fitted is not None and known is not None and known.categories != fitted.categories:
        raise DataError(
            f"{who}: expected labels numbered as in training, {fitted.categories!r}, got {known.categories!r}; read "
            "the series with fitted=model.series_.covariates"
        )


def _check_step(series: SeriesSet, who: str, freq: str | int | Frequency | None) -> None:
    if freq is None:
        return
    own = series.frequency
    wanted = freq if isinstance(freq, Frequency) else parse_alias(freq)
    same = (own.unit, own.step) == (wanted.unit, wanted.step) and wanted.anchor in (None, own.anchor)
    if not same:
        raise DataError(
            f"{who}: expected series that step by {wanted.name}, got {own.name}; read them with freq={wanted.name!r}"
        )
