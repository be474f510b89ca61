"""`throughtime train classify`, and predict and evaluate for what it writes."""

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import files, run
from tests.tasks.classify.test_classifier import films
from throughtime.cli import main
from throughtime.tasks import Classifier

SMALL = (
    "--hidden-size", 8, "--embedding-size", 8, "--epochs", 3, "--learning-rate", 0.03, "--dropout", 0.1,
    "--members", 1, "--threads", 1,
)  # fmt: skip


def table(path: Path, seed: int = 0, n: int = 40) -> Path:
    texts, labels = films(n, seed)
    path.write_text("\n".join(["review,label", *(f'"{t}",{n}' for t, n in zip(texts, labels, strict=True)), ""]))
    return path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("labelled") / "train.csv")


@pytest.fixture(scope="session")
def classifier(labelled: Path) -> Path:
    folder = labelled.parent / "model"
    words = ["train", "classify", str(labelled), "--out", str(folder), "--quiet", *map(str, SMALL)]
    assert main(words) == 0
    return folder


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_train_says_what_it_learnt_and_what_comes_next(capsys, labelled: Path, tmp_path: Path) -> None:
    out, texts = tmp_path / "m", tmp_path / "texts.txt"
    texts.write_text("A fine film .\n\nDull\n")
    ended = run(
        capsys, "train", "classify", labelled, "--out", out, *SMALL, "--one-way", "--no-wide", "--cell", "gru",
        "--validation", labelled, "--pretrain-on", texts, "--pretrain-epochs", 1, "--seed", 3,
    )  # fmt: skip
    assert ended.status == 0
    assert "data        40 texts" in ended.out
    assert "pretrained  on 43 texts, 3 of them without labels, one way" in ended.out
    assert "gru, 1 x 8, one way" in ended.out
    model = Classifier.load(out)
    assert (model.seed, model.wide, model.bidirectional, model.cell) == (3, False, False, "gru")
    assert model.origin_["command"].startswith("throughtime train classify ")
    program, *words = shlex.split(ended.out.strip().splitlines()[-1].replace("FILE", str(texts)))
    assert program == "throughtime"
    followed = run(capsys, *words)
    assert (followed.status, followed.err) == (0, "")
    assert followed.out.count("\n") == 3


def test_predict_answers_arguments_files_and_standard_input_alike(
    capsys, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["A fine film , they said ; it was dull .", "", "lovely \N{THUMBS UP SIGN}"]
    plain, records = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("\n".join(texts) + "\n")
    records.write_text("\n".join(json.dumps({"review": text, "id": 3}) for text in texts))
    asked = [run(capsys, "predict", classifier, *words) for words in (texts, [plain], [records])]
    given(monkeypatch, "\n".join(texts).encode())
    asked.append(run(capsys, "predict", classifier, "-"))
    assert {(each.status, each.out) for each in asked} == {(0, asked[0].out)}
    label, text = asked[0].out.splitlines()[0].split("\t")
    assert label.split()[0] in ("good", "bad")
    assert text == texts[0]
    rows = [json.loads(line) for line in run(capsys, "predict", classifier, *texts, "--json").out.splitlines()]
    assert [row["text"] for row in rows] == texts
    assert rows[0]["probability"].keys() == {"bad", "good"}
    assert rows[0]["label"] == Classifier.load(classifier).predict(texts[0])


def test_a_decision_is_explained_in_words_in_json_and_on_a_page(capsys, classifier: Path, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    said = run(capsys, "predict", classifier, "A fine film .", "--explain", "--html", page)
    assert said.status == 0
    assert "fine +" in said.out or "fine -" in said.out
    assert "<title>A fine film .</title>" in page.read_text()
    row = json.loads(run(capsys, "predict", classifier, "A fine film .", "--explain", "--json").out)
    assert [part["token"] for part in row["explanation"]["contributions"]] == ["A", "fine", "film", "."]
    refused = run(capsys, "predict", classifier, "a", "b", "--html", page).refused()
    assert "--html: expected one text, got 2" in refused
    assert (
        "--html: expected a file name that ends in .html, got 'why'"
        in run(capsys, "predict", classifier, "a", "--html", "why").refused()
    )


def test_evaluate_shows_the_model_beside_the_baselines(capsys, classifier: Path, tmp_path: Path) -> None:
    test = table(tmp_path / "test.csv", seed=1)
    picture, page = tmp_path / "confusion.png", tmp_path / "report.html"
    ended = run(capsys, "evaluate", classifier, test, "--plot", picture, "--report", page)
    assert ended.status == 0
    for words in ("40 texts", "words and pairs", "most frequent", "net alone", "expected calibration error"):
        assert words in ended.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "What is taken for what" in page.read_text()
    found = json.loads(run(capsys, "evaluate", classifier, test, "--json").out)
    assert found["texts"] == 40
    assert sum(map(sum, found["scores"]["model"]["confusion"])) == 40


def test_several_labels_and_scales_come_from_tables(capsys, tmp_path: Path) -> None:
    several = tmp_path / "several.tsv"
    rows = ["words\tkinds", *("a b\tx|y", "a\tx", "b\ty", "c\t") * 6]
    several.write_text("\n".join(rows) + "\n")
    fields = ("--text-field", "words", "--label-field", "kinds", "--label-separator", "|")
    ended = run(capsys, "train", "classify", several, "--out", tmp_path / "m", *fields, *SMALL)
    assert ended.status == 0
    assert "2 (several): 'x', 'y'" in ended.out
    found = run(capsys, "evaluate", tmp_path / "m", several, *fields)
    assert "micro F1" in found.out
    stars = tmp_path / "stars.csv"
    stars.write_text("text,stars\n" + "a,1\nb,10\nc,2\n" * 6)
    assert run(capsys, "train", "classify", stars, "--out", tmp_path / "s", "--labels", "ordered", *SMALL).status == 0
    assert "off by" in run(capsys, "evaluate", tmp_path / "s", stars).out
    assert Classifier.load(tmp_path / "s").classes_.tolist() == ["1", "2", "10"]


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("text,label\na,x\nb,x\n", (), "at least two different labels, got 'x' alone"),
        ("text,label\na,x\nb,y,z\n", (), "line 3: expected 2 fields as in the header, got 3"),
        ("text,kind\na,x\n", (), "line 2: expected a field of the label"),
        ("text,label\na,x\nb,y\n", ("--labels", "ordered"), "ordered labels to be numbers, got 'x'"),
        ("text,label\na,x\nb,y\n", ("--unit", "verse"), "unit to be one of character, word, subword, got 'verse'"),
        ("text,label\na,x\nb,y\n", ("--minutes", 0), "--minutes: expected a number above 0, got 0"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    capsys, tmp_path: Path, content: str, words: tuple, said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    before = files(tmp_path)
    assert said in run(capsys, "train", "classify", path, "--out", tmp_path / "m", *words).refused()
    assert files(tmp_path) == before


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(
    capsys, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, b"fine\nna\xefve\n")
    ended = run(capsys, "predict", classifier)
    assert ended.status == 2
    assert ended.out.count("\n") == 1  # what came before was answered
    assert "standard input: line 2: expected UTF-8, got the byte 0xef at byte 2" in ended.err


def test_the_demo_learns_what_pairs_of_words_do_not_say(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from throughtime.cli import classify_demo

    monkeypatch.setattr(classify_demo, "TRAINING", 60)
    monkeypatch.setattr(classify_demo, "TEST", 20)
    monkeypatch.setitem(classify_demo.OPTIONS, "epochs", 1)
    ended = run(capsys, "demo", "classify", "--out", tmp_path / "demo")
    assert ended.status == 0
    for name in ("confusion.png", "why.html", "reviews.csv", "classify-model"):
        assert (tmp_path / "demo" / name).exists()
    *_, evaluate, predict = [line.strip() for line in ended.out.splitlines() if line.strip()]
    for line in (evaluate, predict):
        assert run(capsys, *shlex.split(line)[1:]).status == 0


def test_lines_are_answered_as_they_come(classifier: Path) -> None:
    code = "import sys; from throughtime.cli import main; sys.exit(main(['predict', sys.argv[1], '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(classifier)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("fine", "dull"):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(60) == 0
