"""The reference kernel against the oracle: every cell, both directions, lengths, resets, forward and every gradient.

Legend: T time, B batch, I input, H hidden.
"""

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
from tests.oracles.layout import LAYOUTS
from throughtime.cells import CELLS, Params
from throughtime.kernels import reference

every_cell = pytest.mark.parametrize("name", LAYOUTS)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def where(problem: Problem, reverse: bool) -> dict:
    return {"lengths": problem.lengths, "reset": problem.reset, "reverse": reverse}


def by_bptt(problem: Problem, reverse: bool):
    """Output, final state and gradients, by `scan` and `bptt`."""
    cell, params = CELLS[problem.name], Params(**problem.params)
    output, final, _ = reference.scan(cell, problem.x_TBI, problem.state, params, **where(problem, reverse))
    given = (problem.x_TBI, problem.state, params, problem.d_output_TBH, problem.d_final_state)
    gradients = reference.bptt(cell, *given, **where(problem, reverse))
    d_params = {key: value for key, value in gradients.dparams._asdict().items() if value is not None}
    return output, final, gradients.dx, gradients.dstate, d_params


def by_autograd(problem: Problem, reverse: bool, function):
    """The same by autograd through `function`, which gives output and final state first."""
    x = problem.x_TBI.detach().requires_grad_()
    state = tuple(s.detach().requires_grad_() for s in problem.state)
    params = {key: p.detach().requires_grad_() for key, p in problem.params.items()}
    output, final, *_ = function(CELLS[problem.name], x, state, Params(**params), **where(problem, reverse))
    pairs = zip((output, *final), (problem.d_output_TBH, *problem.d_final_state), strict=True)
    # With T = 0 `scan` computes its output from nothing.
    outputs, d_outputs = zip(*[(y, dy) for y, dy in pairs if y.requires_grad], strict=True)
    wanted = (x, *state, *params.values())
    found = torch.autograd.grad(outputs, wanted, d_outputs, materialize_grads=True)
    n = 1 + len(state)
    return output, final, found[0], found[1:n], dict(zip(params, found[n:], strict=True))


def compare(got, problem: Problem, expected) -> None:
    run, gradients = expected
    output, final, dx, d_state, d_params = got
    dtype = problem.x_TBI.dtype
    assert_close(output, run.output_TBH, "output", dtype=dtype)
    assert_close(final, run.final_state, "final state", dtype=dtype)
    assert_close(dx, gradients.x_TBI, "dx", dtype=dtype)
    assert_close(d_state, gradients.state, "dstate", dtype=dtype)
    assert_close(d_params, as_arrays(gradients.params), "dparams", dtype=dtype)


@pytest.mark.parametrize("case", awkward_pairs(), ids=str)
@both_directions
@every_cell
def test_bptt_equals_oracle(name, reverse, case):
    problem = make_problem(name, case)
    compare(by_bptt(problem, reverse), problem, oracle_answer(name, case, reverse))


@pytest.mark.parametrize("function", [reference.scan, reference.run], ids=["scan", "run"])
@pytest.mark.parametrize("case", awkward_pairs(), ids=str)
@both_directions
@every_cell
def test_autograd_equals_oracle(name, reverse, case, function):
    problem = make_problem(name, case)
    compare(by_autograd(problem, reverse, function), problem, oracle_answer(name, case, reverse))


@pytest.mark.slow
@both_directions
@every_cell
def test_full_awkward_product(name, reverse):
    for case in awkward_product():
        problem = make_problem(name, case)
        compare(by_bptt(problem, reverse), problem, oracle_of(problem, reverse))


SMALL = Case(H=3, T=5, B=4, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)


def small_problem(name: str, lengths=None, reset=None, **changes) -> Problem:
    """Four rows of five steps; `reset` is a list of (t, row)."""
    problem = make_problem(name, Case(**{**SMALL.__dict__, **changes}))
    T, B, _ = problem.x_TBI.shape
    flags = None
    if reset is not None:
        flags = torch.zeros(T, B, dtype=torch.bool)
        for t, row in reset:
            flags[t, row] = True
    lengths = None if lengths is None else torch.tensor(lengths)
    return Problem(**{**problem.__dict__, "lengths": lengths, "reset": flags})


@both_directions
@every_cell
def test_values_of_every_step(name, reverse):
    """scan's third result has every gate and state of every step, zero at padded positions."""
    problem = small_problem(name, lengths=[3, 0, 5, 1], reset=[(2, 0), (3, 2)])
    cell = CELLS[name]
    output, _, values = reference.scan(
        cell, problem.x_TBI, problem.state, Params(**problem.params), **where(problem, reverse)
    )
    assert set(cell.state_fields) <= set(values._fields)
    assert set(cell.gates) <= set(values._fields)
    assert torch.equal(values.h, output)
    run, _ = oracle_of(problem, reverse)
    expected = {field: torch.zeros(5, 4, 3, dtype=torch.float64) for field in cell.state_fields}
    for row, pieces in enumerate(run.rows):
        for piece in pieces:
            for t, step in zip(piece.times, piece.steps, strict=True):
                for field, value in zip(cell.state_fields, step.after, strict=True):
                    expected[field][t, row] = torch.from_numpy(value)
    assert_close({field: getattr(values, field) for field in cell.state_fields}, expected)
    for field in values._fields:
        assert not getattr(values, field)[3:, 0].any()
        assert not getattr(values, field)[:, 1].any()


def assert_same_bits(got, expected) -> None:
    def flat(answer):
        output, final, dx, d_state, d_params = answer
        return {"output": output, "dx": dx, **d_params, **dict(enumerate((*final, *d_state)))}

    for (key, a), b in zip(flat(got).items(), flat(expected).values(), strict=True):
        assert torch.equal(a, b), key


@both_directions
@every_cell
def test_nothing_in_the_padding_reaches_anything(name, reverse):
    """NaN in x, in the gradient of the output and reset flags past the lengths: the same bits, and zero dx there."""
    clean = small_problem(name, lengths=[3, 0, 5, 1], reset=[(2, 0), (3, 2)])
    x, d_output, reset = clean.x_TBI.clone(), clean.d_output_TBH.clone(), clean.reset.clone()
    for row, length in enumerate(clean.lengths.tolist()):
        x[length:, row] = float("nan")
        d_output[length:, row] = float("inf")
        reset[length:, row] = True
    dirty = Problem(**{**clean.__dict__, "x_TBI": x, "d_output_TBH": d_output, "reset": reset})
    ways = [
        by_bptt,
        lambda problem, reverse: by_autograd(problem, reverse, reference.scan),
        lambda problem, reverse: by_autograd(problem, reverse, reference.run),
    ]
    for way in ways:
        got, expected = way(dirty, reverse), way(clean, reverse)
        assert_same_bits(got, expected)
        for row, length in enumerate(clean.lengths.tolist()):
            assert not got[0][length:, row].any()
            assert not got[2][length:, row].any()


@both_directions
@every_cell
def test_a_state_that_is_dropped_reaches_nothing(name, reverse):
    """NaN in the initial state of an empty row, or of a row that starts with a reset, stays where it is."""
    clean = small_problem(name, lengths=[3, 0, 5, 1], reset=[(0, 0), (0, 3)])
    state = tuple(s.clone() for s in clean.state)
    for s in state:
        s[1] = float("nan")
        if not reverse:
            s[0] = s[3] = float("nan")
    dirty = Problem(**{**clean.__dict__, "state": state})
    others = [0, 2, 3]
    for way in (by_bptt, lambda problem, reverse: by_autograd(problem, reverse, reference.scan)):
        output, final, dx, d_state, d_params = way(dirty, reverse)
        expected = way(clean, reverse)
        assert_close(output, expected[0], "output")
        assert_close(tuple(s[others] for s in final), tuple(s[others] for s in expected[1]), "final state")
        assert_close(dx, expected[2], "dx")
        assert_close(d_state, expected[3], "dstate")
        assert_close(d_params, expected[4], "dparams")
        assert all(bool(s[1].isnan().all()) for s in final), "an empty row's final state is its initial state"


@both_directions
@every_cell
def test_resets_are_segments_run_apart(name, reverse):
    """Without the oracle: the same numbers from separate calls, each from a zero state."""
    problem = small_problem(name, reset=[(2, row) for row in range(4)] + [(4, row) for row in range(4)])
    cell, params = CELLS[name], Params(**problem.params)
    output, final, _ = reference.scan(cell, problem.x_TBI, problem.state, params, **where(problem, reverse))
    zero = tuple(torch.zeros_like(s) for s in problem.state)
    stretches = [slice(0, 2), slice(2, 4), slice(4, 5)]
    first = stretches[-1] if reverse else stretches[0]
    last = stretches[0] if reverse else stretches[-1]
    for stretch in stretches:
        start = problem.state if stretch == first else zero
        part, end, _ = reference.scan(cell, problem.x_TBI[stretch], start, params, reverse=reverse)
        assert torch.equal(output[stretch], part)
        if stretch == last:
            assert all(torch.equal(a, b) for a, b in zip(final, end, strict=True))


@every_cell
def test_reset_at_zero_replaces_the_initial_state_forward_only(name):
    problem = small_problem(name, reset=[(0, 1)], H=7)
    *_, d_state, _ = by_bptt(problem, reverse=False)
    plain = by_bptt(small_problem(name, H=7), reverse=False)
    output, *_ = by_bptt(problem, reverse=False)
    assert not torch.equal(output[:, 1], plain[0][:, 1])
    for got, without in zip(d_state, plain[3], strict=True):
        assert not got[1].any()
        assert torch.equal(got[[0, 2, 3]], without[[0, 2, 3]])

    reversed_ = by_bptt(problem, reverse=True)
    plain = by_bptt(small_problem(name, H=7), reverse=True)
    assert torch.equal(reversed_[0], plain[0])
    assert_close(reversed_[1:], plain[1:])


@both_directions
@every_cell
def test_no_gradient_crosses_a_reset(name, reverse):
    """∂(last output)/∂x is zero on the far side of a border, and not on the near side."""
    problem = small_problem(name, reset=[(3, row) for row in range(4)])
    d_output = torch.zeros_like(problem.d_output_TBH)
    d_output[0 if reverse else 4] = 1.0
    nothing = tuple(torch.zeros_like(s) for s in problem.state)
    problem = Problem(**{**problem.__dict__, "d_output_TBH": d_output, "d_final_state": nothing})
    for got in (by_bptt(problem, reverse), by_autograd(problem, reverse, reference.run)):
        near, far = (slice(0, 3), slice(3, 5)) if reverse else (slice(3, 5), slice(0, 3))
        assert not got[2][far].any()
        assert got[2][near].any()
        assert not any(s.any() for s in got[3])


@both_directions
@every_cell
def test_lengths_equal_to_T_change_nothing(name, reverse):
    full = by_bptt(small_problem(name, lengths=[5, 5, 5, 5]), reverse)
    plain = by_bptt(small_problem(name), reverse)
    assert torch.equal(full[0], plain[0])
    assert_close(full, plain, k=1)


@every_cell
def test_chunks_with_the_state_handed_on_are_the_whole(name):
    problem = small_problem(name)
    cell, params = CELLS[name], Params(**problem.params)
    whole, final, _ = reference.scan(cell, problem.x_TBI, problem.state, params)
    state, parts = problem.state, []
    for chunk in problem.x_TBI.split([1, 3, 1]):
        part, state, _ = reference.scan(cell, chunk, state, params)
        parts.append(part)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, final, strict=True))


@st.composite
def ragged_problems(draw):
    name = draw(st.sampled_from(sorted(LAYOUTS)))
    T, B = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    case = Case(**{**SMALL.__dict__, "T": T, "B": B, "bias": draw(st.booleans())})
    problem = make_problem(name, case, seed=draw(st.integers(0, 3)))
    lengths = torch.tensor([draw(st.integers(0, T)) for _ in range(B)], dtype=torch.int64)
    flags = [draw(st.booleans()) for _ in range(T * B)]
    reset = torch.tensor(flags, dtype=torch.bool).reshape(T, B)
    return Problem(**{**problem.__dict__, "lengths": lengths, "reset": reset}), draw(st.booleans())


@DETERMINISTIC
@given(ragged_problems())
def test_any_lengths_and_resets_equal_oracle(drawn):
    problem, reverse = drawn
    expected = oracle_of(problem, reverse)
    compare(by_bptt(problem, reverse), problem, expected)
    compare(by_autograd(problem, reverse, reference.run), problem, expected)
