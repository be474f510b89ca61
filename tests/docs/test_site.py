"""The site: built from docs/ with nothing left unlinked, and it fetches nothing when it is read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.tree import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the documentation's tools: pip install -c constraints.txt --group docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_nothing_is_fetched(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        fetched += re.findall(
            r'<link[^>]* rel="(?:stylesheet|preload|icon|preconnect)"[^>]* href="(https?:[^"]+)"', text
        )
        assert fetched == [], page


@pytest.mark.slow
def test_programs_equations_and_messages_are_there(site: Path) -> None:
    chinese = (site / "learn/zh/vanishing.html").read_text(encoding="utf-8")
    assert 'lang="zh-Hans"' in chinese
    assert "gradient_plot" in chinese
    assert "--8" not in chinese
    assert "(2) z" in (site / "reference/nn.html").read_text(encoding="utf-8")
    assert "expected a cell among" in (site / "errors.html").read_text(encoding="utf-8")
    shown = (site / "repository/src/throughtime/cells/gru.py.html").read_text(encoding="utf-8")
    assert "torch.sigmoid" in re.sub(r"<[^>]+>", "", shown)
