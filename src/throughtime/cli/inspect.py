"""`throughtime inspect MODEL [DATA]`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from throughtime.cli.options import AsJson, Model, Plot, Threads, read_for, use_threads
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from throughtime.tasks import Estimator
    from throughtime.training import HealthReport, LayerHealth

__all__ = ["inspect"]


def inspect(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="Data as the model was trained on, to send gradients through it: .csv, .csv.gz or .parquet.",
            show_default="no gradients",
        ),
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Show a trained model, and how its gradients fare.

    Prints the layers with their parameters, the configuration and what training measured. With DATA a batch of it goes
    forward and backward through the model: how many steps back the gradient reaches in each layer, whether it explodes,
    and which gates are saturated.

    [bold]throughtime inspect model sales.csv --plot gradients.png[/bold]
    """
    if plot is not None:
        if data is None:
            raise ArgumentError(f"--plot: expected DATA, whose gradients are drawn, got none for {plot}; name a table")
        from throughtime.report import check_plot_target

        check_plot_target(plot)
    use_threads(threads)
    from throughtime.data import read_model_folder
    from throughtime.tasks import load

    folder = read_model_folder(model)
    estimator = load(model)
    report = None if data is None else _health(estimator, data)
    if plot is not None and report is not None:
        _draw(plot, report, model.name)
    layers = _layers(estimator)
    told = {
        "task": folder.task,
        "parameters": sum(row["parameters"] for row in layers),
        "bytes": sum(file.stat().st_size for file in model.iterdir() if file.is_file()),
        "format_version": folder.format_version,
        "created": folder.created,
        "seed": folder.seed,
        "versions": folder.versions,
        "configuration": folder.configuration,
        "metrics": folder.extra.get("metrics", {}),
        "layers": layers,
        "gradient_health": None if report is None else report.as_dict(),
    }
    from throughtime.cli.results import print_json

    if as_json:
        print_json(told)
        return
    _print_model(told, model)
    if report is not None:
        _print_health(report)
    if plot is not None:
        typer.echo(f"Wrote {plot}.")


def _health(estimator: "Estimator", data: Path) -> "HealthReport":
    from throughtime.tasks import Forecaster
    from throughtime.tasks.forecast.health import gradient_health

    if not isinstance(estimator, Forecaster):
        raise ArgumentError(
            f"inspect: expected a forecast model beside DATA, got a model of task {estimator.task!r}; leave it out"
        )
    return gradient_health(estimator, read_for(estimator, data))


def _layers(estimator: "Estimator") -> list[dict[str, Any]]:
    """The modules that hold parameters of their own, in the order of the model."""
    from throughtime.nn import Recurrent

    rows = []
    net: Any = estimator.model_  # type: ignore[attr-defined]
    for name, module in net.named_modules():
        own = [parameter.numel() for parameter in module.parameters(recurse=False)]
        if own:
            rows.append(
                {
                    "name": name,
                    "kind": f"{type(module).__name__}({module.extra_repr()})",
                    "parameters": sum(own),
                    "backend": module.backend if isinstance(module, Recurrent) else None,
                }
            )
    return rows


def _print_model(told: dict[str, Any], path: Path) -> None:
    from throughtime.cli.results import print_table

    size = told["bytes"] / 1024
    title = f"{path.name}: {told['task']} model, {told['parameters']:,} parameters, {size:,.0f} KiB"
    rows = [[row["name"], row["kind"], row["backend"] or "", f"{row['parameters']:,}"] for row in told["layers"]]
    print_table(["layer", "kind", "backend", "parameters"], rows, title=title, numbers_from=3)
    given = {key: value for key, value in told["configuration"].items() if value is not None}
    rows = [[key, f"{value}"] for key, value in given.items()]
    rows += [
        [key, f"{value:.6g}" if isinstance(value, float) else f"{value}"] for key, value in told["metrics"].items()
    ]
    rows += [["written by", ", ".join(f"{name} {version}" for name, version in told["versions"].items())]]
    ends = (len(given) - 1, len(given) + len(told["metrics"]) - 1)
    print_table(["configuration and metrics", ""], rows, numbers_from=2, sections=ends)


def _print_health(report: "HealthReport") -> None:
    from throughtime.cli.results import print_table

    rows = [_health_row(layer) for layer in report.layers]
    columns = ["layer", "memory, steps", "growth", "dL/dh first", "dL/dh last", "saturated"]
    print_table(columns, rows, title="Gradients along time")
    for sentence in report.sentences():
        typer.echo(sentence)


def _health_row(layer: "LayerHealth") -> list[str]:
    memory = "–" if layer.memory is None else f"{layer.memory} of {layer.steps}"
    growth = "–" if math.isnan(layer.growth) else f"{layer.growth:.3g}"
    gate = max(layer.saturated, key=lambda name: layer.saturated[name])
    saturated = f"{gate} {layer.saturated[gate]:.0%}"
    return [layer.name, memory, growth, f"{layer.dh[0]:.1e}", f"{layer.dh[-1]:.1e}", saturated]


def _draw(path: Path, report: "HealthReport", name: str) -> None:
    from throughtime.report import gradient_plot
    from throughtime.training.gradient_health_report import FADED

    norms = {}
    for layer in report.layers:
        norms[f"{layer.name}: h"] = layer.dh
        if layer.dc is not None:
            norms[f"{layer.name}: c"] = layer.dc
    reach = {layer.name: layer.reach for layer in report.layers if layer.steps}
    gradient_plot(path, norms, reach, faded=FADED, title=f"{name}: gradients along time")
