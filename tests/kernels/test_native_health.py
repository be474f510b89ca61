"""The diagnostics of a backward pass: gradient norms along time, saturated gates, the first NaN or infinity.

Legend: T time, B batch, I input, H hidden, G gates.
"""

import dataclasses

import numpy as np
import pytest
import torch

from tests.helpers import assert_close
from tests.kernels.native_cases import CELLS, WITH_C, Case, assert_same_bits, instruction_set, make, poisoned
from throughtime.cells import CELLS as PLAIN
from throughtime.cells import LAYER_NORM_CELLS
from throughtime.kernels import native, reference

EQUATIONS = {**PLAIN, **LAYER_NORM_CELLS}

every_cell = pytest.mark.parametrize("cell", CELLS)
# A normalisation spreads a NaN over its row, so that the unit where it began is not the first.
every_plain_cell = pytest.mark.parametrize("cell", PLAIN)
every_set = pytest.mark.parametrize("isa", native.instruction_sets())
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])

# float64 norms against autograd's: sums of 17 squares of values that carry up to 150 ε.
K = 300.0


@pytest.fixture(autouse=True)
def _set(isa):
    with instruction_set(isa):
        yield


def tensors(case: Case):
    kind = EQUATIONS[case.cell].params
    given = {name: None if w is None else torch.from_numpy(w) for name, w in case.weights._asdict().items()}
    params = kind(**{name: given[name] for name in kind._fields})
    state = [torch.from_numpy(s) for s in (case.h0, case.c0) if s is not None]
    return params, state


def gradient_norms(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms of the gradients of h_t and c_t: each is kept as a leaf of its own in a loop over the cell."""
    T, B, _ = case.x.shape
    cell, (params, initial) = EQUATIONS[case.cell], tensors(case)
    squares = np.zeros((2, T, B))
    for b in range(B):
        length = T if case.lengths is None else int(case.lengths[b])
        state = tuple(s[b : b + 1].clone().requires_grad_() for s in initial)
        kept, loss = {}, torch.zeros((), dtype=torch.float64)
        times = range(length)
        for k, t in enumerate(reversed(times) if case.reverse else times):
            border = case.reset is not None and ((k > 0 and case.reset[t + 1, b]) if case.reverse else case.reset[t, b])
            if border:
                state = tuple(torch.zeros_like(s).requires_grad_() for s in state)
            state = cell.step(torch.from_numpy(case.x[t, b : b + 1].copy()), state, params)
            for s in state:
                s.retain_grad()
            kept[t] = state
            loss = loss + (state[0] * torch.from_numpy(case.dy[t, b])).sum()
            if case.dc_sequence is not None:
                loss = loss + (state[1] * torch.from_numpy(case.dc_sequence[t, b])).sum()
        for s, d in zip(state, (case.dh_n, case.dc_n), strict=False):
            loss = loss + (s * torch.from_numpy(d[b])).sum()
        loss.backward()
        for t, state in kept.items():
            for which, s in enumerate(state):
                squares[which, t, b] = float((s.grad**2).sum())
    return squares[0], squares[1]


@both_directions
@every_set
@every_cell
def test_norms_are_those_of_the_whole_gradients(cell, isa, reverse):
    case = make(cell, 9, 5, 4, 17, dtype=np.float64, ragged=True, resets=True, reverse=reverse)
    with poisoned():
        health = case.backward(case.forward(), health_margin=0.1).health
    dh_square, dc_square = gradient_norms(case)
    assert_close(health.dh_square, dh_square, "dh_square", k=K)
    assert_close(health.dc_square, dc_square, "dc_square", k=K)
    assert dh_square[0].any()


@pytest.mark.parametrize("margin", [0.02, 0.3])
@both_directions
@every_set
@every_cell
def test_saturated_units_are_counted(cell, isa, reverse, margin):
    case = make(cell, 9, 5, 4, 17, dtype=np.float64, ragged=True, resets=True, reverse=reverse)
    gain = case.weights.weight_ih if case.weights.weight_ln_ih is None else case.weights.weight_ln_ih
    gain[...] *= 8
    with poisoned():
        health = case.backward(case.forward(), health_margin=margin).health
    params, state = tensors(case)
    *_, values = reference.scan(
        EQUATIONS[cell],
        torch.from_numpy(case.x),
        tuple(state),
        params,
        lengths=torch.from_numpy(case.lengths),
        reset=torch.from_numpy(case.reset),
        reverse=reverse,
    )
    valid = np.arange(9)[:, None] < case.lengths
    for g, gate in enumerate(EQUATIONS[cell].gates):
        value = getattr(values, gate).numpy()
        if cell.endswith("rnn_relu"):
            close = value <= 0
        else:
            low = -1 if cell.endswith("rnn_tanh") or gate in ("n", "g") else 0
            close = (value < low + margin) | (value > 1 - margin)
        np.testing.assert_array_equal(health.saturated[g], close.sum(-1) * valid, f"gate {gate}")
        assert health.saturated[g].any()


def located(row: np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in row)


@both_directions
@every_set
@every_cell
def test_all_finite_is_minus_one(cell, isa, reverse):
    case = make(cell, 9, 5, 4, 17, ragged=True, resets=True, reverse=reverse)
    with poisoned():
        health = case.backward(case.forward(), health_margin=0.1).health
    assert (health.first_bad == -1).all()


@both_directions
@every_set
@every_plain_cell
def test_the_first_bad_activation_is_found(cell, isa, reverse):
    """∞ − ∞ in one gate of one unit at one step of one row, and at another step that runs later.

    At those steps every pre-activation is infinite and every other gate saturated, which is not bad in itself.
    """
    gates = EQUATIONS[cell].gates
    for g in range(len(gates)):
        case = make(cell, 9, 5, 4, 33, reverse=reverse)
        case.x[:, :, :2] = 0
        first, later = (6, 2) if reverse else (2, 6)
        case.x[first, 3, :2] = case.x[later, 3, :2] = 1e30, -np.inf
        case.weights.weight_ih[g * 33 + 21, :2] = 1e30, 1
        if cell.endswith("rnn_relu"):
            case.x[first, 3, 1] = case.x[later, 3, 1] = 0  # an infinite output of one unit is bad enough
        health = case.backward(case.forward(), health_margin=0.1).health
        assert located(health.first_bad[0, 3]) == (g, first, 21), gates[g]
        for b in (0, 1, 2, 4):
            assert located(health.first_bad[0, b]) == (-1, -1, -1)


@every_set
@pytest.mark.parametrize("cell", WITH_C)
def test_a_bad_c_is_gate_G(cell, isa):
    case = make(cell, 5, 3, 4, 33)
    case.c0[1, 18] = np.inf
    health = case.backward(case.forward(), health_margin=0.1).health
    assert located(health.first_bad[0, 1]) == (4, 0, 18)
    assert located(health.first_bad[0, 0]) == (-1, -1, -1)


@both_directions
@every_set
@every_plain_cell
def test_the_first_bad_gradient_is_found(cell, isa, reverse):
    """NaN in dy of one unit at two steps: the one that the backward pass meets first counts."""
    case = make(cell, 9, 5, 4, 33, reverse=reverse)
    if cell == "rnn_relu":
        case.weights.bias_ih[21] = 100  # relu stops a NaN where its output is zero
    case.dy[2, 3, 21] = case.dy[6, 3, 21] = np.nan
    forward = case.forward()
    health = case.backward(forward, health_margin=0.1).health
    first = 2 if reverse else 6
    # d(r h) = W_hn^T da_n brings the NaN to every unit of r, which stands before n.
    unit = 0 if cell == "gru_reset_before" else 21
    assert located(health.first_bad[1, 3]) == (0, first, unit)
    assert located(health.first_bad[1, 2]) == (-1, -1, -1)
    assert located(health.first_bad[0, 3]) == (-1, -1, -1)


@both_directions
@every_set
@pytest.mark.parametrize("cell", [name for name in WITH_C if name in PLAIN])
def test_an_earlier_gate_of_a_later_met_step_does_not_come_first(cell, isa, reverse):
    """c_t is bad: the step after meets it as the factor of f alone, step t then in every gate."""
    case = make(cell, 9, 5, 4, 33, reverse=reverse)
    forward = case.forward()
    forward.c_sequence[4, 3, 21] = np.nan
    health = case.backward(forward, health_margin=0.1).health
    assert located(health.first_bad[1, 3]) == (1, 3 if reverse else 5, 21)


@every_set
def test_diagnostics_do_not_change_with_threads_or_rows(isa):
    case = make("lstm", 20, 9, 16, 130, ragged=True, resets=True)
    case.dy[3, 4, 7] = np.nan
    forward = case.forward()
    alone = case.backward(forward, health_margin=0.1).health
    for threads in (2, 3):
        found = case.backward(forward, health_margin=0.1, threads=threads).health
        assert_same_bits(found._asdict(), alone._asdict())
    row = dataclasses.replace(case.only(rows=slice(4, 5)))
    single = row.backward(row.forward(), health_margin=0.1).health
    assert_same_bits(single.dh_square[:, 0], alone.dh_square[:, 4])
    assert_same_bits(single.saturated[:, :, 0], alone.saturated[:, :, 4])
    assert_same_bits(single.first_bad[:, 0], alone.first_bad[:, 4])
