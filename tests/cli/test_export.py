"""`throughtime export`: a trained model for ONNX Runtime, or one line about why not."""

import json
from pathlib import Path

import onnxruntime
import pytest

from tests.cli.command import run


@pytest.mark.slow
def test_a_model_is_written_and_described(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    ended = run(capsys, "export", model, "--to", "onnx", "--out", tmp_path / "out")
    assert ended.status == 0
    assert f"Wrote {tmp_path / 'out'}: model.onnx (" in ended.out
    assert "history (series, 6): the last values" in " ".join(ended.out.split())
    names = [port.name for port in onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx").get_inputs()]
    assert names == [port["name"] for port in json.loads((tmp_path / "out" / "model.json").read_text())["inputs"]]


@pytest.mark.slow
def test_the_folder_lies_beside_the_model_where_none_is_named(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    ended = run(capsys, "export", model, "--quiet")
    assert (ended.status, ended.out) == (0, "")
    assert {path.name for path in model.with_name(f"{model.name}-onnx").iterdir()} == {"model.onnx", "model.json"}


def test_wrong_words_are_one_line(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    assert "'tflite'" in run(capsys, "export", model, "--to", "tflite").refused()
    assert "none" in run(capsys, "export", tmp_path / "none").refused()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "expected a new folder" in run(capsys, "export", model, "--out", tmp_path / "full").refused()
    assert "missing" in run(capsys, "export", model, "--out", tmp_path / "missing" / "out").refused()


def test_a_broken_model_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{")
    assert "model.json" in run(capsys, "export", tmp_path / "model").refused()
    assert not (tmp_path / "model-onnx").exists()
