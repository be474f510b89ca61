"""`throughtime evaluate`: the model beside simple forecasts."""

import json
from pathlib import Path

import pytest

from tests.cli.command import rows, run, write_series
from throughtime.data import read_series_file
from throughtime.tasks import Forecaster


def test_table_and_sentence(capsys: pytest.CaptureFixture[str], model: Path, data: Path):
    ended = run(capsys, "evaluate", model, data, "--windows", 2)
    assert ended.status == 0
    assert "3 steps ahead, 2 origins in each of 1 series" in ended.out
    for word in ("MSE", "MAE", "sMAPE", "MASE", "throughtime", "naive", "seasonal naive", "linear"):
        assert word in ended.out
    forecaster = Forecaster.load(model)
    found = forecaster.evaluate(read_series_file(data).to_frame(), n_windows=2)
    assert found.sentence in ended.out
    assert "does not beat" in found.sentence, "a net of four units after one epoch"
    assert f"{found.metrics['naive']['MAE']:#.4g}" in ended.out


def test_json(capsys: pytest.CaptureFixture[str], model: Path, data: Path):
    told = json.loads(run(capsys, "evaluate", model, data, "--windows", 2, "--step", 1, "--json").out)
    found = Forecaster.load(model).evaluate(read_series_file(data).to_frame(), n_windows=2, step_size=1)
    assert told == json.loads(json.dumps(found.as_dict()))
    assert told["n_windows"] == 2


def test_plot_of_many_series(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    lines = [row for i in range(8) for row in rows(30 + i, f"shop {i}")]
    table = write_series(tmp_path / "many.csv", lines)
    ended = run(capsys, "evaluate", model, table, "--plot", tmp_path / "e.png")
    assert f"Wrote {tmp_path / 'e.png'}." in ended.out
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("option", "value"), [("--windows", 0), ("--windows", -2), ("--step", 0), ("--threads", 0)])
def test_counts_below_one_are_refused(
    capsys: pytest.CaptureFixture[str], model: Path, data: Path, option: str, value: int
):
    assert f"got {value}" in run(capsys, "evaluate", model, data, option, value).refused()


def test_more_windows_than_the_data_hold(capsys: pytest.CaptureFixture[str], model: Path, data: Path):
    line = run(capsys, "evaluate", model, data, "--windows", 30).refused()
    assert "got 40 in series 'a'" in line
