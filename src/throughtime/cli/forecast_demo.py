"""`throughtime demo forecast`: real data, three strategies, honest numbers, a picture, a model."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from throughtime.cli.options import use_threads
from throughtime.errors import DataError

if TYPE_CHECKING:
    from throughtime.data import SeriesSet
    from throughtime.report import Panel
    from throughtime.tasks import Forecaster
    from throughtime.tasks.forecast.evaluation import Evaluation

__all__ = ["EXAMPLES", "Example", "show"]

STRATEGIES = ("recursive", "direct", "sequence")
METRICS = ("MASE", "sMAPE", "MSE")


@dataclass(frozen=True)
class Example:
    """A shipped series and how the demo treats it; times in steps.

    Attributes:
        value_label: what the values are, with their unit.
        windows: origins of the evaluation.
        step: between origins.
        options: of the forecaster; none, since what it chooses from the data is what the demo shows.
    """

    name: str
    about: str
    value_label: str
    unit: str
    horizon: int
    season_length: int
    windows: int
    step: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def held_out(self) -> int:
        """Steps at the end that training does not see."""
        return self.horizon + (self.windows - 1) * self.step


EXAMPLES = (
    Example(
        name="co2",
        about="CO2 in the air at Mauna Loa",
        value_label="CO₂ at Mauna Loa (ppm)",
        unit="months",
        horizon=24,
        season_length=12,
        windows=5,
        step=6,
    ),
    Example(
        name="sunspots",
        about="spots on the sun",
        value_label="mean sunspot number of the year",
        unit="years",
        horizon=11,
        season_length=11,
        windows=5,
        step=5,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What the demo found for one series."""

    example: Example
    series: "SeriesSet"
    forecasters: dict[str, "Forecaster"]
    evaluations: dict[str, "Evaluation"]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Model to metrics: the strategies, then the baselines (the same beside every strategy)."""
        first = next(iter(self.evaluations.values()))
        baselines = {name: first.metrics[name] for name in first.models[1:]}
        return {name: found.metrics[found.models[0]] for name, found in self.evaluations.items()} | baselines


def show(out: Path, seed: int, threads: int, quiet: bool) -> None:
    """Train three forecasters of two real series, and set them beside simple forecasts."""
    targets = _prepare(out)
    use_threads(threads)

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line)

    say("Three recurrent forecasters learn two real series. What they are tested on, they have not seen.")
    outcomes = [_learn(example, seed, say, quiet) for example in EXAMPLES]
    if not quiet:
        _print(outcomes)

    from throughtime.data import write_table
    from throughtime.report import strategies_plot

    strategies_plot(
        targets["plot"],
        [_panel(outcome) for outcome in outcomes],
        title="Three strategies, forecast from one origin, and what then happened",
        value_labels={example.name: example.value_label for example in EXAMPLES},
        season_lengths={example.name: example.season_length for example in EXAMPLES},
    )
    first = outcomes[0]
    best = min(STRATEGIES, key=lambda strategy: first.metrics[strategy]["MASE"])
    write_table(first.series.to_frame(), targets["data"])
    first.forecasters[best].save(targets["model"])
    say(f"Wrote {targets['plot']}: history, forecasts and actual values.")
    say(f"Wrote {targets['model']}: the {best} model of {first.example.name}. Try next:\n")
    model, data, picture = (shlex.quote(str(path)) for path in (targets["model"], targets["data"], out / "next.png"))
    say(f"  throughtime predict {model} {data} --plot {picture}")


def _prepare(out: Path) -> dict[str, Path]:
    """The files to write, with the folder made and every one of them found writable."""
    from throughtime._atomic import check_parent, check_room
    from throughtime.data import check_model_target, check_table_target
    from throughtime.report import check_plot_target

    targets = {"plot": out / "forecasts.png", "model": out / "model", "data": out / f"{EXAMPLES[0].name}.csv"}
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder to write in, got a file; give another --out")
    if not out.exists():
        check_parent(out)
        check_room(out)
        out.mkdir()
    check_plot_target(targets["plot"])
    check_model_target(targets["model"])
    check_table_target(targets["data"])
    return targets


def _learn(example: Example, seed: int, say: Callable[[str], None], quiet: bool) -> Outcome:
    from throughtime.cli.progress import progress
    from throughtime.data import read_series
    from throughtime.datasets import load
    from throughtime.tasks import Forecaster

    series = read_series(load(example.name))
    seen = series.cut(example.held_out)
    say(
        f"\n{example.name}: {example.about}, {len(seen.flat_values)} {example.unit} to learn from; tested "
        f"{example.horizon} {example.unit} ahead, from {example.windows} origins later"
    )
    forecasters, evaluations = {}, {}
    for strategy in STRATEGIES:
        forecaster = Forecaster(
            example.horizon, strategy=strategy, season_length=example.season_length, seed=seed, **example.options
        )
        with progress(f"  {strategy:9s}", quiet=quiet) as callbacks:
            forecaster.fit(seen, callbacks=callbacks)
        if forecaster.history_.stopped == "interrupted":
            raise KeyboardInterrupt
        forecasters[strategy] = forecaster
        evaluations[strategy] = forecaster.evaluate(series, n_windows=example.windows, step_size=example.step)
    return Outcome(example, series, forecasters, evaluations)


def _print(outcomes: list[Outcome]) -> None:
    from throughtime.cli.results import metric_rows, print_table

    rows: list[list[str]] = []
    sections = []
    for outcome in outcomes:
        of_series = metric_rows(outcome.metrics, METRICS)
        rows += [[outcome.example.name if i == 0 else "", *row] for i, row in enumerate(of_series)]
        sections.append(len(rows) - 1)
    typer.echo("")
    print_table(["series", "model", *METRICS], rows, numbers_from=2, sections=sections)
    typer.echo("* the least error. MASE: in units of the seasonal naive forecast of the past; sMAPE: percent.\n")
    for outcome in outcomes:
        typer.echo(_verdict(outcome))
    typer.echo("")


def _verdict(outcome: Outcome) -> str:
    """Which simple forecasts the best strategy beats, and which it does not."""
    metrics = outcome.metrics
    best = min(STRATEGIES, key=lambda strategy: metrics[strategy]["MASE"])
    mine = metrics[best]["MASE"]
    baselines = [name for name in metrics if name not in STRATEGIES]
    beaten = [f"{name} ({metrics[name]['MASE']:.3f})" for name in baselines if metrics[name]["MASE"] > mine]
    others = [f"{name} ({metrics[name]['MASE']:.3f})" for name in baselines if metrics[name]["MASE"] <= mine]
    verbs = (("beats", beaten), ("does not beat", others))
    parts = [f"{verb} {' and '.join(names)}" for verb, names in verbs if names]
    return f"{outcome.example.name}: the best of the three here, {best} (MASE {mine:.3f}), {', and '.join(parts)}."


def _panel(outcome: Outcome) -> "Panel":
    """The last origin of the evaluation: every strategy, and the seasonal naive forecast."""
    from throughtime.cli.panels import past_panels
    from throughtime.report import Panel

    horizon = outcome.example.horizon
    lines: dict[str, Any] = {}
    for strategy, found in outcome.evaluations.items():
        columns = {strategy: "forecast", "seasonal naive": "seasonal_naive"}
        (panel,), _ = past_panels(outcome.series, found.forecasts, horizon, columns)
        lines |= panel.forecasts
    lines["seasonal naive"] = lines.pop("seasonal naive")
    return Panel(panel.name, panel.times, panel.values, panel.forecast_times, lines, panel.actual)
