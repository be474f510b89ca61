"""PackedSequence in, PackedSequence out: torch's numbers, orders and gradients, and the layer's own under lengths=.

Legend: T time, B batch, I input, H hidden, N packed elements.
"""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, TORCH, as_hx, build, pattern, random_state, state_tensors

every_layer = pytest.mark.parametrize("kind", LAYERS)
# In no order; in order and told so; in order and not told.
ORDERS = {"unsorted": ([2, 6, 1, 5], False), "sorted": ([6, 5, 2, 1], True), "sorted anyway": ([6, 5, 5, 1], False)}
every_order = pytest.mark.parametrize("order", ORDERS)


def sequences(seed=2):
    return torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def packed_answer(layer, x, hx, lengths, enforce_sorted, **options):
    """Packed output, state, and the gradients of the padded input, the state and the parameters."""
    inputs = [t.detach().clone().requires_grad_() for t in (x, *hx)]
    packed = pack_padded_sequence(inputs[0], lengths, enforce_sorted=enforce_sorted)
    output, state = layer(packed, as_hx(tuple(inputs[1:])) if hx else None, **options)
    outputs = (output.data, *state_tensors(state))
    parameters = dict(layer.named_parameters())
    found = torch.autograd.grad(outputs, [*inputs, *parameters.values()], [pattern(t) for t in outputs])
    n = len(inputs)
    values = tuple(t.detach() for t in outputs), found[:n], dict(zip(parameters, found[n:], strict=True))
    return output, values


@every_order
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("with_state", [False, True], ids=["", "hx"])
@pytest.mark.parametrize("kind", TORCH)
def test_packed_is_torchs(kind, with_state, batch_first, order):
    """`batch_first` says nothing about packed data, in torch and here."""
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(1)
    options = {"bidirectional": True, "batch_first": batch_first, "dtype": torch.float64}
    from_torch, layer = theirs(3, 5, 2, **fixed, **options), ours(3, 5, 2, **fixed, **options)
    layer.load_state_dict(from_torch.state_dict())
    hx = random_state(layer, B=4) if with_state else ()
    wanted_output, wanted = packed_answer(from_torch, sequences(), hx, *ORDERS[order])
    output, found = packed_answer(layer, sequences(), hx, *ORDERS[order])
    assert isinstance(output, PackedSequence)
    assert_close(found, wanted, dtype=torch.float64)
    assert torch.equal(output.batch_sizes, wanted_output.batch_sizes)
    for a, b in zip(output[2:], wanted_output[2:], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert_close(pad_packed_sequence(output, batch_first)[0], pad_packed_sequence(wanted_output, batch_first)[0])


@every_order
@every_layer
def test_packed_is_lengths(kind, order):
    """Bit for bit, resets in the caller's order of rows and in the padded shape included."""
    lengths, enforce_sorted = ORDERS[order]
    layer = build(kind, 3, 5, 2, bidirectional=True)
    hx = random_state(layer, B=4)
    reset = torch.zeros(6, 4, dtype=torch.bool)
    reset[1, 0] = reset[0, 1] = reset[3, 3] = reset[5, 2] = True
    expected, expected_state = layer(sequences(), as_hx(hx), lengths=lengths, reset=reset)
    packed = pack_padded_sequence(sequences(), lengths, enforce_sorted=enforce_sorted)
    output, state = layer(packed, as_hx(hx), reset=reset)
    assert torch.equal(pad_packed_sequence(output)[0], expected)
    for a, b in zip(state_tensors(state), state_tensors(expected_state), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(layer(packed, as_hx(hx))[0].data, output.data), "the resets did something"

    turned = build(kind, 3, 5, 2, bidirectional=True, batch_first=True)
    again, _ = turned(packed, as_hx(hx), reset=reset.T)
    assert torch.equal(again.data, output.data)


@every_layer
def test_packed_goes_from_layer_to_layer(kind):
    """The output of one layer is the input of the next, and of pack_sequence's rows."""
    rows = [torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (4, 1, 3)]
    first, second = build(kind, 3, 5), build(kind, 5, 2, seed=1)
    output, _ = second(first(pack_sequence(rows, enforce_sorted=False))[0])
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == [4, 1, 3]
    for index, row in enumerate(rows):
        assert_close(padded[: len(row), index], second(first(row)[0])[0], k=20)


def test_packed_derivatives_of_second_order():
    layer = build("GRU", 2, 3)

    def call(x):
        output, h = layer(pack_padded_sequence(x, [1, 3], enforce_sorted=False))
        return output.data, h

    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call, (x,))
    assert torch.autograd.gradgradcheck(call, (x,))


def test_packed_in_float32_and_bfloat16():
    layer = build("LSTM", 3, 5, dtype=torch.float32)
    packed = pack_padded_sequence(sequences().float(), [2, 6, 1, 5], enforce_sorted=False)
    assert layer(packed)[0].data.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        output, (h, c) = layer(packed)
    assert output.data.dtype == h.dtype == c.dtype == torch.bfloat16
