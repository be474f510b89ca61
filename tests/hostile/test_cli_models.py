"""Model folders that cannot be used, and outputs that cannot be written, at the command line."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import QUICK, files, run, write_series
from throughtime.cli import main
from throughtime.training import loop


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` and `sales.csv`."""
    folder = tmp_path_factory.mktemp("cli")
    table = write_series(folder / "sales.csv")
    words = ["train", "forecast", table, "--horizon", 3, "--out", folder / "model", "--quiet", *QUICK]
    assert main([str(word) for word in words]) == 0
    return folder


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


DAMAGES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing": (shutil.rmtree, ("expected a model folder", "model")),
    "a file": (replace_by_file, ("model",)),
    "empty folder": (lambda folder: [path.unlink() for path in folder.iterdir()], ("model",)),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), ("model.safetensors",)),
    "no description": (lambda folder: (folder / "model.json").unlink(), ("model.json",)),
    "truncated weights": (lambda folder: truncate(folder / "model.safetensors", 0.7), ("model.safetensors",)),
    "truncated description": (lambda folder: truncate(folder / "model.json", 0.5), ("model.json",)),
    "newer": (lambda folder: edit(folder, format_version=999), ("999",)),
    "another task": (lambda folder: edit(folder, task="juggle"), ("'juggle'",)),
    "no JSON": (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe\0"), ("model.json",)),
    "not ours": (lambda folder: (folder / "model.json").write_text('{"model_type": "bert"}'), ("model.json",)),
    "wrong sizes": (lambda folder: shrink(folder), ("do not fit together",)),
}


def shrink(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    content["configuration"]["hidden_size"] = 3
    (folder / "model.json").write_text(json.dumps(content))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_bad_model_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, good: Path, command: str, damage: str):
    shutil.copytree(good, tmp_path / "copy")
    model = tmp_path / "copy" / "model"
    spoil, said = DAMAGES[damage]
    spoil(model)
    before = files(tmp_path)
    words: list[object] = [tmp_path / "copy" / "sales.csv", "--plot", tmp_path / "p.png"]
    line = run(
        capsys, command, model, *words, *(("--out", tmp_path / "f.csv") if command == "predict" else ())
    ).refused()
    for word in said:
        assert word in line, (word, line)
    assert files(tmp_path) == before


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals must come before the first step."""
    monkeypatch.setattr(loop, "Training", None)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("sales.csv", "got a file"),
        ("sales.csv/model", "got a file"),
        ("no/such/folder", "got none"),
        ("taken", "'notes.txt'"),
        ("x" * 300, "too long"),
    ],
)
def test_train_finds_an_output_that_cannot_be_written_before_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, out: str, said: str
):
    table = write_series(tmp_path / "sales.csv")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    words = ["train", "forecast", table, "--horizon", 3, "--out", tmp_path / out, *QUICK]
    line = run(capsys, *words).refused()
    assert said in line
    assert out in line
    assert files(tmp_path) == before


@pytest.mark.usefixtures("no_training")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_train_finds_a_read_only_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "sales.csv")
    (tmp_path / "locked").mkdir(mode=0o500)
    line = run(capsys, "train", "forecast", table, "--horizon", 3, "--out", tmp_path / "locked" / "m").refused()
    assert "locked" in line


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--out", "forecast.xlsx", "forecast.xlsx"),
        ("--out", "sales.csv/f.csv", "got a file"),
        ("--out", "nowhere/f.csv", "got none"),
        ("--out", "folder.csv", "got a folder"),
        ("--plot", "plot.pdf", "plot.pdf"),
        ("--plot", "sales.csv/p.png", "got a file"),
        ("--plot", "nowhere/p.png", "got none"),
        ("--plot", "folder.png", "got a folder"),
    ],
)
def test_predict_finds_an_output_that_cannot_be_written_before_the_model_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, path: str, said: str
):
    write_series(tmp_path / "sales.csv")
    for folder in ("folder.csv", "folder.png"):
        (tmp_path / folder).mkdir()
    before = files(tmp_path)
    # No model is there: the output is refused first.
    assert said in run(capsys, "predict", tmp_path / "model", option, tmp_path / path).refused()
    assert files(tmp_path) == before


def test_evaluate_finds_it_too(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    line = run(capsys, "evaluate", tmp_path / "model", "x.csv", "--plot", tmp_path / "no" / "p.png").refused()
    assert "got none" in line


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("target", ["sales.csv", "model/table.csv"])
def test_an_output_never_replaces_what_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, good: Path, command: str, target: str
):
    shutil.copytree(good, tmp_path / "copy")
    before = files(tmp_path)
    copy = tmp_path / "copy"
    line = run(capsys, command, copy / "model", copy / "sales.csv", "--out", copy / target).refused()
    assert "expected a path that is not read as well, got" in line
    assert files(tmp_path) == before


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("checkpoint", ["model", "model/run"])
def test_restarts_never_lie_in_the_model_s_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: str):
    table = write_series(tmp_path / "sales.csv")
    words = ["train", "forecast", table, "--horizon", 3, "--out", tmp_path / "model", *QUICK]
    line = run(capsys, *words, "--checkpoint", tmp_path / checkpoint).refused()
    assert "--checkpoint: expected a folder outside --out" in line


def test_too_many_threads(capsys: pytest.CaptureFixture[str], good: Path):
    line = run(capsys, "predict", good / "model", good / "sales.csv", "--threads", 100_000).refused()
    assert "--threads: expected 1 to 1024, got 100000" in line
