"""`python -m benchmarks.speed`: keeps what it has measured, measures void rows again, draws."""

import json
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed import machine, plot, store
from benchmarks.speed.cases import CASES

HEAD = {
    "machine": "2-core x86-64",
    "threads": 2,
    "seed": 0,
    "versions": {"torch": "2"},
    "peak": {"GFLOP/s": 200.0, "how": "a loop", "sgemm GFLOP/s": 100.0, "sgemm size": 9},
}
NAMES = [case.name for case in CASES if case.name.startswith("train rnn T100")]


def row(void: list[str]) -> dict:
    figures = {"torch / ours": {"value": 4.2, "p20": 4.0, "p80": 4.4}}
    return {"figures": figures, "targets": [], "differences": {"torch": {"value": 1e-6, "array": "y"}}, "void": void}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that are measured, with the first one void."""
    names: list[str] = []

    def measure(case, *_):
        names.append(case.name)
        return row(["busy: very"] if case.name == NAMES[0] else [])

    monkeypatch.setattr(command, "_measure", measure)
    monkeypatch.setattr(command, "_conditions", lambda *_: HEAD)
    return names


def run(out: Path, *words: str) -> int:
    return command.main(["--only", "^train rnn T100", "--out", str(out), *words])


def test_a_second_run_measures_void_rows_only(tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "speed.json"
    assert run(out) == 0
    assert measured == NAMES
    printed = capsys.readouterr().out
    assert "torch / ours 4.2 [4 4.4]" in printed
    assert "void: busy: very" in printed
    measured.clear()
    assert run(out) == 0
    assert measured == NAMES[:1]
    measured.clear()
    assert run(out, "--threads", "1") == 0
    assert measured == NAMES
    measured.clear()
    assert run(out, "--threads", "1", "--again") == 0
    assert measured == NAMES
    assert json.loads(out.read_text())["rows"].keys() == set(NAMES)
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_a_list_measures_nothing(tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(tmp_path / "speed.json", "--list") == 0
    assert measured == []
    assert NAMES[0] in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_void_rows_are_not_drawn():
    results = {**HEAD, "rows": {NAMES[0]: row(["busy"]), NAMES[1]: row([])}}
    assert len(plot._bars(results, "train", "torch / ours")) == 1


def test_numbers_are_stored_short_and_finite(tmp_path: Path):
    path = tmp_path / "x.json"
    store.write(path, {"format": store.FORMAT, "a": [1.23456789, float("nan"), True, 7], "rows": {}})
    assert store.read(path)["a"] == [1.2346, None, True, 7]


def test_another_format_is_refused(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text('{"format": 99}')
    with pytest.raises(SystemExit, match="expected format 1, got 99"):
        store.read(path)


def test_the_machine_is_described_by_its_class():
    found = machine.describe()
    assert "-core " in found
    assert machine.platform.node() not in found


def test_the_generation_is_read_from_the_model():
    def processor(vendor: str, family: int, model: int) -> dict[str, str]:
        return {"vendor_id": vendor, "cpu family": str(family), "model": str(model)}

    assert machine._generation(processor("AuthenticAMD", 25, 17)) == "Zen 4"
    assert machine._generation(processor("AuthenticAMD", 25, 1)) == "Zen 3"
    assert machine._generation({}) == ""


def test_the_peak_is_measured_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch):
    if machine.shutil.which("c++"):
        gflops, how = machine.fma_peak(1)
        assert gflops > 1, how
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    gflops, how = machine.fma_peak(1)
    assert gflops != gflops
    assert how == "not measured: no C++ compiler"
