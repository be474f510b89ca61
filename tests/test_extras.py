"""An optional dependency that is missing is one line with the command that installs it."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from tests.structure.tree import ROOT, modules
from throughtime import _extras
from throughtime.errors import MissingExtraError


def test_an_installed_module_comes_back() -> None:
    assert _extras.require("json.decoder", extra="cli") is sys.modules["json.decoder"]


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_a_missing_package_names_itself_and_the_command(module: str) -> None:
    message = r"package no_such_package, .*pip install 'throughtime\[frames\]'$"
    with pytest.raises(MissingExtraError, match=message) as caught:
        _extras.require(module, extra="frames")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_package_that_misses_a_part_of_its_own_is_not_called_missing(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "half_installed.py").write_text("import its_own_missing_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_own_missing_dependency") as caught:
        _extras.require("half_installed", extra="frames")
    assert not isinstance(caught.value, MissingExtraError)


def test_every_extra_that_the_code_names_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        keyword.value.value
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Constant)
    }
    assert named, "no call names an extra"
    assert named - set(extras) == set()
