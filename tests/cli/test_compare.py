"""`throughtime compare`: cells side by side on a table."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.command import files, rows, run, write_series
from throughtime.cli import compare as module
from throughtime.errors import ArgumentError
from throughtime.nn.layers import LAYERS
from throughtime.tasks import comparison
from throughtime.training import Callback

TINY = ("--hidden-size", 4, "--layers", 1, "--input-size", 6, "--threads", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A daily series that does not repeat itself, so that MASE has a scale."""
    lines = [f"{row.rpartition(',')[0]},{10 + math.sin(i) + 0.5 * math.cos(i * i)}" for i, row in enumerate(rows())]
    return write_series(tmp_path_factory.mktemp("data") / "sales.csv", lines)


@pytest.fixture(scope="module")
def compared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small comparison that has ended."""
    folder = tmp_path_factory.mktemp("comparisons") / "c"
    words = [*command(data), "--out", str(folder), "--quiet"]
    from throughtime.cli import main

    assert main(words) == 0
    return folder


def command(data: Path, *others: object) -> list[str]:
    words = ("compare", "forecast", data, "--horizon", 3, "--cells", "rnn,lstm", "--budget", "0.4s", "--seeds", 2)
    return [str(word) for word in (*words, *TINY, *others)]


def test_table_sentence_and_picture(capsys: pytest.CaptureFixture[str], data: Path, compared: Path):
    ended = run(capsys, *command(data, "--out", compared))
    assert ended.status == 0
    assert ended.err == "", "every run was there: nothing was trained"
    told = json.loads(run(capsys, *command(data, "--out", compared, "--json")).out)
    table = ended.out.partition("Every run")[0]
    lines = {line.split()[0]: line.split() for line in table.splitlines() if line.strip()}
    for cell in ("rnn", "lstm"):
        row = told["cells"][cell]
        assert lines[cell][1].rstrip("*") == f"{row['errors']['MASE']:#.4g}"
        assert lines[cell][2] == f"{row['spread']:.2g}"
        assert lines[cell][-2:] == [str(row["parameters"]), f"{row['memory']:.0f}/{row['memory_limit']}"]
        assert len(lines[cell]) == 7
    for name in ("naive", "seasonal", "linear"):
        assert name in lines
    assert told["sentence"] in ended.out
    assert "3 steps ahead, 4 origins in each of 1 series" in ended.out
    text = " ".join(ended.out.split())
    assert "Every run had 0.0952 s: 0.4 s split over 2 cells and 2 seeds" in text
    assert f"Wrote {compared / 'comparison.png'}." in ended.out
    assert (compared / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_json_tells_every_run(capsys: pytest.CaptureFixture[str], data: Path, compared: Path):
    told = json.loads(run(capsys, *command(data, "--out", compared, "--json")).out)
    assert [(r["cell"], r["seed"]) for r in told["runs"]] == [("rnn", 0), ("lstm", 0), ("rnn", 1), ("lstm", 1)]
    assert told["question"]["horizon"] == 3
    assert told["question"]["windows"] == 4
    assert told["seconds_per_run"] == pytest.approx(0.4 / 4.2)
    assert told["decisive"] == "MASE"


def test_without_a_folder_nothing_is_written_but_the_plot(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
):
    ended = run(capsys, *command(data, "--plot", tmp_path / "p.png", "--seeds", 1, "--windows", 2))
    assert ended.status == 0
    assert "rnn, seed 0 (1 of 2): " in ended.err
    assert "nothing says whether another would turn that round" in " ".join(ended.out.split())
    assert [*files(tmp_path)] == ["p.png"]


def test_another_question_in_the_same_folder(capsys: pytest.CaptureFixture[str], data: Path, compared: Path):
    before = files(compared)
    line = run(capsys, *command(data, "--out", compared, "--budget", "1m", "--horizon", 4, "--windows", 4)).refused()
    assert "budget was 0.4, is 60.0" in line
    assert "horizon was 3, is 4" in line
    assert files(compared) == before


def test_ctrl_c_and_on(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class CtrlC(Callback):
        def on_step(self, record) -> None:
            raise KeyboardInterrupt

        def on_epoch(self, record) -> None:
            return

    fit = comparison._Match._fit
    made: list[str] = []

    def interrupted(self, cell, seed, heard, *callbacks, **options):
        made.append(f"{cell} {seed}")
        extra = (CtrlC(),) if len(made) == 4 else ()  # two trials and a run come before
        return fit(self, cell, seed, heard, *callbacks, *extra, **options)

    monkeypatch.setattr(comparison._Match, "_fit", interrupted)
    out = tmp_path / "c"
    ended = run(capsys, *command(data, "--out", out, "--quiet"))
    assert (ended.status, ended.out) == (130, "")
    assert ended.err == f"throughtime: interrupted; 1 of 4 runs are in {out}; the same command goes on\n"
    ended = run(capsys, *command(data, "--out", out))
    assert ended.status == 0
    assert made == ["rnn 0", "rnn 0", "lstm 0", "lstm 0", "lstm 0", "rnn 1", "lstm 1"]

    made.clear()
    ended = run(capsys, *command(data, "--quiet"))
    assert ended.status == 130
    assert "nothing was kept; --out DIR keeps what has ended" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "ten"], "got 'ten'"),
        (["--budget", "10"], "got '10'"),
        (["--budget", "0s"], "got '0s'"),
        (["--budget", ""], "got ''"),
        (["--budget", "-1m"], "got '-1m'"),
        (["--seeds", "0"], "got 0"),
        (["--cells", "gru"], "got gru"),
        (["--cells", "gru,gru"], "got gru, gru"),
        (["--cells", "gru,transformer"], "got 'transformer'"),
        (["--windows", "30"], "for 30 windows of 3, got 40 in series 'a'"),
        (["--plot", "p.pdf"], "'p.pdf'"),
        (["--threads", "0"], "got 0"),
        (["--strategy", "magic"], "got 'magic'"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, words: list[str], said: str):
    out = tmp_path / "c"
    assert said in run(capsys, *command(data, "--out", out), *words).refused()
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5m", 90), ("1h1m1s", 3661)]
)
def test_times(text: str, seconds: float):
    assert module._seconds(text) == seconds


@pytest.mark.parametrize("text", ["1d", "m", "10 m", "1m1h", "1e3s", "٣m"])
def test_other_times_are_refused(text: str):
    with pytest.raises(ArgumentError, match=f"got {text!r}"):
        module._seconds(text)


def test_the_help_names_every_cell(capsys: pytest.CaptureFixture[str]):
    text = " ".join(run(capsys, "compare", "forecast", "--help").out.replace("│", " ").split())
    for cell in LAYERS:
        assert cell in text
    assert "forecast" in run(capsys, "compare").out


def test_many_series(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "many.csv", [row for i in range(6) for row in rows(30 + i, f"shop {i}")])
    told = json.loads(run(capsys, *command(table, "--seeds", 1, "--json", "--quiet")).out)
    assert told["question"]["windows"] == 3
    assert set(told["baselines"]) == {"naive", "seasonal naive", "linear"}
