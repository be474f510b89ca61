"""All about a classifier's evaluation on one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from throughtime.cli.classify import figures

if TYPE_CHECKING:
    from throughtime.tasks.classify import ClassEvaluation

__all__ = ["write"]


def write(path: Path, found: "ClassEvaluation", names: Sequence[str], what: str) -> None:
    """Write the page: figures, confusion, calibration, labels."""
    from throughtime.report.confusion import confusion_figure
    from throughtime.report.html import Drawing, Page, Section, Table, write_page
    from throughtime.report.reliability import reliability_figure

    outcome, *others = found.sentences()
    columns, rows = figures(found)
    sections = [Section("Beside simple models", others, tables=[Table(rows, columns, numbers=True)])]
    if found.model.confusion is not None:
        drawing = Drawing(confusion_figure(found.model.confusion, names), "Labels found, by true label")
        sections.append(Section("What is taken for what", drawings=[drawing]))
    drawing = Drawing(
        reliability_figure(*found.reliability, name="labels" if found.kind == "several" else "texts"),
        "How often predictions were right, by their probability",
    )
    sections.append(Section("Whether probabilities mean what they say", drawings=[drawing]))
    by_label = [
        [str(label), *(f"{x:.2f}" for x in (s.precision, s.recall, s.f1)), str(s.true), str(s.found)]
        for label, s in found.model.labels.items()
    ]
    head = ["label", "precision", "recall", "F1", "true", "found"]
    sections.append(Section("Label by label", tables=[Table(by_label, head, numbers=True)]))
    tiles = [
        ("accuracy", f"{found.model.accuracy:.2f} %"),
        ("macro F1", f"{found.model.macro_f1:.2f} %"),
        ("calibration error", f"{found.calibration_error:.3f}"),
    ]
    if found.model.distance is not None:
        tiles.append(("off by", f"{found.model.distance:.3f}"))
    write_page(
        path,
        Page(
            "What texts are", sections, subtitle=f"{found.texts} texts of {what}", verdict=outcome,
            good=found.beats_baselines, tiles=tiles,
        ),
    )  # fmt: skip
