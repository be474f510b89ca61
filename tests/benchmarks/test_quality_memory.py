"""The memory benchmarks, made small: they train, write, draw, and go on where they were interrupted."""

import importlib
import json
import math
import sys

import pytest
import torch

from tests.structure.tree import ROOT
from throughtime.nn import GRU, LSTM


@pytest.fixture
def script(monkeypatch):
    """A script of benchmarks/quality by its name, as if it were started from there."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "quality"))
    yield importlib.import_module
    for name in ("common", "long_memory", "agreement"):
        sys.modules.pop(name, None)


def start(module, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


def test_long_memory_made_small(script, monkeypatch, tmp_path, capsys):
    module, out = script("long_memory"), tmp_path / "found.json"
    for name, value in {"STEPS": 8, "HIDDEN": 4, "BATCH": 3, "MOST_STEPS": 4, "WINDOW": 2}.items():
        monkeypatch.setattr(module, name, value)
    start(module, monkeypatch, "--seeds", 0, "--cell", "rnn", "lstm", "--out", out)
    first = json.loads(out.read_text())["runs"]
    assert [(row["cell"], row["start"], row["steps"]) for row in first] == [("rnn", "plain", 4)] * 3 + [
        ("lstm", "plain", 4),
        ("lstm", "long", 4),
    ]
    assert all(len(row["curve"]) == 2 and math.isfinite(row["test_mse"]) and not row["solved"] for row in first)
    assert out.with_suffix(".png").stat().st_size > 1000

    start(module, monkeypatch, "--seeds", 0, "--out", out)  # only what was not measured before
    runs = json.loads(out.read_text())["runs"]
    assert runs[: len(first)] == first
    assert [row["cell"] for row in runs[len(first) :]] == ["gru", "gru"]

    monkeypatch.setattr(module, "HIDDEN", 5)
    capsys.readouterr()
    start(module, monkeypatch, "--seeds", 0, "--cell", "gru", "--out", out)
    assert "made with other settings" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["runs"]) == 2


def test_long_memory_ends_a_run_where_it_is_enough(script, monkeypatch):
    module = script("long_memory")
    for name, value in {"STEPS": 8, "HIDDEN": 4, "BATCH": 3, "MOST_STEPS": 8, "WINDOW": 2, "ENOUGH": 9.0}.items():
        monkeypatch.setattr(module, name, value)
    row = module.run(module.CASES[0], 0, module.TensorSource(*map(torch.from_numpy, module.adding(4, 8, 1))))
    assert row["steps"] == 2


def test_every_training_sequence_of_long_memory_is_one_of_its_own(script, monkeypatch):
    module = script("long_memory")
    monkeypatch.setattr(module, "STEPS", 8)
    source = module.DrawnWhenAsked(5, seed=2)
    (x, y), (again, _) = source.batch(torch.tensor([0, 3])), source.batch(torch.tensor([3]))
    assert (x.shape, y.shape, len(source)) == ((2, 8, 2), (2, 1), 5)
    assert torch.equal(x[1], again[0])
    numbers = torch.cat([module.DrawnWhenAsked(5, seed).batch(torch.arange(5))[0][:, :, 0] for seed in (0, 1, 2)])
    assert len(numbers.unique()) == numbers.numel()


def test_agreement_made_small(script, monkeypatch, tmp_path, capsys):
    module, out = script("agreement"), tmp_path / "found.json"
    small = {"SENTENCES": 40, "MIXED_SENTENCES": 40, "TEST_SENTENCES": 20, "EPOCHS": 1, "DISTANCES": (2, 8)}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    start(module, monkeypatch, "--seeds", 0, "--out", out)
    content = json.loads(out.read_text())
    assert [row["label"] for row in content["runs"]] == [case.label for case in module.CASES]
    assert all(
        list(row["accuracy"]) == ["2", "8"] and 0 <= row["accuracy"]["8"] <= 1 and row["cpu_minutes"] >= 0
        for row in content["runs"]
    )
    assert out.with_suffix(".png").stat().st_size > 1000
    capsys.readouterr()
    start(module, monkeypatch, "--seeds", 0, "--out", out)
    assert "seed 0" not in capsys.readouterr().out  # nothing is measured again
    assert json.loads(out.read_text()) == content


@pytest.mark.parametrize(("layer", "gates"), [(LSTM(2, 50), {"i": -1, "f": 1}), (GRU(2, 50), {"z": 1})])
def test_gates_that_begin_open(script, layer, gates):
    """exp b, for how many steps a unit keeps, is spread over 1 to steps − 1; the other gates are as they were drawn."""
    torch.manual_seed(0)
    script("common").open_to_the_past(layer, 100)
    bias = dict(zip(layer.cell.gates, (layer.bias_ih_l0 + layer.bias_hh_l0).detach().split(50), strict=True))
    for gate, sign in gates.items():
        kept = (sign * bias[gate]).exp()
        assert 1 <= kept.min() < 12
        assert 88 < kept.max() <= 99
    if "i" in gates:
        assert torch.equal(bias["i"], -bias["f"])
    others = [bias[gate] for gate in bias if gate not in gates]
    assert all((b.abs() <= 2 / math.sqrt(50)).all() and (b != 0).all() for b in others)
