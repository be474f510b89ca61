"""`throughtime inspect`: a trained model, and its gradients on some data."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run
from throughtime.cli.inspect import _health
from throughtime.errors import ArgumentError
from throughtime.tasks import Estimator, Forecaster


def test_a_model_is_shown(capsys: pytest.CaptureFixture[str], model: Path):
    ended = run(capsys, "inspect", model)
    assert ended.status == 0
    forecaster = Forecaster.load(model)
    assert f"forecast model, {forecaster.n_parameters_:,} parameters" in ended.out
    for word in ("GRU(", "Linear(", "native", "horizon", "validation_loss", "torch"):
        assert word in ended.out
    assert "Gradients" not in ended.out


def test_gradients_are_shown_and_drawn(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    ended = run(capsys, "inspect", model, data, "--plot", tmp_path / "g.png")
    assert ended.status == 0
    assert "Gradients along time" in ended.out
    assert "encoder.stack.layers.0 layer 0: the gradient reaches back over all 6 steps" in ended.out
    assert f"Wrote {tmp_path / 'g.png'}." in ended.out
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


def test_json(capsys: pytest.CaptureFixture[str], model: Path, data: Path):
    told = json.loads(run(capsys, "inspect", model, data, "--json").out)
    assert told["task"] == "forecast"
    assert (
        told["parameters"] == Forecaster.load(model).n_parameters_ == sum(row["parameters"] for row in told["layers"])
    )
    assert told["bytes"] == sum(path.stat().st_size for path in model.iterdir())
    (layer,) = told["gradient_health"]["layers"]
    assert (layer["module"], layer["memory"], layer["steps"], len(layer["dh"])) == ("encoder.stack.layers.0", 6, 6, 6)
    assert layer["dh"][0] > 0
    assert told["gradient_health"]["nonfinite"] is None
    assert json.loads(run(capsys, "inspect", model, "--json").out) == told | {"gradient_health": None}


def test_the_same_twice(capsys: pytest.CaptureFixture[str], model: Path, data: Path):
    first, second = (run(capsys, "inspect", model, data, "--json").out for _ in range(2))
    assert first == second


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    missing = tmp_path / "none"
    assert str(missing) in run(capsys, "inspect", missing).refused()
    assert "nothere.csv" in run(capsys, "inspect", model, tmp_path / "nothere.csv").refused()
    assert "got none for g.png" in run(capsys, "inspect", model, "--plot", "g.png").refused()
    assert "'g.pdf'" in run(capsys, "inspect", model, data, "--plot", "g.pdf").refused()
    assert "got 0" in run(capsys, "inspect", model, "--threads", 0).refused()


def test_too_little_data_is_one_line(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    table = tmp_path / "short.csv"
    table.write_text("unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2\n")
    assert "got 2" in run(capsys, "inspect", model, table).refused()


def test_gradients_are_of_forecasts_alone():
    class Other(Estimator):
        task = "other"

    with pytest.raises(ArgumentError, match="got a model of task 'other'"):
        _health(Other(), Path("x.csv"))
