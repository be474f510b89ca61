"""`throughtime export MODEL --to onnx`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.options import Model, Quiet

__all__ = ["export"]


class _Target(StrEnum):
    """What a model can be exported to."""

    onnx = "onnx"


def export(
    model: Model,
    to: Annotated[_Target, typer.Option("--to", help="The format: onnx, for ONNX Runtime.")] = _Target.onnx,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for the exported model.", show_default="MODEL-onnx"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a trained model for a runtime that needs neither throughtime nor torch.

    FOLDER gets model.onnx, which ONNX Runtime runs, and model.json, which says what its inputs and outputs are and
    how data become the ones and answers come from the others. What runs once before it has a file of its own.

    [bold]throughtime export model --to onnx --out exported[/bold]
    """
    from throughtime._atomic import check_parent
    from throughtime.tasks import export_onnx, load

    target = model.with_name(f"{model.name}-{to.value}") if out is None else out
    check_parent(target)
    export_onnx(load(model), target)
    if quiet:
        return
    told = json.loads((target / "model.json").read_text())
    graphs = {**told.get("before", {}), "model": told}
    sizes = [f"{name}.onnx ({(target / f'{name}.onnx').stat().st_size / 1024:,.0f} KiB)" for name in graphs]
    typer.echo(f"Wrote {target}: {', '.join(sizes)} and model.json.")
    for name, graph in graphs.items():
        if len(graphs) > 1:
            typer.echo(f"{name}.onnx")
        for what in ("inputs", "outputs"):
            for port in graph[what]:
                axes = ", ".join(str(axis) for axis in port["axes"])
                typer.echo(f"  {what[:-1]:<7} {port['name']} ({axes}): {port['meaning']}")
