"""The model of every demo, exported by the command line, gives the demo model's own answers without torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.command import run as command
from tests.tasks.test_exported import run
from throughtime.cli import classify_demo, tag_demo, translate_demo
from throughtime.tasks import load
from throughtime.tasks.exported import TASKS
from throughtime.tasks.transcribe import Decoding

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("task", TASKS)
def test_a_demo(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, out = tmp_path / "demo", tmp_path / "out"
    assert command(capsys, "demo", task, "--out", made, "--quiet").status == 0
    folder = next(made.glob("*/*.safetensors")).parent
    assert command(capsys, "export", folder, "--out", out, "--quiet").status == 0
    found, want = globals()[f"_{task}"](load(folder), out, made)
    assert len(found) > 0
    if isinstance(found[0], float):
        assert found == pytest.approx(want, rel=1e-5)
    else:
        assert found == want


def _forecast(model: Any, out: Path, made: Path) -> Any:
    values = model.series_.flat_values
    np.savetxt(made / "values.txt", values)
    return run("Forecast", out, made / "values.txt")[0], model.predict()["forecast"].to_list()


def _classify(model: Any, out: Path, made: Path) -> Any:
    texts = list(classify_demo.QUESTIONS)
    found = [p for text in texts for p in run("Classify", out, text)[0].values()]
    return found, model.predict_proba(texts).ravel().tolist()


def _tag(model: Any, out: Path, made: Path) -> Any:
    texts = tag_demo.QUESTIONS
    return [run("Tag", out, text) for text in texts], [[[e.text, e.label] for e in model.predict(t)] for t in texts]


def _language(model: Any, out: Path, made: Path) -> Any:
    found = [run("Language", out, "", 80, label)[0] for label in model.labels_]
    return found, [model.write("", label=label, greedy=True, length=80)[0] for label in model.labels_]


def _translate(model: Any, out: Path, made: Path) -> Any:
    texts = [*translate_demo.QUESTIONS, *(made / "phrases.fr").read_text().splitlines()[:20]]
    return [run("Translate", out, text)[0] for text in texts], model.predict(texts, beam=1)


def _transcribe(model: Any, out: Path, made: Path) -> Any:
    files = sorted(made.glob("*/*.wav"))[:20]
    return [run("Transcribe", out, file)[0] for file in files], model.predict(files, Decoding(width=1))


def _recognize(model: Any, out: Path, made: Path) -> Any:
    from throughtime.datasets import motions

    clips = motions(20, 7).frames
    found = []
    for clip in clips:
        np.save(made / "one.npy", clip[..., None])
        found += run("Recognize", out, made / "one.npy")[0]
    return found, model.predict(list(clips))


def _compose(model: Any, out: Path, made: Path) -> Any:
    found = [run("Compose", out, 8, style)[0] for style in model.labels_]
    pieces = [model.write(style=style, bars=8, greedy=True, max_copy=None)[0].piece for style in model.labels_]
    return found, [piece.notes[:, :3].tolist() for piece in pieces]
