"""A forecaster's parts as arrays and JSON, and back: its net, the end of its series, and how training went."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime._extras import require
from throughtime.data.series.covariates import Covariates
from throughtime.data.series.frames import SeriesSet
from throughtime.data.series.output import FrameKind
from throughtime.data.times.frequency import Frequency
from throughtime.data.times.inference import check_regular
from throughtime.tasks.estimator import load_module_tensors, module_tensors
from throughtime.tasks.forecast.baselines import LinearAutoregression
from throughtime.tasks.forecast.conformal import Calibration
from throughtime.tasks.forecast.features import Inputs
from throughtime.tasks.forecast.fitting import build_model
from throughtime.tasks.forecast.network import ANCHORS, Design
from throughtime.tasks.forecast.outputs import OUTPUTS, output_named
from throughtime.tasks.forecast.plain import PlainNet
from throughtime.tasks.forecast.scaling import SCALINGS, Scaler
from throughtime.tasks.stored import (
    check_model,
    check_tensors,
    choice_from,
    count_from,
    history_from_json,
    history_json,
)

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster

_VALUES, _TIMES, _OFFSETS = "series.values", "series.times", "series.offsets"
_COVARIATES = ("past", "future", "static_numeric", "static_categories")
_CONFORMAL = "conformal.offsets"
_MAY_BE_MISSING = (_VALUES, "series.past")


def to_folder(forecaster: "Forecaster") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and JSON of a fitted forecaster."""
    f = forecaster
    tensors = module_tensors(f.model_) | series_tensors(f.series_)
    tensors |= {"linear.weight": f.linear_.weight, "linear.bias": f.linear_.bias}
    fitted = {
        "anchor": f.anchor_,
        "input_size": f.input_size_,
        "season_length": f.season_length_,
        "validation": f.validation_,
        "n_series": f.n_series_,
        "n_points": f.n_points_,
        "n_windows": f.n_windows_,
        "training": history_json(f.history_),
    }
    if f.design_ is not None and f.inputs_ is not None:  # folders older than these have none
        fitted |= {
            "design": f.design_.as_dict(),
            "inputs": f.inputs_.to_json(),
            "recipe": f.recipe_,
            "refitted": f.refitted_,
            "loss": f.loss_,
        }
        if (nets := len(f.model_.members)) < f.ensemble:  # training was ended early
            fitted["nets"] = nets
    if f.calibration_ is not None:
        tensors[_CONFORMAL] = f.calibration_.offsets_QK
        fitted["conformal"] = f.calibration_.as_dict()
    return tensors, {
        "scaling": {name: value for name, value in f.scaler_._asdict().items() if name != "floor" or value},
        "metrics": f.metrics_,
        **({"origin": f.origin_} if f.origin_ else {}),
        "fitted": fitted,
        "series": series_json(f.series_),
    }


def from_folder(forecaster: "Forecaster", tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """Set a forecaster's fitted part; whatever does not fit together raises one of what `Estimator.load` expects."""
    f, fitted = forecaster, extra["fitted"]
    for name in ("past", "future", "static"):  # JSON has no tuples
        if isinstance(getattr(f, name), list):
            setattr(f, name, tuple(getattr(f, name)))
    f.scaler_ = scaler_from(extra["scaling"])
    f.metrics_ = {name: extra["metrics"][name] for name in ("validation_loss", "best_epoch", "epochs")}
    f.anchor_ = choice_from(fitted, "anchor", ANCHORS)
    f.validation_ = str(fitted["validation"])
    f.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    f.input_size_, f.season_length_ = (count_from(fitted, n) for n in ("input_size", "season_length"))
    f.n_series_, f.n_points_, f.n_windows_ = (count_from(fitted, n) for n in ("n_series", "n_points", "n_windows"))
    f.history_ = history_from_json(fitted["training"])
    f.linear_ = linear_from(tensors, f.horizon, f.input_size_)
    f.series_ = series_from(tensors, extra["series"])
    f.frequency_ = f.series_.frequency
    f.loss_ = choice_from({"loss": fitted.get("loss", f.loss)}, "loss", OUTPUTS)
    f.design_ = f.inputs_ = None
    f.recipe_, f.refitted_ = {}, False
    f.calibration_ = None
    if "conformal" in fitted:
        f.calibration_ = Calibration.from_dict(fitted["conformal"], tensors[_CONFORMAL], f.horizon)
    nets, layers = f.ensemble, f.num_layers or 1
    if "design" in fitted:
        design, inputs = design_from(fitted["design"], f), Inputs.from_json(fitted["inputs"])
        f.design_, f.inputs_ = design, inputs
        f.recipe_, f.refitted_ = dict(fitted["recipe"]), bool(fitted["refitted"])
        if "nets" in fitted and (nets := count_from(fitted, "nets")) > f.ensemble:
            raise ValueError(f"nets: {nets} in an ensemble of {f.ensemble}")
        layers = design.num_layers * nets
        sizes = {"n_series": 0, "past": 0, "future": 0, "static": 0, "categories": ()} | inputs.sizes
        if any(getattr(design, name) != size for name, size in sizes.items()):
            raise ValueError(f"inputs: {sizes!r} for a net that reads others")
    check_tensors(tensors, layers, _MAY_BE_MISSING)
    with torch.device("meta"):  # shapes alone, so that no size in a damaged folder takes memory
        check_model(_empty(f, nets), tensors)
    with torch.random.fork_rng(devices=[]):
        model = _empty(f, nets)
    load_module_tensors(model, tensors)
    f.model_ = model.eval()


def _empty(forecaster: "Forecaster", nets: int) -> Any:
    f = forecaster
    if f.design_ is not None:
        return build_model(f.design_, f.loss_, nets, 0)
    return PlainNet(
        f.strategy,
        cell=f.cell,
        hidden_size=count_from(vars(f), "hidden_size"),
        num_layers=count_from(vars(f), "num_layers"),
        dropout=f.dropout or 0.0,
        horizon=f.horizon,
        anchor=f.anchor_,
        season_length=f.season_length_,
        loss=f.loss_,
    )


def design_from(fields: Mapping[str, Any], forecaster: "Forecaster") -> Design:
    """The design again; ValueError where it is none, or not that of this forecaster."""
    f = forecaster
    design = Design(**{**fields, **{name: tuple(fields[name]) for name in ("categories", "lags")}})
    for name in ("hidden_size", "num_layers", "segment", "outputs"):
        count_from(fields, name)
    for lag in design.lags:
        if type(lag) is not int or not 0 < lag <= design.input_size:
            raise ValueError(f"design: a lag of {lag!r}")
    for size in (design.n_series, design.past, design.future, design.static, *design.categories):
        if type(size) is not int or size < 0:
            raise ValueError(f"design: a size {size!r}")
    if not isinstance(design.dropout, float) or not 0.0 <= design.dropout < 1.0:
        raise ValueError(f"design: dropout {design.dropout!r}")
    same = {
        "strategy": f.strategy,
        "cell": f.cell,
        "horizon": f.horizon,
        "anchor": f.anchor_,
        "input_size": f.input_size_,
        "season_length": f.season_length_,
        "outputs": output_named(f.loss_).size,
    }
    asked = {"hidden_size": f.hidden_size, "num_layers": f.num_layers, "segment": f.segment_size}
    same |= {name: value for name, value in asked.items() if value is not None}
    for name, value in same.items():
        if getattr(design, name) != value:
            raise ValueError(f"design: {name} {getattr(design, name)!r} where {value!r} belongs")
    if design.input_size % design.segment or not isinstance(design.linear, bool) or type(design.missing) is not bool:
        raise ValueError(f"design: {dict(fields)!r}")
    return design


def series_tensors(series: SeriesSet) -> dict[str, np.ndarray]:
    """Values, times (microseconds since 1970, or the whole numbers that they are) and offsets."""
    found = {
        _VALUES: series.flat_values,
        _TIMES: series.flat_times.astype(np.int64),
        _OFFSETS: series.offsets,
    }
    if series.covariates is not None:
        found |= {f"series.{name}": getattr(series.covariates, name) for name in _COVARIATES}
    return found


def series_json(series: SeriesSet) -> dict[str, Any]:
    """What the arrays do not say: ids, column names, frequency, and how times are written."""
    nw = require("narwhals", extra="frames")
    return {
        "ids": list(series.ids),
        "columns": {"id": series.id_col, "time": series.time_col, "target": series.target_col},
        "frequency": series.frequency.to_json(),
        "dates": series.kind.time_dtype == nw.Date,
        "text_form": series.kind.text_form,
        **({} if series.covariates is None else {"covariates": series.covariates.to_json()}),
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
        covariates=_covariates_from(tensors, fields, len(values), len(ids)),
    )


def _covariates_from(tensors: Mapping[str, np.ndarray], fields: Mapping[str, Any], N: int, S: int) -> Covariates | None:
    if "covariates" not in fields:
        return None
    names = Covariates.from_json(fields["covariates"])
    found: dict[str, Any] = {name: tensors[f"series.{name}"] for name in _COVARIATES}
    rows = {"past": N, "future": N, "static_numeric": S, "static_categories": S}
    for name, array in found.items():
        dtype = "int64" if name == "static_categories" else "float64"
        shape = (rows[name], getattr(names, name).shape[1])
        if array.shape != shape or array.dtype.name != dtype:
            raise ValueError(f"series.{name}: {array.dtype.name} {array.shape} where {shape} belongs")
    for c, labels in enumerate(names.categories):
        codes = found["static_categories"][:, c]
        if codes.size and not 0 <= codes.min() <= codes.max() <= len(labels):
            raise ValueError(f"series.static_categories: a code that none of {len(labels)} labels has")
    return replace(names, **found)


def scaler_from(fields: Mapping[str, Any]) -> Scaler:
    """The scaler again; ValueError where its numbers cannot scale."""
    scaler = Scaler(**fields)
    numbers = (scaler.level, scaler.scale, scaler.floor)
    if scaler.kind not in SCALINGS[1:] or not all(isinstance(n, float) and np.isfinite(n) for n in numbers):
        raise ValueError(f"scaling: {dict(fields)!r}")
    if scaler.scale <= 0.0 or scaler.floor < 0.0:
        raise ValueError(f"scaling: scale {scaler.scale}, floor {scaler.floor}")
    return scaler


def linear_from(tensors: Mapping[str, np.ndarray], horizon: int, input_size: int) -> LinearAutoregression:
    """The linear baseline again; ValueError where it is one for another horizon or longer windows."""
    weight, bias = tensors["linear.weight"], tensors["linear.bias"]
    if weight.ndim != 2 or weight.shape[0] > input_size or weight.shape[1:] != (horizon,) or bias.shape != (horizon,):
        raise ValueError(f"linear: weight {weight.shape} and bias {bias.shape} for horizon {horizon}")
    return LinearAutoregression(weight, bias)
