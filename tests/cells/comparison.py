"""A cell's step and step_backward against the oracle: a function each, for the real tests and the mutations."""

import torch

from tests.helpers import Case, Problem, as_arrays, assert_close, make_problem, oracle_answer, pairwise
from throughtime.cells import Cell, Params

# Where each value of a step stands in the oracle, in the notes' letters; z = 1 − Γ_u.
_RNN = {"h": "a"}
_GRU = {"r": "Γ_r", "z": "Γ_u", "n": "c̃", "h": "c"}
_LSTM = {"i": "Γ_u", "f": "Γ_f", "g": "c̃", "o": "Γ_o", "c": "c", "h": "a"}
NOTES_NAMES = {
    "rnn_tanh": _RNN,
    "rnn_relu": _RNN,
    "gru": {**_GRU, "q": "recurrent"},
    "gru_reset_before": _GRU,
    "lstm": _LSTM,
    "peephole_lstm": _LSTM,
    "previous_peephole_lstm": _LSTM,
}

STEP_CASES = [
    Case(T=1, lengths=False, reset=False, **row)
    for row in pairwise(
        {
            "H": (1, 3, 7, 16, 17, 31, 33),
            "B": (0, 1, 3),
            "bias": (True, False),
            "memory": ("contiguous", "transposed", "misaligned"),
            "dtype": (torch.float64, torch.float32),
        }
    )
]
K = 100.0  # one step: a few dozen roundings in a sum of at most 34 terms


def parts(problem: Problem) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], Params]:
    """x (B, I), the state and the parameters of a problem of one step."""
    return problem.x_TBI[0], problem.state, Params(**problem.params)


def compare_step(cell: Cell, case: Case) -> None:
    """`values` and `step`: every gate and every field of the new state."""
    problem = make_problem(cell.name, case)
    x, state, params = parts(problem)
    run, _ = oracle_answer(cell.name, case, False)

    values = cell.values(x, state, params)
    names = NOTES_NAMES[cell.name]
    assert set(values._fields) == set(names)
    for field in values._fields:
        got = getattr(values, field)
        assert tuple(got.shape) == (case.B, case.H)
        for b, (piece,) in enumerate(run.rows):
            expected = piece.steps[0].values[names[field]]
            assert_close(got[b], 1.0 - expected if field == "z" else expected, field, k=K, dtype=case.dtype)
    assert_close(cell.step(x, state, params), run.final_state, "state", k=K, dtype=case.dtype)


def compare_step_backward(cell: Cell, case: Case) -> None:
    """`step_backward`: the gradients of the input, of the state and of every parameter."""
    problem = make_problem(cell.name, case)
    x, state, params = parts(problem)
    _, expected = oracle_answer(cell.name, case, False)

    # The oracle's output at the step is the new state's first field, so the two gradients meet there.
    d_state = (problem.d_final_state[0] + problem.d_output_TBH[0], *problem.d_final_state[1:])
    got = cell.step_backward(d_state, x, state, params)
    assert_close(got.dx, expected.x_TBI[0], "dx", k=K, dtype=case.dtype)
    assert_close(got.dstate, expected.state, "dstate", k=K, dtype=case.dtype)
    d_params = {name: value for name, value in got.dparams._asdict().items() if value is not None}
    assert_close(d_params, as_arrays(expected.params), "dparams", k=K, dtype=case.dtype)
