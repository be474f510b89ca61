"""`throughtime explain CELL`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from throughtime.cli.options import CELLS, AsJson

if TYPE_CHECKING:
    from throughtime.report.explanation import CellExplanation, Equation

__all__ = ["explain"]

_WIDE = 132  # columns from which equations stand in a table; below, one under the other


def explain(
    cell: Annotated[str, typer.Argument(metavar="CELL", help=f"One of {CELLS}.", show_default=False)],
    lang: Annotated[str, typer.Option(help="en or zh: English or Chinese.")] = "en",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write it as a page in place of printing it.", show_default=False),
    ] = None,
    input_size: Annotated[int, typer.Option(help="Features of the input of the layer that is counted.")] = 10,
    hidden_size: Annotated[int, typer.Option(help="Its units.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what a cell computes, and where.

    Each equation stands in the lecture notes' letters and in the code's, with the file and the line where it runs; then
    the partial derivatives of the backward step, the shapes, and how many numbers there are to learn.

    [bold]throughtime explain gru-reset-before[/bold]

    [bold]throughtime explain lstm --lang zh --html lstm.html[/bold]
    """
    from throughtime.errors import ArgumentError
    from throughtime.report import explain_cell, explanation_page

    if html is not None and as_json:
        raise ArgumentError("explain: expected one of --html and --json, got both; leave one out")
    found = explain_cell(cell, language=lang, input_size=input_size, hidden_size=hidden_size)
    if as_json:
        from throughtime.cli.results import print_json

        print_json({**asdict(found), "numbers": found.numbers})
    elif html is not None:
        typer.echo(f"Wrote {explanation_page(html, found)}.")
    else:
        _print(found)


def _print(found: "CellExplanation") -> None:
    from throughtime.cli.results import print_table
    from throughtime.report.explanation_page import bias_sentence, parameter_table, shape_rows, size_sentence

    say = found.label
    typer.echo(f"{found.title}\n{found.what}\n{found.layer} · {found.module}\n")
    _print_equations(found, say("forward"), found.forward)
    if found.erratum:
        typer.echo(f"{say('erratum')}: {found.erratum}\n")
    _print_equations(found, say("backward"), found.backward)
    for remark in found.remarks:
        typer.echo(f"· {remark}")
    typer.echo("")
    print_table(["", "", ""], shape_rows(found), title=say("shapes"), numbers_from=3)
    table = parameter_table(found)
    rows = [[row[0], row[1], row[3]] for row in table.rows]
    head = [table.head[0], table.head[1], table.head[3]]
    print_table(head, rows, title=say("parameters"), numbers_from=2, sections=(len(rows) - 2,))
    typer.echo(size_sentence(found))
    typer.echo(bias_sentence(found) or "")
    typer.echo(say("source", module=found.module, source=found.source))
    typer.echo(say("kernels"))


def _print_equations(found: "CellExplanation", title: str, equations: "Sequence[Equation]") -> None:
    from rich.console import Console

    from throughtime.cli.results import print_table

    say = found.label
    if Console().width >= _WIDE:
        rows = [[f"{row.notes or '–'}", row.ours, f"{row.place}"] for row in equations]
        print_table([say("notes"), say("ours"), say("where")], rows, title=title, numbers_from=3)
        for row in equations:
            if row.role:
                typer.echo(f"  {row.letter:3s} {row.role}")
        typer.echo("")
        return
    typer.echo(title)
    for row in equations:
        typer.echo(f"\n  {row.ours}{f'    {row.role}' if row.role else ''}")
        if row.notes:
            typer.echo(f"    {say('notes')}: {row.notes}")
        typer.echo(f"    {row.place}: {row.place.code}")
    typer.echo("")
