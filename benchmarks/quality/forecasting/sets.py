"""The data sets: their protocols, and the figures that were published under them.

NumPy and Polars alone, so that peers in an environment of their own run under the same protocol.

Axes in names: N windows, K steps of the horizon.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.forecasting import figures, simple
from benchmarks.quality.forecasting.panels import (
    Panel,
    read_ett,
    read_m4_hourly,
    read_tsf,
    read_vic_elec,
    weekday_medians,
)
from benchmarks.quality.forecasting.task import Array, Index, Measures, Pasts, Published, Task

Load = Callable[[Path], Task]

ETT_HORIZONS = (96, 192, 336, 720)
_ETT_LOOKBACK = 720  # of the published figures, whose validation windows reach back over the border
LEVELS = (80, 95)  # conformal intervals of these, in percent, are held to 3 points


def _ends(panel: Panel, horizon: int) -> Index:
    return np.array([len(values) - horizon for values in panel.values])


def _last(
    name: str,
    panel: Panel,
    horizon: int,
    season: int,
    measures: Measures,
    published: Published,
) -> Task:
    """One origin a series, `horizon` before its end."""
    ends = _ends(panel, horizon)
    return Task(name, panel, horizon, season, ends, ends, measures, published)


def _mase(m: int) -> Measures:
    def measures(F_NK: Array, Y_NK: Array, pasts: Pasts) -> dict[str, float]:
        scale_N = figures.scales(pasts, m)
        return {"MASE": figures.mase(F_NK, Y_NK, scale_N), "MAE": figures.mae(F_NK, Y_NK)}

    return measures


def _smape(size: Callable[[Array, Array], float], m: int) -> Measures:
    def measures(F_NK: Array, Y_NK: Array, pasts: Pasts) -> dict[str, float]:
        return {"sMAPE": size(F_NK, Y_NK), "MASE": figures.mase(F_NK, Y_NK, figures.scales(pasts, m))}

    return measures


def _squared(F_NK: Array, Y_NK: Array, pasts: Pasts) -> dict[str, float]:
    return {"MSE": figures.mse(F_NK, Y_NK), "MAE": figures.mae(F_NK, Y_NK)}


def _owa(F_NK: Array, Y_NK: Array, pasts: Pasts) -> dict[str, float]:
    """M4's: sMAPE and MASE of the whole set, each over Naive2's, averaged."""
    K, scale_N = Y_NK.shape[1], figures.scales(pasts, 24)
    base_NK = np.array([simple.naive2(past, K, 24) for past in pasts])
    found = {"sMAPE": figures.smape(F_NK, Y_NK), "MASE": figures.mase(F_NK, Y_NK, scale_N)}
    base = {"sMAPE": figures.smape(base_NK, Y_NK), "MASE": figures.mase(base_NK, Y_NK, scale_N)}
    return {"OWA": (found["sMAPE"] / base["sMAPE"] + found["MASE"] / base["MASE"]) / 2, **found}


def _hospital(data: Path) -> Task:
    others = {"seasonal naive": 0.921, "DeepAR": 0.834, "xLSTM-Mixer": 0.814, "ETS": 0.770, "TiRex": 0.756}
    panel = read_tsf(data / "monash/hospital_dataset.tsf.gz")
    return replace(_last("hospital", panel, 12, 12, _mase(12), Published("MASE", 0.770, others)), levels=LEVELS)


def _car_parts(data: Path) -> Task:
    others = {"seasonal naive": 1.201, "xLSTM-Mixer": 0.902, "TiRex": 0.847, "DeepAR": 0.835}
    panel = read_tsf(data / "monash/car_parts_dataset_with_missing_values.tsf.gz")
    return _last("car_parts", panel, 12, 12, _mase(12), Published("MASE", 0.835, others))


def _us_births(data: Path) -> Task:
    others = {"seasonal naive with m = 1": 1.865, "DeepAR": 0.535, "TiRex": 0.443, "xLSTM-Mixer": 0.313}
    panel = read_tsf(data / "monash/us_births_dataset.tsf.gz")
    first = _ends(panel, 20 * 30)
    published = Published("MASE", 0.443, others, stretch=0.313)
    return Task("us_births", panel, 30, 1, first, first, _mase(1), published, n_windows=20, step=30, naive_season=7)


def _m4_hourly(data: Path) -> Task:
    others = {"plain RNN of the organisers": 1.036, "Theta": 1.006, "seasonal naive": 0.627}
    others |= {"ES-RNN, M4's winner": 0.440, "the best on hourly series": 0.410}
    published = Published("OWA", 0.440, others, stretch=0.410)
    return replace(_last("m4_hourly", read_m4_hourly(data / "m4"), 48, 24, _owa, published), levels=LEVELS)


def _m3_monthly(data: Path) -> Task:
    published = Published("sMAPE", 14.11, {"best RNN of Hewamalage et al.": 14.11, "ETS": 14.14})
    panel = read_tsf(data / "monash/m3_monthly_dataset.tsf.gz")
    return _last("m3_monthly", panel, 18, 12, _smape(figures.smape, 12), published)


def _tourism_monthly(data: Path) -> Task:
    published = Published("sMAPE", 19.02, {"best RNN of Hewamalage et al.": 19.44, "ETS": 19.02})
    panel = read_tsf(data / "monash/tourism_monthly_dataset.tsf.gz")
    return _last("tourism_monthly", panel, 24, 12, _smape(figures.guarded_smape, 12), published)


def _nn5_gaps(data: Path) -> Task:
    published = Published("sMAPE", 21.5, {"best RNN of Hewamalage et al., filled": 21.53, "ETS, filled": 21.57})
    panel = read_tsf(data / "monash/nn5_daily_dataset_with_missing_values.tsf.gz")
    return _last("nn5_gaps", panel, 56, 7, _smape(figures.guarded_smape, 7), published)


def _nn5(data: Path) -> Task:
    gaps = _nn5_gaps(data)
    return replace(gaps, name="nn5", panel=gaps.panel.with_values([weekday_medians(v) for v in gaps.panel.values]))


def _ett(
    name: str, rows_an_hour: int, targets: tuple[float, ...], others: Mapping[str, tuple[float, ...]]
) -> dict[int | None, Load]:
    """The 12/4/4 months of 30 days; every origin of the test months, their pasts reaching over the border."""
    month = 30 * 24 * rows_an_hour

    def make(horizon: int) -> Load:
        def load(data: Path) -> Task:
            panel = read_ett(data / f"ett/{name}.csv.gz", 12 * month)
            panel = panel.with_values([values[: 20 * month] for values in panel.values])
            which = ETT_HORIZONS.index(horizon)
            published = Published("MSE", targets[which], {of: row[which] for of, row in others.items()})
            S = len(panel)
            return Task(
                name.lower(), panel, horizon, 24 * rows_an_hour, np.full(S, 12 * month), np.full(S, 16 * month),
                _squared, published, validation_ends=np.full(S, 16 * month), validation_past=_ETT_LOOKBACK,
                n_windows=4 * month - horizon + 1,
            )  # fmt: skip

        return load

    return {horizon: make(horizon) for horizon in ETT_HORIZONS}


def _vic_elec(covariates: bool) -> Load:
    """Each day of 2014 from what precedes it, half-hour by half-hour; temperatures as they came, not as forecast."""

    def load(data: Path) -> Task:
        panel = read_vic_elec(data / "vic_elec/vic_elec.csv.gz")
        first = np.array([48 * (366 + 365)])
        name, options = ("vic_elec_covariates", {"future": list(panel.covariates)}) if covariates else ("vic_elec", {})
        return Task(
            name, panel, 48, 48, first, first, _mase(336), Published("MASE", None, {}),
            n_windows=365, step=48, naive_season=336, options=options,
        )  # fmt: skip

    return load


_ETTH1 = {
    "the last value": (1.295, 1.325, 1.323, 1.339),
    "PatchTST": (0.375, 0.418, 0.462, 0.495),
    "SegRNN, lookback 96": (0.368, 0.408, 0.444, 0.446),
    "SegRNN, lookback 720": (0.351, 0.392, 0.423, 0.466),
}
_ETTM1 = {"the last value": (1.214, 1.261, 1.283, 1.319), "SegRNN": (0.293, 0.328, 0.357, 0.410)}

# By name, then by horizon; None where a set has one horizon.
SETS: dict[str, dict[int | None, Load]] = {
    "hospital": {None: _hospital},
    "car_parts": {None: _car_parts},
    "m3_monthly": {None: _m3_monthly},
    "tourism_monthly": {None: _tourism_monthly},
    "nn5": {None: _nn5},
    "nn5_gaps": {None: _nn5_gaps},
    "us_births": {None: _us_births},
    "m4_hourly": {None: _m4_hourly},
    "vic_elec": {None: _vic_elec(False)},
    "vic_elec_covariates": {None: _vic_elec(True)},
    "etth1": _ett("ETTh1", 1, (0.351, 0.392, 0.423, 0.446), _ETTH1),
    "ettm1": _ett("ETTm1", 4, (0.293, 0.328, 0.357, 0.410), _ETTM1),
}


def load(name: str, data: Path, horizon: int | None = None) -> Task:
    """A data set by name, and by horizon where it has several (default: the first)."""
    by_horizon = SETS[name]
    if horizon is None:
        horizon = next(iter(by_horizon))
    if horizon not in by_horizon:
        raise SystemExit(f"{name}: expected a horizon among {', '.join(map(str, by_horizon))}, got {horizon}")
    return by_horizon[horizon](data / "forecast")
