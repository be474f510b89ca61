"""An oracle that looks at what it judges judges nothing: it imports NumPy, the standard library and itself."""

import ast
import sys
from pathlib import Path

import pytest

FILES = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports(path):
    foreign = {
        name
        for name in imported(path)
        if name.split(".")[0] not in {"numpy", *sys.stdlib_module_names} and not name.startswith("tests.oracles")
    }
    assert foreign == set()


def test_all_files_are_looked_at():
    assert {"cells", "network", "layout", "batch", "deep"} <= {path.stem for path in FILES}
    assert "numpy" in imported(Path(__file__).parent / "cells.py")
