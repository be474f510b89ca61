"""The helpers judge everything else, so they are judged first: the comparison must say no."""

import itertools

import numpy as np
import pytest
import torch

from tests.helpers import (
    AXES,
    assert_close,
    assert_zero,
    awkward_pairs,
    awkward_product,
    in_memory,
    make_lengths,
    pairwise,
)

VALUE = torch.linspace(-2.0, 3.0, 12, dtype=torch.float64).reshape(3, 4)


def changed(index: tuple[int, int], by: float) -> torch.Tensor:
    value = VALUE.clone()
    value[index] += by
    return value


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        pytest.param(changed((1, 2), 1e-9), r"at \(1, 2\)", id="one element off by 1e-9"),
        pytest.param(changed((2, 3), float("nan")), r"at \(2, 3\).*got nan", id="one NaN"),
        pytest.param(changed((0, 0), float("inf")), r"at \(0, 0\).*got inf", id="one infinity"),
        pytest.param(-VALUE, "expected", id="sign turned"),
        pytest.param(VALUE.T, r"expected shape \(3, 4\), got \(4, 3\)", id="transposed"),
        pytest.param(VALUE[:, :1], "expected shape", id="would broadcast"),
        pytest.param(None, "got None", id="nothing"),
    ],
)
def test_comparison_says_no(actual, message):
    with pytest.raises(AssertionError, match=message):
        assert_close(actual, VALUE)


def test_comparison_says_no_inside_a_collection():
    with pytest.raises(AssertionError, match=r"state\[1\]: at \(0, 1\)"):
        assert_close((VALUE, changed((0, 1), 1e-6)), (VALUE, VALUE), "state")
    with pytest.raises(AssertionError, match=r"grads\.b: at"):
        assert_close({"a": VALUE, "b": -VALUE}, {"a": VALUE, "b": VALUE}, "grads")
    with pytest.raises(AssertionError, match="grads: has"):
        assert_close({"a": VALUE}, {"a": VALUE, "b": VALUE}, "grads")
    with pytest.raises(AssertionError, match="expected 2 members, got 1"):
        assert_close((VALUE,), (VALUE, VALUE))


def test_comparison_says_no_to_a_nan_that_was_expected():
    with pytest.raises(AssertionError, match="got nan"):
        assert_close(changed((0, 0), float("nan")), changed((0, 0), float("nan")))


def test_comparison_says_no_to_another_dtype():
    with pytest.raises(AssertionError, match=r"expected torch\.float64, got torch\.float32"):
        assert_close(VALUE.float(), VALUE, dtype=torch.float64)


def test_comparison_says_yes_to_rounding_only():
    assert_close(VALUE.float(), VALUE)
    assert_close(changed((0, 0), 1e-14), VALUE)
    assert_close({"a": (VALUE, None)}, {"a": (VALUE.numpy(), None)})


def test_zero_is_zero():
    assert_zero(torch.zeros(2, 0, 3))
    with pytest.raises(AssertionError, match="expected zeros"):
        assert_zero(torch.tensor([0.0, 1e-300], dtype=torch.float64))
    with pytest.raises(AssertionError, match="expected zeros"):
        assert_zero(torch.tensor([0.0, float("nan")]))


def test_covering_set_covers_every_pair():
    rows = pairwise(AXES)
    for a, b in itertools.combinations(AXES, 2):
        seen = {(row[a], row[b]) for row in rows}
        assert seen == set(itertools.product(AXES[a], AXES[b])), f"pairs of {a} and {b}"
    largest = sorted(len(values) for values in AXES.values())[-2:]
    assert np.prod(largest) <= len(rows) <= 1.5 * np.prod(largest)
    assert len(set(awkward_pairs())) == len(rows)


def test_full_product_is_full():
    cases = list(awkward_product())
    axes = ("H", "T", "B", "lengths", "reset", "dtype")
    assert len(cases) == np.prod([len(AXES[a]) for a in axes])
    assert len(cases) == len({tuple(getattr(case, axis) for axis in axes) for case in cases})
    assert {(c.memory, c.bias) for c in cases} == set(itertools.product(AXES["memory"], AXES["bias"]))


def test_memory_layouts_are_what_they_say():
    assert_close(in_memory(VALUE, "transposed"), VALUE)
    assert_close(in_memory(VALUE, "misaligned"), VALUE)
    assert not in_memory(VALUE, "transposed").is_contiguous()
    assert in_memory(VALUE.float(), "misaligned").data_ptr() % 8 == 4


def test_lengths_have_a_zero_and_a_one():
    assert make_lengths(63, 3).tolist() == [1, 0, 63]
    assert make_lengths(0, 3).tolist() == [0, 0, 0]
    assert make_lengths(63, 1).tolist() == [31]
