"""Stacks of every layer in one graph: exported with dynamic batch and time, and compiled.

Legend: T time, B batch, I input, H hidden.
"""

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import as_hx, build, random_state, state_tensors
from tests.nn.test_layers import every_layer, sequences

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning"),
]


class Whole(torch.nn.Module):
    """What a call gives, and what its trace gives, with lengths and borders."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths, reset):
        output, state = self.layer(x, lengths=lengths, reset=reset)
        trace = self.layer.trace(x, lengths=lengths, reset=reset)
        return output, *state_tensors(state), *trace.values[-1][-1]


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@every_layer
def test_stacks_are_exported_with_dynamic_batch_and_time(kind, bidirectional):
    module = Whole(build(kind, 3, 5, 2, bidirectional=bidirectional))
    T, B = torch.export.Dim("T", min=2, max=1000), torch.export.Dim("B", min=2, max=1000)
    example = sequences(), torch.tensor([6, 1, 2, 4]), torch.rand(6, 4) < 0.3
    exported = torch.export.export(module, example, dynamic_shapes=({0: T, 1: B}, {0: B}, {0: T, 1: B}))
    given = sequences(11, 2), torch.tensor([4, 11]), torch.rand(11, 2, generator=torch.Generator().manual_seed(1)) < 0.3
    assert_close(exported.module()(*given), module(*given), k=20)


def test_a_learned_start_is_exported_where_there_are_no_borders():
    layer = build("LSTM", 3, 5, 2, reset_state="learned")
    torch.nn.init.uniform_(layer.reset_h, 0.2, 0.5)
    shapes = ({0: torch.export.Dim("T", min=2, max=1000), 1: torch.export.Dim("B", min=2, max=1000)},)
    exported = torch.export.export(layer, (sequences(),), dynamic_shapes=shapes)
    x = sequences(11, 2)
    (output, state), (wanted, final) = exported.module()(x), layer(x)
    assert_close((output, *state), (wanted, *final), k=20)


@every_layer
def test_stacks_are_compiled_in_one_graph(kind):
    """Forward and backward."""
    torch._dynamo.reset()
    layer = build(kind, 3, 5, 2, bidirectional=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    hx = as_hx(random_state(layer, B=4))
    answers = []
    for call in (layer, compiled):
        output, state = call(sequences(), hx, lengths=torch.tensor([6, 1, 2, 4]))
        gradients = torch.autograd.grad((output * output).sum(), list(layer.parameters()))
        answers.append((output, state_tensors(state), gradients))
    assert_close(*answers, k=50)
    torch._dynamo.reset()
