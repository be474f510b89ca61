"""`throughtime bench`: ratios with the equality check beside them."""

import json

import pytest
import torch

from tests.cli.command import run
from throughtime.cli import bench as module
from throughtime.cli.bench import CASES, TOLERANCE, Case, Measured, measure, quantile
from throughtime.nn import GRU

TINY = (Case("RNN", 3, 2, 1, 4, 2), Case("LSTM", 4, 2, 3, 5), Case("GRU", 1, 1, 3, 5))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CASES", TINY)


@pytest.mark.usefixtures("tiny")
def test_table_has_a_ratio_and_a_difference_a_case(capsys: pytest.CaptureFixture[str]):
    ended = run(capsys, "bench", "--seconds", "0.1", "--threads", "1")
    assert ended.status == 0, ended.err
    for case in TINY:
        (line,) = [line for line in ended.out.splitlines() if case.name in line and f" {case.layer} " in line]
        assert "void" not in line
    assert "instruction set" in ended.out


@pytest.mark.usefixtures("tiny")
def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str]):
    ended = run(capsys, "bench", "--seconds", "0.1", "--threads", "1", "--seed", "3", "--json")
    assert ended.status == 0
    found = json.loads(ended.out)
    assert (found["threads"], found["seed"], found["torch"]) == (1, 3, torch.__version__)
    assert [row["layer"] for row in found["rows"]] == ["RNN", "LSTM", "GRU"]
    assert all(row["equal"] and row["ratio"] > 0 and row["difference"] <= TOLERANCE for row in found["rows"])
    assert all(row["turns"] >= module.LEAST_ROUNDS for row in found["rows"])


@pytest.mark.usefixtures("tiny")
def test_numbers_that_differ_void_the_ratio(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    forward = GRU.forward

    def off(self, *arguments, **options):
        output, state = forward(self, *arguments, **options)
        return output * 1.01, state

    monkeypatch.setattr(module, "CASES", (Case("RNN", 3, 2, 1, 4), Case("GRU", 3, 2, 1, 4)))
    monkeypatch.setattr(GRU, "forward", off)
    ended = run(capsys, "bench", "--seconds", "0.1", "--threads", "1")
    assert ended.status == 1
    (line,) = [line for line in ended.out.splitlines() if " GRU " in line]
    assert "void" in line
    assert "GRU, T3 B2 I1 H4, to equal torch's within 0.0001, got a difference of 1.0e-02" in ended.err
    assert "RNN" not in ended.err


def test_a_difference_that_is_not_finite_voids():
    nan = module._difference([torch.tensor([1.0, float("nan")])], [torch.ones(2)])
    assert nan == float("inf")
    assert not Measured(TINY[0], [1.0], [1.0], nan).equal


def test_the_ratio_is_torchs_time_over_ours():
    measured = Measured(TINY[0], [1.0, 2.0, 3.0], [8.0, 8.0, 9.0], 0.0)
    assert measured.ratio == 4.0
    assert measured.spread == pytest.approx((3.4, 6.4))


def test_quantiles_lie_between_neighbours():
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0, 0.25, 0.5, 1)] == [1.0, 1.5, 2.0, 3.0]
    assert quantile([7.0], 0.8) == 7.0


def test_every_layer_and_streaming_are_measured():
    assert {case.layer for case in CASES if case.streams} == {"RNN", "GRU", "LSTM"}
    assert len(CASES) == 12


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_ours_equals_torchs(case: Case):
    assert measure(case, 0.0, 0).difference <= TOLERANCE


@pytest.mark.parametrize("seconds", ["0", "-2", "nan"])
def test_no_time_to_measure_is_refused(capsys: pytest.CaptureFixture[str], seconds: str):
    assert f"--seconds: expected more than 0, got {seconds}" in run(capsys, "bench", "--seconds", seconds).refused()
