"""A cell's explanation as a page in one file: equations side by side, shapes, and the layer unrolled."""

import os
from collections.abc import Sequence
from pathlib import Path

from throughtime.nn.layers import LAYERS
from throughtime.report.explanation import CellExplanation, Equation
from throughtime.report.html import Drawing, Page, Section, Table, write_page
from throughtime.report.unrolled import unrolled_figure

__all__ = ["bias_sentence", "explanation_page", "size_sentence"]


def explanation_page(path: str | os.PathLike[str], found: CellExplanation) -> Path:
    """Write it as HTML; it refers to nothing outside of itself.

    Returns:
        The path written.

    Raises:
        ArgumentError, DataError, MissingExtraError: as `throughtime.report.check_report_target`.
    """
    say = found.label
    remarks = list(found.remarks)
    figure = unrolled_figure(LAYERS[found.name](found.input_size, found.hidden_size), letters="notes")
    sections = [
        Section(say("forward"), tables=[_equations(found, found.forward, roles=True)]),
        *([Section(say("erratum"), [found.erratum])] if found.erratum else []),
        Section(say("backward"), remarks, tables=[_equations(found, found.backward, roles=False)]),
        Section(say("unrolled"), drawings=[Drawing(figure, label=say("unrolled"))]),
        Section(say("shapes"), tables=[Table(shape_rows(found))]),
        Section(
            say("parameters"), [size_sentence(found)], tables=[parameter_table(found)], after=bias_sentence(found) or ""
        ),
    ]
    page = Page(
        found.title,
        sections,
        subtitle=found.what,
        tiles=[
            (say("layer"), found.layer),
            (say("cell"), found.module),
            (f"{say('parameters')} (I = {found.input_size}, H = {found.hidden_size})", f"{found.numbers:,}"),
        ],
        lang={"zh": "zh-Hans"}.get(found.language, found.language),
        note=f"{say('source', module=found.module, source=found.source)} {say('kernels')}",
    )
    return write_page(path, page)


def shape_rows(found: CellExplanation) -> list[list[str]]:
    """Letters, shapes and what they are."""
    say = found.label
    return [
        ["x", "(B, I)", say("x")],
        [", ".join(f"{name}, {name}′" for name in found.states), "(B, H)", say("state")],
        [", ".join(gate for gate in found.gates if gate not in found.states) or "h", "(B, H)", say("gate")],
    ]


def size_sentence(found: CellExplanation) -> str:
    """The sizes that are counted with."""
    return found.label("size", I=found.input_size, H=found.hidden_size, G=len(found.gates))


def bias_sentence(found: CellExplanation) -> str | None:
    """How the count goes with the notes' one bias; None for cells that the notes do not have."""
    if "layer_norm" in found.module:
        return None
    key = "two_biases" if found.name == "gru" else "one_bias"
    return found.label(key, count=found.numbers_with_one_bias)


def parameter_table(found: CellExplanation) -> Table:
    """A row a parameter, and their sum."""
    say = found.label
    rows = [[p.name, p.letters, f"{p.shape}", f"{p.numbers:,}"] for p in found.parameters]
    rows.append([say("total"), "", "", f"{found.numbers:,}"])
    return Table(rows, [say("name"), say("shape"), "", say("numbers")], numbers=True, marked=frozenset({len(rows) - 1}))


def _equations(found: CellExplanation, equations: Sequence[Equation], *, roles: bool) -> Table:
    say = found.label
    rows = [
        [
            row.letter,
            *([row.role] if roles else []),
            row.notes or "–",
            row.ours,
            f"{row.place}",
            row.place.code,
        ]
        for row in equations
    ]
    head = [say("letter"), *([say("role")] if roles else []), say("notes"), say("ours"), say("where"), say("code")]
    return Table(rows, head, wide=True)
