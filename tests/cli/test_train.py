"""`throughtime train forecast`: a table in, a model folder out."""

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.cli.command import QUICK, rows, run, write_series
from throughtime.tasks import Forecaster
from throughtime.training import Callback, EpochRecord


def test_it_saves_a_model_and_says_what_to_do_next(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    folder = tmp_path / "my model"
    ended = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", folder, *QUICK)
    assert ended.status == 0
    assert "1 series, 40 points, step D" in ended.out
    assert f"throughtime predict '{folder}'" in ended.out
    assert "training: 1 epochs" in ended.err
    assert Forecaster.load(folder).horizon == 3
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    ended = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", "--quiet", *QUICK)
    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_every_option_reaches_the_forecaster(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    lines = [f"{row},x,{i % 3},{i % 2},{name}" for name in "ab" for i, row in enumerate(rows(60, name))]
    table = write_series(tmp_path / "sales.csv", lines, "shop,day,sold,note,heat,promo,region")
    given = {
        "id_col": "shop",
        "time_col": "day",
        "target_col": "sold",
        "freq": "D",
        "season_length": 14,
        "past": "heat",
        "future": "promo",
        "static": "region",
        "calendar": False,
        "strategy": "sequence",
        "cell": "peephole-lstm",
        "hidden_size": 5,
        "layers": 2,
        "dropout": 0.1,
        "input_size": 8,
        "segment_size": 2,
        "linear": True,
        "scaling": "series",
        "logarithms": False,
        "anchor": "last",
        "loss": "huber",
        "series_embedding": True,
        "ensemble": 2,
        "epochs": 2,
        "refit": False,
        "batch_size": 16,
        "learning_rate": 0.003,
        "patience": 4,
        "seed": 3,
    }
    dates = tmp_path / "holidays.csv"
    dates.write_text("ds,holiday\n2020-01-06,Epiphany\n2020-02-24,Carnival\n")
    given["holidays"] = dates
    named = {name.replace("_", "-"): value for name, value in given.items()}
    words = [f"--no-{name}" if value is False else f"--{name}" for name, value in named.items() if type(value) is bool]
    words += [word for name, value in named.items() if type(value) is not bool for word in (f"--{name}", value)]
    ended = run(capsys, "train", "forecast", table, "--horizon", 4, "--out", tmp_path / "m", "--threads", 1, *words)
    assert ended.status == 0, ended.err
    kept = Forecaster.load(tmp_path / "m").get_params()
    given["num_layers"] = given.pop("layers")
    given |= {name: [given[name]] for name in ("past", "future", "static")}
    given["holidays"] = {"Epiphany": ["2020-01-06"], "Carnival": ["2020-02-24"]}
    assert set(kept) - set(given) == {"horizon"}
    assert {name: list(kept[name]) if isinstance(kept[name], tuple) else kept[name] for name in given} == given


def test_the_report_shows_what_comes_next(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    page = tmp_path / "r.html"
    ended = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", "--report", page, *QUICK)
    assert ended.status == 0, ended.err
    assert f"report      {page}" in ended.out
    text = page.read_text(encoding="utf-8")
    for words in (
        "sales.csv: 3 steps ahead",
        "Forecasts of what comes next",
        "Loss by epoch",
        "--horizon 3",
        "Gradients",
    ):
        assert words in text
    assert "beside simple forecasts" not in text


def test_where_the_future_must_be_known_the_report_shows_the_end(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "s.csv", [f"{row},{i % 2}" for i, row in enumerate(rows())], "unique_id,ds,y,promo")
    words = ["train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", "--future", "promo", *QUICK]
    assert run(capsys, *words, "--report", tmp_path / "r.html").status == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Errors, beside simple forecasts" in text
    assert "known for the future, too" in text


def test_gaps_are_left_out_or_filled(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    lines = rows()
    lines[10] = lines[10].rpartition(",")[0] + ","
    del lines[20]
    table = write_series(tmp_path / "s.csv", lines)
    words = ["train", "forecast", table, "--horizon", 3, *QUICK, "--quiet"]
    assert run(capsys, *words, "--out", tmp_path / "kept").status == 0
    assert run(capsys, *words, "--out", tmp_path / "filled", "--fill", "linear").status == 0
    origins = {name: Forecaster.load(tmp_path / name).origin_["data"] for name in ("kept", "filled")}
    assert origins["kept"] != origins["filled"]
    assert "got 'magic'" in run(capsys, *words, "--out", tmp_path / "m", "--fill", "magic").refused()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--past", "heat"], "heat"),
        (["--future", "ds"], "'ds'"),
        (["--static", "unique_id,"], "'unique_id,'"),
        (["--loss", "magic"], "'magic'"),
        (["--loss", "negative-binomial"], "negative"),
        (["--ensemble", "0"], "got 0"),
        (["--segment-size", "4"], "got 6"),
        (["--report", "r.pdf"], "'r.pdf'"),
    ],
)
def test_options_that_cannot_be(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, words: list[str], said: str
):
    line = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", *QUICK, *words).refused()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_bytes(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / name, "--seed", seed, *QUICK)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


def test_an_old_model_is_replaced(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    for horizon in (3, 4):
        ended = run(capsys, "train", "forecast", data, "--horizon", horizon, "--out", tmp_path / "m", *QUICK)
        assert ended.status == 0
    assert Forecaster.load(tmp_path / "m").horizon == 4


def test_gzip_and_a_validation_file(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    lines = rows(80)
    plain = write_series(tmp_path / "first.csv", lines[:50])
    packed = tmp_path / "first.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    later = write_series(tmp_path / "later.csv", lines[50:])
    words = ["train", "forecast", packed, "--horizon", 3, "--out", tmp_path / "m", "--validation", later, *QUICK]
    assert run(capsys, *words).status == 0
    assert "given frame" in Forecaster.load(tmp_path / "m").validation_


def test_a_constant_series_works(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "flat.csv", [row.rpartition(",")[0] + ",7.0" for row in rows()])
    assert run(capsys, "train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", *QUICK).status == 0
    ended = run(capsys, "predict", tmp_path / "m", "--json")
    assert [row["forecast"] for row in json.loads(ended.out)] == pytest.approx([7, 7, 7], abs=0.5)
    assert run(capsys, "evaluate", tmp_path / "m", table, "--plot", tmp_path / "flat.png").status == 0


class StopAfter(Callback):
    """Ctrl-C, as a callback."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_step(self, record: object) -> None:
        if self.epochs == 0:
            raise KeyboardInterrupt

    def on_epoch(self, record: EpochRecord) -> None:
        if record.epoch == self.epochs:
            raise KeyboardInterrupt


def interrupt(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    fit = Forecaster.fit

    def stopped(self: Forecaster, df: object, validation: object = None, *, callbacks: tuple = ()) -> Forecaster:
        return fit(self, df, validation, callbacks=(*callbacks, StopAfter(epochs)))

    monkeypatch.setattr(Forecaster, "fit", stopped)


def test_ctrl_c_saves_the_best_model_so_far(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupt(monkeypatch, 2)
    words = ["train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", *QUICK, "--epochs", 50]
    ended = run(capsys, *words)
    assert ended.status == 130
    assert "interrupted; the best model so far (epoch" in ended.err
    assert len(Forecaster.load(tmp_path / "m").history_.history) == 2
    assert run(capsys, "predict", tmp_path / "m").status == 0


def test_ctrl_c_before_the_first_epoch_ends_writes_nothing(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupt(monkeypatch, 0)
    ended = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", *QUICK)
    assert ended.status == 130
    assert "nothing was written" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_killed_training_is_resumed_by_the_same_command(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A training that fails after its second epoch stands for one that is killed; tests/training does the killing."""
    common = ["train", "forecast", data, "--horizon", 3, *QUICK, "--epochs", 4, "--batch-size", 4]
    assert run(capsys, *common, "--out", tmp_path / "whole").status == 0
    words = [*common, "--out", tmp_path / "m", "--checkpoint", tmp_path / "run", "--resume", "--checkpoint-steps", 2]

    class PowerCut(Callback):
        def on_epoch(self, record: EpochRecord) -> None:
            if record.epoch == 2:
                raise RuntimeError("power cut")

    fit = Forecaster.fit
    with monkeypatch.context() as patch:
        patch.setattr(
            Forecaster, "fit", lambda self, *a, callbacks, run: fit(self, *a, callbacks=[PowerCut()], run=run)
        )
        with pytest.raises(RuntimeError, match="power cut"):
            run(capsys, *words)
    ended = run(capsys, *words, "--plot", tmp_path / "loss.png")
    assert ended.status == 0, ended.err
    assert "resumed     " in ended.out
    whole, again = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "m"))
    assert whole == again
    assert (tmp_path / "loss.png").stat().st_size > 1000
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (events[0], events[-1], events.count("epoch"), events.count("resume")) == ("start", "end", 4, 1)


def test_a_resume_with_other_options_is_refused_and_says_which(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
):
    words = [
        "train",
        "forecast",
        data,
        "--horizon",
        3,
        *QUICK,
        "--out",
        tmp_path / "m",
        "--checkpoint",
        tmp_path / "run",
    ]
    assert run(capsys, *words).status == 0
    assert "without a training, got step-" in run(capsys, *words).refused()
    refusal = run(capsys, *words, "--resume", "--learning-rate", 0.5, "--seed", 2).refused()
    assert re.search(r"option learning_rate was [\d.]+, is 0\.5;", refusal)
    assert "forecast seed was 0, is 2" in refusal


@pytest.mark.parametrize("option", ["--resume", "--checkpoint-steps 3", "--checkpoint-minutes 2.0"])
def test_options_of_checkpoints_need_a_folder(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, option: str
):
    ended = run(capsys, "train", "forecast", data, "--horizon", 3, "--out", tmp_path / "m", *option.split())
    assert f"expected --checkpoint DIR beside {option.split()[0]}, got {option} alone" in ended.refused()


def test_the_model_says_what_it_comes_from(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path):
    words = ["train", "forecast", data, "--horizon", 3, "--seed", 4, *QUICK]
    run(capsys, *words, "--out", tmp_path / "a")
    lines = data.read_text().splitlines()
    other = data.with_name("other.csv")
    other.write_text("\n".join([*lines[:-1], lines[-1].rpartition(",")[0] + ",3.0", ""]))
    words[2] = other
    run(capsys, *words, "--out", tmp_path / "b")
    a, b = (json.loads((tmp_path / name / "model.json").read_text()) for name in "ab")
    assert a["seed"] == 4
    assert a["versions"].keys() >= {"python", "torch", "throughtime", "numpy"}
    assert a["origin"]["command"].startswith("throughtime train forecast ")
    assert a["origin"]["command"].endswith("--out " + str(tmp_path / "a"))
    assert a["origin"]["data"] != b["origin"]["data"]
    assert Forecaster.load(tmp_path / "a").origin_ == a["origin"]


@pytest.mark.parametrize(
    "option",
    [
        ("--hidden-size", "9" * 30), ("--batch-size", "9" * 30), ("--season-length", "9" * 30),
        ("--input-size", "1000000000"), ("--freq", "9" * 20 + "h"),
    ],
)  # fmt: skip
def test_numbers_beyond_counting_are_one_sentence(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "s.csv"
    file.write_text("ds,y\n" + "".join(f"{i},{i % 7}\n" for i in range(60)), encoding="utf-8")
    ended = run(capsys, "train", "forecast", str(file), "--horizon", "3", "--out", str(tmp_path / "m"), *option)
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert "up to" in ended.err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ds;y\n" + "".join(f"{i};{i},5\n" for i in range(60)), "write numbers as 1000.5"),
        ("sep=;\nds;y\n" + "".join(f"{i};{i}\n" for i in range(60)), "delete that line"),
    ],
)
def test_what_a_spreadsheet_writes_is_explained(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "s.csv"
    file.write_text(content, encoding="utf-8")
    ended = run(capsys, "train", "forecast", str(file), "--horizon", "3", "--out", str(tmp_path / "m"))
    assert ended.status == 2
    assert said in ended.err
