"""Results on stdout: tables for people, JSON for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["metric_rows", "print_json", "print_table"]

_DASH = "–"


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    numbers_from: int = 1,
    sections: Sequence[int] = (),
) -> None:
    """Print a table.

    Args:
        numbers_from: columns from this one on are numbers, set to the right.
        sections: rows after which a line is drawn.
    """
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= numbers_from else "left", overflow="fold")
    for index, row in enumerate(rows):
        table.add_row(*row, end_section=index in sections)
    Console(highlight=False, markup=False).print(table)


def metric_rows(metrics: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> list[list[str]]:
    """A row a model, a column a metric, four significant digits; an asterisk at the best of each column."""
    best = {}
    for column in columns:
        values = [row[column] for row in metrics.values() if math.isfinite(row[column])]
        best[column] = min(values, default=math.nan)
    return [
        [model, *(_number(row[column]) + ("*" if row[column] == best[column] else " ") for column in columns)]
        for model, row in metrics.items()
    ]


def print_json(value: Any) -> None:
    """Print strict JSON: a number that is not finite becomes null, a date its ISO text."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return _DASH
    return f"{value:#.4g}".rstrip(".")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
