"""The backends beside the native one: torch's operators as cuDNN's are called, the compiled scan, and the choice.

The operators run on a CPU too, so that what `cudnn.run` does with lengths, rows and directions is tested here; the
tests marked gpu run it on cuDNN.

Legend: T time, B batch, I input, H hidden.
"""

import logging

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import answer, build, pattern, random_state
from throughtime import nn
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError, BackendError
from throughtime.kernels import compiled, cudnn, dispatch, reference

LENGTHS = torch.tensor([3, 0, 6, 1])
BY_CUDNN = {"RNN": "rnn_tanh", "RNN-relu": "rnn_relu", "GRU": "gru", "LSTM": "lstm"}


def problem(kind, T=6, B=4, **options):
    layer = build(kind, 3, 5, **options)
    state = tuple(s[0] for s in random_state(layer, B=B))
    x = torch.randn(T, B, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return layer.cell, x, state, layer.layer_params(0)


@pytest.mark.parametrize("bias", [True, False], ids=["", "no-bias"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["", "lengths"])
@pytest.mark.parametrize("kind", BY_CUDNN)
def test_operators_are_the_reference(kind, lengths, reverse, bias):
    """Output, final state and every gradient, with NaN in the padding."""
    answers = []
    cell, x, state, params = problem(kind, bias=bias)
    if lengths is not None:
        x = torch.where((torch.arange(6).unsqueeze(1) >= lengths).unsqueeze(-1), torch.nan, x)
    inputs = [t.detach().requires_grad_() for t in (x, *state)]
    weights = [p for p in params if p is not None]
    for run in (cudnn.run, reference.run):
        output, final = run(cell, inputs[0], tuple(inputs[1:]), params, lengths=lengths, reverse=reverse)
        found = (output, *final)
        answers.append((found, torch.autograd.grad(found, [*inputs, *weights], [pattern(t) for t in found])))
    assert_close(*answers)


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)], ids=str)
def test_operators_of_nothing(shape):
    cell, x, state, params = problem("LSTM", *shape)
    output, final = cudnn.run(cell, x, state, params, lengths=None, reverse=False)
    assert output.shape == (*shape, 5)
    assert_close(final, state, k=0)


def test_the_choice(monkeypatch):
    """What runs where, as if this machine had cuDNN."""
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)

    def chosen(cell_name, has_reset=False, backend="auto", device="cuda", dtype=torch.float32):
        return dispatch._choose(backend, device, dtype, cell_name, has_reset)

    assert {name: chosen(name) for name in CELLS} == {
        "rnn_tanh": "cudnn", "rnn_relu": "cudnn", "gru": "cudnn", "lstm": "cudnn",
        "gru_reset_before": "compiled", "peephole_lstm": "compiled", "previous_peephole_lstm": "compiled",
    }  # fmt: skip
    assert chosen("lstm", has_reset=True) == "compiled"
    assert chosen("lstm", dtype=torch.complex64) == "compiled"
    assert chosen("lstm", backend="reference") == "reference"
    assert chosen("peephole_lstm", backend="compiled") == "compiled"
    assert chosen("lstm", device="cpu") == "native"
    assert chosen("lstm", device="cpu", dtype=torch.float16) == "reference"
    assert chosen("lstm", device="mps") == "reference"
    for why, call in {
        "cuDNN cannot start a state anew inside a sequence": {"has_reset": True},
        "tensors are on cpu": {"device": "cpu"},
        "tensors are torch.complex64": {"dtype": torch.complex64},
    }.items():
        with pytest.raises(BackendError, match=rf"backend='cudnn': expected .*{why}.*; pass backend='auto'"):
            chosen("gru", backend="cudnn", **call)
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: False)
    assert chosen("lstm") == "compiled"
    with pytest.raises(BackendError, match=r"this torch has no cuDNN; pass"):
        chosen("lstm", backend="cudnn")


def test_the_choice_is_said_once_with_its_reason(monkeypatch, caplog):
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    dispatch._choose_and_say.cache_clear()
    with caplog.at_level(logging.INFO, logger="throughtime"):
        for _ in range(2):
            dispatch.choose("auto", "cuda", torch.float32, "peephole_lstm")
            dispatch.choose("auto", "cuda", torch.float32, "lstm", True)
            dispatch.choose("auto", "cuda", torch.float32, "lstm")
    assert [record.getMessage() for record in caplog.records] == [
        "recurrent layers on cuda in torch.float32 run on the compiled backend, since cuDNN has no peephole_lstm cell",
        "recurrent layers on cuda in torch.float32 run on the compiled backend, since cuDNN cannot start a state anew "
        "inside a sequence (reset=)",
        "recurrent layers on cuda in torch.float32 run on the cudnn backend, since tensors are on cuda",
    ]
    dispatch._choose_and_say.cache_clear()


@pytest.mark.parametrize("kind", ["GRUResetBefore", "PeepholeLSTM", "PreviousPeepholeLSTM"])
def test_cells_that_cudnn_never_has_are_refused_when_a_layer_is_made(kind):
    with pytest.raises(
        BackendError, match=r"backend='cudnn': expected .*got .*(before|peephole).*; pass backend='auto'"
    ):
        build(kind, 3, 5, backend="cudnn")


def test_a_named_backend_that_cannot_run_raises_at_the_call():
    layer = nn.LSTM(3, 5, backend="cudnn")
    for ask in (lambda: layer(torch.zeros(4, 2, 3)), lambda: layer.backend, lambda: layer.trace(torch.zeros(4, 2, 3))):
        with pytest.raises(BackendError, match=r"backend='cudnn'.*tensors are on cpu"):
            ask()
    with pytest.raises(BackendError, match="proj_size=2"):
        nn.LSTM(3, 5, proj_size=2, backend="cudnn")
    with pytest.raises(ArgumentError, match="expected one of auto, native, cudnn, compiled, reference, got 'cuda'"):
        nn.LSTM(3, 5, backend="cuda")


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.parametrize("kind", ["LSTM", "PeepholeLSTM", "GRUResetBefore"])
def test_the_compiled_scan(kind, monkeypatch):
    """Values, gradients and second derivatives of the reference scan; the two functions were compiled."""
    torch._dynamo.reset()
    monkeypatch.setattr(compiled, "_made", {})
    made = compiled.compiled(build(kind, 3, 5).cell, backend="aot_eager")
    calls = []

    def spied(function):
        return lambda *args: calls.append(function) or function(*args)

    compiled._made[made.name] = type(made)(**{
        **{name: getattr(made, name) for name in made.__dataclass_fields__},
        "values": spied(made.values), "step_backward": spied(made.step_backward),
    })  # fmt: skip
    layer, plain = build(kind, 3, 5, backend="compiled"), build(kind, 3, 5, backend="reference")
    assert layer.backend == "compiled"
    x = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    options = {"lengths": torch.tensor([3, 1]), "reset": torch.tensor([[False] * 2, [False] * 2, [True, False]])}
    hx = random_state(layer, B=2)
    assert_close(answer(layer, x, hx, **options), answer(plain, x, hx, **options))
    assert (calls.count(made.values), calls.count(made.step_backward)) == (6, 3)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], x.clone().requires_grad_(), fast_mode=True)
    torch._dynamo.reset()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("kind", [*BY_CUDNN, "GRUResetBefore", "PeepholeLSTM"])
def test_on_a_gpu(kind, bidirectional):
    """The answer of the CPU, by cuDNN where it has the cell, else by the compiled scan, and with resets by that."""
    for with_reset in (False, True):
        layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
        x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        hx = random_state(layer, B=4)
        options = {"lengths": LENGTHS}
        if with_reset:
            options["reset"] = torch.rand(6, 4, generator=torch.Generator().manual_seed(3)) < 0.3
        expected = answer(layer, x, hx, **options)
        layer = layer.cuda()
        assert layer.backend == ("cudnn" if kind in BY_CUDNN else "compiled")
        moved = {name: value.cuda() for name, value in options.items()}
        assert_close(answer(layer, x.cuda(), tuple(s.cuda() for s in hx), **moved), expected)
