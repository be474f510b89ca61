"""A figure as SVG inside a page: its colours follow the page, so that one figure serves a light and a dark one."""

import html
import io
import re
from typing import TYPE_CHECKING

from throughtime.report.style import BASELINE, COLOURS, GRID, INK, QUIET_INK, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK", "LIGHT", "inline_svg"]

# Colour of a figure -> name of the page's variable.
_NAMES = {
    INK: "ink",
    QUIET_INK: "quiet",
    BASELINE: "baseline",
    GRID: "grid",
    RULE: "rule",
    "#ffffff": "page",
    "#000000": "ink",
    **{colour.lower(): f"line{i}" for i, (colour, _) in enumerate(COLOURS)},
}
LIGHT = {
    "page": "#ffffff", "panel": "#f6f7f9", "ink": INK, "quiet": QUIET_INK, "baseline": BASELINE, "grid": GRID,
    "rule": RULE, **{f"line{i}": colour for i, (colour, _) in enumerate(COLOURS)},
}  # fmt: skip
"""The page's variables on a light screen."""
# The same hues, lighter: 4.5 : 1 against the page at least.
DARK = {
    "page": "#14171c", "panel": "#1d2229", "ink": "#e8eaed", "quiet": "#a4abb6", "baseline": "#9aa0a8",
    "grid": "#2c323b", "rule": "#4b535f", "line0": "#5ab4f0", "line1": "#ff8b47", "line2": "#2fc79b",
    "line3": "#e59ac6", "line4": "#f0b429",
}  # fmt: skip
"""The same on a dark one."""


def inline_svg(figure: "Figure", label: str, key: str) -> str:
    """The figure as an `<svg>` element without ids of its own but those that it refers to.

    Args:
        label: what it shows, for those who do not see it; it is escaped here.
        key: told apart from every other figure of the page, so that no two share an id.
    """
    import matplotlib as mpl

    drawn = io.StringIO()
    # For the length of this call; text stays text, and ids follow from the content.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue()
    head = re.search(r"<svg [^>]*viewBox=\"([-0-9. ]+)\"[^>]*>", text)
    assert head is not None
    body = text[head.end() :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", body, flags=re.DOTALL)
    wanted = {*re.findall(r"url\(#([^)]+)\)", body), *re.findall(r"href=\"#([^\"]+)\"", body)}
    body = re.sub(r" id=\"([^\"]*)\"", lambda found: found[0] if found[1] in wanted else "", body)
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = re.sub(r"#[0-9a-fA-F]{6}(?=[;\"])", _variable, body)
    body = re.sub(r" d=\"[^\"]*\"", _shortened, body)
    body = re.sub(r"\s*\n\s*", " ", body)
    return f'<svg viewBox="{head[1]}" role="img" aria-label="{html.escape(label)}">{body.strip()}'


def _shortened(found: re.Match[str]) -> str:
    """A path in hundredths of a pixel; other numbers, those of the labels above all, stay as they are."""
    return re.sub(r"(?<=[0-9])(\.[0-9]{2})[0-9]+", r"\1", found[0])


def _variable(found: re.Match[str]) -> str:
    name = _NAMES.get(found[0].lower())
    return found[0] if name is None else f"var(--{name})"
