"""A page in one file: sections of text, tables and figures, readable on a phone and in the dark, without a network."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughtime._atomic import check_writable, replacing
from throughtime._extras import require
from throughtime.errors import ArgumentError
from throughtime.report.style import COLOURS
from throughtime.report.svg import DARK, LIGHT, inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Page", "Section", "Table", "check_report_target", "figures_table", "swatch", "write_page"]

_TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Drawing:
    """A figure with what stands above it."""

    figure: "Figure"
    caption: str = ""
    note: str = ""
    """Behind the caption, in grey."""
    label: str = ""
    """What it shows, for those who do not see it; "": the caption."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of each is its name."""

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()
    numbers: bool = False
    """All cells but the names are numbers, set to the right."""
    wide: bool = False
    """Cells keep a width that can be read: on a phone the table scrolls."""
    best: frozenset[tuple[int, int]] = frozenset()
    """Cells set bold: row and column, the name's column being 0."""
    marked: frozenset[int] = frozenset()
    """Rows whose name is set bold."""
    title: str = ""
    folded: bool = False
    """Shown when the title is touched."""


@dataclass(frozen=True)
class Section:
    """A heading with what belongs to it, in this order."""

    title: str
    texts: Sequence[str] = ()
    legend: Sequence[tuple[str, str]] = ()
    """Label and swatch of each kind of line in the figures; see `swatch`."""
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    after: str = ""


@dataclass(frozen=True)
class Page:
    """Everything on it, as plain text: it is escaped when it is written."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    verdict: str = ""
    good: bool = True
    """Whether the verdict is good news."""
    tiles: Sequence[tuple[str, str]] = field(default=())
    """The few numbers to see first: name and value."""
    lang: str = "en"
    """Of its words, as HTML names languages."""
    note: str = ""
    """Below everything, in grey."""


def check_report_target(path: str | os.PathLike[str]) -> None:
    """Refuse a report's path that cannot be written, before any work is done.

    Raises:
        ArgumentError: another suffix than .html.
        DataError: the path cannot be written.
        MissingExtraError: matplotlib or Jinja is not installed.
    """
    for package in ("matplotlib", "jinja2"):
        require(package, extra="plots")
    if Path(path).suffix.lower() != ".html":
        raise ArgumentError(
            f"report: expected a file name that ends in .html, got {os.fspath(path)!r}; rename the output"
        )
    check_writable(path)


def write_page(path: str | os.PathLike[str], page: Page) -> Path:
    """Write the page, whole or not at all. It refers to nothing outside of itself.

    Raises:
        ArgumentError, DataError, MissingExtraError: as `check_report_target`.
    """
    check_report_target(path)
    target = Path(path)
    text = _render(page)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def figures_table(rows: Mapping[str, Mapping[str, float]], columns: Sequence[str], *, first: str = "model") -> Table:
    """A row a model, a column a figure, four significant digits; the least of each column is bold, as is the first row.

    A figure that is not finite, or not there, is a dash.
    """
    best = set()
    for j, column in enumerate(columns, 1):
        values = [row.get(column, math.nan) for row in rows.values()]
        finite = [value for value in values if math.isfinite(value)]
        best |= {(i, j) for i, value in enumerate(values) if finite and value == min(finite)}
    return Table(
        rows=[[name, *(_number(row.get(column, math.nan)) for column in columns)] for name, row in rows.items()],
        head=[first, *columns],
        numbers=True,
        best=frozenset(best),
        marked=frozenset({0}),
    )


def swatch(kind: str | int) -> str:
    """A short line as the figures draw it: "ink", "quiet", "baseline", "band", or the number of a colour."""
    if kind == "band":
        return '<svg viewBox="0 0 32 12" aria-hidden="true"><path d="M0 6H32" stroke="var(--line0)" stroke-opacity=".3" stroke-width="10"/></svg>'  # noqa: E501
    dashes: Any = "-"
    name = str(kind)
    if isinstance(kind, int):
        name, dashes = f"line{kind % len(COLOURS)}", COLOURS[kind % len(COLOURS)][1]
    elif kind == "baseline":
        dashes = (0, (1.5, 1.5))
    pattern = "" if dashes == "-" else f' stroke-dasharray="{" ".join(f"{2 * n:g}" for n in dashes[1])}"'
    return (
        f'<svg viewBox="0 0 32 12" aria-hidden="true"><path d="M0 6H32" stroke="var(--{name})" stroke-width="2"'
        f"{pattern}/></svg>"
    )


def _render(page: Page) -> str:
    jinja = require("jinja2", extra="plots")
    markup = require("markupsafe", extra="plots").Markup
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    drawn = 0
    sections = []
    for section in page.sections:
        figures = []
        for drawing in section.drawings:
            drawn += 1
            svg = inline_svg(drawing.figure, drawing.label or drawing.caption, f"figure{drawn}")
            # What matplotlib wrote is markup; every word of the user's in it went through its own escaping.
            figures.append({"svg": markup(svg), "caption": drawing.caption, "note": drawing.note})
        legend = [{"label": label, "swatch": markup(line)} for label, line in section.legend]
        sections.append(
            {
                "title": section.title,
                "texts": section.texts,
                "legend": legend,
                "figures": figures,
                "tables": section.tables,
                "after": section.after,
            }
        )
    from throughtime import __version__

    shown = {
        "title": page.title, "subtitle": page.subtitle, "verdict": page.verdict, "good": page.good,
        "tiles": page.tiles, "sections": sections, "lang": page.lang, "note": page.note,
    }  # fmt: skip
    text: str = environment.get_template(_TEMPLATE).render(page=shown, light=LIGHT, dark=DARK, version=__version__)
    return text


def _number(value: float) -> str:
    return f"{value:#.4g}".rstrip(".") if math.isfinite(value) else "–"
