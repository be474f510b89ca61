"""A stream through Aligned: what the whole gives, in pieces; what is kept; who is refused.

Legend: T time, B batch, I input, O output.
"""

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, as_hx, build, random_state, state_tensors
from throughtime.errors import ArgumentError
from throughtime.models import Aligned
from throughtime.nn import Stepper

T, B, FEATURES, H, OUTPUTS = 12, 3, 4, 17, 2
PIECES = [1, 4, 1, 1, 0, 3, 2]

every_layer = pytest.mark.parametrize("kind", LAYERS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


class Same(torch.nn.Module):
    """A head that lets the layer's output be seen."""

    def forward(self, hidden):
        return hidden


def make(kind, head=None, dtype=torch.float64, **options):
    recurrent = build(kind, FEATURES, H, 2, dtype=dtype, **options)
    return Aligned(recurrent, head or torch.nn.Linear(H, OUTPUTS, dtype=dtype))


def sequences(dtype=torch.float64):
    return torch.randn(T, B, FEATURES, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)


@every_dtype
@every_layer
def test_the_layer_streams_bit_for_bit(kind, dtype):
    model, x = make(kind, Same(), dtype), sequences(dtype)
    assert model.recurrent.backend == "native"
    whole, final = model(x)
    stream = model.stream(keep=True)
    parts = [stream.feed(chunk) for chunk in x.split(PIECES)]
    assert [len(part) for part in parts] == PIECES
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(stream.outputs, whole)
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(stream.state), state_tensors(final), strict=True))


@every_dtype
@every_layer
def test_the_model_streams_within_a_millionth_and_decides_alike(kind, dtype):
    model, x = make(kind, dtype=dtype), sequences(dtype)
    whole, _ = model(x)
    stream = model.stream()
    streamed = torch.cat([stream.feed(chunk) for chunk in x.split(PIECES)])
    assert (streamed - whole).abs().max() < 1e-6
    assert torch.equal(streamed.argmax(-1), whole.argmax(-1))
    alone = model.stream()
    row = torch.cat([alone.feed(chunk[:, :1]) for chunk in x.split(1)])
    assert (row - whole[:, :1]).abs().max() < 1e-6


@every_layer
def test_a_stream_goes_on_from_a_state(kind):
    model, x = make(kind), sequences()
    state = as_hx(random_state(model.recurrent, B))
    whole, _ = model(x, state)
    first = model.stream(state)
    head = first.feed(x[:5])
    second = model.stream(first.state)
    assert_close(torch.cat([head, second.feed(x[5:6]), second.feed(x[6:])]), whole, k=50)
    assert not torch.equal(whole, model(x)[0])


def test_outputs_are_kept_on_request():
    model, x = make("GRU"), sequences()
    stream = model.stream(keep=True)
    stream.feed(x[:3])
    assert stream.outputs.shape == (3, B, OUTPUTS)
    stream.feed(x[3:4])
    stream.feed(x[4:6])
    assert_close(stream.outputs, model(x[:6])[0], k=50)


def test_a_batch_first_model_streams():
    plain, turned = make("LSTM"), make("LSTM", batch_first=True)
    turned.load_state_dict(plain.state_dict())
    x = sequences()[:B]
    expected, _ = plain(x)
    stream = turned.stream(keep=True)
    for t in range(B):
        assert stream.feed(x[t : t + 1].transpose(0, 1)).shape == (B, 1, OUTPUTS)
    assert_close(stream.outputs, expected.transpose(0, 1), k=50)


def test_single_steps_take_the_fast_handle(monkeypatch):
    model, calls = make("GRU"), []
    run = Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self, *a, **k: (calls.append(1), run(self, *a, **k))[1])
    stream = model.stream()
    for chunk in sequences().split(PIECES):
        stream.feed(chunk)
    assert len(calls) == PIECES.count(1)


def test_eval_mode_without_gradients_and_back():
    """Dropout between layers would make the stream another sequence than the whole."""
    model, x = make("GRU", dropout=0.8), sequences()
    stream = model.train().stream()
    streamed = torch.cat([stream.feed(chunk) for chunk in x.split(PIECES)])
    assert all(module.training for module in model.modules())
    assert not streamed.requires_grad
    assert_close(streamed, model.eval()(x)[0], k=50)


def test_weights_that_change_while_steps_are_fed_are_refused():
    model, x = make("GRU"), sequences()
    stream = model.stream()
    stream.feed(x[:1])
    with torch.no_grad():
        model.recurrent.weight_hh_l1.mul_(2)
    with pytest.raises(ArgumentError, match=r"weight_hh_l1 has changed since; "):
        stream.feed(x[1:2])


@every_layer
def test_a_model_that_reads_the_future_does_not_stream(kind):
    model = Aligned(build(kind, FEATURES, H, bidirectional=True), torch.nn.Linear(2 * H, OUTPUTS).double())
    with pytest.raises(
        ArgumentError,
        match=r"Aligned\.stream: expected a one-way model, got bidirectional=True, .* future; pass whole sequences",
    ):
        model.stream()
    assert (model.streams, model.bidirectional) == (False, True)
    assert (make(kind).streams, make(kind).bidirectional) == (True, False)


def test_outputs_that_were_not_kept():
    model = make("GRU")
    stream = model.stream()
    stream.feed(sequences())
    with pytest.raises(ArgumentError, match=r"got keep=False; make it with model\.stream\(keep=True\)"):
        _ = stream.outputs
    with pytest.raises(ArgumentError, match=r"expected a piece fed before, got none; "):
        _ = model.stream(keep=True).outputs


@pytest.mark.parametrize("steps", [1, 2])
def test_a_piece_with_other_rows_is_refused(steps):
    stream = make("LSTM").stream()
    stream.feed(sequences()[:1])
    with pytest.raises(ArgumentError, match=r"\(2, 3, 17\)|\(2, 2, 17\)"):
        stream.feed(sequences()[:steps, :2])
