"""The reference kernel against torch.nn, and its derivatives of every kind.

torch.nn's packed sequences are the second authority on what lengths mean.
"""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.helpers import Case, assert_close, make_problem
from tests.oracles.layout import LAYOUTS
from throughtime.cells import CELLS, Params
from throughtime.kernels import reference

every_cell = pytest.mark.parametrize("name", LAYOUTS)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])

TORCH_LAYERS = {
    "rnn_tanh": lambda *args, **kw: torch.nn.RNN(*args, nonlinearity="tanh", **kw),
    "rnn_relu": lambda *args, **kw: torch.nn.RNN(*args, nonlinearity="relu", **kw),
    "gru": torch.nn.GRU,
    "lstm": torch.nn.LSTM,
}


def torch_layer(problem, input_size, hidden_size):
    """torch's one-way layer with the problem's parameters."""
    layer = TORCH_LAYERS[problem.name](input_size, hidden_size, dtype=problem.x_TBI.dtype)
    layer.load_state_dict({f"{key}_l0": value for key, value in problem.params.items()})
    return layer


def leaves(problem):
    return tuple(t.detach().clone().requires_grad_() for t in (problem.x_TBI, *problem.state))


@both_dtypes
@both_directions
@pytest.mark.parametrize("name", TORCH_LAYERS)
def test_equals_torch(name, reverse, dtype):
    """A reverse layer is torch's one-way layer on the turned sequence."""
    case = Case(H=7, T=9, B=3, lengths=False, reset=False, bias=True, memory="contiguous", dtype=dtype)
    problem = make_problem(name, case)
    cell, layer = CELLS[name], torch_layer(problem, problem.x_TBI.shape[2], 7)

    x, *state = leaves(problem)
    turned = x.flip(0) if reverse else x
    output, final = layer(turned, tuple(s[None] for s in state) if len(state) == 2 else state[0][None])
    output = output.flip(0) if reverse else output
    final = tuple(s[0] for s in (final if len(state) == 2 else (final,)))
    expected = torch.autograd.grad(
        (output, *final), (x, *state, *layer.parameters()), (problem.d_output_TBH, *problem.d_final_state)
    )

    params = Params(**problem.params)
    got, got_final, _ = reference.scan(cell, problem.x_TBI, problem.state, params, reverse=reverse)
    assert_close(got, output, "output", dtype=dtype)
    assert_close(got_final, final, "final state", dtype=dtype)
    grads = reference.bptt(
        cell, problem.x_TBI, problem.state, params, problem.d_output_TBH, problem.d_final_state, reverse=reverse
    )
    flat = (grads.dx, *grads.dstate, *(p for p in grads.dparams if p is not None))
    assert_close(flat, expected, "gradients", dtype=dtype)


@both_directions
@pytest.mark.parametrize("name", TORCH_LAYERS)
def test_lengths_equal_torchs_packed_sequences(name, reverse):
    case = Case(H=7, T=6, B=4, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)
    problem = make_problem(name, case)
    lengths = torch.tensor([3, 6, 1, 4])
    # torch runs a reverse direction in a bidirectional layer only: the two directions' outputs are apart.
    layer = TORCH_LAYERS[name](problem.x_TBI.shape[2], 7, bidirectional=True, dtype=torch.float64)
    suffix = "_l0_reverse" if reverse else "_l0"
    layer.load_state_dict({**layer.state_dict(), **{key + suffix: value for key, value in problem.params.items()}})
    n = len(problem.state)

    x, *state = leaves(problem)
    both = tuple(torch.stack([s, s]) for s in state)
    packed, final = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), both if n == 2 else both[0])
    output, _ = pad_packed_sequence(packed)
    own = slice(7, 14) if reverse else slice(0, 7)
    output, final = output[..., own], tuple(s[int(reverse)] for s in (final if n == 2 else (final,)))
    weights = [getattr(layer, key + suffix) for key in problem.params]
    expected = torch.autograd.grad(
        (output, *final), (x, *state, *weights), (problem.d_output_TBH, *problem.d_final_state)
    )

    cell, params = CELLS[name], Params(**problem.params)
    got, got_final, _ = reference.scan(
        cell, problem.x_TBI, problem.state, params, lengths=lengths, reverse=reverse
    )  # fmt: skip
    assert_close(got, output, "output")
    assert_close(got_final, final, "final state")
    grads = reference.bptt(
        cell, problem.x_TBI, problem.state, params, problem.d_output_TBH, problem.d_final_state,
        lengths=lengths, reverse=reverse,
    )  # fmt: skip
    flat = (grads.dx, *grads.dstate, *(p for p in grads.dparams if p is not None))
    assert_close(flat, expected, "gradients")


def small_function(name, function, reverse, T=3):
    """`function` of (x, *state, *params) on a small problem with lengths and resets, and its arguments."""
    case = Case(H=3, T=T, B=3, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)
    problem = make_problem(name, case)
    lengths, reset = torch.tensor([T, 0, T - 1]), torch.zeros(T, 3, dtype=torch.bool)
    reset[1, 0] = reset[0, 2] = True
    n = 1 + len(problem.state)

    def call(*flat):
        params = Params(**dict(zip(problem.params, flat[n:], strict=True)))
        output, final, *_ = function(
            CELLS[name], flat[0], flat[1:n], params, lengths=lengths, reset=reset, reverse=reverse
        )
        return output, *final

    flat = (problem.x_TBI, *problem.state, *problem.params.values())
    return call, tuple(t.detach().clone().requires_grad_() for t in flat)


@both_directions
@pytest.mark.parametrize("function", [reference.scan, reference.run], ids=["scan", "run"])
@every_cell
def test_first_and_second_derivatives(name, function, reverse):
    call, flat = small_function(name, function, reverse, T=2)
    assert torch.autograd.gradcheck(call, flat)
    assert torch.autograd.gradgradcheck(call, flat, fast_mode=True)


@pytest.mark.slow
@both_directions
@pytest.mark.parametrize("function", [reference.scan, reference.run], ids=["scan", "run"])
@every_cell
def test_second_derivatives_element_by_element(name, function, reverse):
    call, flat = small_function(name, function, reverse)
    assert torch.autograd.gradgradcheck(call, flat)


@every_cell
def test_second_derivative_where_one_input_is_computed_from_another(name):
    """d²/dx² of a loss in which the initial state itself depends on x: nothing is counted twice."""
    call, flat = small_function(name, reference.run, False, T=2)
    plain, _ = small_function(name, reference.scan, False, T=2)
    n = 1 + len(CELLS[name].state_fields)

    def hessian_row(function):
        x = flat[0].detach().requires_grad_()
        h = x.sum(dim=(0, 2)).unsqueeze(1).expand(3, 3) * 0.1
        outputs = function(x, h, *flat[2:n], *flat[n:])
        (first,) = torch.autograd.grad(sum((o**2).sum() for o in outputs), x, create_graph=True)
        return torch.autograd.grad((first**2).sum(), x)[0]

    assert_close(hessian_row(call), hessian_row(plain))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@both_directions
@every_cell
def test_scan_in_forward_mode_and_under_vmap(name, reverse):
    """The tangent by jvp is the Jacobian's product, and never silently zero; vmap over rows is the batch."""
    call, flat = small_function(name, reference.scan, reverse)
    flat = tuple(t.detach() for t in flat)
    g = torch.Generator().manual_seed(5)
    tangents = tuple(torch.randn(t.shape, generator=g, dtype=t.dtype) for t in flat)
    _, got = torch.func.jvp(call, flat, tangents)
    eps = 1e-6
    above = call(*(t + eps * d for t, d in zip(flat, tangents, strict=True)))
    below = call(*(t - eps * d for t, d in zip(flat, tangents, strict=True)))
    expected = tuple((a - b) / (2 * eps) for a, b in zip(above, below, strict=True))
    assert got[0].abs().max() > 1e-3
    assert_close(got, expected, k=1e-7 / torch.finfo(torch.float64).eps)

    many = torch.stack([flat[0], flat[0] * 2])
    mapped = torch.func.vmap(lambda x: call(x, *flat[1:])[0])(many)
    assert_close(mapped, torch.stack([call(x, *flat[1:])[0] for x in many]), k=20)


@every_cell
def test_a_row_alone_is_the_row_in_the_batch(name):
    """Values to rounding; a NaN in one row stays in that row."""
    case = Case(H=7, T=4, B=3, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)
    problem = make_problem(name, case)
    cell, params = CELLS[name], Params(**problem.params)
    x = problem.x_TBI.clone()
    x[1, 0] = float("nan")
    output, _, _ = reference.scan(cell, x, problem.state, params)
    assert bool(output[1:, 0].isnan().any())
    for row in (1, 2):
        alone, _, _ = reference.scan(
            cell, problem.x_TBI[:, [row]], tuple(s[[row]] for s in problem.state), params
        )  # fmt: skip
        assert_close(output[:, [row]], alone, k=20)
