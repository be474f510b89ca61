"""Every way to hold a layer wrong gets one sentence that names the offending value."""

import re

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tests.nn.layers import LAYERS
from throughtime import nn
from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError, ThroughtimeError

every_layer = pytest.mark.parametrize("kind", LAYERS)
X = torch.zeros(4, 2, 3)


def built(kind, *args, **options):
    layer_class, fixed, _ = LAYERS[kind]
    return layer_class(*args, **fixed, **options)


def refused(error, *parts):
    """`error`, with every part in its message, in this order, and advice after a semicolon."""
    pattern = ".*".join(re.escape(part) for part in parts)
    return pytest.raises(error, match=f"(?=.*; .+){pattern}")


@every_layer
@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        ({"input_size": 0}, ArgumentError, ("input_size > 0", "got 0")),
        ({"hidden_size": -5}, ArgumentError, ("hidden_size > 0", "got -5")),
        ({"num_layers": 0}, ArgumentError, ("num_layers > 0", "got 0")),
        ({"hidden_size": 2.5}, ArgumentTypeError, ("hidden_size", "int", "2.5")),
        ({"num_layers": True}, ArgumentTypeError, ("num_layers", "int", "True")),
        ({"input_size": "3"}, ArgumentTypeError, ("input_size", "int", "'3'")),
        ({"dropout": 1.5, "num_layers": 2}, ArgumentError, ("dropout in [0, 1]", "got 1.5")),
        ({"dropout": -0.1, "num_layers": 2}, ArgumentError, ("dropout in [0, 1]", "got -0.1")),
        ({"dropout": "0.5", "num_layers": 2}, ArgumentError, ("dropout in [0, 1]", "got '0.5'")),
        ({"bias": 0.5}, ArgumentTypeError, ("bias", "True or False", "0.5")),
        ({"bidirectional": 4}, ArgumentTypeError, ("bidirectional", "True or False", "4")),
        ({"batch_first": None}, ArgumentTypeError, ("batch_first", "True or False", "None")),
        ({"backend": "magic"}, ArgumentError, ("backend", "auto", "'magic'")),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_constructor(kind, arguments, error, parts):
    with refused(error, *parts):
        built(kind, **{"input_size": 3, "hidden_size": 5, **arguments})


def test_nonlinearity():
    with refused(ArgumentError, "RNN", "'tanh' or 'relu'", "'sigmoid'"):
        nn.RNN(3, 5, nonlinearity="sigmoid")


@pytest.mark.parametrize("kind", ["LSTM", "PeepholeLSTM", "PreviousPeepholeLSTM"])
def test_projections(kind):
    with refused(ArgumentError, kind, "proj_size in [0, hidden_size) = [0, 5)", "got 5"):
        built(kind, 3, 5, proj_size=5)
    with refused(ArgumentError, kind, "proj_size", "got -1"):
        built(kind, 3, 5, proj_size=-1)
    with refused(ArgumentTypeError, kind, "proj_size", "int", "2.0"):
        built(kind, 3, 5, proj_size=2.0)
    with refused(BackendError, kind, "'auto' or 'reference'", "backend='native'", "proj_size=2"):
        built(kind, 3, 5, proj_size=2, backend="native")


def test_a_state_of_a_projected_layer():
    layer = nn.LSTM(3, 5, 2, proj_size=2)
    right = torch.zeros(2, 2, 2), torch.zeros(2, 2, 5)
    assert layer(X, right)[0].shape == (4, 2, 2)
    with refused(ArgumentError, "LSTM.forward", "expected h", "(2, 2, 2)", "(2, 2, 5)"):
        layer(X, (right[1], right[1]))
    with refused(ArgumentError, "LSTM.forward", "expected c", "(2, 2, 5)", "(2, 2, 2)"):
        layer(X, (right[0], right[0]))
    with refused(ArgumentError, "LSTM.stepper", "(2, 2, 2)", "(2, 2, 5)"):
        layer.stepper()(X[0], (right[1], right[1]))


@every_layer
@pytest.mark.parametrize(
    ("input", "error", "parts"),
    [
        (torch.zeros(4, 2, 7), ArgumentError, ("(T, B, 3)", "(4, 2, 7)", "input_size=7")),
        (torch.zeros(3), ArgumentError, ("(T, B, 3)", "(3,)")),
        (torch.zeros(1, 4, 2, 3), ArgumentError, ("(T, B, 3)", "(1, 4, 2, 3)")),
        (torch.zeros(()), ArgumentError, ("(T, B, 3)", "got ()")),
        (X.double(), ArgumentTypeError, ("torch.float32", "torch.float64")),
        (X.long(), ArgumentTypeError, ("torch.float32", "torch.int64")),
        (X.tolist(), ArgumentTypeError, ("a tensor", "list")),
        (None, ArgumentTypeError, ("a tensor", "NoneType")),
        (X.to("meta"), ArgumentError, ("cpu", "meta")),
        (pack_padded_sequence(torch.zeros(4, 2, 7), [4, 2]), ArgumentError, ("(N, 3)", "(6, 7)", "input_size=7")),
        (pack_padded_sequence(X[..., 0], [4, 2]), ArgumentError, ("(N, 3)", "got (6,)")),
        (pack_padded_sequence(X.double(), [4, 2]), ArgumentTypeError, ("torch.float32", "torch.float64")),
    ],
    ids=[
        "features",
        "one axis",
        "four axes",
        "no axes",
        "float64",
        "int64",
        "list",
        "None",
        "device",
        "packed",
        "packed numbers",
        "packed float64",
    ],
)
def test_input(kind, input, error, parts):
    layer = built(kind, 3, 5)
    with refused(error, type(layer).__name__, *parts):
        layer(input)


def test_batch_first_names_its_own_axes():
    with refused(ArgumentError, "(B, T, 3)", "(2, 4, 7)"):
        nn.GRU(3, 5, batch_first=True)(torch.zeros(2, 4, 7))


@pytest.mark.parametrize("kind", ["RNN", "RNN-relu", "GRU", "GRUResetBefore"])
@pytest.mark.parametrize(
    ("hx", "error", "parts"),
    [
        (torch.zeros(1, 2, 5), ArgumentError, ("hx", "(4, 2, 5)", "(1, 2, 5)")),
        (torch.zeros(4, 3, 5), ArgumentError, ("hx", "(4, 2, 5)", "(4, 3, 5)")),
        (torch.zeros(4, 2, 6), ArgumentError, ("hx", "(4, 2, 5)", "(4, 2, 6)")),
        (torch.zeros(4, 5), ArgumentError, ("hx", "(4, 2, 5)", "(4, 5)")),
        (torch.zeros(4, 2, 5).double(), ArgumentTypeError, ("hx", "torch.float32", "torch.float64")),
        ((torch.zeros(4, 2, 5), torch.zeros(4, 2, 5)), ArgumentTypeError, ("hx", "one tensor", "2 values")),
        (0.0, ArgumentTypeError, ("hx", "one tensor", "float")),
    ],
    ids=["layers", "batch", "hidden", "unbatched", "dtype", "pair", "number"],
)
def test_state_of_one_tensor(kind, hx, error, parts):
    with refused(error, *parts):
        built(kind, 3, 5, 2, bidirectional=True)(X, hx)


@pytest.mark.parametrize("kind", ["LSTM", "PeepholeLSTM", "PreviousPeepholeLSTM"])
@pytest.mark.parametrize(
    ("hx", "error", "parts"),
    [
        (torch.zeros(2, 2, 5), ArgumentTypeError, ("hx", "(h, c)", "Tensor")),
        ((torch.zeros(2, 2, 5),), ArgumentTypeError, ("hx", "(h, c)", "1 values")),
        ((torch.zeros(2, 2, 5), None), ArgumentTypeError, ("hx", "(h, c)")),
        ((torch.zeros(2, 2, 5), torch.zeros(1, 2, 5)), ArgumentError, ("expected c", "(2, 2, 5)", "(1, 2, 5)")),
        ((torch.zeros(2, 2, 4), torch.zeros(2, 2, 5)), ArgumentError, ("expected h", "(2, 2, 5)", "(2, 2, 4)")),
        ((torch.zeros(2, 2, 5), torch.zeros(2, 2, 5).half()), ArgumentTypeError, ("expected c", "torch.float16")),
    ],
    ids=["tensor", "one", "none", "c layers", "h hidden", "c dtype"],
)
def test_state_of_two_tensors(kind, hx, error, parts):
    with refused(error, *parts):
        built(kind, 3, 5, 2)(X, hx)


@every_layer
@pytest.mark.parametrize(
    ("lengths", "error", "parts"),
    [
        (torch.tensor([5, 2]), ArgumentError, ("lengths", "T = 4", "got 5")),
        (torch.tensor([-1, 2]), ArgumentError, ("lengths", "T = 4", "got -1")),
        (torch.tensor([4.0, 2.0]), ArgumentTypeError, ("lengths", "integer", "torch.float32")),
        (torch.tensor([True, False]), ArgumentTypeError, ("lengths", "integer", "torch.bool")),
        (torch.tensor([4, 2, 1]), ArgumentError, ("lengths", "(2,)", "(3,)")),
        (torch.tensor([[4, 2]]), ArgumentError, ("lengths", "(2,)", "(1, 2)")),
        (torch.tensor(4), ArgumentError, ("lengths", "(2,)", "()")),
        ([2.5, 1.0], ArgumentTypeError, ("lengths", "integer", "torch.float32")),
    ],
    ids=["too long", "negative", "float", "bool", "three", "two axes", "no axis", "list of floats"],
)
def test_lengths(kind, lengths, error, parts):
    with refused(error, *parts):
        built(kind, 3, 5)(X, lengths=lengths)


@every_layer
@pytest.mark.parametrize(
    ("reset", "error", "parts"),
    [
        (torch.zeros(2, 4, dtype=torch.bool), ArgumentError, ("reset", "(4, 2)", "(2, 4)")),
        (torch.zeros(4, dtype=torch.bool), ArgumentError, ("reset", "(4, 2)", "(4,)")),
        (torch.zeros(4, 2), ArgumentTypeError, ("reset", "torch.bool", "torch.float32")),
        (torch.zeros(4, 2, dtype=torch.int64), ArgumentTypeError, ("reset", "torch.bool", "torch.int64")),
    ],
    ids=["transposed", "one axis", "float", "int"],
)
def test_reset(kind, reset, error, parts):
    with refused(error, *parts):
        built(kind, 3, 5)(X, reset=reset)


def test_reset_takes_the_layout_of_the_input():
    with refused(ArgumentError, "reset", "(2, 4)", "(4, 2)"):
        nn.GRU(3, 5, batch_first=True)(torch.zeros(2, 4, 3), reset=torch.zeros(4, 2, dtype=torch.bool))
    with refused(ArgumentError, "reset", "(4,)", "(4, 1)"):
        nn.GRU(3, 5)(torch.zeros(4, 3), reset=torch.zeros(4, 1, dtype=torch.bool))


@every_layer
def test_step_refuses_what_needs_the_future(kind):
    with refused(ArgumentError, "step", "bidirectional=True", "future"):
        built(kind, 3, 5, bidirectional=True).step(torch.zeros(2, 3))


@every_layer
def test_step_refuses_a_whole_sequence(kind):
    with refused(ArgumentError, "step", "(B, 3)", "(4, 2, 3)"):
        built(kind, 3, 5).step(X)


@every_layer
def test_step_names_the_shape_that_it_was_given(kind):
    with refused(ArgumentError, "step", "(B, 3)", "(2, 7)"):
        built(kind, 3, 5).step(torch.zeros(2, 7))


def test_every_refusal_is_a_throughtime_error_and_a_builtin_one():
    assert issubclass(ArgumentError, ThroughtimeError)
    with pytest.raises(ValueError, match="got 0"):
        nn.GRU(0, 5)
    with pytest.raises(TypeError, match="float64"):
        nn.GRU(3, 5)(X.double())


@every_layer
def test_lengths_beside_a_packed_sequence(kind):
    with refused(ArgumentError, "no lengths beside a PackedSequence", "[4, 2]"):
        built(kind, 3, 5)(pack_padded_sequence(X, [4, 2]), lengths=[4, 2])


def test_reset_of_a_packed_sequence_is_padded():
    with refused(ArgumentError, "reset", "(4, 2)", "(6,)"):
        nn.GRU(3, 5)(pack_padded_sequence(X, [4, 2]), reset=torch.zeros(6, dtype=torch.bool))
    with refused(ArgumentError, "reset", "(2, 4)", "(4, 2)"):
        nn.GRU(3, 5, batch_first=True)(pack_padded_sequence(X, [4, 2]), reset=torch.zeros(4, 2, dtype=torch.bool))


def test_a_state_has_the_axes_of_the_input():
    """As torch: two for one sequence, three for a batch."""
    with refused(ArgumentError, "h in hx", "(1, 5)", "(1, 1, 5)", "(num_layers * num_directions, features)"):
        nn.GRU(3, 5)(X[:, 0], torch.zeros(1, 1, 5))
    with refused(ArgumentError, "h in hx", "(1, 2, 5)", "(1, 5)", "batch"):
        nn.GRU(3, 5)(X, torch.zeros(1, 5))


def test_a_state_on_another_device():
    with refused(ArgumentError, "h in hx", "cpu", "meta"):
        nn.GRU(3, 5)(X, torch.zeros(1, 2, 5, device="meta"))
    with refused(ArgumentError, "expected c in hx on cpu", "meta"):
        nn.LSTM(3, 5)(X, (torch.zeros(1, 2, 5), torch.zeros(1, 2, 5, device="meta")))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_jit_trace_would_record_constants():
    with refused(BackendError, "GRU.forward", "outside torch.jit.trace", "torch.export.export"):
        torch.jit.trace(nn.GRU(3, 5), X)


CELLS = {
    "RNNCell": nn.RNNCell,
    "GRUCell": nn.GRUCell,
    "GRUResetBeforeCell": nn.GRUResetBeforeCell,
    "LSTMCell": nn.LSTMCell,
    "PeepholeLSTMCell": nn.PeepholeLSTMCell,
    "PreviousPeepholeLSTMCell": nn.PreviousPeepholeLSTMCell,
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells(kind):
    cell_class = CELLS[kind]
    for arguments, error, parts in (
        ({"input_size": 0}, ArgumentError, ("input_size > 0", "got 0")),
        ({"hidden_size": 2.5}, ArgumentTypeError, ("hidden_size", "int", "2.5")),
        ({"bias": 1}, ArgumentTypeError, ("bias", "True or False", "got 1")),
    ):
        with refused(error, kind, *parts):
            cell_class(**{"input_size": 3, "hidden_size": 5, **arguments})
    cell = cell_class(3, 5)
    for input, error, parts in (
        (torch.zeros(2, 7), ArgumentError, ("(B, 3) or (3,)", "got (2, 7)")),
        (torch.zeros(4, 2, 3), ArgumentError, ("(B, 3) or (3,)", "got (4, 2, 3)", "whole sequences")),
        (torch.zeros(()), ArgumentError, ("(B, 3) or (3,)", "got ()")),
        (torch.zeros(2, 3).double(), ArgumentTypeError, ("torch.float32", "torch.float64")),
        (torch.zeros(2, 3, device="meta"), ArgumentError, ("cpu", "meta")),
        ([0.0], ArgumentTypeError, ("a tensor", "list")),
    ):
        with refused(error, f"{kind}.forward", *parts):
            cell(input)


def test_states_of_cells():
    x, h = torch.zeros(2, 3), torch.zeros(2, 5)
    with refused(ArgumentError, "GRUCell.forward", "h in hx of shape (2, 5)", "(3, 5)", "(batch, hidden_size)"):
        nn.GRUCell(3, 5)(x, torch.zeros(3, 5))
    with refused(ArgumentError, "GRUCell.forward", "(5,)", "(1, 5)", "(hidden_size,)"):
        nn.GRUCell(3, 5)(x[0], h[:1])
    with refused(ArgumentTypeError, "GRUCell.forward", "one tensor h", "2 values"):
        nn.GRUCell(3, 5)(x, (h, h))
    with refused(ArgumentTypeError, "LSTMCell.forward", "(h, c)", "Tensor"):
        nn.LSTMCell(3, 5)(x, h)
    with refused(ArgumentTypeError, "LSTMCell.forward", "c in hx", "torch.float32", "torch.float16"):
        nn.LSTMCell(3, 5)(x, (h, h.half()))
    with refused(ArgumentError, "RNNCell", "'tanh' or 'relu'", "'sigmoid'"):
        nn.RNNCell(3, 5, nonlinearity="sigmoid")


@every_layer
def test_sizes_may_be_integers_of_numpy(kind):
    layer = built(kind, np.int64(3), np.int32(5), np.int64(2))
    assert [type(size) for size in (layer.input_size, layer.hidden_size, layer.num_layers)] == [int] * 3
    assert layer(X)[0].shape == (4, 2, 5)


def test_sizes_of_parts_may_be_integers_of_numpy():
    assert type(nn.GRUCell(np.int64(3), np.int64(5)).hidden_size) is int
    assert type(nn.CustomRecurrent(lambda x, s: s, np.int64(5)).hidden_size) is int
    assert type(nn.AdditiveAttention(np.int64(3), np.int64(5), np.int64(2)).attention_size) is int
    assert type(nn.LSTM(3, 5, proj_size=np.int64(2)).proj_size) is int
