"""`throughtime predict`: a table for people, JSON and files for machines, a picture."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.command import QUICK, rows, run, write_series
from throughtime.cli import predict


def test_without_data_it_continues_the_training_data(capsys: pytest.CaptureFixture[str], model: Path):
    ended = run(capsys, "predict", model)
    assert ended.status == 0
    assert ended.err == ""
    assert [f"2020-02-{day:02d}" in ended.out for day in (9, 10, 11, 12, 13)] == [False, True, True, True, False]


def test_table_json_and_files_say_the_same(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path):
    shown = json.loads(run(capsys, "predict", model, data, "--json").out)
    assert [row["ds"] for row in shown] == ["2020-02-10", "2020-02-11", "2020-02-12"]
    ended = run(capsys, "predict", model, data, "--out", tmp_path / "f.csv")
    assert ended.out == f"Wrote {tmp_path / 'f.csv'}.\n"
    with (tmp_path / "f.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["forecast"]) for row in written] == [row["forecast"] for row in shown]
    run(capsys, "predict", model, data, "--out", tmp_path / "f.json")
    assert json.loads((tmp_path / "f.json").read_text()) == shown
    table = run(capsys, "predict", model, data).out
    assert all(f"{row['forecast']:.6g}" in table for row in shown)


def test_new_series_and_new_history(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    table = write_series(tmp_path / "new.csv", rows(20, "x", "2024-02-10") + rows(30, "y", "2023-01-01"))
    shown = json.loads(run(capsys, "predict", model, table, "--json").out)
    assert [(row["unique_id"], row["ds"]) for row in shown[::3]] == [("x", "2024-03-01"), ("y", "2023-01-31")]


def test_integer_time(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "t.csv", [f"{i},{i % 5}" for i in range(40)], "ds,y")
    assert run(capsys, "train", "forecast", table, "--horizon", 2, "--out", tmp_path / "m", *QUICK).status == 0
    shown = json.loads(run(capsys, "predict", tmp_path / "m", table, "--json", "--plot", tmp_path / "p.png").out)
    assert [row["ds"] for row in shown] == [40, 41]
    assert (tmp_path / "p.png").stat().st_size > 5000


@pytest.mark.parametrize("with_data", [False, True])
def test_plot(capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path, with_data: bool):
    words = [data] if with_data else []
    ended = run(capsys, "predict", model, *words, "--plot", tmp_path / "p.png")
    assert f"Wrote {tmp_path / 'p.png'}." in ended.out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_long_forecast_is_cut_and_says_so(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(predict, "_ROWS_SHOWN", 2)
    ended = run(capsys, "predict", model)
    assert "2 of 3 rows; --out FILE.csv or --json gives all of them." in ended.out
    assert "2020-02-12" not in ended.out
