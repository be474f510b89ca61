"""Every mode of the registry runs, on tiny shapes: its figures are taken, and our numbers equal the peers'."""

import dataclasses

import pytest

from benchmarks.speed import memory, race, table
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.job import Unavailable

PEERS = ("torch",)


def tiny(mode: str, cell: str) -> Case:
    """The registry's first case of a mode and cell, small."""
    case = next(case for case in CASES if (case.mode, case.cell) == (mode, cell))
    T, B = (1, 1) if mode == "step" else (4, 3)
    small = {"T": T, "B": B, "H": 5, "rounds": 1}
    if mode == "epoch":
        small |= {"T": 50, "B": 16, "examples": 40}
    if mode == "memory" or (mode == "inference" and cell in ("rnn", "gru", "lstm")):
        small["L"] = 2
    return dataclasses.replace(case, **small, peers=PEERS if case.peers else ())


@pytest.fixture(scope="module")
def field():
    made = race.Field(threads=1)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "TURN_SECONDS", 0.001)


def run(case: Case, field: race.Field) -> dict:
    return race.run(case, field, seed=0, seconds=0.0, peak_gflops=100.0)


@pytest.mark.parametrize(
    ("mode", "cell"), sorted({(case.mode, case.cell) for case in CASES if case.mode not in ("memory", "step")})
)
def test_mode_gives_its_figures_and_equal_numbers(mode: str, cell: str, field: race.Field):
    case = tiny(mode, cell)
    row = run(case, field)
    wanted = {target.figure for target in case.targets if "onnx" not in target.figure}
    assert wanted <= set(row["figures"])
    assert [fault for fault in row["void"] if fault.startswith("equality")] == []
    assert bool(row["differences"]) == bool(case.peers)
    assert table.line(case.name, row).startswith(f"{case.name}: ours ")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_steps(cell: str, field: race.Field):
    row = run(tiny("step", cell), field)
    assert {"ours, µs", f"{cell.upper()}Cell / ours", f"nn.{cell.upper()} / ours"} <= set(row["figures"])
    assert row["differences"].keys() == {f"{cell.upper()}Cell", f"nn.{cell.upper()}"}
    assert [fault for fault in row["void"] if fault.startswith("equality")] == []


def test_a_peer_runs_beside_us_and_alone(field: race.Field):
    row = run(tiny("train", "lstm"), field)
    assert {kind: set(group) for kind, group in row["seconds"].items()} == {
        "ours": {"ours"},
        "beside": {"torch"},
        "alone": {"torch"},
    }


def test_numbers_that_differ_void_the_row(field: race.Field):
    row = run(dataclasses.replace(tiny("train", "gru"), tolerance=0.0), field)
    (fault,) = [fault for fault in row["void"] if fault.startswith("equality")]
    assert "differs from torch's by" in fault
    assert "void: equality" in table.line("x", row)


def test_no_peer_to_compare_with_voids(field: race.Field):
    case = dataclasses.replace(tiny("inference", "rnn"), peers=("not-installed",))
    field.absent["not-installed"] = "not-installed is not installed"
    row = run(case, field)
    assert "equality: no peer to compare with" in row["void"]
    assert row["absent"] == {"not-installed": "not-installed is not installed"}


def test_a_case_that_we_cannot_run_is_not_measured(field: race.Field):
    with pytest.raises(Unavailable, match="throughtime has nothing for sgemm"):
        run(Case("x", "sgemm", "rnn", 1, 1, 1, 4), field)


@pytest.mark.skipif(not memory.RESET_PEAK.exists(), reason="this system does not tell a process's peak memory")
def test_memory():
    case = dataclasses.replace(tiny("memory", "lstm"), T=50, B=64, H=128)
    row = memory.run(case, threads=1, seed=0)
    assert row["void"] == []
    # y and c of two layers alone, of float32, are more; a call that was not seen would need nothing.
    assert row["figures"]["ours, MiB"]["value"] > 2 * 2 * 50 * 64 * 128 * 4 / 2**20
    assert row["figures"]["ours / torch"]["value"] > 0
