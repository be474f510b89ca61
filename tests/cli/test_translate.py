"""`throughtime train translate`, and predict and evaluate for what it writes."""

import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.command import files, run
from tests.tasks.translate.small import phrases
from throughtime.cli import main, translate_demo
from throughtime.tasks import Translator

SMALL = (
    "--hidden-size", 16, "--embedding-size", 8, "--epochs", 2, "--batch-size", 8, "--learning-rate", 0.02,
    "--dropout", 0.1, "--threads", 1,
)  # fmt: skip


def two_files(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    french, english = phrases(40, seed)
    source, target = folder / f"{seed}.fr", folder / f"{seed}.en"
    source.write_text("\n".join(french) + "\n", encoding="utf-8")
    target.write_text("\n".join(english) + "\n", encoding="utf-8")
    return source, target


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translate")
    words = ["train", "translate", *two_files(folder), "--out", folder / "model", "--quiet", *SMALL]
    assert main([str(word) for word in words]) == 0
    return folder / "model"


def test_train_says_what_it_learnt_and_what_comes_next(capsys, tmp_path: Path) -> None:
    out, (source, target) = tmp_path / "m", two_files(tmp_path)
    ended = run(
        capsys, "train", "translate", source, target, "--out", out, *SMALL, "--decoder", "attention-above",
        "--attention", "additive", "--cell", "gru", "--decoder-layers", 1, "--casing", "keep", "--seed", 3,
        "--validation-source", source, "--validation-target", target, "--checkpoint", tmp_path / "run",
    )  # fmt: skip
    assert ended.status == 0
    assert "data        40 pairs" in ended.out
    assert "validation  the given 40 pairs" in ended.out
    assert "gru, encoder 1 x 16 both ways, decoder 1 x 16, additive attention-above" in ended.out
    made = Translator.load(out)
    assert (made.seed, made.casing, made.decoder) == (3, "keep", "attention-above")
    assert made.origin_["command"].startswith("throughtime train translate ")
    program, *words = shlex.split(ended.out.strip().splitlines()[-1].replace("FILE", str(source)))
    assert program == "throughtime"
    followed = run(capsys, *words)
    assert (followed.status, followed.err) == (0, "")
    assert followed.out.count("\n") == 40


def test_training_begins_with_a_model(capsys, model: Path, tmp_path: Path) -> None:
    words = ("train", "translate", *two_files(tmp_path), "--quiet", "--out", tmp_path / "m", "--start", model, *SMALL)
    assert run(capsys, *words).status == 0
    first, further = Translator.load(model), Translator.load(tmp_path / "m")
    assert further.metrics_["validation_loss"] < first.metrics_["validation_loss"]
    refused = run(capsys, *words, "--hidden-size", 18)
    assert refused.status == 2
    assert "a start with hidden_size=18, got one with 16" in refused.err


def test_a_line_in_is_a_line_out_from_arguments_files_and_standard_input(
    capsys, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Le chat noir.", "", "Un pont \N{BRIDGE AT NIGHT}"]
    plain, records = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("\n".join(texts) + "\n", encoding="utf-8")
    records.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    asked = [run(capsys, "predict", model, *words) for words in (texts, [plain], [records])]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(texts).encode()), encoding="utf-8"))
    asked.append(run(capsys, "predict", model))
    assert {(each.status, each.out) for each in asked} == {(0, asked[0].out)}
    lines = asked[0].out.split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    rows = [json.loads(line) for line in run(capsys, "predict", model, *texts, "--json").out.splitlines()]
    assert [row["source"] for row in rows] == texts
    assert [row["translation"] for row in rows] == lines[:3]
    assert all(0 < row["confidence"] <= 1 for row in rows)


def test_lines_of_standard_input_are_answered_before_the_next_is_read(
    capsys, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    class Lines(io.RawIOBase):
        sent = 0

        def readable(self) -> bool:
            return True

        def __iter__(self):
            for line in (b"Le chat noir.\n", b"Un train vert.\n"):
                shown.append(capsys.readouterr().out)
                yield line

    class Stdin:
        buffer = Lines()

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert main(["predict", str(model), "-"]) == 0
    assert shown[0] == ""
    assert shown[1].count("\n") == 1


def test_the_search_is_set_from_the_command_line(capsys, model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    said = run(
        capsys, "predict", model, "Le chat noir.", "--beam", 3, "--n-best", 2, "--length-penalty", 0.5,
        "--coverage-penalty", 0.1, "--no-repeat", 2, "--plot", picture,
    )  # fmt: skip
    assert said.status == 0
    *ways, wrote = said.out.splitlines()
    expected = Translator.load(model).translate(
        ["Le chat noir."], 2, beam=3, length_penalty=0.5, coverage_penalty=0.1, no_repeat=2
    )[0]
    assert ways == [f"{way.score:.4f}\t{way.text}" for way in expected]
    assert wrote == f"Wrote {picture}."
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (
        "--plot: expected one sentence, got 'a'" in run(capsys, "predict", model, "a", "b", "--plot", picture).refused()
    )
    assert "--plot: expected 1 to 100 subwords, got ''" in run(capsys, "predict", model, "", "--plot", picture).err
    assert "expected n_best of at most beam=2, got 3" in run(
        capsys, "predict", model, "a", "--beam", 2, "--n-best", 3
    ).refused()  # fmt: skip


def test_evaluate_shows_figures_with_their_signatures(capsys, model: Path, tmp_path: Path) -> None:
    source, target = two_files(tmp_path, seed=1)
    ended = run(capsys, "evaluate", model, source, target)
    assert ended.status == 0
    for words in ("40 sentences", "source as it is", "BLEU: nrefs:1|case:mixed|eff:no|tok:13a", "chrF: nrefs:1"):
        assert words in ended.out
    told = json.loads(run(capsys, "evaluate", model, source, target, "--json", "--beam", 1).out)
    assert told["sentences"] == 40
    assert told["scores"]["model"].keys() == told["signatures"].keys()


def test_tables_are_read_by_columns(capsys, model: Path, tmp_path: Path) -> None:
    table = tmp_path / "pairs.tsv"
    french, english = phrases(6)
    table.write_text("".join(f"{b}\t{a}\tCC-BY\n" for a, b in zip(french, english, strict=True)))
    columns = ("--source-field", 2, "--target-field", 1)
    assert run(capsys, "evaluate", model, table, *columns).status == 0
    assert "expected a field of the sentence (source, src)" in run(capsys, "evaluate", model, table).refused()


def test_bad_input_is_one_line_and_writes_nothing(capsys, model: Path, tmp_path: Path) -> None:
    source, target = two_files(tmp_path)
    short, empty = tmp_path / "short", tmp_path / "empty"
    short.write_text("one\n")
    empty.write_text("")
    before, out = files(tmp_path), ("--out", tmp_path / "out")
    for words, match in (
        ((source, short, *out), "as many lines as"),
        ((source, short, *out), "got 40 and 1; "),
        ((empty, empty, *out), "got 0 pairs"),
        ((source, source, *out), "sources that are their own in all 40 pairs"),
        ((source, target, *out, "--vocabulary-size", 50_000), "got 50000; "),
        ((source, target, *out, "--decoder", "odd"), "got 'odd'; "),
        ((source, target, *out, "--minutes", -1), "--minutes: expected a number above 0, got -1"),
        ((source, target, *out, "--validation-target", target), "expected --validation-source beside it"),
        ((source, *out), "got '0.fr' alone; "),
    ):
        assert match in run(capsys, "train", "translate", *words).refused()
    assert files(tmp_path) == before
    assert "got 40 and 1; " in run(capsys, "evaluate", model, source, short).refused()


def test_the_demo_leaves_a_model_and_what_it_says_works(capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(translate_demo, "TRAINING", 120)
    monkeypatch.setattr(translate_demo, "TEST", 10)
    small = {"hidden_size": 16, "embedding_size": 8, "vocabulary_size": 150, "epochs": 1}
    monkeypatch.setattr(translate_demo, "OPTIONS", {**translate_demo.OPTIONS, **small})
    ended = run(capsys, "demo", "translate", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    assert "of 10 are right to the letter" in ended.out
    assert (tmp_path / "out" / "attention.png").stat().st_size > 1000
    for line in ended.out.splitlines():
        if line.startswith("  throughtime "):
            assert run(capsys, *shlex.split(line)[1:]).status == 0
