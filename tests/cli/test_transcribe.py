"""`throughtime train transcribe`, and predict and evaluate for what it writes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import run
from tests.tasks.transcribe.tones import RATE, both_ways, one_way, say, sentences
from throughtime.cli import transcribe as command
from throughtime.data.sound import write_arpa
from throughtime.tasks import Transcriber


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    rows = ["path,text"]
    for i, ((samples, rate), text) in enumerate(zip(*sentences(12, 2), strict=True)):
        soundfile.write(folder / f"{i}.wav", samples, rate)
        rows.append(f"{i}.wav,{text}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder / "clips.csv"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    one_way().save(folder)
    return folder


def test_train_writes_a_model_and_says_what_it_is(capsys, tmp_path, clips):
    out, picture = tmp_path / "m", tmp_path / "loss.png"
    ended = run(
        capsys, "train", "transcribe", clips, "--out", out, "--one-way", "--lookahead-ms", 40, "--hidden-size", 8,
        "--layers", 1, "--epochs", 2, "--unit", "character", "--keep-capitals", "--seed", 3, "--threads", 1,
        "--plot", picture, "--batch-size", 4,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert "gru, 1 x 8, one way, 40 ms ahead" in ended.out
    assert f"throughtime predict {out} FILE" in ended.out
    made = Transcriber.load(out)
    assert (made.lower, made.seed, made.unit, made.bidirectional) == (False, 3, "character", False)
    assert made.origin_["command"].startswith("throughtime train transcribe")
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_folder_by_its_pattern_and_a_training_that_goes_on(capsys, tmp_path, clips):
    for i, text in enumerate(sentences(12, 2)[1]):
        (tmp_path / "f").mkdir(exist_ok=True)
        (tmp_path / "f" / f"{text.replace(' ', '_')}-{i}.wav").write_bytes((clips.parent / f"{i}.wav").read_bytes())
    words = (
        "train", "transcribe", tmp_path / "f", "--pattern", "{text}-{index}", "--out", tmp_path / "m", "--quiet",
        "--hidden-size", 4, "--layers", 1, "--epochs", 1, "--checkpoint", tmp_path / "run", "--resume",
    )  # fmt: skip
    assert run(capsys, *words).status == 0
    first = Transcriber.load(tmp_path / "m").model_.state_dict()
    assert run(capsys, *words).status == 0
    again = Transcriber.load(tmp_path / "m").model_.state_dict()
    assert all((first[name] == again[name]).all() for name in first)


def test_predict_files(capsys, tmp_path, model, clips):
    files = [clips.parent / f"{i}.wav" for i in range(3)]
    ended = run(capsys, "predict", model, *files)
    assert ended.out.splitlines() == [f"{f}\t{t}" for f, t in zip(files, sentences(12, 2)[1], strict=False)]
    write_arpa(tmp_path / "a.arpa", ["low mid", "mid high"], 2)
    ended = run(
        capsys, "predict", model, files[0], "--json", "--n-best", 2, "--lm", tmp_path / "a.arpa", "--lm-weight", 0.1,
        "--word-bonus", 0.5, "--hot-words", "low,mid", "--plot", tmp_path / "p.png",
    )  # fmt: skip
    found = json.loads(ended.out)
    assert found["text"] == sentences(12, 2)[1][0]
    assert len(found["utterances"][0]["alternatives"]) == 2
    assert set(found["utterances"][0]["words"][0]) == {"text", "start", "end", "confidence"}
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


class Pipe:
    """A standard input that gives what it is given, a little at a time."""

    def __init__(self, raw: bytes) -> None:
        self.buffer = self
        self.raw = io.BytesIO(raw)

    def read1(self, most: int) -> bytes:
        return self.raw.read(min(most, 1234))


SOUND = np.concatenate(
    [say(["low", "mid"], 1), 1e-4 * np.random.default_rng(0).standard_normal(RATE), say(["high"], 2)]
)


def pcm(sound):
    return (sound * 32767).astype("<i2").tobytes()


def wav(sound, rate):
    raw = io.BytesIO()
    soundfile.write(raw, sound, rate, format="WAV")
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "words"),
    [(pcm(SOUND), ()), (pcm(np.repeat(SOUND, 2)), ("--rate", 16000)), (wav(SOUND, RATE), ())],
)
def test_predict_from_a_pipe(capsys, monkeypatch, model, raw, words):
    monkeypatch.setattr(command.sys, "stdin", Pipe(raw))
    assert run(capsys, "predict", model, "-", *words).out.splitlines() == ["low mid", "high"]
    monkeypatch.setattr(command.sys, "stdin", Pipe(raw))
    told = [json.loads(line) for line in run(capsys, "predict", model, "-", "--json", *words).out.splitlines()]
    assert [row["text"] for row in told if row["final"]] == ["low mid", "high"]
    assert {"low", "low mid"} <= {row["text"] for row in told if not row["final"]}


def test_evaluate(capsys, tmp_path, model, clips):
    ended = run(capsys, "evaluate", model, clips, "--plot", tmp_path / "r.png")
    assert "words in 12 clips" in ended.out
    assert "always the commonest text" in ended.out
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
    found = json.loads(run(capsys, "evaluate", model, clips, "--json", "--width", 1).out)
    assert found["model"]["wer"] < 10 < found["baseline"]["wer"]


def test_refusals(capsys, monkeypatch, tmp_path, model, clips):
    both = tmp_path / "both"
    both_ways().save(both)
    (tmp_path / "gone.csv").write_text("path,text\nx.wav,low\ny.wav,mid\n")
    (tmp_path / "note.wav").write_text("not a sound at all")
    out = ("--out", tmp_path / "m")
    monkeypatch.setattr(command.sys, "stdin", Pipe(b""))
    for words, message in (
        (("predict", both, "-"), "got bidirectional=True"),
        (("predict", model, "-"), "standard input: expected sound, got 0 samples"),
        (("predict", model, tmp_path / "note.wav"), "note.wav: expected sound"),
        (("predict", model, tmp_path / "none.wav"), "none.wav: expected a file of sound, got none"),
        (("predict", model, clips, "--rate", 8000), "--rate: expected standard input (-) beside it, got 8000"),
        (("predict", model, "-", "--plot", tmp_path / "p.png"), "--plot: expected one file, got -"),
        (("predict", model, "-", "--lm-weight", 0.3), "--lm-weight: expected --lm FILE beside it, got 0.3 alone"),
        (("train", "transcribe", tmp_path / "gone.csv", *out), "got 2 paths without one"),
        (("train", "transcribe", clips, "--lookahead-ms", 100, *out), "lookahead_ms=0 beside bidirectional=True"),
        (("train", "transcribe", clips, "--minutes", 0, *out), "--minutes: expected a number above 0, got 0"),
        (("train", "transcribe", clips.parent, *out), "expected a pattern of the file names"),
        (("evaluate", model, clips, "--pattern", "{text}"), "expected a folder for the pattern"),
    ):
        assert message in run(capsys, *words).refused()
    assert not (tmp_path / "m").exists()


def test_demo(capsys, monkeypatch, tmp_path):
    from throughtime.cli import transcribe_demo

    monkeypatch.setattr(transcribe_demo, "TRAINING", 12)
    monkeypatch.setattr(transcribe_demo, "TEST", 3)
    monkeypatch.setitem(transcribe_demo.OPTIONS, "epochs", 1)
    monkeypatch.setitem(transcribe_demo.OPTIONS, "hidden_size", 4)
    ended = run(capsys, "demo", "transcribe", "--out", tmp_path / "d")
    assert ended.status == 0, ended.err
    assert "always the commonest text" in ended.out
    assert len(list((tmp_path / "d" / "clips").glob("*.wav"))) == 3
    assert run(capsys, "evaluate", tmp_path / "d" / "transcribe-model", tmp_path / "d" / "clips.csv").status == 0
    (tmp_path / "f").write_text("")
    assert "expected a folder to write in" in run(capsys, "demo", "transcribe", "--out", tmp_path / "f").refused()
