"""`--holidays FILE`: from training to forecasts of days that were told later."""

import json
from pathlib import Path

import pytest

from tests.cli.command import QUICK, files, rows, run, write_series
from throughtime.cli import main
from throughtime.tasks import Forecaster


def holidays(path: Path, *days: str) -> Path:
    path.write_text("\n".join(["ds", *days, ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on 60 days from 2020-01-01 on, with two holidays."""
    folder = tmp_path_factory.mktemp("holidays")
    table, known = write_series(folder / "sales.csv", rows(60)), holidays(folder / "h.csv", "2020-01-06", "2020-02-24")
    words = ["train", "forecast", table, "--horizon", 3, "--out", folder / "m", "--holidays", known, "--quiet", *QUICK]
    assert main([str(word) for word in words]) == 0
    return folder / "m"


def forecasts(capsys: pytest.CaptureFixture[str], *words: object) -> list[float]:
    ended = run(capsys, "predict", *words, "--json")
    assert ended.status == 0, ended.err
    return [row["forecast"] for row in json.loads(ended.out)]


def test_days_told_later_change_the_forecast_of_theirs(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, model: Path, tmp_path: Path
):
    later = holidays(tmp_path / "later.csv", "2020-03-02")
    before = files(model)
    plain = forecasts(capsys, model)  # of 2020-03-01 to 03
    assert "holidays after 2020-02-29, where the forecast begins, got none after 2020-02-24" in caplog.text
    caplog.clear()
    told = forecasts(capsys, model, "--holidays", later)
    assert not caplog.records
    assert told != plain
    assert files(model) == before, "told for once"
    newer = write_series(tmp_path / "more.csv", rows(1, "a", "2020-03-01"))
    assert run(capsys, "update", model, newer, "--holidays", later, "--out", tmp_path / "m").status == 0
    kept = Forecaster.load(tmp_path / "m").inputs_
    assert kept is not None
    assert kept.holidays is not None
    assert kept.holidays.dates == {"holiday": ("2020-01-06", "2020-02-24", "2020-03-02")}


def test_evaluate_reads_them_too(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    table, later = write_series(tmp_path / "s.csv", rows(63)), holidays(tmp_path / "later.csv", "2020-03-02")
    found = [
        json.loads(run(capsys, "evaluate", model, table, *words, "--json").out)["metrics"]["throughtime"]["MAE"]
        for words in ((), ("--holidays", later))
    ]
    assert found[0] != found[1]


def test_holidays_that_cannot_be(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    wrong = holidays(tmp_path / "w.csv", "2020-02-30")
    refused = run(capsys, "predict", model, "--holidays", wrong).refused()
    assert "line 2: expected a date such as 2024-12-25, got '2020-02-30'" in refused
    named = tmp_path / "n.csv"
    named.write_text("ds,holiday\n2020-03-02,Diwali\n")
    refused = run(capsys, "predict", model, "--holidays", named).refused()
    assert "among 'holiday', as in training, got 'Diwali'" in refused
    words = ("train", "forecast", write_series(tmp_path / "s.csv"), "--horizon", 3, "--out", tmp_path / "m")
    assert "none.csv" in run(capsys, *words, "--holidays", tmp_path / "none.csv").refused()
    assert not (tmp_path / "m").exists()
