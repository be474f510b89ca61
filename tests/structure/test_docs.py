"""Pages do not lie: links lead somewhere, `make` targets exist, and Python blocks run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.tree import ROOT, show, texts

LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"`make ([a-z][\w-]*)`")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))  # decision records show designs, not programs


def broken_links(text: str, folder: Path) -> list[str]:
    """Every relative link whose file is not there, or whose heading is not in it."""
    found = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = folder / name
        if not target.exists() or (anchor and anchor not in headings(target.read_text() if name else text)):
            found.append(link)
    return found


def headings(text: str) -> set[str]:
    """The anchors that headings get: lower case, punctuation dropped, blanks to hyphens."""
    return {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.+?) *$", text, re.MULTILINE)
    }


def blocks(text: str, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(text) if found == language]


RUN = [path for path in PAGES if blocks(path.read_text(), "python")]


@pytest.mark.parametrize("path", sorted(texts(".md")), ids=show)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path.read_text(), path.parent) == []


def test_make_targets_named_in_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for text in texts(".md").values() for target in TARGET.findall(text)}
    assert {"demo", "test", "lint", "help"} <= targets
    assert named - targets == set()


def test_the_pages_with_code_are_found() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/training.md"} <= {show(path) for path in RUN}
    assert ROOT / "docs" / "gradients.md" in RUN


@pytest.mark.parametrize("path", RUN, ids=show)
def test_python_blocks_run(path: Path, tmp_path: Path) -> None:
    """The blocks of a page, one after another in one interpreter, warnings as errors."""
    code = "\n".join(blocks(path.read_text(), "python"))
    script = tmp_path / "page.py"
    script.write_text("import torch\ntorch.set_num_threads(1)\n" + code)
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_fits_two_screens_and_shows_code_early() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert any(line.startswith("```") for line in lines[:35])


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# One heading: here\n")
    text = "# Top\n[a](page.md) [b](page.md#one-heading-here) [c](#top) [d](https://example.org/x) ![e](page.md)"
    assert broken_links(text, tmp_path) == []
    assert broken_links("[a](missing.md) [b](page.md#no) [c](#no)", tmp_path) == ["missing.md", "page.md#no", "#no"]


def test_blocks_are_read() -> None:
    text = "```python\na = 1\n```\n\n```console\n$ ls\n```\n\n```python\nb = a\n```\n"
    assert blocks(text, "python") == ["a = 1\n", "b = a\n"]
