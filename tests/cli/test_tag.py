"""`throughtime train tag`, and predict and evaluate for what it writes."""

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import files, run
from throughtime.cli import main
from throughtime.data.text.conll import write_conll
from throughtime.tasks import Tagger

SMALL = (
    "--hidden-size", 8, "--word-size", 8, "--characters", "none", "--epochs", 6, "--learning-rate", 0.03,
    "--batch-tokens", 48, "--dropout", 0.1, "--threads", 1,
)  # fmt: skip
SENTENCES = [
    ([name, "lives", "in", place, "."], ["B-PER", "O", "O", "B-LOC", "O"])
    for name in ("Ann", "Bo", "Cy", "Di")
    for place in ("Rome", "Ulm", "Oslo", "Kyoto", "Lima", "Perth", "Turin", "Vigo")
]


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagged") / "train.conll"
    write_conll(path, SENTENCES)
    return path


@pytest.fixture(scope="session")
def tagger(tagged: Path) -> Path:
    folder = tagged.parent / "model"
    words = ["train", "tag", str(tagged), "--out", str(folder), "--validation", str(tagged), "--quiet"]
    assert main([*words, *map(str, SMALL)]) == 0
    return folder


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_train_says_what_it_learnt_and_what_comes_next(capsys, tagged: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    ended = run(capsys, "train", "tag", tagged, "--out", out, *SMALL, "--no-crf", "--one-way", "--seed", 3)
    assert ended.status == 0
    assert "data        32 sentences, 160 tokens, BIO" in ended.out
    assert "one way, softmax" in ended.out
    assert "training: 6 epochs" in ended.err
    model = Tagger.load(out)
    assert (model.seed, model.crf, model.bidirectional, model.cell) == (3, False, False, "lstm")
    assert model.origin_["command"].startswith("throughtime train tag ")
    text = tmp_path / "text.txt"
    text.write_text("Ann lives in Rome .\n\nBo\n")
    program, *words = shlex.split(ended.out.strip().splitlines()[-1].replace("FILE", str(text)))
    assert program == "throughtime"
    followed = run(capsys, *words)
    assert (followed.status, followed.err) == (0, "")
    assert followed.out.count("\n") == 3


def test_predict_marks_arguments_files_and_standard_input_alike(
    capsys, tagger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Ann lives in Rome.", "", "Di  lives in Ulm \N{THUMBS UP SIGN}"]
    want = Tagger.load(tagger).predict(texts)
    assert [[(e.text, e.label) for e in row] for row in want] == [
        [("Ann", "PER"), ("Rome", "LOC")], [], [("Di", "PER"), ("Ulm", "LOC")]
    ]  # fmt: skip
    told = run(capsys, "predict", tagger, *texts, "--json")
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["text"] for row in rows] == texts
    for row, entities in zip(rows, want, strict=True):
        assert [list(e.values())[:6] for e in row["entities"]] == [list(e[:6]) for e in entities]
        assert all(row["text"][e["start"] : e["end"]] == e["text"] for e in row["entities"])
    marked = run(capsys, "predict", tagger, *texts).out
    p = [e["probability"] for e in rows[0]["entities"]]
    assert marked.splitlines()[0] == f"[Ann PER {p[0]:.2f}] lives in [Rome LOC {p[1]:.2f}]."
    path = tmp_path / "text.txt"
    path.write_bytes("\r\n".join(texts).encode())
    assert run(capsys, "predict", tagger, path).out == marked
    for words in ((), ("-",)):
        given(monkeypatch, "\r\n".join(texts).encode())
        assert run(capsys, "predict", tagger, *words).out == marked


@pytest.mark.slow
def test_a_line_of_standard_input_is_answered_before_the_next_one_comes(tagger: Path) -> None:
    code = "import sys; from throughtime.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "predict", str(tagger), "--threads", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for place in ("Rome", "Ulm"):
            process.stdin.write(f"Ann lives in {place} .\n")
            process.stdin.flush()
            assert f"[{place} LOC" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(60) == 0


def test_evaluate_gives_the_figures_of_the_estimator(capsys, tagger: Path, tagged: Path) -> None:
    want = Tagger.load(tagger).evaluate(tagged)
    assert json.loads(run(capsys, "evaluate", tagger, tagged, "--json").out) == want.as_dict()
    table = run(capsys, "evaluate", tagger, tagged).out
    assert "160 tokens in 32 sentences" in table
    for name in ("LOC", "PER", "model", "linear", "most frequent tag"):
        assert any(
            line.split("  ")[0].strip() == name or line.strip().startswith(f"{name} ") for line in table.splitlines()
        )
    assert want.sentences()[0] in " ".join(table.split())


def test_evaluate_draws_how_far_to_trust_probabilities(capsys, tagger: Path, tagged: Path, tmp_path: Path) -> None:
    picture = tmp_path / "r.png"
    assert f"Wrote {picture}." in run(capsys, "evaluate", tagger, tagged, "--plot", picture).out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "ends in .png" in run(capsys, "evaluate", tagger, tagged, "--plot", tmp_path / "r.svg").refused()
    nothing = tmp_path / "nothing.conll"
    write_conll(nothing, [(["."], ["O"])])
    said = run(capsys, "evaluate", tagger, nothing, "--plot", tmp_path / "s.png").refused()
    assert "expected pieces that the model found, got none" in said
    assert not (tmp_path / "s.png").exists()


def test_records_are_read_and_answered(capsys, tagger: Path, tmp_path: Path) -> None:
    """What predict --json writes can be corrected and trained on; .csv and token lists are read, too."""
    texts = ["Ann lives in Rome.", "Di lives in Ulm."]
    told = run(capsys, "predict", tagger, *texts, "--json").out
    path = tmp_path / "told.jsonl"
    path.write_text(told)
    assert run(capsys, "predict", tagger, path, "--json").out == told
    assert json.loads(run(capsys, "evaluate", tagger, path, "--json").out)["scores"]["model"]["f1"] == 100
    assert run(capsys, "train", "tag", path, "--out", tmp_path / "m", *SMALL, "--quiet").status == 0
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f'{i},"{text}"\n' for i, text in enumerate(texts)))
    assert run(capsys, "predict", tagger, tmp_path / "a.csv", "--json").out == told
    (tmp_path / "b.jsonl").write_text(json.dumps({"tokens": ["Ann", "lives", "in", "Rome"]}))
    row = json.loads(run(capsys, "predict", tagger, tmp_path / "b.jsonl", "--json").out)
    assert (row["text"], [e["text"] for e in row["entities"]]) == ("Ann lives in Rome", ["Ann", "Rome"])


def test_vectors_are_used(capsys, tagged: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("ann 1 2 3\nrome 4 5 6\nparis 7 8 9\n")
    words = ("train", "tag", tagged, "--out", tmp_path / "m", "--vectors", path, "--epochs", 1, "--characters", "none")
    assert "3 words' vectors given" in run(capsys, *words).out
    assert Tagger.load(tmp_path / "m").model_.net.design.word_size == 3
    assert "expected vectors of 8 numbers, got 3" in run(capsys, *words, "--word-size", 8, "--quiet").refused()


def test_the_demo_says_which_words_are_a_name(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "hidden_size": 8,
        "word_size": 8,
        "character_size": 6,
        "epochs": 3,
        "batch_tokens": 48,
        "learning_rate": 0.03,
    }
    monkeypatch.setattr("throughtime.cli.tag_demo.OPTIONS", small)
    monkeypatch.setattr("throughtime.cli.tag_demo.TRAINING", 150)
    monkeypatch.setattr("throughtime.cli.tag_demo.TEST", 40)
    ended = run(capsys, "demo", "tag", "--out", tmp_path / "d", "--seed", 1)
    assert ended.status == 0
    assert "in 40 notices that it has not seen" in ended.out
    assert "Which words of these sentences are a person's name?" in ended.out
    assert {file.name for file in (tmp_path / "d").iterdir()} == {"notices.conll", "reliability.png", "tag-model"}
    for line in ended.out.strip().splitlines()[-2:]:
        program, *words = shlex.split(line)
        assert program == "throughtime"
        assert run(capsys, *words).status == 0
    assert "expected a folder" in run(capsys, "demo", "tag", "--out", tmp_path / "d" / "notices.conll").refused()


def test_inspect_shows_it(capsys, tagger: Path) -> None:
    told = json.loads(run(capsys, "inspect", tagger, "--json").out)
    assert told["task"] == "tag"
    assert told["metrics"]["validation_f1"] > 90


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"", (), "expected tagged sentences, got none"),
        (b"a O\nb \xff\n", (), "byte 0xff at byte 6 (line 2)"),
        (b"a O\n\nb\n", (), "line 3: expected 2 columns as in the first line, got 1"),
        (b"a\nb\n", (), "line 1: expected a token and a tag, got one column"),
        (b"a O\n\nb PER\n", (), "sentence at line 3: tags: expected O, or a letter"),
        (b"a O\n\nb O\n", (), "at least one labelled piece, got 1 sentences of O alone"),
        (b"a B-X\n", (), "at least 2 sentences, one to learn from and one to validate on, got 1"),
        (b"a I-X\n\nb I-X\n", ("--scheme", "BIO"), "possible in BIO, got 2 that are not (first, "),
        (b"a B-X\n\nb B-X\n", ("--scheme", "BILOU"), "got 'BILOU'"),
        (b"a B-X\n\nb B-X\n", ("--characters", "gru"), "got 'gru'"),
        (b"a B-X\n\nb B-X\n", ("--rule", "("), "got '('"),
        (b"a B-X\n\nb B-X\n", ("--minutes", 0), "--minutes: expected a number above 0, got 0"),
        (b"a B-X\n\nb B-X\n", ("--resume",), "--checkpoint DIR beside --resume"),
        (b"a B-X\n\nb B-X\n", ("--validation", "nowhere"), "nowhere: expected a file to read, got none"),
        (b"a B-X\n\nb B-X\n", ("--vectors", "nowhere"), "nowhere: expected a file to read, got none"),
    ],
)
def test_train_refuses_in_one_line_and_leaves_nothing(capsys, tmp_path: Path, content, words, message: str) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(content)
    before = files(tmp_path)
    assert message in run(capsys, "train", "tag", path, "--out", tmp_path / "m", *SMALL, *words, "--quiet").refused()
    assert files(tmp_path) == before


def test_predict_refuses_in_one_line(capsys, tagger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"b\xffc")
    assert (
        "text.txt: expected UTF-8, got the byte 0xff at byte 1 (line 1)"
        in run(capsys, "predict", tagger, path).refused()
    )
    assert "got 'a\\udcff', whose character 1 is none" in run(capsys, "predict", tagger, "a\udcff").refused()
    assert "--horizon" in run(capsys, "predict", tagger, "--horizon", 3).refused()
    given(monkeypatch, b"\xff\n")
    message = "standard input: line 1: expected UTF-8, got the byte 0xff at byte 0 of the line"
    assert message in run(capsys, "predict", tagger).refused()
    assert "expected a file to read, got none" in run(capsys, "evaluate", tagger, tmp_path / "no").refused()
    assert "expected a model folder" in run(capsys, "predict", tmp_path / "no").refused()


def test_a_checkpoint_goes_on(capsys, tagged: Path, tmp_path: Path) -> None:
    words = ("train", "tag", tagged, "--out", tmp_path / "m", "--checkpoint", tmp_path / "run", "--resume", *SMALL)
    assert run(capsys, *words).status == 0
    first = (tmp_path / "m" / "model.safetensors").read_bytes()
    assert "resumed" in run(capsys, *words).out
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == first
