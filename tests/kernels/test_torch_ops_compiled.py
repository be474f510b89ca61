"""The native kernels under torch.compile and torch.export: in one graph, with the values of the eager layer.

Legend: T time, B batch, I input, H hidden.
"""

import shutil

import pytest
import torch

from tests.helpers import assert_close
from tests.kernels.test_torch_ops import K, func_problem, parameters_of, scalar, spy  # noqa: F401
from tests.nn.layers import LAYERS, build, state_tensors
from throughtime import nn
from throughtime.errors import ArgumentError

every_layer = pytest.mark.parametrize("kind", LAYERS)
# What torch's compiler says about itself.
pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler"
    ),
    pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def values_and_gradients(layer, x, lengths, reset):
    output, state = layer(x, lengths=lengths, reset=reset)
    outputs = (output, *state_tensors(state))
    d_outputs = [torch.sin(torch.arange(t.numel(), dtype=t.dtype)).view_as(t) for t in outputs]
    leaves = [x, *layer.parameters()]
    return outputs, torch.autograd.grad(outputs, leaves, d_outputs)


def compare(kind: str, backend: str, spy_calls) -> None:
    layer = build(kind, 3, 5, num_layers=2, bidirectional=True, backend="native")
    x = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([6, 0, 1, 4])
    reset = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) < 0.3
    wanted = values_and_gradients(layer, x, lengths, reset)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    before = dict(spy_calls)
    found = values_and_gradients(compiled, x, lengths, reset)
    assert spy_calls["sequence_forward_raw"] == before["sequence_forward_raw"] + 4
    assert spy_calls["sequence_backward_raw"] == before["sequence_backward_raw"] + 4
    assert_close(found, wanted, k=K)
    with pytest.raises(ArgumentError, match="lengths: expected values from 0 to 6, got 7 at index 3"):
        compiled(x, lengths=torch.tensor([6, 0, 1, 7]), reset=reset)


@every_layer
def test_compiled_in_one_graph(kind, spy):  # noqa: F811
    """Traced and differentiated ahead of time, run without code generation; a length > T raises from inside."""
    compare(kind, "aot_eager", spy)


@pytest.mark.slow
@every_layer
def test_compiled_to_code(kind, spy):  # noqa: F811
    compare(kind, "inductor", spy)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_compiled_torch_func(kind):
    """Tangents and per-sample gradients are not silently zero."""
    layer, x, direction = func_problem(kind)
    f, parameters = scalar(kind, layer), parameters_of(layer)

    def jvp(x, direction):
        return torch.func.jvp(lambda x: f(x, parameters), (x,), (direction,))

    def per_sample(batch):
        return torch.func.vmap(torch.func.grad(f), in_dims=(0, None))(batch, parameters)

    batch = torch.stack([x, direction])
    wanted = jvp(x, direction)
    assert abs(wanted[1]) > 1e-3
    torch.testing.assert_close(torch.compile(jvp, fullgraph=True, backend="aot_eager")(x, direction), wanted)
    compiled = torch.compile(per_sample, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(batch), per_sample(batch))


def test_compiled_with_any_batch_and_time():
    layer = build("GRU", 3, 5, backend="native")
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for T, B in ((6, 4), (7, 4), (7, 2), (3, 9)):
        x = torch.randn(T, B, 3, dtype=torch.float64)
        assert_close(compiled(x), layer(x), k=K)


@pytest.mark.parametrize("kind", ["GRUResetBefore", "PeepholeLSTM"])
def test_exported_with_dynamic_batch_and_time(kind, spy):  # noqa: F811
    class Padded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = build(kind, 3, 5, bidirectional=True, backend="native")

        def forward(self, x, lengths):
            output, state = self.layer(x, lengths=lengths)
            return output, *state_tensors(state)

    module = Padded()
    T, B = torch.export.Dim("T", min=2, max=1000), torch.export.Dim("B", min=2, max=1000)
    example = torch.randn(6, 4, 3, dtype=torch.float64), torch.tensor([6, 1, 2, 4])
    exported = torch.export.export(module, example, dynamic_shapes=({0: T, 1: B}, {0: B}))
    for t, lengths in ((6, [1, 2, 3, 4]), (11, [11, 0]), (3, [3, 1, 2, 0, 3, 3, 1])):
        x, lengths = torch.randn(t, len(lengths), 3, dtype=torch.float64), torch.tensor(lengths)
        calls = spy["sequence_forward_raw"]
        found = exported.module()(x, lengths)
        assert spy["sequence_forward_raw"] == calls + 2
        assert_close(found, module(x, lengths), k=K)
    with pytest.raises(ArgumentError, match="lengths: expected values from 0 to 3, got 4 at index 1"):
        exported.module()(torch.randn(3, 2, 3, dtype=torch.float64), torch.tensor([3, 4]))


def test_a_compiled_training_step_follows_the_eager_one():
    layers = [nn.GRU(3, 5), nn.GRU(3, 5)]
    layers[1].load_state_dict(layers[0].state_dict())
    runs = [layers[0], torch.compile(layers[1], fullgraph=True, backend="aot_eager")]
    optimizers = [torch.optim.Adam(layer.parameters(), lr=1e-2, fused=True) for layer in layers]
    for step in range(5):
        x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(step))
        for run, optimizer in zip(runs, optimizers, strict=True):
            optimizer.zero_grad()
            run(x)[0].square().sum().backward()
            optimizer.step()
    for a, b in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert_close(b.detach(), a.detach(), k=K)
