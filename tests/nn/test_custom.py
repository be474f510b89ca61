"""A cell of one's own over sequences: the loop's answer, lengths, resets, both ways, derivatives, training.

Legend: T time, B batch, I input, S state.
"""

import copy
import pickle
import re
import shutil

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.helpers import assert_close, assert_zero
from tests.nn.layers import build
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import GRU, CustomRecurrent

LENGTHS = torch.tensor([3, 0, 6, 1])


class NotesGRU(torch.nn.Module):
    """The notes' simplified GRU, without Γ_r: c̃ = tanh(W_c [c, x] + b_c), c' = Γ_u ∗ c̃ + (1 − Γ_u) ∗ c."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.update = torch.nn.Linear(hidden + inputs, hidden)
        self.candidate = torch.nn.Linear(hidden + inputs, hidden)

    def forward(self, x, c):
        both = torch.cat((c, x), dim=-1)
        u = torch.sigmoid(self.update(both))
        return u * torch.tanh(self.candidate(both)) + (1 - u) * c


def notes(seed=0, **options):
    torch.manual_seed(seed)
    return CustomRecurrent(NotesGRU(3, 5), 5, **options).double()


def torchs_lstm(**options):
    """torch's cell as a caller's own, beside our layer with the same weights."""
    layer = build("LSTM", 3, 5, **options)
    cells = []
    for suffix in ("", "_reverse")[: layer.num_directions]:
        cell = torch.nn.LSTMCell(3, 5, dtype=torch.float64)
        names = dict(cell.named_parameters())
        cell.load_state_dict({name: getattr(layer, f"{name}_l0{suffix}") for name in names})
        cells.append(cell)
    return CustomRecurrent(cells[0], (5, 5), *cells[1:], batch_first=layer.batch_first), layer


def sequences(T=6, B=4, seed=2):
    return torch.randn(T, B, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def borders():
    reset = torch.zeros(6, 4, dtype=torch.bool)
    reset[0, 3] = reset[2, 0] = reset[4, 0] = reset[0, 1] = reset[2, 2] = reset[5, 2] = True
    return reset


def test_the_loop_written_out():
    layer, x = notes(), sequences()
    c = h0 = torch.randn(1, 4, 5, dtype=torch.float64)
    expected = []
    for x_BI in x:
        c = layer.cell(x_BI, c[-1] if c.dim() == 3 else c)
        expected.append(c)
    output, state = layer(x, h0)
    assert_close(output, torch.stack(expected), k=0)
    assert_close(state, c[None], k=0)
    assert_close(layer(x)[0], layer(x, torch.zeros_like(h0))[0], k=0)


@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
def test_torchs_cell_gives_the_layers_answer(bidirectional, batch_first):
    """Tuples of states, lengths, resets, NaN in the padding, unbatched and packed, values and gradients."""
    custom, layer = torchs_lstm(bidirectional=bidirectional, batch_first=batch_first)
    turn = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
    x = sequences()
    x[~(torch.arange(6)[:, None] < LENGTHS)] = float("nan")
    hx = tuple(torch.randn(layer.num_directions, 4, 5, dtype=torch.float64) for _ in "hc")

    def answer(run):
        inputs = [t.clone().requires_grad_() for t in (x, *hx)]
        output, state = run(turn(inputs[0]), tuple(inputs[1:]), lengths=LENGTHS, reset=turn(borders()))
        loss = (output * torch.arange(5 * layer.num_directions)).sum() + (state[0] ** 2 + state[1]).sum()
        loss.backward()
        weights = [p.grad for name, p in sorted(run.named_parameters()) if "weight_hh" in name]
        return output.detach(), tuple(s.detach() for s in state), [t.grad for t in inputs], weights

    found, expected = answer(custom), answer(layer)
    assert_close(found, expected)
    assert type(custom(turn(x))[1]) is tuple
    assert_zero(found[0].transpose(0, 1)[1] if not batch_first else found[0][1])

    one = sequences(B=1)[:, 0]
    assert_close(custom(one)[0], layer(one)[0])
    assert custom(one)[1][0].shape == (layer.num_directions, 5)
    packed = pack_padded_sequence(sequences(), [2, 6, 1, 5], enforce_sorted=False)
    assert_close(pad_packed_sequence(custom(packed)[0])[0], pad_packed_sequence(layer(packed)[0])[0])
    assert custom.output_size == layer.output_size


def test_a_function_is_a_cell():
    decay = CustomRecurrent(lambda x, s: 0.5 * s + x, 3)
    output, state = decay(torch.ones(4, 2, 3))
    assert_close(output[:, 0, 0], torch.tensor([1.0, 1.5, 1.75, 1.875]))
    assert_close(state, output[-1:])
    assert list(decay.parameters()) == []


def test_steps_and_chunks_are_the_whole():
    layer, x = notes(), sequences()
    whole, final = layer(x)
    state, parts = None, []
    for x_BI in x:
        output, state = layer.step(x_BI, state)
        parts.append(output)
    assert_close((torch.stack(parts), state), (whole, final), k=0)
    first, state = layer(x[:2])
    assert_close(torch.cat((first, layer(x[2:], state)[0])), whole, k=0)


def test_empty():
    layer = notes()
    h0 = torch.randn(1, 4, 5, dtype=torch.float64)
    output, state = layer(sequences()[:0], h0)
    assert output.shape == (0, 4, 5)
    assert torch.equal(state, h0)
    assert layer(sequences()[:, :0])[0].shape == (6, 0, 5)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_derivatives():
    layer = notes()
    x = sequences(3, 2).requires_grad_()
    call = lambda x: layer(x, lengths=torch.tensor([3, 1]))  # noqa: E731
    assert torch.autograd.gradcheck(call, (x,))
    assert torch.autograd.gradgradcheck(call, (x,))
    tangent = sequences(3, 2, seed=5)
    _, got = torch.func.jvp(lambda x: layer(x)[0].sum(), (x.detach(),), (tangent,))
    assert_close(got.detach(), (torch.autograd.grad(layer(x)[0].sum(), x)[0] * tangent).sum())
    many = torch.stack([x.detach(), -x.detach()])
    assert_close(torch.func.vmap(lambda x: layer(x)[0])(many), torch.stack([layer(m)[0] for m in many]), k=20)


def test_it_trains():
    """The running parity of one bit, which needs memory, from the simplified GRU."""
    torch.manual_seed(0)
    layer, head = CustomRecurrent(NotesGRU(1, 8), 8), torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(150):
        x = torch.rand(8, 64, 1, generator=generator).round()
        # The last one that was seen: 1 from the first 1 on.
        y = x.cummax(0).values
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(layer(x)[0]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.3
    assert losses[-1] < 0.05


def test_whole_numbers_go_into_a_cell_with_an_embedding():
    class Counts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(7, 3)

        def forward(self, x, s):
            return s + self.table(x[:, 0])

    layer, tokens = CustomRecurrent(Counts(), 3), torch.tensor([[[1], [2]], [[3], [4]]])
    output, state = layer(tokens)
    assert output.dtype == state.dtype == torch.float32
    assert_close(output[1], layer.cell.table.weight[[1, 2]] + layer.cell.table.weight[[3, 4]])
    assert_close(layer(tokens[1:], state)[0][0], state[0] + layer.cell.table.weight[[3, 4]])
    state_64 = state.double()
    assert layer.double()(tokens, state_64)[0].dtype == torch.float64


def test_parameters_and_copies():
    layer = notes(reverse_cell=NotesGRU(3, 5))
    assert {name.split(".")[0] for name, _ in layer.named_parameters()} == {"cell", "reverse_cell"}
    assert layer.bidirectional
    assert layer(sequences())[1].shape == (2, 4, 5)
    x = sequences()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], layer(x)[0])
    assert "state_size=5" in repr(layer)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
# torch's compiler looks at the .grad of the state that one step hands to the next.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compiled(monkeypatch):
    """Each step is compiled where asked for, and a copy compiles anew; compiling the whole takes the plain cell."""
    torch._dynamo.reset()
    compiled = []
    compile_ = torch.compile

    def spy(cell, **options):
        compiled.append(cell)
        return compile_(cell, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", spy)
    layer, plain, x = notes(compiled=True), notes(), sequences()
    expected = plain(x, lengths=LENGTHS)[0]
    assert_close(layer(x, lengths=LENGTHS)[0], expected)
    layer(x)
    assert compiled == [layer.cell]
    assert list(layer.state_dict()) == list(plain.state_dict())
    other = pickle.loads(pickle.dumps(layer))
    assert_close(other(x, lengths=LENGTHS)[0], expected)
    assert compiled == [layer.cell, other.cell]
    assert plain(x)[0].shape == (6, 4, 5)
    whole = compile_(layer, fullgraph=True, backend="aot_eager")
    assert_close(whole(x, lengths=LENGTHS)[0], expected)
    assert compiled == [layer.cell, other.cell]
    torch._dynamo.reset()


def refused(error, *parts):
    return pytest.raises(error, match="(?=.*; .+)" + ".*".join(map(re.escape, parts)))


@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        ((0.5, 3), ArgumentTypeError, ("cell", "function or a module", "0.5")),
        ((None, 3), ArgumentTypeError, ("cell", "None")),
        ((abs, 3, "back"), ArgumentTypeError, ("reverse_cell", "'back'")),
        ((abs, 0), ArgumentError, ("state_size > 0", "got 0")),
        ((abs, ()), ArgumentError, ("state_size > 0", "got 0")),
        ((abs, (3, -1)), ArgumentError, ("state_size > 0", "got -1")),
        ((abs, 2.5), ArgumentTypeError, ("state_size", "int", "2.5")),
    ],
)
def test_constructor_refusals(arguments, error, parts):
    with refused(error, "CustomRecurrent", *parts):
        CustomRecurrent(*arguments)


def test_flags_are_flags():
    with refused(ArgumentTypeError, "CustomRecurrent", "batch_first", "got 1"):
        CustomRecurrent(abs, 3, batch_first=1)
    with refused(ArgumentTypeError, "CustomRecurrent", "compiled", "'yes'"):
        CustomRecurrent(abs, 3, compiled="yes")


def test_call_refusals():
    x, who = torch.zeros(4, 2, 3), "CustomRecurrent.forward"
    with refused(ArgumentError, who, "state of shape (2, 5)", "(2, 3)", "state_size"):
        CustomRecurrent(lambda x, s: x, 5)(x)
    with refused(ArgumentError, who, "(2, 3) and (2, 3)", "got (2, 3)"):
        CustomRecurrent(lambda x, s: s[0], (3, 3))(x)
    with refused(ArgumentTypeError, who, "return tensors", "float"):
        CustomRecurrent(lambda x, s: 1.0, 3)(x)
    layer = CustomRecurrent(lambda x, s: s + x, 3)
    with refused(ArgumentError, who, "(T, B, I) or (T, I)", "(4, 2, 3, 1)"):
        layer(x.unsqueeze(-1))
    with refused(ArgumentError, who, "state in hx", "(1, 2, 3)", "(2, 3)"):
        layer(x, torch.zeros(2, 3))
    with refused(ArgumentTypeError, who, "one tensor state", "2 values"):
        layer(x, (x, x))
    with refused(ArgumentTypeError, who, "(state 0, state 1)", "Tensor"):
        CustomRecurrent(lambda x, s: s, (3, 3))(x, x)
    with refused(ArgumentError, who, "lengths", "T = 4", "got 5"):
        layer(x, lengths=[5, 1])
    with refused(ArgumentError, "CustomRecurrent.step", "(B, I)", "(4, 2, 3)"):
        layer.step(x)
    with refused(ArgumentError, "CustomRecurrent.step", "one-way", "the future"):
        CustomRecurrent(abs, 3, abs).step(x[0])


def test_models_take_it():
    """It stands where a layer of throughtime stands."""
    from throughtime.models import Aligned

    layer = notes()
    model = Aligned(layer, torch.nn.Linear(5, 2, dtype=torch.float64))
    assert model(sequences(), lengths=LENGTHS)[0].shape == (6, 4, 2)
    assert isinstance(GRU(3, 5), type(layer).__bases__[0])
