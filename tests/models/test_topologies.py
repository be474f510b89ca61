"""ManyToOne and Aligned: lengths, streaming, both directions.

Legend: T time, B batch, I input, O output, F features of the recurrent output.
"""

import copy

import pytest
import torch

from tests.helpers import assert_close, assert_zero
from tests.nn.layers import LAYERS, build, state_tensors
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Aligned, ManyToOne, OneToMany, OneToOne
from throughtime.nn import CustomRecurrent

T, B, FEATURES, H, OUTPUTS = 6, 4, 3, 5, 2
LENGTHS = torch.tensor([3, 1, 6, 4])

every_layer = pytest.mark.parametrize("kind", LAYERS)
one_and_two_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])


def sequences(seed=2):
    return torch.randn(T, B, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(model_class, kind, num_layers=2, **options):
    recurrent = build(kind, FEATURES, H, num_layers, **options)
    width = H * (2 if options.get("bidirectional") else 1)
    return model_class(recurrent, torch.nn.Linear(width, OUTPUTS, dtype=torch.float64))


@every_layer
def test_many_to_one_reads_the_last_valid_output(kind):
    model, x = make(ManyToOne, kind), sequences()
    hidden, _ = model.recurrent(x)
    assert_close(model(x), model.head(hidden[-1]), k=20)
    ragged, _ = model.recurrent(x, lengths=LENGTHS)
    last = ragged[LENGTHS - 1, torch.arange(B)]
    got = model(x, lengths=LENGTHS)
    assert got.shape == (B, OUTPUTS)
    assert_close(got, model.head(last), k=20)


@every_layer
def test_many_to_one_both_ways_reads_both_ends(kind):
    """The forward direction at the last valid step, the backward direction at the first: each has seen everything."""
    model, x = make(ManyToOne, kind, bidirectional=True), sequences()
    hidden, _ = model.recurrent(x, lengths=LENGTHS)
    forward, backward = hidden[LENGTHS - 1, torch.arange(B), :H], hidden[0, :, H:]
    assert_close(model(x, lengths=LENGTHS), model.head(torch.cat([forward, backward], dim=1)), k=20)


@one_and_two_ways
@every_layer
def test_many_to_one_rows_alone_and_padding(kind, bidirectional):
    model, x = make(ManyToOne, kind, bidirectional=bidirectional), sequences()
    expected = torch.cat([model(x[:length, [row]]) for row, length in enumerate(LENGTHS.tolist())])
    dirty = x.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        dirty[length:, row] = float("nan")
    dirty.requires_grad_()
    got = model(dirty, lengths=LENGTHS)
    assert_close(got, expected, k=50)
    got.sum().backward()
    for row, length in enumerate(LENGTHS.tolist()):
        assert_zero(dirty.grad[length:, row])
        assert bool((dirty.grad[:length, row].abs().sum(-1) > 0).all()) or kind == "RNN-relu"
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_many_to_one_of_an_empty_row_is_the_head_of_the_initial_state():
    model = make(ManyToOne, "GRU")
    got = model(sequences(), lengths=torch.tensor([0, 3, 6, 1]))
    assert_close(got[0], model.head.bias)


@one_and_two_ways
@every_layer
def test_aligned_is_the_head_at_every_step(kind, bidirectional):
    model, x = make(Aligned, kind, bidirectional=bidirectional), sequences()
    hidden, expected_state = model.recurrent(x)
    outputs, state = model(x)
    assert outputs.shape == (T, B, OUTPUTS)
    assert_close(outputs, torch.stack([model.head.module(h) for h in hidden]), k=20)
    assert_close(state_tensors(state), state_tensors(expected_state), k=0)


@one_and_two_ways
@every_layer
def test_aligned_with_lengths(kind, bidirectional):
    """Zero past the lengths (not the head's bias), and nothing of the padding in a value or a gradient."""
    model, x = make(Aligned, kind, bidirectional=bidirectional), sequences()
    dirty = x.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        dirty[length:, row] = float("nan")
    dirty.requires_grad_()
    outputs, _ = model(dirty, lengths=LENGTHS)
    outputs.sum().backward()
    for row, length in enumerate(LENGTHS.tolist()):
        assert_zero(outputs[length:, row])
        assert_close(outputs[:length, row], model(x[:length, [row]])[0][:, 0], k=50)
        assert_zero(dirty.grad[length:, row])
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())
    assert_close(model.head.module.bias.grad, torch.full((OUTPUTS,), float(LENGTHS.sum()), dtype=torch.float64))


@every_layer
def test_streaming_is_the_whole(kind):
    """x1 in, y1 out, x2 in, y2 out ...: step by step and in chunks, each from the state the last one left."""
    model, x = make(Aligned, kind), sequences()
    assert model.streams
    whole, final = model(x)
    state, outputs = None, []
    for x_BI in x:
        output, state = model.step(x_BI, state)
        outputs.append(output)
    assert_close(torch.stack(outputs), whole, k=20)
    assert_close(state_tensors(state), state_tensors(final), k=0)

    state, parts = None, []
    for chunk in x.split([1, 3, 2]):
        part, state = model(chunk, state)
        parts.append(part)
    assert_close(torch.cat(parts), whole, k=20)
    assert_close(state_tensors(state), state_tensors(final), k=0)


@every_layer
def test_a_streaming_output_does_not_see_the_future(kind):
    model, x = make(Aligned, kind), sequences()
    changed = x.clone()
    changed[4:] += 1.0
    assert torch.equal(model(changed)[0][:4], model(x)[0][:4])
    assert not torch.equal(model(changed)[0][4:], model(x)[0][4:])


@every_layer
def test_both_ways_does_not_stream(kind):
    model = make(Aligned, kind, bidirectional=True)
    assert not model.streams
    with pytest.raises(ArgumentError, match=r"bidirectional=True.*future.*; "):
        model.step(sequences()[0])
    _, state = model(sequences())
    with pytest.raises(ArgumentError, match=r"Aligned.*expected no state.*bidirectional.*; "):
        model(sequences(), state)


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 1, 4, 2])], ids=["", "lengths"])
@one_and_two_ways
def test_a_batch_first_layer_inside(bidirectional, lengths):
    """T = B, so that a model that mixes up the axes is not saved by a shape error."""
    x = sequences()[:B]
    for model_class in (Aligned, ManyToOne):
        plain = make(model_class, "LSTM", bidirectional=bidirectional)
        turned = make(model_class, "LSTM", bidirectional=bidirectional, batch_first=True)
        turned.load_state_dict(plain.state_dict())
        expected, got = plain(x, lengths=lengths), turned(x.transpose(0, 1), lengths=lengths)
        if model_class is Aligned:
            expected, got = expected[0].transpose(0, 1), got[0]
        assert_close(got, expected, k=20)


@pytest.mark.parametrize("model_class", [Aligned, ManyToOne])
def test_a_head_of_several_layers_trains(model_class):
    """One step of plain gradient descent makes the loss smaller: the graph reaches every parameter."""
    recurrent = build("PeepholeLSTM", FEATURES, H)
    head = torch.nn.Sequential(torch.nn.Linear(H, 7), torch.nn.Tanh(), torch.nn.Linear(7, OUTPUTS)).double()
    model = model_class(recurrent, head)

    def loss():
        result = model(sequences(), lengths=LENGTHS)
        return ((result[0] if model_class is Aligned else result) - 1.0).pow(2).mean()

    before = loss()
    before.backward()
    assert all(p.grad.abs().max() > 0 for p in model.parameters())
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.05 * p.grad
    assert loss() < before


@pytest.mark.parametrize("model_class", [Aligned, ManyToOne])
def test_deep_copy_and_state_dict(model_class):
    model = make(model_class, "LSTM", bidirectional=True)
    other = make(model_class, "LSTM", bidirectional=True, seed=7)
    result = (lambda m: m(sequences())[0]) if model_class is Aligned else (lambda m: m(sequences()))
    assert torch.equal(result(copy.deepcopy(model)), result(model))
    assert not torch.equal(result(other), result(model))
    other.load_state_dict(model.state_dict())
    assert torch.equal(result(other), result(model))


def test_a_cell_of_ones_own():
    layer, x = CustomRecurrent(torch.nn.GRUCell(FEATURES, H), H).double(), sequences()
    head = torch.nn.Linear(H, OUTPUTS).double()
    whole, _ = Aligned(layer, head)(x)
    assert_close(OneToOne(layer, head)(x[0]), whole[0], k=20)
    assert_close(ManyToOne(layer, head)(x), whole[-1], k=20)
    with pytest.raises(ArgumentError, match=r"OneToOne: expected x of shape \(B, I\), got \("):
        OneToOne(layer, head)(x)
    with pytest.raises(
        ArgumentTypeError, match=r"OneToMany: expected recurrent .* got CustomRecurrent; a cell of your"
    ):
        OneToMany(None, layer, head)


def test_many_to_one_starts_anew_at_a_border():
    model, x = make(ManyToOne, "LSTM"), sequences()
    reset = torch.zeros(x.shape[:2], dtype=torch.bool)
    reset[2] = True
    assert_close(model(x, reset=reset), model(x[2:]), k=20)


def test_many_to_one_of_other_forms():
    model, x = make(ManyToOne, "GRU"), sequences()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    assert_close(model(packed), model(x, lengths=LENGTHS), k=20)
    mean = ManyToOne(model.recurrent, model.head, pooling="mean")
    with pytest.raises(ArgumentTypeError, match=r"ManyToOne\.forward: expected a padded tensor, got PackedSequence; "):
        mean(packed)
    for either in (model, mean):
        with pytest.raises(ArgumentError, match=rf"ManyToOne\.forward: .* got \({len(x)}, {FEATURES}\); add the batch"):
            either(x[:, 0])
