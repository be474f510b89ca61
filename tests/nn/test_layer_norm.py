"""The layers with layer normalisation: parameters, streaming, derivatives, dropouts, refusals.

Legend: T time, B batch, I input, H hidden.
"""

import copy

import pytest
import torch

from tests.nn.layers import as_hx, random_state, state_tensors
from throughtime import nn
from throughtime.cells import LAYER_NORM_CELLS
from throughtime.errors import ArgumentError, BackendError
from throughtime.kernels import normalized_ops

LAYERS = {
    "RNN": (nn.LayerNormRNN, {}),
    "RNN-relu": (nn.LayerNormRNN, {"nonlinearity": "relu"}),
    "GRU": (nn.LayerNormGRU, {}),
    "LSTM": (nn.LayerNormLSTM, {}),
}
GATES = {"RNN": 1, "RNN-relu": 1, "GRU": 3, "LSTM": 4}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def build(kind: str, *sizes, **options):
    layer_class, fixed = LAYERS[kind]
    torch.manual_seed(0)
    layer = layer_class(*sizes, **{"dtype": torch.float64, **fixed, **options})
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if "_ln" in name:
                p.add_(torch.randn_like(p) * 0.3)
    return layer


@every_layer
def test_parameters(kind):
    layer_class, fixed = LAYERS[kind]
    G = GATES[kind]
    layer = layer_class(3, 5, 2, bidirectional=True, **fixed)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        assert shapes.pop(f"weight_ih_{suffix}") == (G * 5, 3 if suffix[1] == "0" else 10)
        assert shapes.pop(f"weight_hh_{suffix}") == (G * 5, 5)
        for name in ("bias_ih", "bias_hh", "weight_ln_ih", "weight_ln_hh"):
            assert shapes.pop(f"{name}_{suffix}") == (G * 5,)
        if kind == "LSTM":
            assert shapes.pop(f"weight_ln_c_{suffix}") == shapes.pop(f"bias_ln_c_{suffix}") == (5,)
    assert not shapes
    for name, p in layer.named_parameters():
        if name.startswith("weight_ln"):
            assert torch.equal(p, torch.ones_like(p))
        elif name.startswith("bias_ln"):
            assert not p.any()
        else:
            assert 0 < p.abs().max() <= 5**-0.5
    without = dict(layer_class(3, 5, bias=False, **fixed).named_parameters())
    assert not [name for name in without if "bias" in name]
    again = layer_class(3, 5, 2, bidirectional=True, **fixed)
    again.load_state_dict(layer.state_dict())
    x = torch.randn(4, 2, 3)
    assert torch.equal(again(x)[0], layer(x)[0])
    assert torch.equal(copy.deepcopy(layer)(x)[0], layer(x)[0])


@every_layer
def test_steps_chunks_and_the_stepper_are_the_whole(kind):
    """Bit for bit: each sum has one order."""
    layer = build(kind, 3, 5, num_layers=2)
    x, hx = torch.randn(6, 4, 3, dtype=torch.float64), as_hx(random_state(layer, 4))
    whole, last = layer(x, hx)
    state, parts = hx, []
    for begin, end in ((0, 1), (1, 4), (4, 6)):
        part, state = layer(x[begin:end], state)
        parts.append(part)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(state), state_tensors(last), strict=True))
    stepper, state = layer.stepper(), hx
    for t in range(6):
        output, state = stepper(x[t], state)
        assert torch.equal(output, whole[t])
    # A row alone is the row in the batch.
    alone, _ = layer(x[:, 1:2], as_hx(tuple(s[:, 1:2] for s in state_tensors(hx))))
    assert torch.equal(alone, whole[:, 1:2])


@every_layer
def test_lengths_resets_and_padding(kind):
    layer = build(kind, 3, 5, bidirectional=True)
    x, lengths = torch.randn(6, 3, 3, dtype=torch.float64), torch.tensor([6, 0, 4])
    clean, state = layer(x, lengths=lengths)
    dirty = x.clone()
    dirty[4:, 2], dirty[:, 1] = float("nan"), float("inf")
    dirty.requires_grad_()
    output, other = layer(dirty, lengths=lengths)
    assert torch.equal(output, clean)
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(state), state_tensors(other), strict=True))
    grads = torch.autograd.grad(output.sum(), [dirty, *layer.parameters()])
    assert all(g.isfinite().all() for g in grads)
    torch.testing.assert_close(layer(x[:4, 2:])[0], clean[:4, 2:])


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@every_layer
def test_derivatives_of_every_order(kind):
    layer = build(kind, 2, 3, recurrent_dropout=0.3, zoneout=0.2)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def f(x, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, given, (x,), {"mask_seed": 4})[0]

    assert torch.autograd.gradcheck(f, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (x, *parameters), fast_mode=True)
    given, tangent = tuple(p.detach() for p in parameters), torch.randn_like(x)
    grad = torch.autograd.grad(f(x, *given).sum(), x)[0]
    _, moved = torch.func.jvp(lambda x: f(x, *given).sum(), (x.detach(),), (tangent,))
    torch.testing.assert_close(moved, (grad * tangent).sum())
    many = torch.stack([x.detach(), 2 * x.detach()])
    torch.testing.assert_close(
        torch.func.vmap(lambda x: f(x, *given))(many), torch.stack([f(one, *given) for one in many])
    )


@every_layer
def test_dropouts(kind):
    layer = build(kind, 3, 5, recurrent_dropout=0.4, weight_dropout=0.3, zoneout=0.2)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    whole, _ = layer(x, mask_seed=9)
    assert not torch.equal(whole, layer(x, mask_seed=10)[0])
    first, state = layer(x[:2], mask_seed=9)
    second, _ = layer(x[2:], state, mask_seed=9, step0=2)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    trace = layer.eval().trace(x)
    torch.testing.assert_close(trace.output, layer(x)[0])


@every_layer
def test_backends(kind, monkeypatch):
    """On the CPU the kernels run float32 and float64; bfloat16 they do not have."""
    ran = []
    real = normalized_ops._forward
    monkeypatch.setattr(normalized_ops, "_forward", lambda *a, **k: ran.append(a[1]) or real(*a, **k))
    for dtype in (torch.float32, torch.float64):
        layer = build(kind, 3, 5, dtype=dtype)
        assert layer.backend == "native"
        layer(torch.zeros(2, 2, 3, dtype=dtype))
    assert layer.cell is LAYER_NORM_CELLS[layer.cell_name]
    name = layer.cell_name
    assert ran == [name, name]
    low = build(kind, 3, 5, dtype=torch.bfloat16)
    assert low.backend == "reference"
    assert low(torch.zeros(2, 2, 3, dtype=torch.bfloat16))[0].dtype is torch.bfloat16
    assert len(ran) == 2
    with pytest.raises(BackendError, match=f"the compiled kernels have no {name} in torch.bfloat16"):
        build(kind, 3, 5, backend="native", dtype=torch.bfloat16)(torch.zeros(2, 2, 3, dtype=torch.bfloat16))
    with pytest.raises(BackendError, match=f"got {name}, which cuDNN does not have"):
        build(kind, 3, 5, backend="cudnn")


@every_layer
def test_native_and_reference_agree(kind):
    """A deep layer both ways, without biases too: output, state, and every gradient."""
    x, lengths = torch.randn(6, 4, 3, dtype=torch.float64), torch.tensor([6, 0, 3, 5])
    for bias in (True, False):
        answers = []
        for backend in ("native", "reference"):
            layer = build(kind, 3, 17, num_layers=2, bidirectional=True, bias=bias, backend=backend)
            output, state = layer(x.requires_grad_(), lengths=lengths)
            found = (output, *state_tensors(state))
            loss = sum((t**2).sum() for t in found)
            answers.append((found, torch.autograd.grad(loss, (x, *layer.parameters()))))
        torch.testing.assert_close(*answers, rtol=1e-10, atol=1e-10)


@every_layer
def test_a_compiled_graph_has_the_bits_of_the_layer(kind):
    layer = build(kind, 3, 7, num_layers=2, recurrent_dropout=0.3, zoneout=0.2)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    answers = []
    for function in (layer, compiled):
        x = torch.randn(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
        output, _ = function(x, lengths=torch.tensor([5, 2, 0, 4]), mask_seed=3)
        answers.append((output, *torch.autograd.grad(output.sum(), (x, *layer.parameters()))))
    for plain, traced in zip(*answers, strict=True):
        assert torch.equal(plain, traced)


def test_a_projection_is_refused():
    with pytest.raises(ArgumentError, match="LayerNormLSTM: expected proj_size=0, got 2"):
        nn.LayerNormLSTM(3, 5, proj_size=2)


@every_layer
def test_a_trace_by_the_kernels_is_the_reference_scans(kind, monkeypatch):
    """Every value and every gradient of a function of all of them, under lengths and resets, both ways."""
    torch.manual_seed(1)
    x, lengths = torch.randn(6, 4, 3, dtype=torch.float64), torch.tensor([6, 3, 0, 5])
    reset = torch.zeros(6, 4, dtype=torch.bool)
    reset[2, 0] = reset[0, 1] = reset[4, 3] = True
    answers = []
    for backend in ("native", "reference"):
        layer = build(kind, 3, 5, 2, bidirectional=True, backend=backend)
        if backend == "native":
            monkeypatch.setattr(normalized_ops.reference, "scan", None)
        own = x.clone().requires_grad_()
        trace = layer.trace(own, as_hx(random_state(layer, B=4)), lengths=lengths, reset=reset)
        values = [trace.stack(name) for name in trace.values[0][0]._fields]
        reached = [trace.output, *state_tensors(trace.state), *values]
        loss = sum((t.sin() * (1 + torch.arange(t.numel()).view(t.shape) % 7)).sum() for t in reached)
        answers.append((reached, torch.autograd.grad(loss, [own, *layer.parameters()])))
        monkeypatch.undo()
    torch.testing.assert_close(*answers)
