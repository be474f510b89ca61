"""The command itself: how it starts, what it says, how it ends."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import throughtime
from tests.cli.command import run
from throughtime.cli import app, compare, forecaster_options, options, train, tune
from throughtime.errors import ArgumentError
from throughtime.nn.layers import LAYERS
from throughtime.tasks import Forecaster
from throughtime.tasks.forecast.network import ANCHORS
from throughtime.tasks.forecast.outputs import OUTPUTS
from throughtime.tasks.forecast.scaling import SCALINGS
from throughtime.tasks.forecast.strategies import STRATEGIES

HEAVY = ("torch", "numpy", "polars", "narwhals", "matplotlib", "pandas")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("words", [["--help"], ["train", "forecast", "--help"], ["demo", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]):
    code = (
        "import sys, json; from throughtime.cli import main; status = main(json.loads(sys.argv[1])); "
        f"loaded = [name for name in {HEAVY} if name in sys.modules]; print(loaded, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert done.stdout.strip()


def test_version(capsys: pytest.CaptureFixture[str]):
    ended = run(capsys, "--version")
    assert (ended.status, ended.out) == (0, f"throughtime {throughtime.__version__}\n")


def test_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "throughtime", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"throughtime {throughtime.__version__}\n"


def test_bare_command_shows_the_commands_in_order_of_use(capsys: pytest.CaptureFixture[str]):
    ended = run(capsys)
    assert ended.status == 0
    places = [ended.out.index(f" {name} ") for name in ("train", "predict", "evaluate", "update", "tune", "demo")]
    assert places == sorted(places)
    assert run(capsys, "train").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "'trian'"),
        (["train", "forecats"], "'forecats'"),
        (["predict"], "MODEL"),
        (["train", "forecast", "x.csv", "--horizon", "3"], "--out"),
        (["train", "forecast", "x.csv", "--horizon", "three", "--out", "m"], "'three'"),
        (["train", "forecast", "x.csv", "--horizon=2.5", "--out", "m"], "'2.5'"),
        (["evaluate", "m", "x.csv", "--windows", "many"], "'many'"),
        (["predict", "m", "--colour"], "--colour"),
        (["demo", "sing"], "'sing'"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
):
    monkeypatch.chdir(tmp_path)
    assert said in run(capsys, *words).refused()
    assert list(tmp_path.iterdir()) == []


def test_wrong_words_say_where_help_is(capsys: pytest.CaptureFixture[str]):
    assert run(capsys, "predict").err.endswith("see: throughtime predict --help\n")


def test_without_typer_one_line_names_the_extra():
    code = "import sys; sys.modules['typer'] = None; from throughtime.cli import main; sys.exit(main(['--help']))"
    done = python(code)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "typer" in done.stderr
    assert "pip install 'throughtime[cli]'" in done.stderr


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys; from throughtime.cli import main; sys.exit(main(['--help']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert done.stderr == ""


def test_other_errors_of_the_system_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr("throughtime.cli.training.use_threads", full)
    monkeypatch.setattr("throughtime.data.check_model_target", lambda _: None)
    line = run(capsys, "train", "forecast", "x.csv", "--horizon", 3, "--out", "m").refused()
    assert "model.safetensors" in line
    assert "No space left on device" in line


def test_every_option_of_the_forecaster_is_one_of_the_command():
    own = set(inspect.signature(Forecaster.__init__).parameters) - {"self", "horizon"}
    assert set(forecaster_options.OPTIONS) == own
    spoken = {"layers" if name == "num_layers" else name for name in forecaster_options.OPTIONS}
    for command, without in (
        (train.forecast, set()),
        (tune.forecast, set()),
        (compare.forecast, {"cell", "epochs", "seed"}),
    ):
        parameters = inspect.signature(command).parameters
        assert spoken - set(parameters) == without
        assert {parameters[name].default for name in spoken - without} == {None}, "the forecaster's default is kept"


def test_defaults_in_the_help_are_the_forecasters_own():
    own = inspect.signature(Forecaster.__init__).parameters
    for name, option in forecaster_options.OPTIONS.items():
        shown, default = option.__metadata__[0].show_default, own[name].default
        if default is None or default == ():
            assert shown not in ("0", "1", "auto"), name  # said in words, or not at all
        elif default is False:
            assert shown == f"no-{name}".replace("_", "-")
        elif default is True:
            assert shown.partition(",")[0] == name
        else:
            assert shown == str(default), name


@pytest.mark.parametrize(
    ("name", "choices"),
    [("cell", LAYERS), ("strategy", STRATEGIES), ("scaling", SCALINGS), ("anchor", ANCHORS), ("loss", OUTPUTS)],
)
def test_choices_in_the_help_are_the_forecasters_own(name: str, choices: tuple[str, ...]):
    text = forecaster_options.OPTIONS[name].__metadata__[0].help
    assert [choice for choice in choices if choice not in text] == []


@pytest.mark.parametrize("text", ["", "a,,b", "a,a", " , "])
def test_lists_of_columns_are_checked(text: str):
    with pytest.raises(ArgumentError, match=re.escape(repr(text))):
        forecaster_options.names_of(text, "--past")


@pytest.mark.parametrize(("text", "got"), [("", "''"), ("80,x", "'80,x'"), ("80,80", "'80,80'"), ("0,50", "0"),
                                           ("100", "100"), ("nan", "nan"), ("-3", "-3")])  # fmt: skip
def test_lists_of_numbers_are_checked(text: str, got: str):
    with pytest.raises(ArgumentError, match=f"--levels: expected .*got {re.escape(got)}"):
        options.numbers_of(text, "--levels", low=0, high=100)


def test_every_shared_option_is_used():
    annotations = [
        annotation
        for command in (train.forecast, app.predict, app.evaluate, app.update)
        for annotation in (parameter.annotation for parameter in inspect.signature(command).parameters.values())
    ]
    shared = [getattr(options, name) for name in options.__all__ if name[0].isupper() and not name.isupper()]
    assert [option for option in shared if option not in annotations] == []


def test_a_terminal_without_utf8_gets_letters_as_numbers(tmp_path: Path):
    code = "import sys; from throughtime.cli import main; sys.exit(main(['inspect', sys.argv[1]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "模型")],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == app.BAD_INPUT
    assert "\\u6a21\\u578b" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 7 TiB"), "got: Unable to allocate 7 TiB"),
        (MemoryError(), "got: MemoryError"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 144 bytes"), "can't allocate memory"),
        (OverflowError("int too large"), "int too large"),
    ],
)
def test_numbers_too_large_for_the_machine_are_one_sentence(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object, **__: object):
        raise error

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: type("Fails", (), {"main": fails})())
    assert app.run(["inspect", "model"]) == app.BAD_INPUT
    line = capsys.readouterr().err
    assert said in line
    assert line.startswith("throughtime: expected numbers and data for which there is memory")
    assert line.count("\n") == 1


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object, **__: object):
        raise ValueError("shapes differ")

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: type("Fails", (), {"main": fails})())
    with pytest.raises(ValueError, match="shapes differ"):
        app.run(["inspect", "model"])
