"""`throughtime evaluate`: the model beside simple forecasts."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.command import files, rows, run, write_series
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


def test_refit_trains_before_every_origin(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    before, out = files(model), tmp_path / "f.csv"
    ended = run(capsys, "evaluate", model, data, "--windows", 2, "--levels", "50", "--refit", "--out", out)
    assert ended.status == 0, ended.err
    assert "2 origins in each of 1 series, refitted before each" in ended.out
    assert "origin 1 of 2: 1 epochs" in ended.err
    assert "origin 2 of 2: 1 epochs" in ended.err
    assert files(model) == before
    forecaster, series = Forecaster.load(model), read_series_file(data)
    found = forecaster.evaluate(series, n_windows=2, levels=[50], refit=True)
    assert found.refitted
    assert found.seen_windows == 0
    # The same trainings as those of cross_validation, each on what precedes its origin alone.
    wanted = forecaster.cross_validation(series, n_windows=2, levels=[50], refit=True)
    assert found.forecasts.select(wanted.columns).equals(wanted)
    fresh = Forecaster(**forecaster.get_params()).fit(series.cut(3))
    assert found.forecasts["forecast"][3:].to_list() == fresh.predict()["forecast"].to_list()
    assert found.forecasts["linear"][3:].to_list() == fresh.evaluate(series).forecasts["linear"].to_list()
    with out.open() as file:
        assert [float(row["forecast"]) for row in csv.DictReader(file)] == wanted["forecast"].to_list()
    assert run(capsys, "evaluate", model, data, "--refit", "--quiet").err == ""


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


def test_intervals_and_a_file_of_forecasts(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    ended = run(capsys, "evaluate", model, data, "--windows", 2, "--levels", "50", "--out", tmp_path / "f.csv")
    assert ended.status == 0, ended.err
    found = Forecaster.load(model).evaluate(read_series_file(data).to_frame(), n_windows=2, levels=(50,))
    (score,) = found.intervals
    words = " ".join(ended.out.split())
    assert f"50 % {score.coverage:.1f} % {score.width:.4g}" in words
    assert found.sentence in words
    with (tmp_path / "f.csv").open() as file:
        written = list(csv.DictReader(file))
    assert len(written) == 6
    assert {"cutoff", "forecast", "forecast-lo-50", "forecast-hi-50", "naive"} <= set(written[0])


def test_the_report_tells_the_whole_story(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    page = tmp_path / "r.html"
    ended = run(capsys, "evaluate", model, data, "--windows", 3, "--levels", "50", "--report", page)
    assert f"Wrote {page}." in ended.out
    text = page.read_text(encoding="utf-8")
    for words in (
        "sales.csv: 3 steps ahead", "Forecasts from the last origin", "Errors, beside simple forecasts", "Calibration",
        "does not beat", "MAE by step of the horizon", "Loss by epoch", "Gradients", "hidden_size",
        "throughtime train forecast",
    ):  # fmt: skip
        assert words in text, words
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--levels", "0"], "got 0"),
        (["--levels", "99.99"], "up to 60 %"),
        (["--peers", "theta,magic"], "'magic'"),
        (["--out", "f.xls"], "f.xls"),
        (["--report", "r.htm"], "'r.htm'"),
    ],
)
def test_what_cannot_be_measured(
    capsys: pytest.CaptureFixture[str], model: Path, data: Path, words: list[str], said: str
):
    assert said in run(capsys, "evaluate", model, data, *words).refused()
