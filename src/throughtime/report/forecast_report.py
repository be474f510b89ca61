"""The report of a forecaster: what it learnt from, what it forecast, how far that was off, and how it was made."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.report.errors import coverage_figure, horizon_figure
from throughtime.report.forecast import BASELINES, panel_figure
from throughtime.report.gradients import reach_figure
from throughtime.report.html import Drawing, Page, Section, Table, figures_table, swatch, write_page
from throughtime.report.learning import learning_curve_figure
from throughtime.report.panel import Panel

__all__ = ["Backtest", "ForecastReport", "forecast_report"]

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Backtest:
    """Forecasts of what is known, beside it.

    Attributes:
        metrics: model to metric to figure, the model first, then the baselines.
        decisive: the metric that judges.
        by_horizon: model to that metric at each step of the horizon, (K,).
        coverage: level in percent to how much of what came lay inside, in percent: over all, and by step (K,).
        sentence: whether the model was worth it.
        good: whether it was.
        origins: what was measured, in words.
        measures: what the metrics are, in words.
    """

    metrics: Mapping[str, Mapping[str, float]]
    decisive: str
    by_horizon: Mapping[str, Array]
    sentence: str
    good: bool
    origins: str
    coverage: Mapping[float, tuple[float, Array]] = field(default_factory=dict)
    measures: str = ""


@dataclass(frozen=True)
class ForecastReport:
    """Everything that the report shows, as plain data.

    Attributes:
        title: what was forecast.
        subtitle: by what, in a line.
        data: name and value of each fact about the data.
        panels: the series to draw, with their forecasts.
        panels_title: what the forecasts are.
        panels_note: which series of how many.
        season_length: in steps.
        value_label: what the values are.
        train_loss, validation_loss: by epoch; empty: no curve.
        best_epoch: counted from 1.
        training: sentences about the training.
        backtest: None where nothing that is known was forecast.
        reach: layer to the norm of the gradient at each step back from the end.
        faded: the part of its largest below which a gradient counts as gone.
        health: sentences about the gradients.
        choices: what followed from the data, name and value.
        configuration: every option, name and value.
        versions: of what it was made with.
        origin: where it came from: command, fingerprint of the data, time.
    """

    title: str
    subtitle: str
    data: Sequence[tuple[str, str]]
    panels: Sequence[Panel]
    panels_title: str
    panels_note: str = ""
    season_length: int = 1
    value_label: str = ""
    train_loss: Sequence[float] = ()
    validation_loss: Sequence[float] | None = None
    best_epoch: int | None = None
    training: Sequence[str] = ()
    backtest: Backtest | None = None
    reach: Mapping[str, Array] = field(default_factory=dict)
    faded: float = 1e-6
    health: Sequence[str] = ()
    choices: Sequence[tuple[str, str]] = ()
    configuration: Sequence[tuple[str, str]] = ()
    versions: Sequence[tuple[str, str]] = ()
    origin: Sequence[tuple[str, str]] = ()


def forecast_report(path: str | os.PathLike[str], report: ForecastReport) -> Path:
    """Write the report as one HTML file that needs nothing else.

    Returns:
        The path written.

    Raises:
        ArgumentError, DataError, MissingExtraError: as `check_report_target`.
    """
    sections = [_data(report), _forecasts(report)]
    if report.backtest is not None:
        sections += _errors(report.backtest)
    if report.train_loss:
        sections.append(_learning(report))
    if report.health or report.reach:
        sections.append(_health(report))
    sections.append(_making(report))
    backtest = report.backtest
    return write_page(
        path,
        Page(
            title=report.title,
            subtitle=report.subtitle,
            sections=sections,
            verdict="" if backtest is None else backtest.sentence,
            good=backtest is None or backtest.good,
            tiles=_tiles(report),
        ),
    )


def _tiles(report: ForecastReport) -> list[tuple[str, str]]:
    tiles = list(report.data[:3])
    backtest = report.backtest
    if backtest is None:
        return tiles
    mine, *others = backtest.metrics
    tiles.append((f"{backtest.decisive} of the model", f"{backtest.metrics[mine][backtest.decisive]:.4g}"))
    known = [name for name in others if np.isfinite(backtest.metrics[name][backtest.decisive])]
    if known:
        best = min(known, key=lambda name: backtest.metrics[name][backtest.decisive])
        tiles.append((f"{backtest.decisive} of {best}", f"{backtest.metrics[best][backtest.decisive]:.4g}"))
    tiles += [(f"inside {level:g} % intervals", f"{all_:.1f} %") for level, (all_, _) in backtest.coverage.items()]
    return tiles


def _data(report: ForecastReport) -> Section:
    return Section("Data", tables=[Table(rows=[[name, value] for name, value in report.data])])


def _forecasts(report: ForecastReport) -> Section:
    drawings = [
        Drawing(
            panel_figure(panel, season_length=report.season_length),
            caption=panel.name,
            note=f"({panel.note})" if panel.note else "",
            label=f"{panel.name}: history and {', '.join(panel.forecasts)}",
        )
        for panel in report.panels
    ]
    unit = f"Values: {report.value_label}." if report.value_label else ""
    return Section(
        report.panels_title,
        texts=[text for text in (report.panels_note, unit) if text],
        legend=_legend(report.panels),
        drawings=drawings,
    )


def _legend(panels: Sequence[Panel]) -> list[tuple[str, str]]:
    entries = [("history", swatch("quiet"))]
    if any(panel.actual is not None for panel in panels):
        entries.append(("actual", swatch("ink")))
    coloured = 0
    for label in panels[0].forecasts if panels else ():
        entries.append((label, swatch("baseline" if label in BASELINES else coloured)))
        coloured += label not in BASELINES
    levels = sorted({level for panel in panels for level in panel.bands})
    if levels:
        entries.append((f"{' and '.join(f'{level:g} %' for level in levels)} intervals", swatch("band")))
    return entries


def _errors(backtest: Backtest) -> list[Section]:
    columns = list(next(iter(backtest.metrics.values())))
    drawings = [Drawing(horizon_figure(backtest.by_horizon, metric=backtest.decisive),
                        caption=f"{backtest.decisive} by step of the horizon")]  # fmt: skip
    errors = Section(
        "Errors, beside simple forecasts",
        texts=[backtest.origins + "."],
        drawings=drawings,
        tables=[figures_table(backtest.metrics, columns)],
        after=" ".join(filter(None, ["Bold: the least of its column.", backtest.measures])),
    )
    if not backtest.coverage:
        return [errors]
    levels = list(backtest.coverage)
    rows = [[f"{level:g} %", f"{share:.1f} %"] for level, (share, _) in backtest.coverage.items()]
    covered_LK = np.stack([by_step for _, by_step in backtest.coverage.values()])
    intervals = Section(
        "Calibration",
        texts=["An interval of 80 % should hold four of five values that come, at every step of the horizon."],
        drawings=[Drawing(coverage_figure(levels, covered_LK), caption="Values inside, by step of the horizon")],
        tables=[Table(rows=rows, head=["interval", "held"], numbers=True)],
    )
    return [errors, intervals]


def _learning(report: ForecastReport) -> Section:
    figure = learning_curve_figure(
        report.train_loss, report.validation_loss, best_epoch=report.best_epoch, size=(4.6, 2.7)
    )
    return Section("Training", texts=report.training, drawings=[Drawing(figure, caption="Loss by epoch")])


def _health(report: ForecastReport) -> Section:
    drawings = []
    if report.reach:
        figure = reach_figure(report.reach, faded=report.faded)
        drawings.append(Drawing(figure, caption="What a gradient at the last step becomes on its way back"))
    return Section("Gradients", texts=report.health, drawings=drawings)


def _making(report: ForecastReport) -> Section:
    def listed(title: str, rows: Sequence[tuple[str, str]], *, folded: bool = True) -> list[Table]:
        return [Table(rows=[[name, value] for name, value in rows], title=title, folded=folded)] if rows else []

    return Section(
        "How it was made",
        tables=[
            *listed("", report.choices, folded=False),
            *listed("Every option", report.configuration),
            *listed("Versions", report.versions),
            *listed("Origin", report.origin),
        ],
    )
