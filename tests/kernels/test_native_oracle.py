"""The native kernels against the float64 oracle: every cell, both directions, every instruction set, the awkward set.

Legend: T time, B batch, I input, H hidden.
"""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import (
    DETERMINISTIC,
    Case,
    Problem,
    as_arrays,
    assert_close,
    awkward_pairs,
    awkward_product,
    make_problem,
    oracle_answer,
    oracle_of,
)
from tests.kernels import native_cases
from throughtime.cells import CELLS, LAYER_NORM_CELLS
from throughtime.kernels import native, reference

# |native − oracle| ≤ k · ε · magnitude. Worst seen: 12 over the covering set (a weight gradient, whose sum has at most
# T·B = 189 terms); 383 over the full product (a peephole at T = 63, where the recurrence amplifies rounding).
# A normalisation divides the rounding of values that lie close together by their deviation, as those of few units may:
# 425 seen at H = 3 (the reference scan in float32: 118), 72 else.
K = 40.0
K_NORMALIZED = 100.0
K_NORMALIZED_FEW = 1000.0
K_FULL = 500.0

EQUATIONS = {**CELLS, **LAYER_NORM_CELLS}

WIDE = Case(H=17, T=9, B=4, lengths=True, reset=True, bias=True, memory="contiguous", dtype=torch.float64)

every_cell = pytest.mark.parametrize("name", native_cases.CELLS)
cells_with_c = pytest.mark.parametrize("name", native_cases.WITH_C)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
every_set = pytest.mark.parametrize("isa", native.instruction_sets())


def native_case(problem: Problem, reverse: bool) -> native_cases.Case:
    """The problem as NumPy arrays over the same memory; weights contiguous, as the kernels want them."""
    p = problem
    weights = {name: np.ascontiguousarray(value.numpy()) for name, value in p.params.items()}
    has_c = len(p.state) == 2
    return native_cases.Case(
        p.name,
        p.x_TBI.numpy(),
        native.Weights(**weights),
        p.state[0].numpy(),
        p.state[1].numpy() if has_c else None,
        p.d_output_TBH.numpy(),
        p.d_final_state[0].numpy(),
        p.d_final_state[1].numpy() if has_c else None,
        None,
        None if p.lengths is None else p.lengths.numpy(),
        None if p.reset is None else p.reset.numpy(),
        reverse,
    )


def compare(problem: Problem, reverse: bool, expected, threads: int, k: float | None = None) -> None:
    run, wanted = expected
    if problem.name not in native_cases.PLAIN:
        k = max(k or 0.0, K_NORMALIZED if run.output_TBH.shape[2] > 3 else K_NORMALIZED_FEW)
    k = k or K
    case, dtype = native_case(problem, reverse), problem.x_TBI.dtype
    with native_cases.poisoned():
        forward = case.forward(threads=threads)
        gradients = case.backward(forward, threads=threads)
    final = (forward.h_n,) if forward.c_n is None else (forward.h_n, forward.c_n)
    d_state = (gradients.dh0,) if gradients.dc0 is None else (gradients.dh0, gradients.dc0)
    assert_close(forward.output, run.output_TBH, "output", k=k, dtype=dtype)
    assert_close(final, run.final_state, "final state", k=k, dtype=dtype)
    assert_close(gradients.dx, wanted.x_TBI, "dx", k=k, dtype=dtype)
    assert_close(d_state, wanted.state, "dstate", k=k, dtype=dtype)
    assert_close(native_cases.of_weights(gradients), as_arrays(wanted.params), "dparams", k=k, dtype=dtype)


@pytest.mark.parametrize("case", awkward_pairs(), ids=str)
@both_directions
@every_cell
def test_forward_and_backward_equal_oracle(name, reverse, case):
    problem, expected = make_problem(name, case), oracle_answer(name, case, reverse)
    for isa in native.instruction_sets():
        with native_cases.instruction_set(isa):
            for threads in (1, 2):
                compare(problem, reverse, expected, threads)


@pytest.mark.slow
@both_directions
@every_cell
def test_full_awkward_product(name, reverse):
    for case in awkward_product():
        problem = make_problem(name, case)
        expected = oracle_of(problem, reverse)
        for isa in native.instruction_sets():
            with native_cases.instruction_set(isa):
                compare(problem, reverse, expected, threads=2, k=K_FULL)


def test_the_comparison_sees_a_wrong_weight():
    """Negative control: one weight off by 1 % is not close."""
    case = dataclasses.replace(WIDE, lengths=False, reset=False)
    problem = make_problem("gru", case)
    problem.params["weight_hh"][0, 0] *= 1.01
    with pytest.raises(AssertionError, match=r"output: at .* where 40 are allowed"):
        compare(problem, False, oracle_answer("gru", case, False), threads=1)


@pytest.mark.parametrize("gain", ["weight_ln_ih", "weight_ln_hh", "weight_ln_c", "bias_ln_c"])
def test_the_comparison_sees_a_wrong_gain(gain):
    case = dataclasses.replace(WIDE, lengths=False, reset=False)
    problem = make_problem("layer_norm_lstm", case)
    problem.params[gain][3] *= 1.01
    with pytest.raises(AssertionError, match=r"output: at .* where 100 are allowed"):
        compare(problem, False, oracle_answer("layer_norm_lstm", case, False), threads=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@both_directions
@every_set
@cells_with_c
def test_c_of_every_step_and_its_gradient(name, isa, reverse, dtype):
    """c_t and the gradient that arrives at it, against the reference scan under autograd."""
    problem = make_problem(name, WIDE)
    lengths = torch.tensor([9, 0, 4, 1])
    d_c = torch.randn(9, 4, 17, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype).double()
    where = {"lengths": lengths, "reset": problem.reset, "reverse": reverse}
    rounded = Problem(
        name,
        *(
            torch.utils._pytree.tree_map(lambda t: t.to(dtype).double(), part)
            for part in (problem.x_TBI, problem.state, problem.params, problem.d_output_TBH, problem.d_final_state)
        ),
        lengths,
        problem.reset,
    )
    inputs = [t.clone().requires_grad_() for t in (rounded.x_TBI, *rounded.state)]
    params = {key: value.clone().requires_grad_() for key, value in rounded.params.items()}
    output, final, steps = reference.scan(
        EQUATIONS[name], inputs[0], tuple(inputs[1:]), EQUATIONS[name].params(**params), **where
    )
    loss = (output * rounded.d_output_TBH).sum() + (steps.c * d_c).sum()
    loss = loss + sum((s * d).sum() for s, d in zip(final, rounded.d_final_state, strict=True))
    wanted = torch.autograd.grad(loss, (*inputs, *params.values()))

    in_dtype = torch.utils._pytree.tree_map(
        lambda t: t.to(dtype),
        (rounded.x_TBI, rounded.state, rounded.params, rounded.d_output_TBH, rounded.d_final_state),
    )
    case = native_case(Problem(name, *in_dtype, lengths, problem.reset), reverse)
    case = dataclasses.replace(case, dc_sequence=d_c.to(dtype).numpy())
    with native_cases.instruction_set(isa), native_cases.poisoned():
        forward = case.forward()
        gradients = case.backward(forward)
    assert_close(forward.c_sequence, steps.c, "c", k=K, dtype=dtype)
    assert not any(forward.c_sequence[int(n) :, b].any() for b, n in enumerate(lengths))
    rows = tuple(native_cases.of_rows(gradients).values())
    assert_close(rows, as_arrays(wanted[:3]), "row gradients", k=K, dtype=dtype)
    weights = native_cases.of_weights(gradients)
    assert_close(weights, as_arrays(dict(zip(params, wanted[3:], strict=True))), "weights", k=K, dtype=dtype)


@st.composite
def any_rows(draw):
    name = draw(st.sampled_from(native_cases.CELLS))
    T, B = draw(st.integers(0, 7)), draw(st.integers(0, 5))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    H = draw(st.sampled_from([1, 3, 7, 16, 17, 33]))
    case = Case(H, T, B, lengths=False, reset=False, bias=draw(st.booleans()), memory="contiguous", dtype=dtype)
    lengths = torch.tensor([draw(st.integers(0, T)) for _ in range(B)], dtype=torch.int64)
    reset = torch.tensor([draw(st.booleans()) for _ in range(T * B)], dtype=torch.bool).reshape(T, B)
    return dataclasses.replace(make_problem(name, case, seed=draw(st.integers(0, 3))), lengths=lengths, reset=reset)


@DETERMINISTIC
@given(any_rows(), st.booleans(), st.sampled_from(native.instruction_sets()), st.sampled_from([1, 2, 5]))
def test_any_lengths_and_resets_equal_oracle(problem, reverse, isa, threads):
    with native_cases.instruction_set(isa):
        compare(problem, reverse, oracle_of(problem, reverse), threads)
