"""A forecaster's parts as arrays and JSON, and back: the end of its series, and how training went."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from throughtime._extras import require
from throughtime.data.frames import SeriesSet
from throughtime.data.frequency import Frequency
from throughtime.data.series import FrameKind
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
    """The series again; frames built from them are Polars'."""
    nw = require("narwhals", extra="frames")
    frequency = Frequency.from_json(fields["frequency"])
    times = tensors[_TIMES]
    if not frequency.is_integer:
        times = times.astype("datetime64[us]")
    time_dtype = nw.Int64 if frequency.is_integer else nw.Date if fields["dates"] else nw.Datetime("us")
    if fields["text_form"] is not None:
        time_dtype = nw.String
    columns, ids, offsets = fields["columns"], list(fields["ids"]), tensors[_OFFSETS]
    if (
        len(offsets) != len(ids) + 1
        or offsets[0] != 0
        or offsets[-1] != len(tensors[_VALUES])
        or len(times) != offsets[-1]
    ):
        raise ValueError(f"series: {len(ids)} ids, {len(offsets)} offsets, {len(times)} times")
    return SeriesSet(
        ids=ids,
        flat_values=tensors[_VALUES],
        flat_times=times,
        offsets=offsets,
        frequency=frequency,
        id_col=columns["id"],
        time_col=columns["time"],
        target_col=columns["target"],
        kind=FrameKind(backend="polars", time_dtype=time_dtype, text_form=fields["text_form"]),
    )


def history_json(history: TrainingResult) -> dict[str, Any]:
    """How training went, epoch by epoch."""
    return asdict(history)


def history_from_json(fields: Mapping[str, Any]) -> TrainingResult:
    """The reverse of `history_json`."""
    return TrainingResult(**{**fields, "history": tuple(EpochRecord(**record) for record in fields["history"])})
