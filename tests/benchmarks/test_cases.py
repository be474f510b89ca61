"""The registry holds what was promised, and each promise names a figure."""

import pytest

from benchmarks.speed import inputs
from benchmarks.speed.cases import CASES, SHAPES, Case, Target


def test_names_are_unique():
    names = [case.name for case in CASES]
    assert sorted(names) == sorted(set(names))


def test_each_layer_meets_torch_at_each_shape():
    shapes = {(case.cell, case.T, case.B, case.I, case.H, case.L) for case in CASES if case.mode == "train"}
    assert shapes == {(cell, *shape) for cell in ("rnn", "gru", "lstm") for shape in SHAPES}
    assert all("torch / ours" in {t.figure for t in case.targets} for case in CASES if case.mode == "train")


@pytest.mark.parametrize(
    "mode", ["train", "pair", "bfloat16", "inference", "ragged", "step", "epoch", "pool", "memory"]
)
def test_every_mode_has_targets(mode: str):
    cases = [case for case in CASES if case.mode == mode]
    assert cases
    assert all(case.targets for case in cases)


def test_a_case_goes_through_json():
    case = CASES[0]
    read = Case.from_json(case.to_json())
    assert (read.name, read.peers, read.T, read.targets) == (case.name, case.peers, case.T, ())


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("a", at_least=2), 2.0, True),
        (Target("a", at_least=2), 1.99, False),
        (Target("a", at_most=1.1), 1.1, True),
        (Target("a", at_most=1.1), 1.2, False),
        (Target("a", at_least=2), float("nan"), False),
        (Target("a", at_most=2), float("nan"), False),
    ],
)
def test_bounds(target: Target, value: float, met: bool):
    assert target.met(value) is met


def test_operations_of_two_layers():
    """3 gates of 4 units on 2 + 4 and then 4 + 4 inputs, two operations each, three products, for 5 × 3 cells."""
    case = Case("x", "train", "gru", T=5, B=3, I=2, H=4, L=2)
    assert case.training_flops == 3 * 2 * (3 * 4 * (2 + 4) + 3 * 4 * (4 + 4)) * 5 * 3


def test_the_same_seed_gives_the_same_arrays():
    case = Case("x", "ragged", "lstm", T=9, B=40, I=2, H=3)
    first, again, other = (inputs.make(case, seed) for seed in (1, 1, 2))
    assert first.keys() == again.keys()
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["x"] != other["x"]).any()
    assert first["lengths"].min() == 0
    assert first["lengths"].max() == 9
