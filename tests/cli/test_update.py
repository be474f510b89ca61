"""`throughtime update`: what was observed since, without training again."""

import json
from pathlib import Path

import pytest

from tests.cli.command import files, rows, run, write_series
from throughtime.tasks import Forecaster


def dates(capsys: pytest.CaptureFixture[str], model: Path) -> list[tuple[str, str]]:
    return [(row["unique_id"], row["ds"]) for row in json.loads(run(capsys, "predict", model, "--json").out)]


def test_forecasts_go_on_from_what_came(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    before = files(model)
    july = write_series(tmp_path / "july.csv", rows(5, "a", "2020-02-10"))
    ended = run(capsys, "update", model, july, "--out", tmp_path / "m")
    assert ended.status == 0, ended.err
    assert "5 values of 1 series taken in (0 of them new); the last is of 2020-02-14." in ended.out
    assert f"throughtime predict {tmp_path / 'm'}" in ended.out
    assert dates(capsys, tmp_path / "m") == [("a", f"2020-02-{day}") for day in (15, 16, 17)]
    assert files(model) == before
    old, new = (Forecaster.load(path) for path in (model, tmp_path / "m"))
    weights = zip(old.model_.state_dict().values(), new.model_.state_dict().values(), strict=True)
    assert all(bool((a == b).all()) for a, b in weights), "nothing was trained"


def test_it_writes_into_the_model_itself_and_takes_new_series(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path
):
    Forecaster.load(model).save(tmp_path / "m")
    table = write_series(tmp_path / "more.csv", rows(12, "b", "2021-01-01"))
    ended = run(capsys, "update", tmp_path / "m", table)
    assert "12 values of 1 series taken in (1 of them new)" in ended.out
    assert dates(capsys, tmp_path / "m")[3] == ("b", "2021-01-13")
    assert run(capsys, "update", tmp_path / "m", table, "--quiet").out == ""


def test_bad_input_leaves_the_model_alone(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    before = files(model)
    weekly = write_series(tmp_path / "w.csv", ["a,2020-02-10,1", "a,2020-02-17,x"])
    assert "'x'" in run(capsys, "update", model, weekly).refused()
    assert "nothere.csv" in run(capsys, "update", model, tmp_path / "nothere.csv").refused()
    assert "none" in run(capsys, "update", tmp_path / "none", weekly).refused()
    half = write_series(tmp_path / "h.csv", ["a,2020-02-10 12:00,1", "a,2020-02-11 12:00,1"])
    assert "12:00" in run(capsys, "update", model, half).refused()
    assert files(model) == before
