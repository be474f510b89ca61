"""Every cell's one-step equations and their hand-written partial derivatives."""

import pytest
import torch

from tests.cells.comparison import STEP_CASES, compare_step, compare_step_backward, parts
from tests.helpers import Case, assert_close, make_problem
from tests.oracles.layout import LAYOUTS
from throughtime.cells import CELLS, Params

SMALL = Case(H=3, T=1, B=2, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)

every_cell = pytest.mark.parametrize("name", LAYOUTS)
with_and_without_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])


def small_problem(name, bias=True, requires_grad=False):
    """x, state, params and their tensors in one flat tuple, with the function that unflattens them."""
    case = Case(**{**SMALL.__dict__, "bias": bias})
    x, state, params = parts(make_problem(name, case))
    fields = [field for field, value in params._asdict().items() if value is not None]
    flat = [x, *state, *(getattr(params, field) for field in fields)]
    flat = tuple(t.clone().requires_grad_(requires_grad) for t in flat)

    def unflatten(flat):
        n = 1 + len(state)
        return flat[0], tuple(flat[1:n]), Params(**dict(zip(fields, flat[n:], strict=True)))

    return flat, unflatten


def test_the_cells_are_those_of_the_oracle():
    assert set(CELLS) == set(LAYOUTS)
    for name, cell in CELLS.items():
        assert cell.name == name
        assert len(cell.gates) == len(LAYOUTS[name].gates)
        assert len(cell.state_fields) == LAYOUTS[name].states
        assert bool(cell.peephole_gates) == LAYOUTS[name].peephole
        assert cell.peephole_gates in ((), ("i", "f", "o"))


def test_gate_order_is_torchs():
    assert CELLS["gru"].gates == CELLS["gru_reset_before"].gates == ("r", "z", "n")
    assert {CELLS[name].gates for name in CELLS if "lstm" in name} == {("i", "f", "g", "o")}


@pytest.mark.parametrize("case", STEP_CASES, ids=str)
@every_cell
def test_step_equals_oracle(name, case):
    compare_step(CELLS[name], case)


@pytest.mark.parametrize("case", STEP_CASES, ids=str)
@every_cell
def test_step_backward_equals_oracle(name, case):
    compare_step_backward(CELLS[name], case)


# torch compiles its forward-mode decompositions with torch.jit, which it has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@with_and_without_bias
@every_cell
def test_step_derivatives_of_first_and_second_order(name, bias):
    flat, unflatten = small_problem(name, bias, requires_grad=True)

    def step(*flat):
        return CELLS[name].step(*unflatten(flat))

    assert torch.autograd.gradcheck(step, flat, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(step, flat)


@every_cell
def test_step_backward_is_differentiable(name):
    """Second derivatives may come from step_backward: it is itself a right and differentiable function."""
    flat, unflatten = small_problem(name, requires_grad=True)
    d_state = tuple(torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in CELLS[name].state_fields)

    def back(*args):
        n = len(d_state)
        found = CELLS[name].step_backward(args[:n], *unflatten(args[n:]))
        return found.dx, *found.dstate, *(p for p in found.dparams if p is not None)

    torch.manual_seed(0)
    assert torch.autograd.gradcheck(back, (*d_state, *flat))


@with_and_without_bias
@every_cell
def test_step_backward_equals_autograd_of_step(name, bias):
    cell = CELLS[name]
    flat, unflatten = small_problem(name, bias, requires_grad=True)
    g = torch.Generator().manual_seed(1)
    d_state = tuple(torch.randn(2, 3, generator=g, dtype=torch.float64) for _ in cell.state_fields)
    expected = torch.autograd.grad(cell.step(*unflatten(flat)), flat, d_state)
    found = cell.step_backward(d_state, *unflatten(tuple(t.detach() for t in flat)))
    assert_close((found.dx, *found.dstate, *(p for p in found.dparams if p is not None)), expected, k=50)
    assert tuple(p is None for p in found.dparams) == tuple(p is None for p in unflatten(flat)[2])


@every_cell
def test_step_and_step_backward_are_pure(name):
    """The same arguments give the same bits, and no argument is changed."""
    cell = CELLS[name]
    flat, unflatten = small_problem(name)
    before = [t.clone() for t in flat]
    d_state = tuple(torch.ones(2, 3, dtype=torch.float64) for _ in cell.state_fields)
    for function in (cell.values, cell.step, lambda *args: cell.step_backward(d_state, *args)):
        function(*unflatten(flat))
        assert all(torch.equal(a, b) for a, b in zip(flat, before, strict=True))
    assert all(
        torch.equal(a, b)
        for a, b in zip(cell.step(*unflatten(flat)), cell.step(*unflatten(flat)), strict=True)
    )  # fmt: skip


TORCH_CELLS = {
    "rnn_tanh": lambda i, h, **kw: torch.nn.RNNCell(i, h, nonlinearity="tanh", **kw),
    "rnn_relu": lambda i, h, **kw: torch.nn.RNNCell(i, h, nonlinearity="relu", **kw),
    "gru": torch.nn.GRUCell,
    "lstm": torch.nn.LSTMCell,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@with_and_without_bias
@pytest.mark.parametrize("name", TORCH_CELLS)
def test_step_equals_torchs_cell(name, bias, dtype):
    case = Case(H=7, T=1, B=3, lengths=False, reset=False, bias=bias, memory="contiguous", dtype=dtype)
    problem = make_problem(name, case)
    x, state, params = parts(problem)
    theirs = TORCH_CELLS[name](x.shape[1], 7, bias=bias, dtype=dtype)
    theirs.load_state_dict(problem.params)
    inputs = [t.clone().requires_grad_() for t in (x, *state)]
    expected = theirs(inputs[0], tuple(inputs[1:]) if len(state) == 2 else inputs[1])
    expected = expected if len(state) == 2 else (expected,)
    assert_close(CELLS[name].step(x, state, params), expected, k=50, dtype=dtype)

    expected_grads = torch.autograd.grad(expected, [*inputs, *theirs.parameters()], problem.d_final_state)
    found = CELLS[name].step_backward(problem.d_final_state, x, state, params)
    names = [key for key, _ in theirs.named_parameters()]
    assert_close((found.dx, *found.dstate), expected_grads[: len(inputs)], k=50, dtype=dtype)
    for key, expected_grad in zip(names, expected_grads[len(inputs) :], strict=True):
        assert_close(getattr(found.dparams, key), expected_grad, key, k=50, dtype=dtype)


def test_swapped_states_are_noticed():
    """h0 and c0 swapped give other numbers: the problems' states are distinct and non-zero."""
    for name in ("lstm", "peephole_lstm", "previous_peephole_lstm"):
        x, (h, c), params = parts(make_problem(name, SMALL))
        assert bool((h != 0).all())
        assert bool((c != 0).all())
        with pytest.raises(AssertionError):
            assert_close(CELLS[name].step(x, (c, h), params), CELLS[name].step(x, (h, c), params))


def test_problems_have_no_zero_bias():
    """A bias that is documented and not used must show: no element of any bias or peephole is near zero."""
    for name in LAYOUTS:
        params = make_problem(name, SMALL).params
        for key in params:
            if not key.startswith("weight_ih") and not key.startswith("weight_hh"):
                assert params[key].abs().min() >= 0.1, f"{name}.{key}"
