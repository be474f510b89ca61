"""Bad tables at the command line: one line that holds the offending value, exit status 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import QUICK, files, rows, run, write_series
from throughtime.cli import main
from throughtime.training import loop

Rows = list[str]


def changed(row: int, text: str) -> Rows:
    lines = rows()
    lines[row] = text
    return lines


# name: (what is wrong, the rows or the bytes, words that the line must hold)
TABLES: dict[str, tuple[Rows | bytes, tuple[str, ...]]] = {
    "unparsable date": (changed(3, "a,2020-13-45,1.0"), ("'2020-13-45'", "line 5", "ds")),
    "date in words": (changed(0, "a,yesterday,1.0"), ("'yesterday'", "line 2")),
    "no date": (changed(7, "a,,1.0"), ("line 9", "ds")),
    "duplicate": (changed(6, rows()[5]), ("2020-01-06", "'a'")),
    "irregular": (changed(4, "a,2020-01-05T13:30,1.0"), ("2020-01-05 13:30", "'a'")),
    "inf": (changed(4, "a,2020-01-05,-inf"), ("'-inf'", "line 6")),
    "sentinel": (changed(4, "a,2020-01-05,lots"), ("'lots'", "line 6")),
    "no value at all": ([row.rpartition(",")[0] + "," for row in rows()], ("got none in series 'a'",)),
    "thousands": (changed(4, 'a,2020-01-05,"1,000"'), ("'1,000'", "line 6")),
    "missing id": (changed(4, ",2020-01-05,1.0"), ("unique_id", "line 6")),
    "too short": (rows(7), ("at least 8 points", "got 7", "'a'")),
    "one of two too short": (rows(40) + rows(4, "b"), ("got 4", "'b'")),
    "two frequencies": (rows(40) + [f"b,{2000 + i}-01-01,{i}" for i in range(12)], ("'b'",)),
    "ragged line": (changed(4, "a,2020-01-05,1.0,9"), ("line 6", "got 4")),
    "header alone": ([], ("got none",)),
    "empty file": (b"", ("empty file",)),
    "white space": (b"\n  \n", ()),
    "not UTF-8": ("unique_id,ds,y\ncafé,2020-01-01,1\n".encode("latin-1"), ("0xe9", "line 2")),
    "UTF-16": ("unique_id,ds,y\na,2020-01-01,1\n".encode("utf-16"), ("UTF-16",)),
    "zero bytes": (b"unique_id,ds,y\na,2020-01-01,\0\n", ("zero byte", "line 2")),
    "open quote": (b'unique_id,ds,y\n"a,2020-01-01,1\n', ("quote", "line 2")),
    "same column twice": (b"ds,y,y\n2020-01-01,1,2\n", ("'y'",)),
    "not a table": (b"\x89PNG\r\n\x1a\n\0\0\0", ()),
}


def put(folder: Path, content: Rows | bytes) -> Path:
    path = folder / "sales.csv"
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    return write_series(path, content)


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No bad table may get as far as a step of training."""
    if "model" not in request.fixturenames:
        monkeypatch.setattr(loop, "Training", None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a horizon of 3, trained on daily data."""
    folder = tmp_path_factory.mktemp("cli")
    table = write_series(folder / "good.csv")
    words = ["train", "forecast", table, "--horizon", 3, "--out", folder / "model", "--quiet", *QUICK]
    assert main([str(word) for word in words]) == 0
    return folder / "model"


@pytest.mark.parametrize("name", TABLES)
def test_train_refuses_a_bad_table(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str):
    content, words = TABLES[name]
    table = put(tmp_path, content)
    before = files(tmp_path)
    line = run(capsys, "train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", *QUICK).refused()
    for word in words:
        assert word in line, (word, line)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "name", [name for name in TABLES if not name.endswith("too short") and name != "two frequencies"]
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_predict_and_evaluate_refuse_it_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, command: str, name: str
):
    content, words = TABLES[name]
    table = put(tmp_path, content)
    before = files(tmp_path)
    line = run(capsys, command, model, table, "--plot", tmp_path / "p.png").refused()
    for word in words:
        assert word in line, (word, line)
    assert "sales.csv" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("header", "options", "words"),
    [
        ("unique_id,ds,sold", (), ("y", "sold")),
        ("unique_id,when,y", (), ("ds", "when")),
        ("unique_id,ds,y", ("--target-col", "sold"), ("sold",)),
        ("unique_id,ds,y", ("--id-col", "shop"), ("shop",)),
        ("unique_id,ds,y", ("--time-col", "day"), ("day",)),
        ("unique_id,ds,y", ("--freq", "fortnight"), ("'fortnight'",)),
        ("unique_id,ds,y", ("--freq", "MS"), ("MS",)),
        ("unique_id,ds,y", ("--freq", "5"), ("'5'",)),
    ],
)
def test_missing_and_unknown_columns_and_frequencies(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, header: str, options: tuple[str, ...], words: tuple[str, ...]
):
    table = write_series(tmp_path / "sales.csv", header=header)
    line = run(capsys, "train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", *options).refused()
    for word in words:
        assert word in line, (word, line)
    assert sorted(files(tmp_path)) == ["sales.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--horizon", "0"), "horizon > 0, got 0"),
        (("--horizon", "-4"), "horizon > 0, got -4"),
        (("--hidden-size", "0"), "hidden_size > 0, got 0"),
        (("--layers", "-1"), "num_layers > 0, got -1"),
        (("--epochs", "0"), "epochs > 0, got 0"),
        (("--batch-size", "0"), "batch_size > 0, got 0"),
        (("--input-size", "0"), "input_size > 0, got 0"),
        (("--season-length", "0"), "season_length > 0, got 0"),
        (("--learning-rate", "-1"), "-1"),
        (("--learning-rate", "nan"), "nan"),
        (("--patience", "0"), "got 0"),
        (("--dropout", "1.5"), "1.5"),
        (("--seed", "-1"), "got -1"),
        (("--threads", "0"), "got 0"),
        (("--strategy", "guess"), "'guess'"),
        (("--cell", "transformer"), "'transformer'"),
        (("--scaling", "minmax"), "'minmax'"),
    ],
)
def test_options_out_of_range(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, str], said: str):
    table = write_series(tmp_path / "sales.csv")
    words = ["train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", *QUICK, *options]
    assert said in run(capsys, *words).refused()
    assert sorted(files(tmp_path)) == ["sales.csv"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nowhere.csv", "nowhere.csv"),
        (lambda folder: folder, "got a folder"),
        (lambda folder: write_series(folder / "sales.xlsx"), "sales.xlsx"),
        (lambda folder: write_series(folder / "sales.csv.gz"), "gzip"),
        (lambda folder: write_series(folder / "sales.csv") / "below", "below"),
    ],
)
def test_no_such_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, make: Callable[[Path], Path], said: str):
    path = make(tmp_path)
    before = files(tmp_path)
    line = run(capsys, "train", "forecast", path, "--horizon", 3, "--out", tmp_path / "m").refused()
    assert said in line
    assert files(tmp_path) == before


def test_a_bad_validation_file_names_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = write_series(tmp_path / "sales.csv")
    later = write_series(tmp_path / "later.csv", ["a,2020-03-01,many"])
    words = ["train", "forecast", table, "--horizon", 3, "--out", tmp_path / "m", "--validation", later]
    line = run(capsys, *words).refused()
    assert "later.csv" in line
    assert "'many'" in line


def test_another_frequency_than_in_training(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path):
    table = write_series(tmp_path / "monthly.csv", [f"a,2020-{month:02d}-01,{month}" for month in range(1, 13)])
    line = run(capsys, "predict", model, table).refused()
    assert "monthly.csv" in line
    assert "step by D, got series 'a', which steps by MS" in line


def test_too_short_to_evaluate(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path):
    table = write_series(tmp_path / "short.csv", rows(3))
    line = run(capsys, "evaluate", model, table).refused()
    assert "at least 4 points" in line
    assert "got 3 in series 'a'" in line
