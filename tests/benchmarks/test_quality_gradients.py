"""The benchmark of gradients along time, made small."""

import importlib
import json
import sys

import pytest

from tests.structure.tree import ROOT


@pytest.fixture
def script(monkeypatch):
    """The script as if it were started from its folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "quality"))
    yield importlib.import_module("gradients")
    for name in ("common", "agreement", "gradients"):
        sys.modules.pop(name, None)


def test_made_small(script, monkeypatch, tmp_path, capsys):
    agreement, out = sys.modules["agreement"], tmp_path / "found.json"
    for name, value in {"HIDDEN": 4, "SENTENCES": 8, "MIXED_SENTENCES": 8, "EPOCHS": 1}.items():
        monkeypatch.setattr(agreement, name, value)
    monkeypatch.setattr(script, "TEST_SENTENCES", 6)
    monkeypatch.setattr(script, "DISTANCE", 5)
    monkeypatch.setattr(sys, "argv", ["gradients", "--seeds", "0", "--out", str(out)])
    script.main()
    runs = json.loads(out.read_text())["runs"]
    assert [row["label"] for row in runs] == [case.label for case in script.SHOWN]
    assert {len(row[which]["norms_back"]) for row in runs for which in ("untrained", "trained")} == {7}
    assert all(row["untrained"]["memory"] == 7 for row in runs)
    assert out.with_suffix(".png").stat().st_size > 1000
    before = out.read_text()
    capsys.readouterr()
    script.main()
    assert out.read_text() == before
    assert "seed 0" not in capsys.readouterr().out, "nothing is measured twice"
