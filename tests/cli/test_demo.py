"""`throughtime demo`, with trainings cut to one epoch."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.command import run
from throughtime.cli import forecast_demo
from throughtime.data import SeriesSet
from throughtime.tasks import Forecaster


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own series and options, but for one epoch of a small net."""
    cut = {"epochs": 1, "hidden_size": 4}
    examples = tuple(dataclasses.replace(each, options={**each.options, **cut}) for each in forecast_demo.EXAMPLES)
    monkeypatch.setattr(forecast_demo, "EXAMPLES", examples)


@pytest.mark.usefixtures("short")
def test_one_table_a_picture_a_model_and_the_next_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    ended = run(capsys, "demo")
    assert ended.status == 0
    assert len(re.findall(r"^ *series +model +MASE +sMAPE +MSE", ended.out, re.MULTILINE)) == 1
    for name in ("recursive", "direct", "sequence", "naive", "seasonal naive", "linear"):
        assert len(re.findall(rf"(?:co2|sunspots|  ) +{name}  ", ended.out)) == 2, name
    assert re.search(r"co2: the best of the three here, \w+ \(MASE [\d.]+\), (beats|does not beat)", ended.out)
    assert sorted(path.name for path in Path("demo-output").iterdir()) == ["co2.csv", "forecasts.png", "model"]
    assert Path("demo-output/forecasts.png").read_bytes().startswith(b"\x89PNG")
    # The command that the demo ends with is right as it stands.
    program, *words = shlex.split(ended.out.strip().splitlines()[-1])
    assert program == "throughtime"
    followed = run(capsys, *words)
    assert (followed.status, followed.err) == (0, "")
    assert "2002-01-01" in followed.out, "the file goes on to 2001, the model has seen less"
    assert Path("demo-output/next.png").exists()


@pytest.mark.usefixtures("short")
def test_it_runs_twice_and_quietly(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for _ in range(2):
        ended = run(capsys, "demo", "forecast", "--out", tmp_path / "d", "--quiet")
        assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_test_data_is_not_trained_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lengths = []

    def fit(self: Forecaster, df: SeriesSet, validation: object = None, *, callbacks: object = ()) -> Forecaster:
        lengths.append(len(df.flat_values))
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "fit", fit)
    assert run(capsys, "demo", "--out", tmp_path / "d").status == 130
    assert lengths == [526 - 24 - 4 * 6]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("out", "said"),
    [("file", "got a file"), ("file/below", "got a file"), ("no/where", "got none"), ("taken", "'notes.txt'")],
)
def test_an_output_that_cannot_be_written_is_found_before_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
):
    monkeypatch.setattr(Forecaster, "fit", None)
    (tmp_path / "file").write_text("x")
    (tmp_path / "taken" / "model").mkdir(parents=True)
    (tmp_path / "taken" / "model" / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    line = run(capsys, "demo", "--out", tmp_path / out).refused()
    assert said in line
    assert out in line
    assert sorted(tmp_path.rglob("*")) == before


def test_the_verdict_names_what_beats_the_model():
    class Found:
        def __init__(self, mase: float) -> None:
            self.models = ["throughtime", "naive", "linear"]
            self.metrics = {"throughtime": {"MASE": mase}, "naive": {"MASE": 2.0}, "linear": {"MASE": 0.5}}

    def verdict(*mases: float) -> str:
        evaluations = {name: Found(mase) for name, mase in zip(forecast_demo.STRATEGIES, mases, strict=True)}
        return forecast_demo._verdict(forecast_demo.Outcome(forecast_demo.EXAMPLES[0], None, {}, evaluations))  # type: ignore[arg-type]

    start = "co2: the best of the three here, "
    assert verdict(1.5, 1.0, 3.0) == (
        start + "direct (MASE 1.000), beats naive (2.000), and does not beat linear (0.500)."
    )
    assert verdict(0.1, 1.0, 3.0) == start + "recursive (MASE 0.100), beats naive (2.000) and linear (0.500)."
    assert verdict(5.0, 4.0, 3.0) == start + "sequence (MASE 3.000), does not beat naive (2.000) and linear (0.500)."
