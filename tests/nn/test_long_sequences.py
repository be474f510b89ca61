"""Truncated gradients and sequences computed again: against detaching by hand, and against the plain call.

Legend: T time, B batch, I input, H hidden.
"""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tests.helpers import assert_close
from tests.nn.layers import answer, as_hx, build, pattern, random_state, state_tensors
from tests.nn.test_layers import LENGTHS, borders, every_layer, one_and_two_ways, sequences
from tests.nn.test_refusals import refused
from throughtime import nn
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.training.bptt_clipping import ClippedBPTT

ROOT = Path(__file__).parents[2]


class Checkpointed(torch.nn.Module):
    """The layer, called through `checkpointed`."""

    def __init__(self, layer, steps):
        super().__init__()
        self.layer, self.steps = layer, steps

    def forward(self, *args, **options):
        return nn.checkpointed(self.layer, *args, steps=self.steps, **options)


@pytest.mark.parametrize("steps", [None, 1, 4, 6, 99])
@one_and_two_ways
@every_layer
def test_checkpointed_is_the_plain_call(kind, bidirectional, steps):
    """Bit for bit but for the sums that make the parameters' gradients."""
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    x, hx = sequences(), random_state(layer, B=4)
    plain = answer(layer, x, hx, lengths=LENGTHS, reset=borders())
    again = answer(Checkpointed(layer, steps), x, hx, lengths=LENGTHS, reset=borders())
    parameters = {name.removeprefix("layer."): g for name, g in again.pop("parameters").items()}
    assert_close(parameters, plain.pop("parameters"))
    assert_close(again, plain, k=0)


@pytest.mark.parametrize("reset_state", ["zero", "learned"])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_checkpointed_borders_between_pieces(backend, reset_state):
    layer = build("LSTM", 3, 5, 2, bidirectional=True, backend=backend, reset_state=reset_state)
    for p in layer._own_reset_state() or ():
        torch.nn.init.uniform_(p, -0.9, 0.9)
    x, reset = sequences(T=12), torch.rand(12, 4, generator=torch.Generator().manual_seed(1)) < 0.4
    lengths = torch.tensor([12, 0, 5, 8])
    plain = answer(layer, x, random_state(layer, B=4), lengths=lengths, reset=reset)
    for steps in (1, 3, 5):
        again = answer(Checkpointed(layer, steps), x, random_state(layer, B=4), lengths=lengths, reset=reset)
        again["parameters"] = {name.removeprefix("layer."): g for name, g in again["parameters"].items()}
        assert_close(again, plain, k=100)


def test_checkpointed_dropout_packed_sequences_and_cells_of_ones_own():
    layer, x = build("GRU", 3, 33, 3, dropout=0.5), sequences()
    answers = []
    for call in (layer, lambda x: nn.checkpointed(layer, x, steps=2)):
        torch.manual_seed(0)
        output, _ = call(x)
        answers.append((output.detach(), torch.autograd.grad((output * pattern(output)).sum(), layer.parameters())))
    assert_close(*answers)
    packed = pack_padded_sequence(x, [3, 2, 6, 1], enforce_sorted=False)
    torch.manual_seed(0)
    expected = layer(packed)[0]
    torch.manual_seed(0)
    assert torch.equal(nn.checkpointed(layer, packed)[0].data, expected.data)

    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.GRUCell(3, 5, dtype=torch.float64)

        def forward(self, x, h):
            return self.inner(torch.nn.functional.dropout(x, 0.5), h)

    own, answers = nn.CustomRecurrent(Noisy(), 5), []
    for call in (own, lambda x: nn.checkpointed(own, x, steps=2)):
        torch.manual_seed(0)
        output, _ = call(x)
        answers.append((output.detach(), torch.autograd.grad(output.sum(), own.parameters())))
    assert_close(*answers)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_checkpointed_second_derivatives_forward_mode_and_no_grad():
    layer = build("LSTM", 2, 3)
    x = sequences(4, 2, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: nn.checkpointed(layer, x, steps=2)[0], x, fast_mode=True)
    tangent = sequences(4, 2, 2, seed=9)
    _, got = torch.func.jvp(lambda x: nn.checkpointed(layer, x)[0], (x.detach(),), (tangent,))
    _, expected = torch.func.jvp(lambda x: layer(x)[0], (x.detach(),), (tangent,))
    assert_close(got, expected, k=0)
    with torch.no_grad():
        assert not nn.checkpointed(layer, x)[0].requires_grad
    assert nn.checkpointed(layer, x[:0])[0].shape == (0, 2, 3)


@pytest.mark.parametrize("T", [3, 10, 17, 50, 99, 100, 101])
def test_what_is_kept_is_counted(T):
    """What autograd packs in the forward pass beyond input, output and parameters."""
    layer, x = build("LSTM", 8, 32, dtype=torch.float32), torch.randn(T, 1, 8, requires_grad=True)
    kept = {}

    def count(call):
        kept.clear()

        def pack(t):
            kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            output, _ = call(x)
        given = {t.untyped_storage().data_ptr() for t in (x, output, *layer.parameters())}
        return sum(size for at, size in kept.items() if at not in given) / (2 * 32 * 4)

    assert count(layer) > 2 * T
    assert count(lambda x: nn.checkpointed(layer, x)) <= 2 * math.sqrt(T)


@pytest.mark.slow
def test_memory_at_ten_thousand_steps():
    """The benchmark's figures at half of its width."""
    command = [sys.executable, "-m", "benchmarks.speed.checkpointing", "--hidden", "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "10000 steps" in done.stdout
    share = float(done.stdout.split("checkpointed / plain:")[1].split()[0])
    assert share < 0.75


@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@every_layer
def test_truncated_is_detaching_by_hand(kind, batch_first):
    layer = build(kind, 3, 5, 2, batch_first=batch_first)
    x, hx, reset = sequences(), as_hx(random_state(layer, B=4)), borders()
    turn = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
    gradients, outputs, state = [], [], hx
    for begin in (0, 4):
        own = (LENGTHS - begin).clamp(0, 4 if begin == 0 else 2)
        piece = slice(begin, begin + 4)
        output, state = layer(turn(x[piece]), state, lengths=own, reset=turn(reset[piece]))
        state = as_hx(tuple(s.detach() for s in state_tensors(state)))
        outputs.append(output)
        gradients.append(torch.autograd.grad((output * pattern(output)).sum(), layer.parameters()))
    chunks = nn.truncated(layer, turn(x), hx, steps=4, lengths=LENGTHS, reset=turn(reset))
    for index, chunk in enumerate(chunks):
        assert chunk.steps == (slice(0, 4), slice(4, 6))[index]
        assert_close(chunk.output, outputs[index], k=0)
        found = torch.autograd.grad((chunk.output * pattern(chunk.output)).sum(), layer.parameters())
        assert_close(found, gradients[index], k=0)
    assert_close(state_tensors(chunk.state), state_tensors(state), k=0)
    whole, final = layer(turn(x), hx, lengths=LENGTHS, reset=turn(reset))
    assert torch.equal(torch.cat(outputs, dim=1 if batch_first else 0), whole)
    assert_close(state_tensors(chunk.state), state_tensors(final), k=0)


def test_truncated_takes_the_weights_of_the_moment():
    """An optimiser's step between chunks counts, and no graph is left from before it."""
    layer = build("LSTM", 3, 5)
    seen, x = [], sequences().requires_grad_()
    for chunk in nn.truncated(layer, x, steps=2):
        (gradient,) = torch.autograd.grad(chunk.output.sum(), x)
        assert set(gradient.abs().sum((1, 2)).nonzero().flatten().tolist()) == set(range(6)[chunk.steps])
        seen.append(chunk.output.abs().max())
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(0.1)
    assert seen[0] > 2 * seen[1] > 4 * seen[2]
    state = nn.detach_state(chunk.state)
    assert isinstance(state, nn.LSTMState)
    assert not state.c.requires_grad


def test_truncated_unbatched():
    layer, x = build("GRU", 3, 5), sequences()[:, 0]
    parts = [c.output for c in nn.truncated(layer, x, steps=4, reset=borders()[:, 0])]
    assert torch.equal(torch.cat(parts), layer(x, reset=borders()[:, 0])[0])
    assert list(nn.truncated(layer, x[:0], steps=4)) == []


def test_refusals():
    x, layer = torch.zeros(4, 2, 3), nn.GRU(3, 5)
    with refused(ArgumentError, "truncated", "one-way", "GRU with bidirectional=True"):
        nn.truncated(nn.GRU(3, 5, bidirectional=True), x, steps=2)
    with refused(ArgumentError, "truncated", "steps > 0", "got 0"):
        nn.truncated(layer, x, steps=0)
    with refused(ArgumentError, "checkpointed", "steps > 0", "got -1"):
        nn.checkpointed(layer, x, steps=-1)
    with refused(ArgumentTypeError, "checkpointed", "a layer of throughtime.nn", "got GRU"):
        nn.checkpointed(torch.nn.GRU(3, 5), x)
    with refused(ArgumentTypeError, "truncated", "a tensor", "got PackedSequence"):
        nn.truncated(layer, pack_padded_sequence(x, [4, 2]), steps=2)
    with refused(ArgumentError, "truncated", "reset of shape (4, 2)", "(3, 2)"):
        list(nn.truncated(layer, x, steps=2, reset=torch.zeros(3, 2, dtype=torch.bool)))
    with refused(ArgumentError, "truncated", "T = 4", "got 5"):
        list(nn.truncated(layer, x, steps=2, lengths=[5, 1]))


@pytest.mark.parametrize("dropout", ["recurrent_dropout", "weight_dropout", "zoneout"])
def test_masks_of_a_cut_sequence_are_those_of_the_whole(dropout):
    layer = build("LSTM", 3, 7, **{dropout: 0.5})
    x = torch.randn(11, 2, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    torch.manual_seed(5)
    whole, _ = layer(x)
    torch.manual_seed(5)
    pieces = [chunk.output for chunk in nn.truncated(layer, x, steps=4)]
    assert_close(torch.cat(pieces), whole, k=50)
    torch.manual_seed(5)
    clipped, _ = ClippedBPTT(layer, 1e9)(x)
    assert_close(clipped, whole, k=50)
    assert (whole - layer(x)[0]).abs().max() > 1e-3
