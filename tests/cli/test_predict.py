"""`throughtime predict`: a table for people, JSON and files for machines, a picture."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.command import QUICK, rows, run, write_series
from throughtime.cli import main, predict


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


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of two series that must know the promotions to come, and its data, which end with three such rows."""
    folder = tmp_path_factory.mktemp("promoted")
    lines = [f"{row},{i % 2}" for name in "ab" for i, row in enumerate(rows(40, name))]
    lines += [f"{name},2020-02-{day},,{day % 2}" for name in "ab" for day in (10, 11, 12)]
    table = write_series(folder / "s.csv", lines, "unique_id,ds,y,promo")
    words = ["train", "forecast", table, "--horizon", 3, "--out", folder / "m", "--future", "promo", "--quiet", *QUICK]
    assert main([str(word) for word in words]) == 0
    return folder / "m", table


def test_what_is_known_of_the_future(capsys: pytest.CaptureFixture[str], promoted: tuple[Path, Path], tmp_path: Path):
    model, table = promoted
    shown = json.loads(run(capsys, "predict", model, table, "--json").out)
    assert [row["ds"] for row in shown] == ["2020-02-10", "2020-02-11", "2020-02-12"] * 2
    rows_ahead = [line.replace(",,", ",") for line in table.read_text().splitlines() if ",," in line]
    ahead = write_series(tmp_path / "ahead.csv", rows_ahead, "unique_id,ds,promo")
    assert json.loads(run(capsys, "predict", model, "--future-data", ahead, "--json").out) == shown
    other = write_series(tmp_path / "other.csv", [line[:-1] + "5" for line in rows_ahead], "unique_id,ds,promo")
    assert json.loads(run(capsys, "predict", model, "--future-data", other, "--json").out) != shown
    short = write_series(tmp_path / "short.csv", rows_ahead[:5], "unique_id,ds,promo")
    line = run(capsys, "predict", model, "--future-data", short).refused()
    assert "'b'" in line
    assert "2020-02-12" in line
    assert "promo" in run(capsys, "predict", model).refused()


def test_intervals_quantiles_and_a_longer_horizon(
    capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path
):
    words = ["predict", model, data, "--levels", "50", "--quantiles", "0.25,0.5", "--plot", tmp_path / "p.png"]
    shown = json.loads(run(capsys, *words, "--json").out)
    assert list(shown[0]) == [
        "unique_id", "ds", "forecast", "forecast-lo-50", "forecast-hi-50", "forecast-q-0.25", "forecast-q-0.5"
    ]  # fmt: skip
    assert all(row["forecast-lo-50"] <= row["forecast-hi-50"] for row in shown)
    assert all(row["forecast-lo-50"] == pytest.approx(row["forecast-q-0.25"]) for row in shown)
    ended = run(capsys, *words)
    assert ended.status == 0
    assert f"{shown[0]['forecast-hi-50']:.6g}" in ended.out
    longer = json.loads(run(capsys, "predict", model, data, "--horizon", 7, "--json").out)
    assert [row["ds"][-2:] for row in longer] == ["10", "11", "12", "13", "14", "15", "16"]
    assert longer[:3] == json.loads(run(capsys, "predict", model, data, "--json").out)


def test_drawn_futures(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    words = [
        "train",
        "forecast",
        data,
        "--horizon",
        3,
        "--out",
        tmp_path / "m",
        "--loss",
        "gaussian",
        "--quiet",
        *QUICK,
    ]
    assert run(capsys, *words).status == 0
    shown = json.loads(run(capsys, "predict", tmp_path / "m", "--samples", 2, "--json").out)
    assert list(shown[0])[3:] == ["forecast-draw-1", "forecast-draw-2"]
    assert run(capsys, "predict", tmp_path / "m", "--samples", 2, "--plot", tmp_path / "p.png").status == 0


def test_gaps_of_a_history_are_filled_on_request(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path):
    lines = rows(20)
    lines[-2] = lines[-2].rpartition(",")[0] + ","
    table = write_series(tmp_path / "gap.csv", lines)
    left, filled = (
        json.loads(run(capsys, "predict", model, table, "--json", *words).out) for words in ([], ["--fill", "zero"])
    )
    assert left != filled
    assert "got --fill zero alone" in run(capsys, "predict", model, "--fill", "zero").refused()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--levels", "101"], "got 101"),
        (["--levels", "0.8,x"], "got '0.8,x'"),
        (["--quantiles", "1"], "got 1;"),
        (["--quantiles", "-0.1"], "got -0.1"),
        (["--samples", "2"], "samples"),
        (["--samples", "0"], "got 0"),
        (["--horizon", "0"], "got 0"),
        (["--horizon", "9", "--levels", "50"], "got 9"),
        (["--future-data", "x.csv"], "got x.csv"),
    ],
)
def test_what_cannot_be_forecast(
    capsys: pytest.CaptureFixture[str], model: Path, data: Path, tmp_path: Path, words: list[str], said: str
):
    assert said in run(capsys, "predict", model, data, "--out", tmp_path / "f.csv", *words).refused()
    assert list(tmp_path.iterdir()) == []
