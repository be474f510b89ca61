"""The native kernels on bfloat16: against the float64 oracle on the same rounded inputs, every gradient, every cell.

What they promise bit for bit is in test_native_bits.py, reads and writes beyond an array in test_native_fuzz.py.
Legend: T time, B batch, I input, H hidden.
"""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import Case, Problem, as_arrays, assert_close, awkward_pairs, make_problem, oracle_answer
from tests.kernels import native_cases
from throughtime.errors import ArgumentTypeError
from throughtime.kernels import native

# |native − oracle| ≤ k · ε · magnitude. Worst seen in outputs and states: 0.66; in gradients: 2.2, but 4.9 where a tanh
# layer's 1 − h² comes from an h near 1 that was rounded, and 14.6 for relu, whose gradient goes the other way where its
# argument lies within a rounding of zero.
K = 1.0
K_GRADIENT = dict.fromkeys(native_cases.PLAIN, 3.5) | {"rnn_tanh": 8.0, "rnn_relu": 25.0}
EPSILON = 2.0**-7

every_cell = pytest.mark.parametrize("name", native_cases.PLAIN)
every_set = pytest.mark.parametrize("isa", native.instruction_sets())
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def bits(tensor: Tensor | None) -> np.ndarray | None:
    """A bfloat16 tensor as `BFLOAT16` over the same memory."""
    return None if tensor is None else tensor.view(torch.int16).numpy().view(native.BFLOAT16)


def native_case(problem: Problem, reverse: bool) -> native_cases.Case:
    p = problem
    has_c = len(p.state) == 2
    return native_cases.Case(
        p.name,
        bits(p.x_TBI),
        native.Weights(**{name: bits(value.contiguous()) for name, value in p.params.items()}),
        bits(p.state[0]),
        bits(p.state[1]) if has_c else None,
        bits(p.d_output_TBH),
        bits(p.d_final_state[0]),
        bits(p.d_final_state[1]) if has_c else None,
        None,
        None if p.lengths is None else p.lengths.numpy(),
        None if p.reset is None else p.reset.numpy(),
        reverse,
    )


def compare(problem: Problem, reverse: bool, expected, threads: int) -> None:
    run, wanted = expected
    case = native_case(problem, reverse)
    with native_cases.poisoned():
        forward = case.forward(threads=threads)
        gradients = case.backward(forward, threads=threads)
    close = {
        "output": (forward.output, run.output_TBH),
        "h_n": (forward.h_n, run.final_state[0]),
        "dx": (gradients.dx, wanted.x_TBI),
        "dh0": (gradients.dh0, wanted.state[0]),
    }
    if forward.c_n is not None:
        close |= {"c_n": (forward.c_n, run.final_state[1]), "dc0": (gradients.dc0, wanted.state[1])}
    params = as_arrays(wanted.params)
    close |= {name: (found, params[name]) for name, found in native_cases.of_weights(gradients).items()}
    for name, (found, expected_values) in close.items():
        k = K if name in ("output", "h_n", "c_n") else K_GRADIENT[problem.name]
        assert_close(native.from_bfloat16(found), expected_values, name, k=k, dtype=torch.bfloat16)


def awkward_in_bfloat16() -> list[Case]:
    """The covering set without its axis of dtypes."""
    return list(dict.fromkeys(dataclasses.replace(case, dtype=torch.bfloat16) for case in awkward_pairs()))


@pytest.mark.parametrize("case", awkward_in_bfloat16(), ids=str)
@both_directions
@every_cell
def test_forward_and_backward_equal_oracle(name, reverse, case):
    problem, expected = make_problem(name, case), oracle_answer(name, case, reverse)
    for isa in native.instruction_sets():
        with native_cases.instruction_set(isa):
            for threads in (1, 2):
                compare(problem, reverse, expected, threads)


def test_the_comparison_sees_a_wrong_weight():
    """Negative control: a weight matrix off by an eighth, and the x of one step in another's place, are not close."""
    case = Case(H=17, T=9, B=4, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.bfloat16)
    expected = oracle_answer("gru", case, False)
    heavy = make_problem("gru", case)
    heavy.params["weight_hh"] *= 1.125
    swapped = make_problem("gru", case)
    swapped.x_TBI[[3, 4]] = swapped.x_TBI[[4, 3]]
    for problem in (heavy, swapped):
        with pytest.raises(AssertionError, match=r"output: at .* where 1 are allowed"):
            compare(problem, False, expected, threads=1)


@pytest.mark.parametrize("name", native_cases.PLAIN)
def test_the_sets_agree(name):
    """Widened or in pairs, the same equations: sets differ by roundings, not by more."""
    case = native_cases.make(name, 12, 9, 21, 70, dtype=native.BFLOAT16, ragged=True, resets=True)
    answers = []
    for isa in native.instruction_sets():
        with native_cases.instruction_set(isa):
            forward = case.forward()
            answers.append({**native_cases.values(forward), **native_cases.of_all(case.backward(forward))})
    for other in answers[1:]:
        for key, value in other.items():
            assert_close(
                native.from_bfloat16(value),
                native.from_bfloat16(answers[0][key]),
                key,
                k=K_GRADIENT[name],
                dtype=torch.bfloat16,
            )


@every_set
def test_a_saturated_gate_keeps_its_gradient(isa):
    """Saved gates are float32: a z of 0.998 rounded to bfloat16 would have lost half of its 1 − z."""
    case = native_cases.make("gru", 50, 16, 32, 64)
    case.weights.bias_ih[64:128] += 6
    rounded = native.from_bfloat16
    low = {name: native_cases.converted(getattr(case, name), native.BFLOAT16) for name in ("x", "h0", "dy", "dh_n")}
    weights = native.Weights(*(None if w is None else native_cases.converted(w, native.BFLOAT16) for w in case.weights))
    low_case = dataclasses.replace(case, **low, weights=weights)
    wide = {name: rounded(value).astype(np.float64) for name, value in low.items()}
    wide_weights = native.Weights(*(None if w is None else rounded(w).astype(np.float64) for w in weights))
    wide_case = dataclasses.replace(case, **wide, weights=wide_weights)
    with native_cases.instruction_set(isa):
        forward = low_case.forward()
        found = rounded(low_case.backward(forward).dx)
        wanted = wide_case.backward(wide_case.forward()).dx
    assert forward.saved.dtype == np.float32
    error = np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2))
    assert error < 6 * EPSILON, error / EPSILON
    # Negative control: with the gates rounded, the same comparison fails.
    with native_cases.instruction_set(isa):
        lossy = forward._replace(saved=rounded(native.to_bfloat16(forward.saved)))
        found = rounded(low_case.backward(lossy).dx)
    assert np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2)) > 6 * EPSILON


@pytest.mark.parametrize("isa", native.instruction_sets())
@pytest.mark.parametrize("cell", native_cases.PLAIN)
def test_not_finite_stays_in_its_row(cell, isa):
    case = native_cases.make(cell, 6, 5, 7, 33, dtype=native.BFLOAT16)
    dirty = dataclasses.replace(case, x=case.x.copy())
    dirty.x[2, 3, 6] = np.array((0x7FC0,), native.BFLOAT16)
    with native_cases.instruction_set(isa):
        clean, forward = case.forward(), dirty.forward()
        health = dirty.backward(forward, health_margin=0.1).health
    others = [0, 1, 2, 4]
    native_cases.assert_same_bits(forward.output[:, others], clean.output[:, others])
    assert np.isnan(native.from_bfloat16(forward.output[2:, 3])).all()
    assert not np.isnan(native.from_bfloat16(forward.output[:2, 3])).any()
    assert health.first_bad[0, 3, 1] == 2
    assert (health.first_bad[0, others] == -1).all()


def test_conversions_are_torch_s():
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 2**32, 200_000, dtype=np.uint32)
    values = np.concatenate(
        [np.array([0, -0.0, np.inf, -np.inf, 1e-45, 3.4e38], np.float32), patterns.view(np.float32)]
    )
    values = values[~np.isnan(values)][: 2 * 99_000].reshape(2, -1)
    found = native.to_bfloat16(values)
    wanted = torch.from_numpy(values).bfloat16()
    assert (found["bfloat16"] == wanted.view(torch.int16).numpy().view(np.uint16)).all()
    native_cases.assert_same_bits(native.from_bfloat16(found), wanted.float().numpy())
    nans = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert np.isnan(native.from_bfloat16(native.to_bfloat16(nans))).all()
    transposed = native.from_bfloat16(found.T)
    native_cases.assert_same_bits(transposed, native.from_bfloat16(found).T)


def test_what_is_refused():
    case = native_cases.make("lstm", 3, 2, 5, 6, dtype=native.BFLOAT16)
    with pytest.raises(ArgumentTypeError, match="to_bfloat16: expected float32, got float64"):
        native.to_bfloat16(np.zeros(3))
    with pytest.raises(ArgumentTypeError, match="from_bfloat16: expected BFLOAT16, got uint16"):
        native.from_bfloat16(np.zeros(3, np.uint16))
    with pytest.raises(ArgumentTypeError, match=r"expected float32 or float64, got uint16; .* to_bfloat16"):
        native.sequence_forward("lstm", case.x.view(np.uint16), case.weights)
    with pytest.raises(ArgumentTypeError, match=r"expected h0 of the input's .*bfloat16.*, got float32"):
        case.forward(h0=native.from_bfloat16(case.h0))
    forward = case.forward()
    with pytest.raises(ArgumentTypeError, match=r"expected forward\.saved of the input's float32, got .*bfloat16"):
        case.backward(forward._replace(saved=native.to_bfloat16(forward.saved)))
