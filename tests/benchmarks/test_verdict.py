"""What makes a figure void, and how figures are made: each check with a case that it must not let through."""

import numpy as np
import pytest

from benchmarks.speed import verdict
from benchmarks.speed.cases import Case, Target

CASE = Case("x", "train", "lstm", 2, 3, 4, 5)
SAME = {"y": np.array([1.0, -2.0]), "dx": np.array([3.0])}


def test_equal_numbers_pass():
    assert verdict.equality_faults(CASE, {"torch": verdict.difference(SAME, SAME)}) == []


@pytest.mark.parametrize(
    ("theirs", "where"),
    [
        ({"y": np.array([1.0, -2.001])}, "y"),
        ({"y": np.array([1.0, -2.0]), "dx": np.array([3.1])}, "dx"),
        ({"y": np.array([1.0, np.nan])}, "y"),
        ({"y": np.array([1.0, -2.0, 0.0])}, "y (2,) and (3,)"),
        ({"z": np.array([1.0])}, "nothing in common"),
    ],
)
def test_numbers_that_differ_void(theirs, where):
    (fault,) = verdict.equality_faults(CASE, {"torch": verdict.difference(SAME, theirs)})
    assert fault.startswith(f"equality: {where} differs from torch's by ")


def test_a_difference_is_a_share_of_the_size():
    assert verdict.difference({"y": np.array([100.0, 1.0])}, {"y": np.array([100.0, 2.0])}) == (0.01, "y")


def test_a_peer_slowed_by_us_voids():
    alone = {"torch": [[1.0, 1.0], [1.0]]}
    assert verdict.beside_faults(alone, {"torch": [[1.04], [1.04]]}) == []
    (fault,) = verdict.beside_faults(alone, {"torch": [[1.06], [1.06]]})
    assert fault == "beside us: torch takes 1.06× as long as in a process without us"


def test_a_busy_machine_voids():
    quiet = [1.0, 1.0, 1.01, 1.05]
    assert verdict.busy_faults(0.02, quiet) == []
    assert verdict.busy_faults(None, quiet) == []
    assert verdict.busy_faults(0.3, quiet) == ["busy: other programs used 30 % of the machine"]
    (fault,) = verdict.busy_faults(0.0, [1.0, 1.0, 1.5, 1.6])
    assert fault.startswith("busy: a fixed loop took 1.5")


def test_a_ratio_is_of_medians_with_the_spread_of_rounds():
    found = verdict.ratio([[4.0, 4.0], [6.0], [8.0]], [[2.0], [2.0, 2.0], [2.0]])
    assert found == {"value": 2.5, "p20": pytest.approx(2.4), "p80": pytest.approx(3.6)}


def test_share_of_peak_and_its_absence():
    ours = {"ours": [[1e-6]]}
    rate = CASE.training_flops / 1e-6 / 1e9
    found = verdict.figures(CASE, ours, {}, first=1.0, valid=1.0, peak_gflops=10 * rate)
    assert found["share of peak"]["value"] == pytest.approx(0.1)
    assert "share of peak" not in verdict.figures(CASE, ours, {}, first=1.0, valid=1.0, peak_gflops=float("nan"))


def test_cost_of_ragged_rows_is_against_the_valid_share_of_dense():
    case = Case("x", "ragged", "lstm", 2, 3, 4, 5)
    ours = {"ours": [[0.6]], "sorted": [[0.5]], "dense": [[1.0]]}
    found = verdict.figures(case, ours, {}, first=1.0, valid=0.5, peak_gflops=1.0)
    assert found["ours / (dense × valid)"]["value"] == pytest.approx(1.2)
    assert found["sorted / (dense × valid)"]["value"] == pytest.approx(1.0)


def test_targets_are_judged_where_the_figure_was_taken():
    targets = (Target("a", at_least=2), Target("absent", at_least=1))
    assert verdict.judge(targets, {"a": {"value": 1.5}}) == [
        {"figure": "a", "target": "≥ 2", "value": 1.5, "met": False}
    ]
