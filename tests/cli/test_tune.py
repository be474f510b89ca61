"""`throughtime tune`: better options than the default ones, within a time."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.command import files, rows, run, write_series
from throughtime.tasks import Forecaster, ForecastSearch

TINY = ("--hidden-size", 4, "--input-size", 6, "--epochs", 4, "--threads", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A daily series that does not repeat itself, so that MASE has a scale."""
    lines = [f"{row.rpartition(',')[0]},{10 + math.sin(i) + 0.5 * math.cos(i * i)}" for i, row in enumerate(rows(60))]
    return write_series(tmp_path_factory.mktemp("data") / "sales.csv", lines)


def command(data: Path, out: Path, *others: object) -> list[object]:
    return ["tune", "forecast", data, "--horizon", 3, "--out", out, "--trials", 3, *TINY, *others]


def test_table_sentence_and_model(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    ended = run(capsys, *command(data, tmp_path / "m", "--study", tmp_path / "s"))
    assert ended.status == 0, ended.err
    assert "trial 0 (the default), short: " in ended.err
    again = run(capsys, *command(data, tmp_path / "m", "--study", tmp_path / "s", "--json", "--quiet"))
    told = json.loads(again.out)
    assert again.err == ""
    assert told["sentence"] in ended.out
    assert "3 steps ahead, 4 origins in each of 1 series, 2 more behind them" in " ".join(ended.out.split())
    lines = {line.split()[0]: line.split() for line in ended.out.partition("behind:")[0].splitlines() if line.strip()}
    for trial in told["trials"]:
        if trial["state"] == "done":
            name = lines[str(trial["number"])]
            assert f"{trial['error']:#.4g}" in [word.rstrip("*") for word in name]
            assert f"{trial['later']['model']:#.4g}" in name
    model = Forecaster.load(tmp_path / "m")
    assert model.origin_["tuning"] == told["sentence"]
    assert model.origin_["command"].startswith("throughtime tune forecast")
    kept = model.get_params()
    assert {name: kept[name] for name in told["options"]} == told["options"]
    assert (kept["hidden_size"], kept["epochs"]) == (4, 4), "what was given stays"
    assert model.n_points_ == 60, "trained on all the data"


def test_ctrl_c_and_on(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fit = ForecastSearch.fit
    made: list[float] = []

    def interrupted(self, options, *, share=1.0, **how):
        made.append(share)
        if len(made) == 3:
            raise KeyboardInterrupt
        return fit(self, options, share=share, **how)

    monkeypatch.setattr(ForecastSearch, "fit", interrupted)
    words = command(data, tmp_path / "m", "--quiet")
    ended = run(capsys, *words, "--study", tmp_path / "s")
    assert (ended.status, ended.out) == (130, "")
    assert ended.err == f"throughtime: interrupted; 1 trial of 3 are in {tmp_path / 's'}; the same command goes on\n"
    assert not (tmp_path / "m").exists()
    made[:] = [0.0] * 3
    assert run(capsys, *words, "--study", tmp_path / "s").status == 0
    assert len(made) == 3 + 4, "the default was there"
    made.clear()
    assert "nothing was kept; --study DIR keeps what has ended" in run(capsys, *words).err


def test_the_time_ends_it(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    ended = run(capsys, *command(data, tmp_path / "m", "--max-minutes", 0.0005))
    assert ended.status == 0, ended.err
    assert "The time ended it; with --study DIR and more --max-minutes the same command goes on." in ended.out
    assert Forecaster.load(tmp_path / "m").horizon == 3


def test_another_question_in_the_same_folder(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    words = [tmp_path / "m", "--study", tmp_path / "s", "--trials", 1, "--quiet"]
    assert run(capsys, *command(data, *words)).status == 0
    before = files(tmp_path)
    line = run(capsys, *command(data, *words, "--loss", "mse", "--seed", 4)).refused()
    assert 'loss was "auto", is "mse"' in line
    assert "seed was 0, is 4" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "got 0"),
        (["--max-minutes", "0"], "got 0;"),
        (["--max-minutes", "-2"], "got -2"),
        (["--max-minutes", "nan"], "got nan"),
        (["--windows", "30"], "for 30 windows of 3, got 60 in series 'a'"),
        (["--strategy", "magic"], "got 'magic'"),
        (["--threads", "0"], "got 0"),
        (["--step", "0"], "got 0"),
        (["--seed", "-1"], "got -1"),
        (["--fill", "linear"], "got 'linear'"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, words: list[str], said: str):
    assert said in run(capsys, *command(data, tmp_path / "m", "--study", tmp_path / "s", *words)).refused()
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_one_line_names_the_extra(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert "pip install 'throughtime[tune]'" in run(capsys, *command(data, tmp_path / "m")).refused()
