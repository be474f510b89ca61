"""Every gate and cell value of every step: against the reference scan, forward and gradients, in every layout.

Legend: T time, B batch, I input, H hidden, L layers, D directions.
"""

import re

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tests.helpers import assert_close, assert_zero
from tests.nn.layers import LAYERS, as_hx, build, pattern, random_state, state_tensors
from tests.nn.test_layers import LENGTHS, borders, every_layer, one_and_two_ways, sequences
from throughtime import nn
from throughtime.errors import ArgumentError
from throughtime.kernels import dispatch

LETTERS = {"RNN": "h", "GRU": "rzqnh", "GRUResetBefore": "rznh", "LSTM": "ifgoch"}


def traced(layer, x, hx, *, twice=False, **options):
    """All values by name, the output, the state, and every gradient of a function of all of them."""
    inputs = [t.detach().clone().requires_grad_() for t in (x, *hx)]
    trace = layer.trace(inputs[0], as_hx(tuple(inputs[1:])), **options)
    values = {name: trace.stack(name) for name in trace.values[0][0]._fields}
    reached = [trace.output, *state_tensors(trace.state), *values.values()]
    loss = sum((t * pattern(t) + t**3).sum() for t in reached)
    gradients = torch.autograd.grad(loss, [*inputs, *layer.parameters()], create_graph=twice)
    second = torch.autograd.grad(sum((g * pattern(g)).sum() for g in gradients), inputs[0])[0] if twice else None
    return {"values": values, "output": trace.output, "gradients": gradients, "second": second}


@pytest.mark.parametrize("options", ["", "lengths", "reset", "lengths reset"])
@one_and_two_ways
@every_layer
def test_equals_the_reference_scan(kind, bidirectional, options, monkeypatch):
    """Values and first derivatives, with lengths and resets second ones too; the native kernels gave the states."""
    given = {"lengths": LENGTHS, "reset": borders()}
    given = {name: given[name] for name in options.split()}
    answers, x = [], sequences()
    for backend in ("native", "reference"):
        layer = build(kind, 3, 5, 2, bidirectional=bidirectional, backend=backend)
        found = []
        states = dispatch.states
        monkeypatch.setattr(dispatch, "states", lambda *a, found=found, **k: found.append(states(*a, **k)) or found[-1])  # noqa: B023
        answers.append(traced(layer, x, random_state(layer, B=4), **given, twice=len(given) == 2))
        monkeypatch.undo()
        assert len(found) == 2 * layer.num_directions
        assert all((result is None) == (backend == "reference") for result in found)
    assert_close(*answers)
    assert set(answers[0]["values"]) == set(LETTERS.get(kind, "ifgoch" if "LSTM" in kind else "h"))


@every_layer
def test_states_and_output_are_forwards_own_bits(kind):
    layer = build(kind, 3, 17, 2, bidirectional=True, dtype=torch.float32)
    x = sequences(dtype=torch.float32)
    trace, (output, state) = layer.trace(x, lengths=LENGTHS), layer(x, lengths=LENGTHS)
    assert torch.equal(trace.output, output)
    assert all(map(torch.equal, state_tensors(trace.state), state_tensors(state)))
    assert torch.equal(torch.cat([cell.h for cell in trace.values[1]], dim=-1), output)
    for row, length in enumerate(LENGTHS.tolist()):
        assert_zero(trace.stack(trace.values[0][0]._fields[0])[:, :, length:, row])


@every_layer
def test_every_layout_is_the_same_values(kind):
    layer, turned = build(kind, 3, 5, 2), build(kind, 3, 5, 2, batch_first=True)
    x, lengths = sequences(), torch.tensor([3, 2, 6, 1])
    name = layer.trace(x).values[0][0]._fields[0]
    expected = layer.trace(x, lengths=lengths).stack(name)
    assert expected.shape == (2, 1, 6, 4, 5)
    assert_close(turned.trace(x.transpose(0, 1), lengths=lengths).stack(name), expected.transpose(2, 3), k=0)
    packed = layer.trace(pack_padded_sequence(x, lengths, enforce_sorted=False))
    assert_close(packed.stack(name), expected, k=20)
    assert isinstance(packed.output, torch.nn.utils.rnn.PackedSequence)
    assert_close(layer.trace(x[:3, 0]).stack(name), expected[:, :, :3, 0], k=20)


def test_empty_sequences_and_batches():
    layer = build("LSTM", 3, 5, 2, bidirectional=True)
    for shape in ((0, 2, 3), (4, 0, 3), (0, 0, 3)):
        trace = layer.trace(torch.zeros(shape, dtype=torch.float64))
        assert trace.stack("f").shape == (2, 2, *shape[:2], 5)


def test_nan_in_the_padding_reaches_nothing():
    layer, x = build("PeepholeLSTM", 3, 5, bidirectional=True), sequences()
    expected = traced(layer, x, random_state(layer, B=4), lengths=LENGTHS)
    padded = torch.arange(6).unsqueeze(1) >= LENGTHS
    x = torch.where(padded.unsqueeze(-1), torch.nan, x)
    assert_close(traced(layer, x, random_state(layer, B=4), lengths=LENGTHS), expected, k=0)


@pytest.mark.parametrize("options", [{"proj_size": 2}, {"reset_state": "learned"}], ids=str)
def test_where_the_kernels_do_not_run(options):
    """Projections, states of one's own at borders: the output is forward's all the same."""
    layer = build("LSTM", 3, 5, 2, **options)
    if "reset_state" in options:
        torch.nn.init.uniform_(layer.reset_h, 0.2, 0.5)
    x = sequences()
    trace, (output, _) = layer.trace(x, reset=borders()), layer(x, reset=borders())
    assert_close(trace.output, output)
    assert trace.stack("h").shape[-1] == (options.get("proj_size") or 5)
    assert_close(trace.values[1][0].h, output)


def test_dropout_between_layers_is_forwards():
    layer, x = build("GRU", 3, 33, 2, dropout=0.5), sequences()
    torch.manual_seed(0)
    expected, _ = layer(x)
    torch.manual_seed(0)
    assert torch.equal(layer.trace(x).output, expected)


@pytest.mark.parametrize("state_size", [5, (5, 5)], ids=["tensor", "tuple"])
def test_a_cell_of_ones_own(state_size):
    """Its values are its states, by their place."""
    made = (
        torch.nn.GRUCell(3, 5, dtype=torch.float64) if state_size == 5 else torch.nn.LSTMCell(3, 5, dtype=torch.float64)
    )
    layer, x = nn.CustomRecurrent(made, state_size), sequences()
    trace, (output, state) = layer.trace(x, lengths=LENGTHS), layer(x, lengths=LENGTHS)
    assert_close(trace.stack("0")[0, 0], output, k=0)
    assert len(trace.values[0][0]) == len(state_tensors(state))
    last = trace.values[0][0][-1][LENGTHS[2] - 1, 2]
    assert_close(last, state_tensors(state)[-1][0, 2], k=0)


def test_no_grad_and_a_name_that_is_not_there():
    layer = build("LSTM", 3, 5)
    with torch.no_grad():
        trace = layer.trace(sequences())
    assert not trace.stack("i").requires_grad
    with pytest.raises(ArgumentError, match=re.escape("expected one of i, f, g, o, c, h, got 'z'; ")):
        trace.stack("z")
    with pytest.raises(ArgumentError, match=r"LSTM.trace: expected input of shape .*, got \(6, 4, 2\); "):
        layer.trace(sequences(features=2))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["LSTM", "GRUResetBefore"])
def test_forward_mode_vmap_and_one_graph(kind):
    layer, x, tangent = build(kind, 3, 5, 2), sequences(), sequences(seed=9)
    name = layer.trace(x).values[0][0]._fields[0]

    def loss(x):
        return (layer.trace(x).stack(name) ** 2).sum()

    _, got = torch.func.jvp(loss, (x,), (tangent,))
    (gradient,) = torch.autograd.grad(loss(at := x.clone().requires_grad_()), at)
    assert_close(got, (gradient * tangent).sum().detach())
    many = torch.stack([x, x * 2])
    mapped = torch.func.vmap(lambda x: layer.trace(x).stack(name))(many)
    assert_close(mapped, torch.stack([layer.trace(x).stack(name) for x in many]), k=50)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: layer.trace(x, lengths=LENGTHS).stack(name), fullgraph=True, backend="aot_eager")
    assert_close(compiled(x), layer.trace(x, lengths=LENGTHS).stack(name), k=50)
    torch._dynamo.reset()


def test_every_layer_is_here():
    assert {"".join(build(kind, 3, 5).trace(sequences()).values[0][0]._fields) for kind in LAYERS} == set(
        LETTERS.values()
    )
