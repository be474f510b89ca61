"""A forecaster's parts as arrays and JSON, and back: the end of its series, and how training went."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import nn

from throughtime._extras import require
from throughtime.data.frames import SeriesSet
from throughtime.data.frequency import Frequency
from throughtime.data.inference import check_regular
from throughtime.data.series import FrameKind
from throughtime.tasks.estimator import MODEL_PREFIX
from throughtime.tasks.forecast.baselines import LinearAutoregression
from throughtime.tasks.forecast.scaling import SCALINGS, Scaler
from throughtime.training import EpochRecord, TrainingResult

_VALUES, _TIMES, _OFFSETS = "series.values", "series.times", "series.offsets"


def series_tensors(series: SeriesSet) -> dict[str, np.ndarray]:
    """Values, times (microseconds since 1970, or the whole numbers that they are) and offsets."""
    return {
        _VALUES: series.flat_values,
        _TIMES: series.flat_times.astype(np.int64),
        _OFFSETS: series.offsets,
    }


def series_json(series: SeriesSet) -> dict[str, Any]:
    """What the arrays do not say: ids, column names, frequency, and how times are written."""
    nw = require("narwhals", extra="frames")
    return {
        "ids": list(series.ids),
        "columns": {"id": series.id_col, "time": series.time_col, "target": series.target_col},
        "frequency": series.frequency.to_json(),
        "dates": series.kind.time_dtype == nw.Date,
        "text_form": series.kind.text_form,
    }


def series_from(tensors: Mapping[str, np.ndarray], fields: Mapping[str, Any]) -> SeriesSet:
    """The series again; frames built from them are Polars'. Parts that do not fit together raise ValueError."""
    nw = require("narwhals", extra="frames")
    frequency = Frequency.from_json(fields["frequency"])
    values, times, offsets = tensors[_VALUES], tensors[_TIMES], tensors[_OFFSETS]
    ids, columns, text_form = list(fields["ids"]), dict(fields["columns"]), fields["text_form"]
    dtypes = [array.dtype.name for array in (values, times, offsets)]
    if dtypes != ["float64", "int64", "int64"] or any(array.ndim != 1 for array in (values, times, offsets)):
        raise ValueError(f"series: values, times and offsets are {', '.join(dtypes)}")
    if not ids or len(offsets) != len(ids) + 1 or offsets[0] != 0 or (np.diff(offsets) < 1).any():
        raise ValueError(f"series: {len(ids)} ids and {len(offsets)} offsets")
    if not len(values) == len(times) == offsets[-1]:
        raise ValueError(f"series: {len(values)} values and {len(times)} times where {offsets[-1]} are stated")
    if not (all(type(name) is str for name in ids) or all(type(name) is int for name in ids)):
        raise ValueError("series: ids that are neither all text nor all whole numbers")
    names = [columns[role] for role in ("id", "time", "target")]
    if not all(type(name) is str for name in (*names, text_form or "")) or len({*names}) < 3:
        raise ValueError(f"series: columns {names!r}, text form {text_form!r}")
    if not frequency.is_integer:
        times = times.astype("datetime64[us]")
    check_regular(times, offsets, frequency, lambda i: repr(ids[i]), "series", names[1])
    time_dtype = nw.Int64 if frequency.is_integer else nw.Datetime("us", frequency.time_zone)
    if fields["dates"]:
        time_dtype = nw.Date
    if text_form is not None:
        time_dtype = nw.String
    return SeriesSet(
        ids=ids,
        flat_values=values,
        flat_times=times,
        offsets=offsets,
        frequency=frequency,
        id_col=names[0],
        time_col=names[1],
        target_col=names[2],
        kind=FrameKind(backend="polars", time_dtype=time_dtype, text_form=text_form),
    )


def scaler_from(fields: Mapping[str, Any]) -> Scaler:
    """The scaler again; ValueError where its numbers cannot scale."""
    scaler = Scaler(**fields)
    numbers = (scaler.level, scaler.scale)
    if scaler.kind not in SCALINGS[1:] or not all(isinstance(n, float) and np.isfinite(n) for n in numbers):
        raise ValueError(f"scaling: {dict(fields)!r}")
    if scaler.scale <= 0.0:
        raise ValueError(f"scaling: scale {scaler.scale}")
    return scaler


def choice_from(fields: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """A name that is one of the choices, "auto" apart; else ValueError."""
    value = fields[name]
    if value == "auto" or value not in choices:
        raise ValueError(f"{name}: {value!r}")
    return str(value)


def count_from(fields: Mapping[str, Any], name: str) -> int:
    """A positive whole number; else ValueError."""
    value = fields[name]
    if type(value) is not int or value < 1:
        raise ValueError(f"{name}: {value!r}")
    return value


def linear_from(tensors: Mapping[str, np.ndarray], horizon: int, input_size: int) -> LinearAutoregression:
    """The linear baseline again; ValueError where it is one for another horizon or longer windows."""
    weight, bias = tensors["linear.weight"], tensors["linear.bias"]
    if weight.ndim != 2 or weight.shape[0] > input_size or weight.shape[1:] != (horizon,) or bias.shape != (horizon,):
        raise ValueError(f"linear: weight {weight.shape} and bias {bias.shape} for horizon {horizon}")
    return LinearAutoregression(weight, bias)


def check_tensors(tensors: Mapping[str, np.ndarray], num_layers: int) -> None:
    """ValueError where a number is not finite, or where there cannot be that many layers."""
    for name, value in tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name}: a number that is not finite")
    if num_layers > len(tensors):
        raise ValueError(f"num_layers: {num_layers} with {len(tensors)} tensors")


def check_model(model: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """ValueError where the tensors are not this model's by name and shape."""
    expected = {MODEL_PREFIX + name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items() if name.startswith(MODEL_PREFIX)}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name}: shape {found.get(name)} where {expected.get(name)} belongs")


def history_json(history: TrainingResult) -> dict[str, Any]:
    """How training went, epoch by epoch; what stands at its default is left out, as in folders older than the field."""
    return {**_told(history), "history": [_told(record) for record in history.history]}


def _told(record: TrainingResult | EpochRecord) -> dict[str, Any]:
    return {field.name: v for field in fields(record) if (v := getattr(record, field.name)) != field.default}


def history_from_json(fields: Mapping[str, Any]) -> TrainingResult:
    """The reverse of `history_json`."""
    return TrainingResult(**{**fields, "history": tuple(EpochRecord(**record) for record in fields["history"])})
