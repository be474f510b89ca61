"""`throughtime train language`, and predict, evaluate and demo for what it writes."""

import gzip
import json
import shlex
from pathlib import Path

import pytest

from tests.cli.command import files, run
from throughtime import training
from throughtime.cli import language_demo, main
from throughtime.datasets import weather
from throughtime.tasks import LanguageModel
from throughtime.training import Callback, EpochRecord

SMALL = ("--hidden-size", 12, "--layers", 1, "--bptt", 16, "--batch-size", 4, "--epochs", 2, "--threads", 1)
TEXT = "to be, or not to be: that is the question.\n" * 12


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "play.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def model(text: Path) -> Path:
    folder = text.parent / "model"
    assert main(["train", "language", str(text), "--out", str(folder), "--quiet", *map(str, SMALL)]) == 0
    return folder


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports") / "reports.jsonl"
    texts, seasons = weather(30, seed=0)
    path.write_text("".join(json.dumps({"body": t, "s": s}) + "\n" for t, s in zip(texts, seasons, strict=True)))
    return path


def test_train_says_what_it_learnt_and_what_comes_next(capsys, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    ended = run(capsys, "train", "language", text, "--out", out, *SMALL)
    assert ended.status == 0
    assert "data        1 text, 516 characters" in ended.out
    assert "training: 2 epochs" in ended.err
    assert LanguageModel.load(out).origin_["command"].startswith("throughtime train language ")
    program, *words = shlex.split(ended.out.strip().splitlines()[-1])
    assert program == "throughtime"
    followed = run(capsys, *words)
    assert (followed.status, followed.err) == (0, "")
    assert len(followed.out) == 501


def test_predict_streams_one_text_and_parts_several(capsys, model: Path) -> None:
    options = ("--prefix", "to be", "--length", 30, "--temperature", 0.7, "--top-k", 5, "--seed", 4)
    one = run(capsys, "predict", model, *options)
    want = LanguageModel.load(model).write("to be", length=30, temperature=0.7, top_k=5, seed=4, n=2)
    assert one.out == want[0] + "\n"
    two = run(capsys, "predict", model, *options, "--n", 2)
    assert two.out == f"{want[0]}\n--------\n{want[1]}\n"
    told = run(capsys, "predict", model, *options, "--n", 2, "--json")
    assert [row["text"] for row in json.loads(told.out)] == want
    stopped = run(capsys, "predict", model, *options, "--stop", "zz", "--stop", want[0][12:14])
    assert stopped.out == want[0][: want[0].index(want[0][12:14], 5)] + "\n"


def test_evaluate_gives_the_figures_of_the_estimator(capsys, model: Path, text: Path) -> None:
    ended = run(capsys, "evaluate", model, text, "--json")
    found = json.loads(ended.out)
    assert found == LanguageModel.load(model).evaluate(TEXT).as_dict()
    table = run(capsys, "evaluate", model, text).out
    assert "perplexity per character" in " ".join(table.split())
    assert f"{found['metrics']['model']['bits_per_character']:.3f} bits per character: the model" in table


def test_labels_come_from_a_field(capsys, reports: Path, tmp_path: Path) -> None:
    fields = ("--text-field", "body", "--label-field", "s")
    out = tmp_path / "m"
    ended = run(capsys, "train", "language", reports, "--out", out, *fields, *SMALL)
    assert "30 texts" in ended.out
    assert "4 labels" in ended.out
    assert f"throughtime predict {out} --label autumn" in ended.out
    assert run(capsys, "predict", out, "--label", "summer", "--n", 2).status == 0
    assert run(capsys, "evaluate", out, reports, *fields).status == 0
    assert (
        "expected a label, since the model was trained with labels, got none" in run(capsys, "predict", out).refused()
    )
    assert "trained with labels, got none" in run(capsys, "evaluate", out, reports, "--text-field", "body").refused()


def test_lines_and_compressed_files(capsys, tmp_path: Path) -> None:
    path = tmp_path / "names.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write("anna\notto\n\nhanna\n" * 5)
    out = tmp_path / "m"
    assert run(capsys, "train", "language", path, path, "--lines", "--out", out, "--quiet", *SMALL).status == 0
    model = LanguageModel.load(out)
    assert (model.n_texts_, model.ends_) == (30, True)


def test_the_options_reach_the_model(capsys, reports: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "m", {"input_dropout": 0.1, "embedding_dropout": 0.2, "softmax": "full"}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    words += ["--condition", "first", "--vary-bptt", "--tie-weights", "--text-field", "body", "--label-field", "s"]
    assert run(capsys, "train", "language", reports, "--out", out, "--quiet", *SMALL, *words).status == 0
    found = LanguageModel.load(out).get_params()
    want = options | {"condition": "first", "vary_bptt": True, "tie_weights": True, "hidden_size": 12, "bptt": 16}
    assert {name: found[name] for name in want} == want


def test_the_loss_is_drawn_and_told_to_tensorboard(capsys, monkeypatch, text: Path, tmp_path: Path) -> None:
    told: list[object] = []

    class Board(Callback):
        def __init__(self, path: Path) -> None:
            told.append(path)

        def on_epoch(self, record: EpochRecord) -> None:
            told.append(record.epoch)

    monkeypatch.setattr(training, "TensorBoardLog", Board)
    words = ("--plot", tmp_path / "loss.png", "--tensorboard", tmp_path / "board")
    assert run(capsys, "train", "language", text, "--out", tmp_path / "m", "--quiet", *SMALL, *words).status == 0
    assert told == [tmp_path / "board", 1, 2]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_shows_it(capsys, model: Path) -> None:
    ended = run(capsys, "inspect", model, "--json")
    assert json.loads(ended.out)["task"] == "language"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--prefix", "to bé"), "a prefix of characters that the model was trained on, got 'é' at character 4"),
        (("--label", "x"), "expected no label, since the model was trained without labels, got 'x'"),
        (("--temperature", 0), "temperature > 0 and finite, got 0"),
        (("--n", 0), "n >= 1, got 0"),
        (("--horizon", 3), "--horizon"),
    ],
)
def test_predict_refuses_in_one_line(capsys, model: Path, words, message: str) -> None:
    assert message in run(capsys, "predict", model, *words).refused()


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"", (), "at least 2 different characters, got none"),
        (b"aaaa", (), "got 'a' alone"),
        (b"good\nb\xffd", (), "expected UTF-8, got the byte 0xff at byte 6 (line 2)"),
        (
            b"abc abc",
            ("--vocabulary-size", 99),
            "vocabulary_size of at most 4, the different characters in the text, got 99",
        ),
        (b"abc abc", ("--unit", "letter"), "got 'letter'"),
        (b"abc abc", ("--label-field", "kind"), "expected JSON Lines for labels in the field 'kind'"),
        (b"abc abc", ("--resume",), "--checkpoint DIR beside --resume"),
        (b"abc abc", ("--minutes", 0), "--minutes: expected a number above 0, got 0; give 5"),
        (b"abc abc", ("--softmax", "sampled"), "softmax to be one of full, adaptive, auto, got 'sampled'"),
        (b"abc abc", ("--plot", "loss.txt"), "loss.txt"),
    ],
)
def test_train_refuses_in_one_line_and_leaves_nothing(capsys, tmp_path: Path, content, words, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    before = files(tmp_path)
    assert message in run(capsys, "train", "language", path, "--out", tmp_path / "m", *SMALL, *words).refused()
    assert files(tmp_path) == before


def test_a_forecasters_commands_refuse_a_missing_model_as_before(capsys, tmp_path: Path) -> None:
    assert "expected a model folder, got nothing there" in run(capsys, "predict", tmp_path / "no").refused()


def test_a_checkpoint_goes_on(capsys, text: Path, tmp_path: Path) -> None:
    words = ("train", "language", text, "--out", tmp_path / "m", "--checkpoint", tmp_path / "run", "--resume")
    assert run(capsys, *words, *SMALL).status == 0
    again = run(capsys, *words, *SMALL)
    assert "resumed" in again.out


def test_demo_language(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_demo, "TRAINING", 60)
    monkeypatch.setattr(language_demo, "TEST", 20)
    monkeypatch.setattr(language_demo, "WRITTEN", 8)
    monkeypatch.setattr(language_demo, "OPTIONS", language_demo.OPTIONS | {"hidden_size": 8, "epochs": 1})
    out = tmp_path / "d"
    ended = run(capsys, "demo", "language", "--out", out)
    assert ended.status == 0
    assert "the best possible" in ended.out
    assert "Of 8 reports, " in ended.out
    for line in ended.out.strip().splitlines()[-2:]:
        program, *words = shlex.split(line)
        assert program == "throughtime"
        assert run(capsys, *words).status == 0
    assert run(capsys, "demo", "language", "--out", out, "--quiet").out == ""
