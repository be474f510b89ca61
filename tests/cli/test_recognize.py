"""`throughtime train recognize`, and predict and evaluate for what it writes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import run
from tests.tasks.recognize.data import recordings
from throughtime.cli import main, recognize_demo
from throughtime.data.video import read_frames, write_video
from throughtime.tasks import Recognizer

SMALL = ("--hidden-size", 8, "--layers", 1, "--batch-size", 2, "--learning-rate", 0.02, "--threads", 1)


def write(path: Path, one) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{1.6e9 + t:.3f},{v[0]:.5f},{v[1]:.5f},{label}"
        for t, v, label in zip(one.times, one.values, one.labels, strict=True)
    ]
    path.write_text("\n".join(["time,a,b,activity", *rows, ""]))
    return path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recognize")
    for k, one in enumerate(recordings(6, 2)):
        write(folder / "train" / f"p{k % 3}" / f"{k}.csv", one)
    write(folder / "test" / "p8" / "0.csv", recordings(1, 5)[0])
    write(folder / "test" / "p9" / "1.csv", recordings(1, 6)[0])
    return folder


@pytest.fixture(scope="session")
def model(samples: Path) -> Path:
    folder = samples / "model"
    words = [
        "train",
        "recognize",
        str(samples / "train"),
        "--out",
        str(folder),
        "--one-way",
        "--quiet",
        "--epochs",
        "25",
    ]
    assert main([*words, *map(str, SMALL)]) == 0
    return folder


def test_train_says_what_it_did(samples, tmp_path, capsys):
    ended = run(capsys, "train", "recognize", samples / "train", "--out", tmp_path / "m", "--epochs", 1, *SMALL)
    assert ended.status == 0
    assert "6 recordings, 2 channels" in ended.out
    assert "1 of 3 groups" in ended.out
    assert f"throughtime predict {tmp_path / 'm'} DATA" in ended.out


def test_predict_gives_segments(model, samples, tmp_path, capsys):
    file = samples / "test" / "p8" / "0.csv"
    ended = run(capsys, "predict", model, file, "--plot", tmp_path / "t.png", "--mattered")
    assert ended.status == 0
    first = ended.out.splitlines()[0].split("\t")
    assert first[:2] == [str(file), "0.00"]
    assert first[3] in ("slow", "fast")
    assert "and against" in ended.out
    assert (tmp_path / "t.png").exists()
    ended = run(capsys, "predict", model, file, "--json")
    row = json.loads(ended.out)
    segments = Recognizer.load(model).segments(file)
    assert [s["label"] for s in row["segments"]] == [s.label for s in segments]


def test_evaluate_shows_baselines_and_leaks(model, samples, tmp_path, capsys):
    ended = run(
        capsys, "evaluate", model, samples / "test", "--plot", tmp_path / "c.png", "--timeline", tmp_path / "t.png"
    )
    assert ended.status == 0
    assert "without order" in ended.out
    assert "segment F1" in ended.out
    assert "Leak" not in ended.out
    assert (tmp_path / "c.png").exists()
    assert (tmp_path / "t.png").exists()
    found = json.loads(run(capsys, "evaluate", model, samples / "train", "--json").out)
    assert found["leaks"][0].startswith("3 groups were in training")
    assert found["samples"] == 720


def test_a_pipe_is_answered_line_by_line(model, samples, capsys, monkeypatch):
    text = (samples / "test" / "p8" / "0.csv").read_bytes()

    class Stdin:
        buffer = io.BytesIO(text)

    monkeypatch.setattr("sys.stdin", Stdin)
    ended = run(capsys, "predict", model, "-")
    assert ended.status == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert len(lines) == 120
    expected = Recognizer.load(model).predict([samples / "test" / "p8" / "0.csv"])[0]
    assert [line[1] for line in lines] == expected.tolist()
    Stdin.buffer = io.BytesIO(b"0.1,0.2\n0.1,-\n")
    assert "line 2: expected 2 numbers, got '-'" in run(capsys, "predict", model, "-").err
    Stdin.buffer = io.BytesIO(b"x,y\n0.1,0.2\n")
    assert run(capsys, "predict", model, "-").refused().count("expected a column 'a', got 'x', 'y'") == 1


def test_videos_in_a_folder_for_each_label(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for k in range(8):
        label = ("dark", "bright")[k % 2]
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        frames = [rng.integers(0, 90 + 160 * (k % 2), (24, 32, 3)).astype(np.uint8) for _ in range(6)]
        write_video(tmp_path / "clips" / label / f"{k}.mp4", frames, np.arange(6) / 5)
    words = ("--size", "32x24", "--epochs", 8, "--rate", 5, "--colour", 0.1, "--crop", 0.1, "--flip",
             "--learning-rate", 0.003, "--batch-size", 8)  # fmt: skip
    ended = run(capsys, "train", "recognize", tmp_path / "clips", "--out", tmp_path / "m", *SMALL, *words)
    assert ended.status == 0, ended.err
    assert "frames of 32 x 24" in ended.out
    file = tmp_path / "clips" / "dark" / "0.mp4"
    ended = run(capsys, "predict", tmp_path / "m", file, "--video", tmp_path / "out.gif")
    assert ended.out.splitlines()[0].split("\t")[:2] == [str(file), "dark"]
    assert len(read_frames(tmp_path / "out.gif")) == 6
    said = run(capsys, "predict", tmp_path / "m", file, "--video", tmp_path / "out.txt").refused()
    assert "got" in said
    assert "rename it" in said
    said = run(capsys, "train", "recognize", tmp_path / "clips", "--out", tmp_path / "n", "--size", "32").refused()
    assert "--size: expected WIDTHxHEIGHT in pixels, got '32'" in said


def test_what_cannot_be_asked_is_refused(model, samples, capsys):
    said = run(capsys, "predict", model, "-", "--mattered").refused()
    assert "for --mattered, got standard input" in said
    said = run(capsys, "predict", model, samples / "test", "--delay", 1).refused()
    assert "--delay: expected a stream (-) beside it" in said
    said = run(capsys, "train", "recognize", samples / "none", "--out", samples / "n").refused()
    assert "none: expected a file or a folder to read, got none" in said
    said = run(capsys, "predict", model, samples / "test", "--video", samples / "a.gif").err
    assert "--video: expected frames to write, got samples" in said
    assert not (samples / "n").exists()


def test_demo_leaves_pictures_and_a_model(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(recognize_demo, "TRAINING", 120)
    monkeypatch.setattr(recognize_demo, "TEST", 20)
    monkeypatch.setattr(recognize_demo, "OPTIONS", recognize_demo.OPTIONS | {"epochs": 1, "hidden_size": 8})
    ended = run(capsys, "demo", "recognize", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "clip.npy", "confusion.png", "mattered.png", "clip.gif", "recognize-model",
    }  # fmt: skip
    assert "With their frames shuffled" in ended.out
    last = ended.out.splitlines()[-1].split()
    assert run(capsys, *last[1:]).status == 0
