"""One-step modules: torch's cells number for number, and a step of the layer of the same name.

Legend: B batch, I input, H hidden.
"""

import copy
import inspect
import pickle

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, as_hx, pattern, state_tensors
from throughtime import nn

TORCH = {
    "RNNCell": (nn.RNNCell, torch.nn.RNNCell, {}),
    "RNNCell-relu": (nn.RNNCell, torch.nn.RNNCell, {"nonlinearity": "relu"}),
    "GRUCell": (nn.GRUCell, torch.nn.GRUCell, {}),
    "LSTMCell": (nn.LSTMCell, torch.nn.LSTMCell, {}),
}
# Every cell beside its layer.
CELLS = {
    "RNN": (nn.RNNCell, {}),
    "RNN-relu": (nn.RNNCell, {"nonlinearity": "relu"}),
    "GRU": (nn.GRUCell, {}),
    "GRUResetBefore": (nn.GRUResetBeforeCell, {}),
    "LSTM": (nn.LSTMCell, {}),
    "PeepholeLSTM": (nn.PeepholeLSTMCell, {}),
    "PreviousPeepholeLSTM": (nn.PreviousPeepholeLSTMCell, {}),
}
of_torch = pytest.mark.parametrize("kind", TORCH)
every_cell = pytest.mark.parametrize("kind", CELLS)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def given(cell, *batch):
    """An input, and a distinct non-zero state."""
    return draw(*batch, 3), tuple(draw(*batch, 5, seed=k + 1) for k in range(len(cell.cell.state_fields)))


def answer(cell, x, hx):
    inputs = [t.clone().requires_grad_() for t in (x, *hx)]
    outputs = state_tensors(cell(inputs[0], as_hx(tuple(inputs[1:])) if hx else None))
    parameters = dict(cell.named_parameters())
    found = torch.autograd.grad(
        outputs, [*inputs, *parameters.values()], [pattern(t) for t in outputs], allow_unused=not hx
    )
    return tuple(t.detach() for t in outputs), found


@of_torch
def test_constructor_is_torchs(kind):
    ours, theirs, _ = TORCH[kind]

    def arguments(cell_class):
        return [(p.name, p.default) for p in inspect.signature(cell_class).parameters.values()]

    assert arguments(ours) == arguments(theirs)
    assert list(inspect.signature(ours.forward).parameters) == list(inspect.signature(theirs.forward).parameters)


@pytest.mark.parametrize("bias", [True, False])
@of_torch
def test_cell_is_torchs(kind, bias):
    """Names, initial bits, state dicts both ways, batched and not, with a state and without, every gradient."""
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(1)
    cell = ours(3, 5, bias, **fixed, dtype=torch.float64)
    torch.manual_seed(1)
    other = theirs(3, 5, bias, **fixed, dtype=torch.float64)
    assert repr(cell) == repr(other)
    assert list(cell.state_dict()) == list(other.state_dict())
    assert cell.bias_ih is None if not bias else cell.bias_ih.shape == other.bias_ih.shape
    for name, p in other.named_parameters():
        assert torch.equal(getattr(cell, name), p), name
    fresh = theirs(3, 5, bias, **fixed, dtype=torch.float64)
    cell.load_state_dict(fresh.state_dict())
    other.load_state_dict(cell.state_dict())
    for batch in ((4,), (), (0,), (1,)):
        x, hx = given(cell, *batch)
        assert_close(answer(cell, x, hx), answer(other, x, hx), dtype=torch.float64)
        assert_close(answer(cell, x, ())[0], answer(other, x, ())[0])


@every_cell
def test_cell_is_a_step_of_the_layer(kind):
    cell_class, fixed = CELLS[kind]
    cell = cell_class(3, 5, **fixed, dtype=torch.float64)
    layer = LAYERS[kind][0](3, 5, **fixed, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, hx = given(cell, 4)
    _, wanted = layer.step(x, as_hx(tuple(s[None] for s in hx)))
    assert_close(state_tensors(cell(x, as_hx(hx))), tuple(s[0] for s in state_tensors(wanted)))
    one = cell(x[1], as_hx(tuple(s[1] for s in hx)))
    assert_close(state_tensors(one), tuple(s[0, 1] for s in state_tensors(wanted)))
    assert isinstance(one, nn.LSTMState if len(hx) == 2 else torch.Tensor)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@every_cell
def test_derivatives(kind):
    cell_class, fixed = CELLS[kind]
    torch.manual_seed(2)
    cell = cell_class(3, 5, **fixed, dtype=torch.float64)
    x, hx = given(cell, 2)

    def call(x, *hx):
        return state_tensors(cell(x, as_hx(hx)))

    flat = tuple(t.requires_grad_() for t in (x, *hx))
    assert torch.autograd.gradcheck(call, flat)
    assert torch.autograd.gradgradcheck(call, flat, fast_mode=True)
    tangents = tuple(draw(*t.shape, seed=9) for t in flat)
    _, got = torch.func.jvp(lambda *flat: call(*flat)[-1].sum(), tuple(t.detach() for t in flat), tangents)
    gradients = torch.autograd.grad(call(*flat)[-1].sum(), flat)
    assert_close(got, sum((g * t).sum() for g, t in zip(gradients, tangents, strict=True)))
    many = torch.stack([x.detach(), x.detach() * 2])
    mapped = torch.func.vmap(lambda x: call(x, *(s.detach() for s in hx))[0])(many)
    assert_close(mapped.detach(), torch.stack([call(row, *hx)[0] for row in many]).detach())


@pytest.mark.parametrize("kind", ["PeepholeLSTM", "PreviousPeepholeLSTM"])
def test_peephole_parameters(kind):
    cell = CELLS[kind][0](3, 5)
    assert list(cell.state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch"]
    assert cell.weight_ch.shape == (15,)
    without = CELLS[kind][0](3, 5, bias=False)
    assert list(without.state_dict()) == ["weight_ih", "weight_hh", "weight_ch"]


@every_cell
def test_copies_dtypes_and_autocast(kind):
    cell_class, fixed = CELLS[kind]
    cell = cell_class(3, 5, **fixed)
    x = draw(2, 3).float()
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert torch.equal(state_tensors(other(x))[0], state_tensors(cell(x))[0])
        assert repr(other) == repr(cell)
    with torch.autocast("cpu", torch.bfloat16):
        state = cell(x)
        again = cell(x, as_hx(tuple(s.float() for s in state_tensors(state))))
    assert {s.dtype for s in (*state_tensors(state), *state_tensors(again))} == {torch.bfloat16}
    assert {s.dtype for s in state_tensors(cell.half()(x.half()))} == {torch.float16}
    assert {s.dtype for s in state_tensors(cell.double()(x.double()))} == {torch.float64}
    assert state_tensors(cell_class(3, 5, **fixed, device="meta")(x.to("meta")))[0].shape == (2, 5)
