"""A stream through Aligned: what the whole gives, in pieces; what is kept; who is refused.

Legend: T time, B batch, I input, O output.
"""

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, as_hx, build, random_state, state_tensors
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Aligned
from throughtime.nn import CustomRecurrent, Stepper

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
    # torch's linear sums 17 products in another order for another number of rows.
    bound = 1e-6 if dtype is torch.float32 else 1e-14
    assert (streamed - whole).abs().max() < bound
    assert torch.equal(streamed.argmax(-1), whole.argmax(-1))
    alone = model.stream()
    row = torch.cat([alone.feed(chunk[:, :1]) for chunk in x.split(1)])
    assert (row - whole[:, :1]).abs().max() < bound


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


def test_weights_that_change_while_steps_are_fed_are_packed_again():
    model, x = make("GRU"), sequences()
    stream = model.stream()
    stream.feed(x[:1])
    with torch.no_grad():
        model.recurrent.weight_hh_l1.mul_(2)
    expected, _ = model(x[1:2], stream.state)
    assert_close(stream.feed(x[1:2]), expected, k=50)
    assert not torch.equal(model.stream(stream.state).feed(x[1:2]), expected)


@pytest.mark.parametrize("pieces", [[1] * T, PIECES])
def test_under_autocast_a_stream_is_the_whole(pieces):
    model, x = make("LSTM", Same(), torch.float32), sequences(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        whole, _ = model(x)
        stream = model.stream()
        parts = torch.cat([stream.feed(chunk) for chunk in x.split(pieces)])
    assert parts.dtype == whole.dtype == torch.bfloat16
    assert_close(parts, whole.detach(), k=4)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_borders_stream(steps, batch_first):
    """T = B would hide mixed-up axes: here they differ."""
    model, x = make("LSTM", batch_first=batch_first), sequences()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[0, 1] = reset[3, 0] = reset[3, 2] = reset[8, 1] = True
    if batch_first:
        x, reset = x.transpose(0, 1), reset.T
    time = int(batch_first)
    whole, _ = model(x, reset=reset)
    stream = model.stream(keep=True)
    for chunk, borders in zip(x.split(steps, time), reset.split(steps, time), strict=True):
        stream.feed(chunk, reset=borders.tolist())
    assert_close(stream.outputs, whole.detach(), k=50)
    assert (whole - model(x)[0]).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_a_layer_without_a_handle_streams():
    normed, own = make("GRU"), Aligned(CustomRecurrent(torch.nn.GRUCell(FEATURES, H), H), Same())
    torch.nn.utils.weight_norm(normed.recurrent, "weight_hh_l0")
    for model, x in ((normed, sequences()), (own, sequences(torch.float32))):
        stream = model.stream()
        streamed = torch.cat([stream.feed(chunk) for chunk in x.split(PIECES)])
        assert_close(streamed, model(x)[0].detach(), k=50)


@pytest.mark.parametrize(
    ("use", "error", "match"),
    [
        (lambda m, x: m(x[:, 0]), ArgumentError, r"Aligned\.forward: expected .* three axes, got \(12, 4\); "),
        (lambda m, x: m(x.tolist()), ArgumentTypeError, r"Aligned\.forward: expected a padded tensor, got list; "),
        (
            lambda m, x: m(torch.nn.utils.rnn.pack_padded_sequence(x, [T] * B)),
            ArgumentTypeError,
            r"Aligned\.forward: expected a padded tensor, got PackedSequence; pass the tensor, and lengths",
        ),
        (lambda m, x: m.stream().feed(x[0]), ArgumentError, r"AlignedStream\.feed: .* got \(3, 4\); add the batch"),
        (
            lambda m, x: m.stream().feed(x[:1], reset=[True] * B),
            ArgumentError,
            r"AlignedStream\.feed: expected reset of shape \(1, 3\), got \(3,\); ",
        ),
    ],
)
def test_pieces_of_other_forms_are_refused(use, error, match):
    with pytest.raises(error, match=match):
        use(make("GRU"), sequences())


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
