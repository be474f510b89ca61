"""The native kernels as torch's operators: gradients against the reference, torch.func, weights that never go stale.

Legend: T time, B batch, I input, H hidden.
"""

import contextlib
import itertools

import pytest
import torch
from torch import Tensor

from tests.helpers import as_arrays, assert_close
from tests.kernels import native_cases
from tests.nn.layers import LAYERS, as_hx, build, state_tensors
from throughtime import nn
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.kernels import dispatch, stack, torch_ops

every_layer = pytest.mark.parametrize("kind", LAYERS)
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)

# Native against reference: both round; each is within 40 of the oracle (test_native_oracle, test_reference).
K = 100.0


class Spy:
    """torch_ops' kernels, counted."""

    def __init__(self) -> None:
        self.calls = {"sequence_forward_raw": 0, "sequence_backward_raw": 0}
        self._native = torch_ops._native

    def __getattr__(self, name: str):
        found = getattr(self._native, name)
        if name not in self.calls:
            return found

        def counted(*arguments, **named):
            self.calls[name] += 1
            return found(*arguments, **named)

        return counted


@pytest.fixture
def spy(monkeypatch):
    found = Spy()
    for module in (torch_ops, stack):
        monkeypatch.setattr(module, "_native", found)
    return found.calls


def problem(cell_name: str, *, dtype=torch.float32, ragged=False, resets=False, bias=True, reverse=False, seed=0):
    """The operator's tensors, all leaves that want a gradient: x, h0, c0, weights; then lengths and reset."""
    case = native_cases.make(cell_name, 5, 3, 4, 6, ragged=ragged, resets=resets, bias=bias, reverse=reverse, seed=seed)
    floats = (case.x, case.h0, case.c0, *case.weights[:5])
    leaves = [None if a is None else torch.from_numpy(a).to(dtype).requires_grad_() for a in floats]
    rows = [None if a is None else torch.from_numpy(a) for a in (case.lengths, case.reset)]
    return leaves, rows


def run(cell_name: str, leaves, rows, *, reverse=False, backend="native") -> tuple[Tensor, ...]:
    cell = CELLS[cell_name]
    x, h0, c0, *weights = leaves
    state = (h0,) if c0 is None else (h0, c0)
    params = torch_ops.Params(*weights)
    output, final = dispatch.run(
        cell, x, state, params, lengths=rows[0], reset=rows[1], reverse=reverse, backend=backend
    )
    return output, *final


@pytest.mark.parametrize("cell_name", CELLS)
@pytest.mark.parametrize("given", ["nothing", "lengths", "reset", "no-bias", "both"])
def test_opcheck(cell_name, given):
    leaves, rows = problem(
        cell_name, ragged=given in ("lengths", "both"), resets=given in ("reset", "both"), bias=given != "no-bias"
    )
    arguments = (*leaves, *rows, cell_name, given == "both", True)
    torch.library.opcheck(torch.ops.throughtime.sequence, arguments)


@pytest.mark.parametrize("needs", [0b11111111, 0b00011001])
@pytest.mark.parametrize("cell_name", CELLS)
def test_opcheck_of_the_backward_operator(cell_name, needs):
    leaves, rows = problem(cell_name, ragged=True, resets=True)
    plain = [None if t is None else t.detach() for t in leaves]
    y, h_n, c_n, saved, c_seq = torch.ops.throughtime.sequence(*plain, *rows, cell_name, False, True)
    d_c = torch.randn_like(c_n) if plain[2] is not None else None
    arguments = (
        torch.randn_like(y),
        torch.randn_like(h_n),
        d_c,
        None,
        *plain,
        *rows,
        y,
        saved,
        c_seq,
        cell_name,
        False,
        needs,
    )
    torch.library.opcheck(
        torch.ops.throughtime.sequence_backward, arguments, test_utils=("test_schema", "test_faketensor")
    )


@pytest.mark.parametrize("cell_name", CELLS)
@pytest.mark.parametrize("way", ["eager", "operator"])
def test_the_native_kernels_ran(cell_name, way, spy):
    leaves, rows = problem(cell_name)
    if way == "eager":
        run(cell_name, leaves, rows)[0].sum().backward()
    else:
        torch.ops.throughtime.sequence(*leaves, *rows, cell_name, False, True)[0].sum().backward()
    assert spy == {"sequence_forward_raw": 1, "sequence_backward_raw": 1}
    with torch.no_grad():
        run(cell_name, leaves, rows)
    assert spy == {"sequence_forward_raw": 2, "sequence_backward_raw": 1}
    run(cell_name, leaves, rows, backend="reference")
    assert spy["sequence_forward_raw"] == 2


def gradients(outputs, leaves, d_outputs) -> dict[int, Tensor]:
    """By place among the leaves, for those that want one."""
    wanted = {i: t for i, t in enumerate(leaves) if t is not None and t.requires_grad}
    found = torch.autograd.grad(outputs, list(wanted.values()), d_outputs, retain_graph=True, materialize_grads=True)
    return dict(zip(wanted, found, strict=True))


@dtypes
@both_directions
@pytest.mark.parametrize("way", ["eager", "operator"])
@pytest.mark.parametrize("cell_name", CELLS)
def test_gradients_equal_the_reference_s(cell_name, way, reverse, dtype):
    for ragged, resets, bias in itertools.product((False, True), repeat=3):
        leaves, rows = problem(cell_name, dtype=dtype, ragged=ragged, resets=resets, bias=bias)
        wanted = run(cell_name, leaves, rows, reverse=reverse, backend="reference")
        if way == "eager":
            found = run(cell_name, leaves, rows, reverse=reverse)
        else:
            found = torch.ops.throughtime.sequence(*leaves, *rows, cell_name, reverse, True)[: len(wanted)]
        assert_close(found, wanted, "values", k=K)
        d_outputs = [torch.randn_like(t, generator=None) for t in wanted]
        assert_close(gradients(found, leaves, d_outputs), gradients(wanted, leaves, d_outputs), "gradients", k=K)


@pytest.mark.parametrize("cell_name", CELLS)
def test_any_memory_of_inputs_and_gradients(cell_name):
    """An expanded, a transposed dy; x in batch order, expanded, strided in its last axis: the reference's gradients."""
    leaves, rows = problem(cell_name, dtype=torch.float64, ragged=True)
    x = leaves[0].detach()
    layouts = (
        x.transpose(0, 1).contiguous().transpose(0, 1),
        x.repeat_interleave(2, -1)[..., ::2],
        x[:, :1].expand(-1, 3, -1),
        x.flip(0).as_strided(x.shape, x.stride()),
    )
    for layout in layouts:
        given = [layout.detach().requires_grad_(), *leaves[1:]]
        found, wanted = run(cell_name, given, rows), run(cell_name, given, rows, backend="reference")
        y = wanted[0].detach()
        for dy in (
            torch.ones((), dtype=y.dtype).expand_as(y),
            torch.randn(6, dtype=y.dtype).expand_as(y),
            torch.randn(6, 3, 5, dtype=y.dtype).permute(2, 1, 0),
            torch.randn(5, 3, 12, dtype=y.dtype)[..., ::2],
        ):
            d = [dy, *(torch.zeros_like(s) for s in wanted[1:])]
            assert_close(gradients(found, given, d), gradients(wanted, given, d), "gradients", k=K)


@every_layer
def test_a_view_with_its_sign_turned_is_read_as_torch_reads_it(kind):
    """torch marks such a view with a bit and leaves the memory alone; an address does not show it."""
    generator = torch.Generator().manual_seed(0)

    def turned(*shape: int) -> Tensor:
        view = torch._neg_view(torch.randn(shape, generator=generator, dtype=torch.float64))
        assert view.is_neg()
        return view

    native, reference = (build(kind, 3, 5, seed=0, backend=backend) for backend in ("native", "reference"))
    x, dy = turned(4, 2, 3), turned(4, 2, 5)
    found, wanted = (
        (output, *torch.autograd.grad(output, tuple(layer.parameters()), dy))
        for layer, output in ((native, native(x)[0]), (reference, reference(x)[0]))
    )
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs)
    state = as_hx(tuple(turned(1, 2, 5) for _ in native.cell.state_fields))
    torch.testing.assert_close(native.stepper()(x[0], state)[0], reference.step(x[0], state)[0])


@pytest.mark.parametrize("cell_name", CELLS)
def test_frozen_inputs_have_no_gradient_and_change_no_other(cell_name):
    leaves, rows = problem(cell_name, dtype=torch.float64, resets=True)
    everything = run(cell_name, leaves, rows)
    d_outputs = [torch.randn_like(t) for t in everything]
    wanted = gradients(everything, leaves, d_outputs)
    for kept in itertools.combinations([i for i, t in enumerate(leaves) if t is not None], 2):
        frozen = [None if t is None else t.detach().requires_grad_(i in kept) for i, t in enumerate(leaves)]
        found = gradients(run(cell_name, frozen, rows), frozen, d_outputs)
        assert set(found) == set(kept)
        assert all(torch.equal(found[i], wanted[i]) for i in kept)


@pytest.mark.parametrize("cell_name", CELLS)
@pytest.mark.parametrize("dropped", [0, 1])
def test_an_output_without_a_gradient_counts_as_zero(cell_name, dropped):
    leaves, rows = problem(cell_name, dtype=torch.float64)
    found, wanted = run(cell_name, leaves, rows), run(cell_name, leaves, rows, backend="reference")
    d = [torch.randn_like(wanted[1 - dropped])]
    assert_close(
        gradients([found[1 - dropped]], leaves, d), gradients([wanted[1 - dropped]], leaves, d), "gradients", k=K
    )


@every_layer
def test_the_graph_can_be_walked_twice(kind):
    layer = build(kind, 4, 6, num_layers=2, bidirectional=True)
    x = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    loss = layer(x)[0].square().sum()
    first = torch.autograd.grad(loss, [x, *layer.parameters()], retain_graph=True)
    second = torch.autograd.grad(loss, [x, *layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every_layer
def test_gradcheck_and_gradgradcheck(kind):
    layer = build(kind, 2, 3, backend="native")
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 2])
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def f(x, *parameters):
        output, state = torch.func.functional_call(
            layer, dict(zip(names, parameters, strict=True)), (x,), {"lengths": lengths}
        )
        return output, *state_tensors(state)

    assert torch.autograd.gradcheck(f, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (x, *parameters), fast_mode=True)


def scalar(kind: str, layer, lengths=None):
    """A scalar function of (x, parameters) for torch.func."""

    def f(x, parameters):
        output, state = torch.func.functional_call(layer, parameters, (x,), {"lengths": lengths})
        return output.sin().sum() + sum(s.square().sum() for s in state_tensors(state))

    return f


def parameters_of(layer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in layer.named_parameters()}


def func_problem(kind: str):
    layer = build(kind, 2, 3, backend="native")
    g = torch.Generator().manual_seed(5)
    x = torch.randn(4, 2, 2, generator=g, dtype=torch.float64)
    direction = torch.randn(4, 2, 2, generator=g, dtype=torch.float64)
    return layer, x, direction


# torch.func.jvp of some torch operators compiles their decompositions in the old way.
old_torch = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@old_torch
@every_layer
def test_jvp_against_finite_differences(kind):
    """A custom operator with a registered backward would give zero here."""
    layer, x, direction = func_problem(kind)
    f, parameters = scalar(kind, layer, torch.tensor([4, 2])), parameters_of(layer)
    _, tangent = torch.func.jvp(lambda x: f(x, parameters), (x,), (direction,))
    h = 1e-6
    difference = (f(x + h * direction, parameters) - f(x - h * direction, parameters)) / (2 * h)
    assert abs(tangent) > 1e-3
    torch.testing.assert_close(tangent, difference, rtol=1e-7, atol=1e-8)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        unpacked = torch.autograd.forward_ad.unpack_dual(f(dual, parameters))
    torch.testing.assert_close(unpacked.tangent, tangent)


@old_torch
@every_layer
def test_func_grad_vmap_and_hessian(kind):
    layer, x, direction = func_problem(kind)
    f, parameters = scalar(kind, layer), parameters_of(layer)
    leaf = x.clone().requires_grad_()
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    wanted = torch.autograd.grad(f(leaf, leaves), [leaf, *leaves.values()])

    dx, d_parameters = torch.func.grad(f, argnums=(0, 1))(x, parameters)
    torch.testing.assert_close((dx, *d_parameters.values()), wanted)

    batch = torch.stack([x, direction, x + direction])
    each = torch.func.vmap(torch.func.grad(f), in_dims=(0, None))(batch, parameters)
    torch.testing.assert_close(each, torch.stack([torch.func.grad(f)(one, parameters) for one in batch]))
    per_sample = torch.func.vmap(torch.func.grad(f, argnums=1), in_dims=(0, None))(batch, parameters)
    torch.testing.assert_close({k: v[0] for k, v in per_sample.items()}, d_parameters)

    hessian = torch.func.hessian(f)(x, parameters).reshape(16, 16)
    rows = [torch.func.grad(f)(x + 1e-6 * e.view_as(x), parameters).flatten() for e in torch.eye(16, dtype=x.dtype)]
    less = [torch.func.grad(f)(x - 1e-6 * e.view_as(x), parameters).flatten() for e in torch.eye(16, dtype=x.dtype)]
    torch.testing.assert_close(hessian, (torch.stack(rows) - torch.stack(less)) / 2e-6, rtol=1e-6, atol=1e-7)


@every_layer
def test_a_batch_under_vmap_alone(kind):
    layer, x, direction = func_problem(kind)
    batch = torch.stack([x, direction])
    found = torch.func.vmap(lambda x: layer(x)[0])(batch)
    torch.testing.assert_close(found, torch.stack([layer(one)[0] for one in batch]))


def train(layer, step: int, steps: int, optimizer) -> None:
    g = torch.Generator().manual_seed(step)
    for _ in range(steps):
        x = torch.randn(6, 4, 3, generator=g)
        optimizer.zero_grad()
        output, state = layer(x)
        (output.square().mean() + state_tensors(state)[0].sum() * 0.1).backward()
        optimizer.step()


def twins(kind: str):
    """The same layer on both backends."""
    native, reference = (build(kind, 3, 5, dtype=torch.float32, backend=b) for b in ("native", "reference"))
    return native, reference


@every_layer
def test_fifty_steps_of_fused_adam(kind):
    """A fused optimizer moves weights without moving `_version`."""
    losses = []
    for layer in twins(kind):
        train(layer, 0, 50, torch.optim.Adam(layer.parameters(), lr=1e-2, fused=True))
        losses.append(as_arrays(dict(layer.named_parameters())))
    assert_close(losses[0], losses[1], "weights after 50 steps", k=2000, dtype=torch.float32)
    before = as_arrays(dict(build(kind, 3, 5, dtype=torch.float32).named_parameters()))
    assert all(abs(losses[0][name] - before[name]).max() > 0.05 for name in before)


WRITES = {
    ".data": lambda layer: layer.weight_hh_l0.data.mul_(-0.5),
    ".data assigned": lambda layer: setattr(layer.weight_hh_l0, "data", -0.5 * layer.weight_hh_l0.data),
    "a NumPy view": lambda layer: layer.weight_ih_l0.detach().numpy().__imul__(-0.5),
    "vector_to_parameters": lambda layer: torch.nn.utils.vector_to_parameters(
        -0.5 * torch.nn.utils.parameters_to_vector(layer.parameters()), layer.parameters()
    ),
    "load_state_dict": lambda layer: layer.load_state_dict({k: -0.5 * v for k, v in layer.state_dict().items()}),
    "a new parameter": lambda layer: setattr(layer, "bias_hh_l0", torch.nn.Parameter(layer.bias_hh_l0.detach() + 0.3)),
}


@pytest.mark.parametrize("write", WRITES)
@every_layer
def test_no_weight_is_stale(kind, write):
    layers = twins(kind)
    x = torch.randn(6, 4, 3)
    before = layers[0](x)[0]
    for layer in layers:
        layer(x)[0].sum().backward()
        WRITES[write](layer)
    found, wanted = (layer(x)[0] for layer in layers)
    assert_close(found, wanted, k=K)
    assert not torch.equal(found, before)
    for layer in layers:
        layer.zero_grad()
        layer(x)[0].sum().backward()
    pairs = zip(layers[0].parameters(), layers[1].parameters(), strict=True)
    assert all(assert_close(a.grad, b.grad, k=K) is None for a, b in pairs)


@every_layer
def test_parameters_made_in_inference_mode(kind):
    with torch.inference_mode():
        layer = build(kind, 3, 5, dtype=torch.float32, backend="native")
        x = torch.randn(6, 4, 3)
        inside = layer(x)[0]
    wanted = build(kind, 3, 5, dtype=torch.float32, backend="reference")(x.clone())[0]
    assert_close(inside, wanted.detach(), k=K)
    with torch.no_grad():
        assert_close(layer(x.clone())[0], wanted.detach(), k=K)


@every_layer
def test_a_parameter_of_a_wrong_shape_or_dtype_is_refused(kind):
    """`.data` can be given anything; the kernels take addresses."""
    wrong = {
        "weight_hh_l0": lambda p: p[:, :-1].contiguous(),
        "weight_ih_l0": lambda p: p[:-1].contiguous(),
        "bias_ih_l0": lambda p: p[:-1].contiguous(),
        "bias_hh_l0": lambda p: p.double(),
    }
    for name, change in wrong.items():
        layer = build(kind, 3, 5, dtype=torch.float32, backend="native")
        parameter = getattr(layer, name)
        replaced = torch.nn.Parameter(change(parameter.detach()))
        setattr(layer, name, replaced)
        refusal = rf"throughtime::sequence: expected {name[:-3]} of .*, got \({replaced.shape[0]},.*{replaced.dtype}"
        with pytest.raises(ArgumentError, match=refusal):
            layer(torch.zeros(2, 4, 3))
        with pytest.raises(ArgumentError, match=refusal):
            layer.stepper()


def test_the_operators_refuse_what_does_not_fit():
    """Anyone can call them by name."""
    leaves, _ = problem("lstm", ragged=True)
    plain = [None if t is None else t.detach() for t in leaves]
    flags = torch.zeros(5, 3, dtype=torch.bool)
    lengths = torch.tensor([1, 2, 3])
    good = [*plain, lengths, flags, "lstm", False, True]
    wrong = {
        0: (torch.zeros(5, 4), r"expected x of shape \(T, B, I\), .* got \(5, 4\), torch.float32"),
        1: (torch.zeros(3, 7), r"expected h0 of \(3, 6\), torch.float32 on cpu, got \(3, 7\)"),
        2: (None, r"expected c0 of \(3, 6\), torch.float32 on cpu, got none"),
        3: (torch.zeros(24, 5), r"expected weight_ih of \(24, 4\), .* got \(24, 5\)"),
        8: (lengths.int(), r"expected lengths of \(3,\), torch.int64 on cpu, got \(3,\), torch.int32"),
        9: (flags.T, r"expected reset of \(5, 3\), torch.bool on cpu, got \(3, 5\)"),
        10: ("lstm2", r"expected a cell among rnn_tanh, .*, got 'lstm2'"),
    }
    for place, (value, message) in wrong.items():
        arguments = [*good[:place], value, *good[place + 1 :]]
        with pytest.raises(ArgumentError, match=f"^throughtime::sequence: {message}"):
            torch.ops.throughtime.sequence(*arguments)
    y, h_n, c_n, saved, c_seq = torch.ops.throughtime.sequence(*good)
    backward = [y, h_n, c_n, None, *plain, lengths, flags, y, saved, c_seq, "lstm", False, 0b11111111]
    for place, name in ((0, "dy"), (1, "dh_n"), (2, "dc_n"), (14, "y"), (15, "saved"), (16, "c_seq")):
        arguments = [*backward[:place], torch.zeros(2, 2), *backward[place + 1 :]]
        with pytest.raises(ArgumentError, match=rf"^throughtime::sequence: expected {name} of .* got \(2, 2\)"):
            torch.ops.throughtime.sequence_backward(*arguments)


def test_lengths_are_checked_inside_the_operator():
    leaves, _ = problem("gru")
    for length, message in ((6, "got 6 at index 1"), (-1, "got -1 at index 1")):
        with pytest.raises(ArgumentError, match=f"lengths: expected values from 0 to 5, {message}"):
            run("gru", leaves, [torch.tensor([1, length, 2]), None])
        with pytest.raises(ArgumentError, match=f"lengths: expected values from 0 to 5, {message}"):
            torch.ops.throughtime.sequence(*leaves, torch.tensor([1, length, 2]), None, "gru", False, True)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(threads):
    layer = nn.LSTM(20, 64, num_layers=2, bidirectional=True)
    x = torch.randn(40, 9, 20)
    before = torch.get_num_threads()

    def answer():
        loss = layer(x)[0].square().sum()
        return torch.autograd.grad(loss, list(layer.parameters()))

    wanted = answer()
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(answer(), wanted, strict=True))
