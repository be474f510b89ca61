"""A forecaster for ONNX Runtime: the last values of series in, the next ones out, in the series' own units.

Scaling stands in the graph, in float64; what nets read beside the values is an input.

Axes in names: B series, L steps of history, K steps of the horizon, F numbers a step.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.forecast.forecaster import Forecaster
from throughtime.tasks.forecast.network import Batch
from throughtime.tasks.forecast.plain import PlainNet
from throughtime.tasks.forecast.scaling import Scaler

_MOST_EXPONENT = 700.0  # exp of more is no float64


class _Forecast(nn.Module):
    """history and observed (B, L), then what `names` says."""

    def __init__(self, model: Any, scaler: Scaler, names: tuple[str, ...], missing: bool) -> None:
        super().__init__()
        self.model = model
        self.scaler = scaler
        self.names = names
        self.missing = missing

    def forward(self, history: Tensor, observed: Tensor, *rest: Tensor) -> Tensor:
        given = dict(zip(self.names, rest, strict=True))
        values_BL = self._log(history)
        level_B, scale_B = (
            (given.pop("level"), given.pop("scale")) if "level" in given else self._scaling(values_BL, observed)
        )
        level_B1, scale_B1 = level_B.unsqueeze(1), scale_B.unsqueeze(1)
        anchor = None
        if "smoothed" in given:
            anchor = ((self._log(given.pop("smoothed")) - level_B1) / scale_B1).float()
        batch = Batch(
            values=((values_BL - level_B1) / scale_B1).float(),
            mask=observed.float() if self.missing else None,
            scale=scale_B.float(),
            history=history.shape[1],
            anchor=anchor,
            **{name: given.get(name) for name in ("series", "past", "future", "static", "categories")},
        )
        found_BK: Tensor = self.model(batch).double() * scale_B1 + level_B1
        return found_BK.clamp(max=_MOST_EXPONENT).exp() if self.scaler.floor else found_BK

    def _log(self, values: Tensor) -> Tensor:
        return values.clamp(min=self.scaler.floor).log() if self.scaler.floor else values

    def _scaling(self, values_BL: Tensor, observed_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Level and scale of each row: `Scaler.apply`, of rows in which something was observed."""
        s = self.scaler
        zero_B = torch.zeros_like(values_BL[:, 0])
        if s.kind in ("none", "global"):
            return zero_B + (s.level if s.kind == "global" else 0.0), zero_B + (s.scale if s.kind == "global" else 1.0)
        count_B = observed_BL.sum(1).clamp(min=1).double()
        if s.kind == "mean":
            size_B = (values_BL.abs() * observed_BL.double()).sum(1) / count_B
            return zero_B, torch.where(size_B > 0.0, size_B, s.scale)
        first_B1 = observed_BL.to(torch.int64).argmax(1, keepdim=True)
        own_B1 = values_BL.gather(1, first_B1)
        level_B = own_B1[:, 0] + torch.where(observed_BL, values_BL - own_B1, 0.0).sum(1) / count_B
        apart_BL = torch.where(observed_BL, values_BL - level_B.unsqueeze(1), 0.0)
        deviation_B = (apart_BL.square().sum(1) / count_B).sqrt()
        constant_B = deviation_B <= 1e-12 * level_B.abs() + 1e-300
        return level_B, torch.where(constant_B, s.scale, deviation_B)


def exported(forecaster: Forecaster) -> Exported:
    """What `export_onnx` writes."""
    f, design = forecaster, forecaster.design_
    B, L, K = 2, f.input_size_, f.horizon
    inputs = {
        "history": Port(
            torch.ones((B, L), dtype=torch.float64),
            ("series", "history"),
            "the last values, the latest last; a missing one as 'gaps' says",
        ),
        "observed": Port(
            torch.ones((B, L), dtype=torch.bool),
            ("series", "history"),
            "false where a value is missing, or before the series began; one a row is true",
        ),
    }
    if f.scaler_.kind == "series":
        of = "logarithms of the values" if f.scaler_.floor else "values"
        one = torch.ones(B, dtype=torch.float64)
        inputs["level"] = Port(one, ("series",), f"the mean of all {of} of the series")
        inputs["scale"] = Port(one, ("series",), f"their standard deviation; {f.scaler_.scale!r} where that is 0")
    if f.anchor_ == "smoothed":
        inputs["smoothed"] = Port(
            torch.ones((B, K), dtype=torch.float64),
            ("series", "horizon"),
            "exponential smoothing of the series' last 1000 values (throughtime.tasks.forecast.smoothing)",
        )
    if design is not None:
        inputs |= _covariates(f, B, L, K)
    names = tuple(inputs)[2:]
    missing = design is None or design.missing or isinstance(f.model_, PlainNet)
    return Exported(
        module=_Forecast(f.model_, f.scaler_, names, missing),
        inputs=inputs,
        outputs={"forecast": (("series", "horizon"), "the next values")},
        open_axes=("series",),
        around={
            "horizon": K,
            "input_size": L,
            "season_length": f.season_length_,
            "frequency": f.frequency_.to_json(),
            "scaling": f.scaler_._asdict(),
            "covariates": None if f.inputs_ is None else f.inputs_.to_json(),
            "preprocessing": {
                "gaps": "before the first value that value; a missing one takes the value season_length steps before, "
                "up to four times that; else the last one before it",
            },
            "postprocessing": {"intervals": "are not part of the model"},
        },
    )


def _covariates(forecaster: Forecaster, B: int, L: int, K: int) -> dict[str, Port]:
    """What the net reads beside the values, as `Inputs.of` gives it."""
    d: Any = forecaster.design_
    found: dict[str, Port] = {}
    if d.n_series:
        found["series"] = Port(
            torch.zeros(B, dtype=torch.int64), ("series",), "the place, from 1, of its id in covariates.ids; 0: none"
        )
    if d.past:
        found["past"] = Port(
            torch.zeros((B, L, d.past)), ("series", "history", "past"), "past columns, (value - mean) / scale"
        )
    if d.future:
        found["future"] = Port(
            torch.zeros((B, L + K, d.future)),
            ("series", "history and horizon", "future"),
            "sines and then cosines of the calendar features (2 pi place / places), counts of holidays and then "
            "known-future columns (both (value - mean) / scale)",
        )
    if d.static:
        found["static"] = Port(torch.zeros((B, d.static)), ("series", "static"), "static numbers, standardised")
    if d.categories:
        found["categories"] = Port(
            torch.zeros((B, len(d.categories)), dtype=torch.int64),
            ("series", "categories"),
            "the place, from 1, of each static category in its vocabulary; 0: none",
        )
    return found
