"""The waves benchmark, made small: it trains, says whether the target is met, and goes on where it was interrupted."""

import importlib
import json
import sys

import pytest

from tests.structure.tree import ROOT


@pytest.fixture
def waves(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "quality"))
    yield importlib.import_module("waves")
    for name in ("waves", "common"):
        sys.modules.pop(name, None)


def start(waves, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["waves", "--sizes", "12", "6", "6", "--epochs", "1", *map(str, words)])
    waves.main()


def test_waves_made_small(waves, monkeypatch, tmp_path, capsys):
    out = tmp_path / "waves.json"
    start(waves, monkeypatch, "--strategy", "direct", "--seeds", 0, "--out", out)
    first = json.loads(out.read_text())["runs"]
    assert [(row["strategy"], row["seed"]) for row in first] == [("direct", 0)]
    capsys.readouterr()

    start(waves, monkeypatch, "--strategy", "direct", "--seeds", 0, 1, "--out", out)
    runs = json.loads(out.read_text())["runs"]
    assert runs[0] == first[0]
    assert [row["seed"] for row in runs] == [0, 1]
    mean = sum(row["mse"]["test"] for row in runs) / 2
    assert f"direct, mean of 2 seeds: test {mean:.5f} (at most 0.0014: MISSED" in capsys.readouterr().out

    start(waves, monkeypatch, "--strategy", "direct", "--seeds", 0, "--data-seed", 1, "--out", out)
    assert "made with other settings" in capsys.readouterr().out
    assert json.loads(out.read_text())["runs"][0]["mse"] != first[0]["mse"]
