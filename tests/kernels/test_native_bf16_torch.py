"""bfloat16 layers of torch on the native kernels: chosen by themselves, right, traced, under autocast, stepping.

Legend: T time, B batch, I input, H hidden.
"""

import pytest
import torch

from tests.helpers import assert_close
from tests.kernels import native_cases
from tests.kernels.test_native_bf16 import K_GRADIENT
from tests.nn.layers import LAYERS, as_hx, build, random_state, state_tensors
from throughtime.cells import CELLS
from throughtime.kernels import dispatch, native, stack

every_layer = pytest.mark.parametrize("kind", LAYERS)
every_cell = pytest.mark.parametrize("cell_name", CELLS)


def k_of(kind: str) -> float:
    """Native bfloat16 against float64 on the same rounded numbers: the bound of gradients in test_native_bf16.py."""
    return K_GRADIENT[LAYERS[kind][2]]


def answer(layer, x, hx=None, **options):
    """Output, states, and the gradients of x and of every parameter, as a list."""
    x = x.detach().clone().requires_grad_()
    output, state = layer(x, hx, **options)
    outputs = (output, *state_tensors(state))
    weights = [torch.linspace(-1, 1, t.numel(), dtype=t.dtype).reshape(t.shape) for t in outputs]
    found = torch.autograd.grad(outputs, [x, *layer.parameters()], weights)
    return [t.detach() for t in (*outputs, *found)]


def pair(kind: str, *sizes, **options):
    """A bfloat16 layer and the same numbers in a float64 layer."""
    low = build(kind, *sizes, dtype=torch.bfloat16, **options)
    wide = build(kind, *sizes, **options)
    wide.load_state_dict({name: value.double() for name, value in low.state_dict().items()})
    return low, wide


@every_layer
def test_auto_is_native_and_right(kind):
    low, wide = pair(kind, 5, 19)
    assert low.backend == "native"
    assert dispatch.choose("auto", "cpu", torch.bfloat16) == "native"
    x = torch.randn(7, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    hx = [s.bfloat16() for s in random_state(low, 4)]
    lengths = torch.tensor([7, 0, 3, 1])
    found = answer(low, x, as_hx(tuple(hx)), lengths=lengths)
    wanted = answer(wide, x.double(), as_hx(tuple(s.double() for s in hx)), lengths=lengths)
    assert {t.dtype for t in found} == {torch.bfloat16}
    assert_close(found, wanted, "answer", k=k_of(kind))


@every_layer
def test_the_bits_are_the_numpy_face_s(kind):
    low = build(kind, 5, 19, dtype=torch.bfloat16, backend="native")
    x = torch.randn(7, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()

    def bits(tensor):
        return tensor.detach().contiguous().view(torch.int16).numpy().view(native.BFLOAT16)

    found = native.sequence_forward(
        low.cell_name, bits(x), native.Weights(*(None if p is None else bits(p) for p in low.layer_params(0)))
    )
    native_cases.assert_same_bits(bits(low(x)[0]), found.output)


@every_layer
def test_steps_and_the_stepper_are_the_whole(kind):
    layer = build(kind, 5, 19, dtype=torch.bfloat16, backend="native", num_layers=2)
    x = torch.randn(7, 3, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.no_grad():
        whole, last = layer(x)
        first, middle = layer(x[:3])
        rest, final = layer(x[3:], middle)
        assert torch.equal(torch.cat([first, rest]), whole)
        stepper, state = layer.stepper(), None
        for t in range(7):
            y, state = stepper(x[t], state)
            assert torch.equal(y, whole[t])
    for found in (final, state):
        assert all(torch.equal(a, b) for a, b in zip(state_tensors(found), state_tensors(last), strict=True))


@every_cell
@pytest.mark.parametrize("given", ["nothing", "both"])
def test_opcheck(cell_name, given):
    case = native_cases.make(cell_name, 5, 3, 4, 6, ragged=given == "both", resets=given == "both")
    floats = (case.x, case.h0, case.c0, *case.weights[:5])
    leaves = [None if a is None else torch.from_numpy(a).bfloat16().requires_grad_() for a in floats]
    rows = [None if a is None else torch.from_numpy(a) for a in (case.lengths, case.reset)]
    torch.library.opcheck(torch.ops.throughtime.sequence, (*leaves, *rows, cell_name, given == "both", True))
    *_, saved, _ = torch.ops.throughtime.sequence(*leaves, *rows, cell_name, False, True)
    assert saved.dtype is torch.float32


@every_layer
def test_second_derivatives_come_from_the_reference(kind):
    low, wide = pair(kind, 3, 4)
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = []
    for layer, given in ((low, x), (wide, x.double())):
        leaf = given.clone().requires_grad_()
        (dx,) = torch.autograd.grad(layer(leaf)[0].square().sum(), leaf, create_graph=True)
        found.append(torch.autograd.grad(dx.sum(), layer.weight_hh_l0)[0])
    assert found[0].dtype is torch.bfloat16
    assert_close(found[0], found[1], "second derivative", k=k_of(kind))


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_autocast_reaches_the_kernels(kind, monkeypatch):
    """float32 parameters under autocast: the bits of a bfloat16 layer, gradients in the parameters' dtype."""
    seen = []
    real = stack.forward

    def watched(what, x, *rest, **options):
        seen.append(x.dtype)
        return real(what, x, *rest, **options)

    monkeypatch.setattr(stack, "forward", watched)
    layer = build(kind, 5, 19, dtype=torch.float32)
    low = build(kind, 5, 19, dtype=torch.bfloat16)
    low.load_state_dict(layer.state_dict())
    x = torch.randn(7, 4, 5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(x)
    assert seen == [torch.bfloat16]
    assert torch.equal(output, low(x.bfloat16())[0])
    output.float().square().sum().backward()
    assert {p.grad.dtype for p in layer.parameters()} == {torch.float32}
    assert all(bool(p.grad.any()) for p in layer.parameters())
