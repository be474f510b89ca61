"""What a border puts in the place of the state: against segments run apart by hand, in every layout and backend.

Legend: T time, B batch, I input, H hidden.
"""

import itertools

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.helpers import assert_close
from tests.nn.layers import answer, as_hx, build, pattern, random_state, state_tensors
from tests.nn.test_layers import LENGTHS, borders, every_layer, one_and_two_ways, sequences
from tests.nn.test_refusals import refused
from throughtime import nn
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import reset_state


def by_hand(layer, x, hx, anew, lengths, reset):
    """One layer, row by row and segment by segment, each a call of its own."""
    D, H = layer.num_directions, layer.hidden_size
    outputs, finals = [], []
    for row in range(x.shape[1]):
        n = int(lengths[row])
        cuts = [0, *(t for t in range(1, n) if reset[t, row]), n]
        output = x.new_zeros(x.shape[0], D * H)
        own = tuple(s[:, [row]] for s in hx)
        ends = list(own)
        for begin, end in itertools.pairwise(cuts):
            if n == 0:
                break
            first, last = begin == 0 and not reset[0, row], end == n
            start = [a[:, [row]].clone() for a in anew]
            for field, s in enumerate(own):
                start[field] = torch.stack(
                    [(s if (first if d == 0 else last) else anew[field][:, [row]])[d] for d in range(D)]
                )
            piece, state = layer(x[begin:end, [row]], as_hx(tuple(start)))
            output = torch.cat([output[:begin], piece[:, 0], output[end:]])
            for field, s in enumerate(state_tensors(state)):
                kept = [s[0] if last else ends[field][0]]
                kept += [s[1] if begin == 0 else ends[field][1]] if D == 2 else []
                ends[field] = torch.stack(kept)
        outputs.append(output)
        finals.append(tuple(ends))
    return torch.stack(outputs, 1), tuple(torch.cat(field, 1) for field in zip(*finals, strict=True))


@pytest.mark.parametrize("backend", ["native", "reference"])
@one_and_two_ways
@every_layer
def test_equals_segments_by_hand(kind, bidirectional, backend):
    """Values, and the gradients of x, hx, the reset state and the parameters; native, the values' bits."""
    layer = build(kind, 3, 5, bidirectional=bidirectional, backend=backend)
    answers = []
    for own in (True, False):
        x, hx, anew = sequences(), random_state(layer, B=4), random_state(layer, B=4, seed=5)
        inputs = [t.requires_grad_() for t in (x, *hx, *anew)]
        n = len(hx)
        if own:
            output, state = layer(x, as_hx(hx), lengths=LENGTHS, reset=borders(), reset_state=as_hx(anew))
        else:
            output, state = by_hand(layer, x, hx, anew, LENGTHS, borders())
        found = (output, *state_tensors(state))
        gradients = torch.autograd.grad(found, [*inputs, *layer.parameters()], [pattern(t) for t in found])
        answers.append((found, gradients))
    assert_close(answers[0][0], answers[1][0], k=0 if backend == "native" else 20)
    assert_close(*(gradients for _, gradients in answers))
    assert all(g.abs().max() > 0 for g in answers[0][1][: 1 + 2 * n])


@pytest.mark.parametrize("kind", ["GRU", "PeepholeLSTM"])
def test_zeros_are_the_default(kind):
    layer = build(kind, 3, 5, 2, bidirectional=True)
    x, hx = sequences(), random_state(layer, B=4)
    zeros = as_hx(tuple(torch.zeros_like(s[:, :1]) for s in hx))
    plain = answer(layer, x, hx, lengths=LENGTHS, reset=borders())
    given = answer(layer, x, hx, lengths=LENGTHS, reset=borders(), reset_state=zeros)
    assert_close(given.pop("parameters"), plain.pop("parameters"))
    assert_close(given, plain, k=0)


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "PreviousPeepholeLSTM"])
def test_steps_are_the_whole_bit_for_bit(kind):
    layer = build(kind, 3, 17, 2, dtype=torch.float32, reset_state="learned")
    for p in layer._own_reset_state():
        torch.nn.init.uniform_(p, -0.9, 0.9)
    x = sequences(T=40, dtype=torch.float32)
    reset = torch.rand(40, 4, generator=torch.Generator().manual_seed(3)) < 0.2
    whole, final = layer(x, reset=reset)
    chunked = list(nn.truncated(layer, x, steps=7, reset=reset))
    assert torch.equal(torch.cat([c.output for c in chunked]), whole)
    for step in (layer.step, layer.stepper()):
        state, outputs = None, []
        for x_BI, reset_B in zip(x, reset, strict=True):
            output, state = step(x_BI, state, reset=reset_B)
            outputs.append(output)
        assert torch.equal(torch.stack(outputs), whole)
        assert all(map(torch.equal, state_tensors(state), state_tensors(final)))


def test_a_learned_state_is_where_nothing_is_known():
    """No hx and a border at t = 0 are the same start; the gradient reaches the learned state; it starts from zeros."""
    layer = build("LSTM", 3, 5, 2, bidirectional=True, reset_state="learned")
    x = sequences()
    plain = build("LSTM", 3, 5, 2, bidirectional=True)
    assert torch.equal(layer(x)[0], plain(x)[0]), "zeros at first, and the draws of the other parameters are torch's"
    assert {name: tuple(p.shape) for name, p in layer.named_parameters() if name.startswith("reset")} == {
        "reset_h": (4, 5), "reset_c": (4, 5),
    }  # fmt: skip
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(x, reset=borders())[0][0] - 0.3).square().mean()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert layer.reset_h.abs().min() > 0
    assert losses[-1] < 0.9 * losses[0]
    one_way = build("GRU", 3, 5, reset_state="learned")
    torch.nn.init.constant_(one_way.reset_h, 0.4)
    first = torch.zeros(6, 4, dtype=torch.bool)
    first[0] = True
    assert torch.equal(one_way(x)[0], one_way(x, torch.ones(1, 4, 5).double(), reset=first)[0])
    assert "reset_state=learned" in repr(one_way)


def test_every_layout():
    layer, turned = build("LSTM", 3, 5), build("LSTM", 3, 5, batch_first=True)
    x, lengths, anew = sequences(), torch.tensor([3, 2, 6, 1]), random_state(layer, B=4, seed=5)
    expected, final = layer(x, lengths=lengths, reset=borders(), reset_state=anew)
    got, _ = turned(x.transpose(0, 1), lengths=lengths, reset=borders().T, reset_state=anew)
    assert torch.equal(got.transpose(0, 1), expected)
    packed, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), reset=borders(), reset_state=anew)
    assert torch.equal(pad_packed_sequence(packed)[0], expected)
    assert torch.equal(state.c, final.c)
    alone, _ = layer(x[:3, 0], reset=borders()[:3, 0], reset_state=tuple(s[:, 0] for s in anew))
    assert torch.equal(alone, expected[:3, 0])


def test_calls_are_few(monkeypatch):
    """One call of the kernels for each power of two among the segments' lengths."""
    layer, calls = build("GRU", 3, 5), []
    inner = reset_state.run

    def spied(rows, *args, **options):
        return inner(lambda x, *a, **k: calls.append(tuple(x.shape[:2])) or rows(x, *a, **k), *args, **options)

    monkeypatch.setattr(reset_state, "run", spied)
    reset = torch.zeros(100, 3, dtype=torch.bool)
    reset[torch.arange(0, 100, 10), 0] = True
    reset[3, 1] = True
    layer(sequences(T=100, B=3), reset=reset, reset_state=torch.ones(1, 1, 5, dtype=torch.float64))
    assert sorted(calls) == [(3, 1), (10, 10), (100, 2)]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_derivatives_and_one_graph(kind):
    layer = build(kind, 2, 3, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    anew = random_state(layer, B=1, seed=5)
    flat = tuple(t.detach().clone().requires_grad_() for t in (sequences(3, 2, 2), *anew, *layer.parameters()))
    n = 1 + len(anew)
    options = {"lengths": torch.tensor([3, 2]), "reset": torch.tensor([[False, True], [True, False], [False, True]])}

    def call(*flat):
        given = options | {"reset_state": as_hx(flat[1:n])}
        output, state = torch.func.functional_call(layer, dict(zip(names, flat[n:], strict=True)), (flat[0],), given)
        return output, *state_tensors(state)

    assert torch.autograd.gradcheck(call, flat)
    assert torch.autograd.gradgradcheck(call, flat, fast_mode=True)
    values = [t.detach() for t in flat]
    tangents = [torch.sin(t * 100) for t in values]
    _, got = torch.func.jvp(lambda *flat: sum((t**2).sum() for t in call(*flat)), tuple(values), tuple(tangents))
    gradients = torch.autograd.grad(sum((t**2).sum() for t in call(*flat)), flat)
    assert_close(got, sum((g * t).sum() for g, t in zip(gradients, tangents, strict=True)))
    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    assert_close(compiled(*values), call(*values), k=50)
    torch._dynamo.reset()


def test_refusals():
    x = torch.zeros(4, 2, 3)
    with refused(ArgumentError, "GRU", "'zero' or 'learned'", "'ones'"):
        nn.GRU(3, 5, reset_state="ones")
    layer = nn.LSTM(3, 5)
    with refused(ArgumentError, "LSTM.forward", "h in reset_state", "(1, 2, 5)", "(1, 3, 5)"):
        layer(x, reset_state=(torch.zeros(1, 3, 5), torch.zeros(1, 3, 5)))
    with refused(ArgumentTypeError, "LSTM.forward", "reset_state", "Tensor"):
        layer(x, reset_state=torch.zeros(1, 2, 5))
    with refused(ArgumentTypeError, "LSTM.trace", "c in reset_state", "torch.float32", "torch.float64"):
        layer.trace(x, reset_state=(torch.zeros(1, 2, 5), torch.zeros(1, 2, 5).double()))
